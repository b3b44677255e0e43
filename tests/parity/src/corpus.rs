//! A topic's file: exchanges, and below each what Docker answered.
//!
//! ```text
//! # A comment, for whoever reads the file.
//! do docker create --name c1 busybox true
//! do POST /v1.45/containers/create?name=c2 {"Image":"busybox"}
//!
//! $ docker rm nope
//! ! Error response from daemon: No such container: nope
//! = 1
//!
//! %drop .GraphDriver
//! GET /v1.45/containers/c1/json
//! = 200 application/json
//! | {"Id": "<id>", …
//! ```
//!
//! - `do` prepares: what it answers is not looked at, as long as it succeeds.
//! - `$` is a command line for `sh`, in which `docker` is the client under test. `GET`, `POST` and so on are requests
//!   to the API, with a JSON body after the path if there is one. A path without a version gets the command line's, one
//!   that begins with `/~` none.
//! - `|` is standard output or the body, `!` standard error, `=` the exit code (if it is not 0) or the status.
//! - `%` changes how the next exchange is made or compared; `%topic` in front of it makes it hold for all of the file.
//!
//! To add an exchange, add its first line and run `cargo xtask parity --peer unix://… --write`.

use std::{fmt::Write, fs, io, path::Path};

/// What changes how an exchange is made or compared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Directive {
    /// `%pending WORD`: brig does not answer like this yet; it fails the test when it begins to.
    Pending(String),
    /// `%differs KEY`: a known difference, with a reason in [`crate::known`]; brig's answer is recorded as well.
    Differs(String),
    /// `%save NAME .path`: what lies there in the answer is `${NAME}` from now on.
    Save(String, String),
    /// `%headers`: the answer's headers are compared, too.
    Headers,
    /// `%header Name: value`: sent with the request.
    Header(String),
    /// `%raw`: quotes in the path are sent as they are, as `curl` does.
    Raw,
    /// `%sort`: the order of lines or of a list's items is of no account.
    Sort,
    /// `%mask REGEX`: what it matches is replaced.
    Mask(String),
    /// `%drop .path`: this field, a fact of the machine, is left out.
    Drop(String),
    /// `%only .path .path`: nothing but these fields is looked at, unless there is none of them.
    Only(Vec<String>),
    /// `%stdin TEXT`: sent once the connection is taken over, then the sending side is closed.
    Stdin(String),
    /// `%versions 1.24 1.45`: the request is made with each version for `{version}`.
    Versions(Vec<String>),
    /// `%spec`: written by hand from Docker's API description, since the recorded dockerd is too old for it.
    Spec,
    /// `%docker`: only for docker's command line, since brig's is different here on purpose.
    DockerOnly,
}

/// What is done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// A shell command with `docker` in it.
    Shell(String),
    /// A request.
    Request {
        /// `GET`
        method: String,
        /// With version and parameters.
        path: String,
        /// JSON, or nothing.
        body: String,
    },
}

/// One exchange, or a step that prepares some.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// The line of the file.
    pub line: usize,
    /// Comments, blank lines and the like that stand before it.
    pub before: Vec<String>,
    /// Whether what it answers is of no account.
    pub prepares: bool,
    /// What is done.
    pub action: Action,
    /// The action as it stands in the file.
    pub text: String,
    /// Its own directives.
    pub directives: Vec<Directive>,
    /// What Docker answered.
    pub recorded: Vec<String>,
    /// What brig answers, if that is known to differ.
    pub brig: Vec<String>,
}

/// A topic's file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Topic {
    /// The file's name without its ending.
    pub name: String,
    /// Directives for all exchanges.
    pub directives: Vec<Directive>,
    /// In the file's order.
    pub steps: Vec<Step>,
    /// What stands after the last step.
    pub after: Vec<String>,
}

const METHODS: [&str; 7] = ["GET", "POST", "PUT", "DELETE", "HEAD", "OPTIONS", "PATCH"];

impl Topic {
    /// All topics of a folder, by name.
    ///
    /// # Errors
    /// When a file can't be read or understood.
    pub fn load_all(folder: &Path) -> io::Result<Vec<Self>> {
        let mut topics = Vec::new();
        for entry in fs::read_dir(folder)? {
            let path = entry?.path();
            let Some(name) = path.file_name().and_then(|n| n.to_str()?.strip_suffix(".txt")) else {
                continue;
            };
            let topic = Self::parse(name, &fs::read_to_string(&path)?)
                .map_err(|e| io::Error::other(format!("{}: {e}", path.display())))?;
            topics.push(topic);
        }
        topics.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(topics)
    }

    /// Whether any step needs a command line.
    #[must_use]
    pub fn has_commands(&self) -> bool {
        self.steps.iter().any(|s| matches!(s.action, Action::Shell(_)) && !s.prepares)
    }

    /// Reads a file.
    ///
    /// # Errors
    /// Names the line that can't be understood.
    pub fn parse(name: &str, text: &str) -> Result<Self, String> {
        let mut topic =
            Self { name: name.to_owned(), directives: Vec::new(), steps: Vec::new(), after: Vec::new() };
        let mut before = Vec::new();
        let mut own = Vec::new();
        for (at, line) in text.lines().enumerate() {
            let wrong = |what: &str| format!("line {}: {what}: {line}", at + 1);
            let answer = line.strip_prefix('b').unwrap_or(line);
            if answer.starts_with(['|', '!', '=', '@']) {
                let step = topic.steps.last_mut().ok_or_else(|| wrong("an answer to nothing"))?;
                match line.strip_prefix('b') {
                    Some(line) => step.brig.push(line.to_owned()),
                    None => step.recorded.push(line.to_owned()),
                }
            } else if line.is_empty() || line.starts_with('#') {
                before.push(line.to_owned());
            } else if let Some(rest) = line.strip_prefix("%topic ") {
                topic.directives.push(Directive::parse(rest).ok_or_else(|| wrong("no such directive"))?);
                before.push(line.to_owned());
            } else if let Some(rest) = line.strip_prefix('%') {
                own.push(Directive::parse(rest).ok_or_else(|| wrong("no such directive"))?);
                before.push(line.to_owned());
            } else {
                let (prepares, text) = line.strip_prefix("do ").map_or((false, line), |rest| (true, rest));
                let action = if let Some(command) = text.strip_prefix("$ ") {
                    Action::Shell(command.to_owned())
                } else if prepares && !METHODS.iter().any(|m| text.starts_with(&format!("{m} /"))) {
                    Action::Shell(text.to_owned())
                } else {
                    request(text).ok_or_else(|| wrong("neither command nor request"))?
                };
                topic.steps.push(Step {
                    line: at + 1,
                    before: std::mem::take(&mut before),
                    prepares,
                    action,
                    text: line.to_owned(),
                    directives: std::mem::take(&mut own),
                    recorded: Vec::new(),
                    brig: Vec::new(),
                });
            }
        }
        topic.after = before;
        Ok(topic)
    }

    /// The file again.
    #[must_use]
    pub fn print(&self) -> String {
        let mut text = String::new();
        for step in &self.steps {
            for line in step.before.iter().chain([&step.text]).chain(&step.recorded) {
                text.push_str(line);
                text.push('\n');
            }
            for line in &step.brig {
                // Writing to a String can't fail.
                let _ = writeln!(text, "b{line}");
            }
        }
        for line in &self.after {
            text.push_str(line);
            text.push('\n');
        }
        text
    }
}

impl Step {
    /// Puts a directive before the step.
    pub fn mark(&mut self, directive: Directive) {
        self.before.push(format!("%{}", directive.text()));
        self.directives.push(directive);
    }

    /// Takes a directive away again.
    pub fn unmark(&mut self, directive: &Directive) {
        let line = format!("%{}", directive.text());
        self.before.retain(|l| *l != line);
        self.directives.retain(|d| d != directive);
    }

    /// The word of `%pending`, if the step has it.
    #[must_use]
    pub fn pending(&self) -> Option<&Directive> {
        self.directives.iter().find(|d| matches!(d, Directive::Pending(_)))
    }

    /// The key of `%differs`, if the step has it.
    #[must_use]
    pub fn differs(&self) -> Option<&str> {
        self.directives.iter().find_map(|d| match d {
            Directive::Differs(key) => Some(key.as_str()),
            _ => None,
        })
    }
}

fn request(text: &str) -> Option<Action> {
    let (method, rest) = text.split_once(' ')?;
    if !METHODS.contains(&method) {
        return None;
    }
    let (path, body) = rest.split_once(' ').unwrap_or((rest, ""));
    Some(Action::Request { method: method.to_owned(), path: path.to_owned(), body: body.to_owned() })
}

impl Directive {
    fn parse(text: &str) -> Option<Self> {
        let (word, rest) = text.split_once(' ').unwrap_or((text, ""));
        let rest = rest.trim();
        Some(match word {
            "pending" => Self::Pending(rest.to_owned()),
            "differs" => Self::Differs(rest.to_owned()),
            "save" => rest.split_once(' ').map(|(n, p)| Self::Save(n.to_owned(), p.to_owned()))?,
            "headers" => Self::Headers,
            "header" => Self::Header(rest.to_owned()),
            "raw" => Self::Raw,
            "sort" => Self::Sort,
            "mask" => Self::Mask(rest.to_owned()),
            "drop" => Self::Drop(rest.to_owned()),
            "only" => Self::Only(rest.split(' ').map(str::to_owned).collect()),
            "stdin" => Self::Stdin(rest.to_owned()),
            "versions" => Self::Versions(rest.split(' ').map(str::to_owned).collect()),
            "spec" => Self::Spec,
            "docker" => Self::DockerOnly,
            _ => return None,
        })
    }

    fn text(&self) -> String {
        match self {
            Self::Pending(word) => format!("pending {word}"),
            Self::Differs(key) => format!("differs {key}"),
            Self::Save(name, path) => format!("save {name} {path}"),
            Self::Headers => "headers".to_owned(),
            Self::Header(text) => format!("header {text}"),
            Self::Raw => "raw".to_owned(),
            Self::Sort => "sort".to_owned(),
            Self::Mask(text) => format!("mask {text}"),
            Self::Drop(path) => format!("drop {path}"),
            Self::Only(paths) => format!("only {}", paths.join(" ")),
            Self::Stdin(text) => format!("stdin {text}"),
            Self::Versions(list) => format!("versions {}", list.join(" ")),
            Self::Spec => "spec".to_owned(),
            Self::DockerOnly => "docker".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "# Words.\n%topic drop .Id\n\ndo docker create --name a busybox\n%sort\n%pending x\n$ docker ps\n| a\n! b\n= 1\n\nPOST /v1.45/x {\"a\": 1}\n= 200\nb= 400\n# end\n";

    #[test]
    fn a_file_is_printed_as_it_was_read() {
        let topic = Topic::parse("t", FILE).unwrap();
        assert_eq!(topic.print(), FILE);
        assert_eq!(topic.directives, [Directive::Drop(".Id".to_owned())]);
        assert_eq!(topic.steps.len(), 3);
        assert!(topic.steps[0].prepares);
        assert_eq!(topic.steps[1].recorded, ["| a", "! b", "= 1"]);
        assert_eq!(topic.steps[1].directives, [Directive::Sort, Directive::Pending("x".to_owned())]);
        assert_eq!(topic.steps[2].brig, ["= 400"]);
        let request =
            Action::Request { method: "POST".into(), path: "/v1.45/x".into(), body: "{\"a\": 1}".into() };
        assert_eq!(topic.steps[2].action, request);
    }

    #[test]
    fn marks_come_and_go() {
        let mut topic = Topic::parse("t", FILE).unwrap();
        let pending = topic.steps[1].pending().cloned().unwrap();
        topic.steps[1].unmark(&pending);
        assert_eq!(topic.print(), FILE.replace("%pending x\n", ""));
        topic.steps[1].mark(pending);
        assert_eq!(topic.print(), FILE);
    }

    #[test]
    fn nonsense_is_told_with_its_line() {
        assert!(Topic::parse("t", "# a\nfoo\n").unwrap_err().starts_with("line 2: "));
        assert!(Topic::parse("t", "%foo\n").unwrap_err().starts_with("line 1: no such directive"));
        assert!(Topic::parse("t", "| x\n").unwrap_err().starts_with("line 1: an answer to nothing"));
    }
}
