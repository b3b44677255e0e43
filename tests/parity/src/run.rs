//! Runs the steps of a topic against one daemon by one command line.

use crate::{
    body::{self, Body},
    corpus::{Action, Directive, Step, Topic},
    http::{self, Request},
    json::Json,
    normalise::{Rules, join},
    versions,
};
use brig_e2e::http::Response;
use std::{
    collections::BTreeMap,
    io,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{SystemTime, UNIX_EPOCH},
};

/// The version that command lines speak, the newest of the recorded dockerd.
pub const VERSION: &str = "1.45";

/// How long a step may take before it is told of: the corpus is to be quick.
const SLOW: std::time::Duration = std::time::Duration::from_secs(4);

/// A daemon and a command line to speak to it.
#[derive(Debug)]
pub struct Target {
    socket: PathBuf,
    roots: Vec<String>,
    scratch: tempfile::TempDir,
}

impl Target {
    /// `program` is the command line, called as `docker`; `roots` are folders of the daemon's own.
    ///
    /// # Errors
    /// When no folder can be made.
    pub fn new(socket: &Path, program: &Path, roots: Vec<String>) -> io::Result<Self> {
        let scratch = tempfile::Builder::new().prefix("brig-parity-").tempdir()?;
        for folder in ["bin", "config", "work"] {
            std::fs::create_dir(scratch.path().join(folder))?;
        }
        symlink(program, scratch.path().join("bin/docker"))?;
        Ok(Self { socket: socket.to_owned(), roots, scratch })
    }

    fn shell(&self, command: &str, variables: &BTreeMap<String, String>) -> io::Result<std::process::Output> {
        let path = format!("{}:/usr/local/bin:/usr/bin:/bin", self.scratch.path().join("bin").display());
        Command::new("timeout")
            .args(["--signal=KILL", "20", "sh", "-c", command])
            .env_clear()
            .envs(variables)
            .env("PATH", path)
            .env("HOME", self.scratch.path().join("config"))
            .env("DOCKER_CONFIG", self.scratch.path().join("config"))
            .env("DOCKER_HOST", format!("unix://{}", self.socket.display()))
            .env("DOCKER_API_VERSION", VERSION)
            .current_dir(self.scratch.path().join("work"))
            .stdin(Stdio::null())
            .output()
    }
}

/// What came of a step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// As it is recorded.
    pub lines: Vec<String>,
    /// Whether it succeeded: exit code 0, or a status below 400.
    pub fine: bool,
}

/// A topic under way.
#[derive(Debug)]
pub struct Session<'a> {
    target: &'a Target,
    topic: &'a Topic,
    variables: BTreeMap<String, String>,
}

impl<'a> Session<'a> {
    /// Before the first step.
    #[must_use]
    pub fn new(target: &'a Target, topic: &'a Topic) -> Self {
        Self { target, topic, variables: BTreeMap::from([("start".to_owned(), now())]) }
    }

    /// Makes one step.
    ///
    /// # Errors
    /// When the daemon can't be reached, or falls silent.
    pub fn step(&mut self, step: &Step) -> io::Result<Answer> {
        let begun = std::time::Instant::now();
        let answer = self.make(step);
        if begun.elapsed() > SLOW {
            let (topic, seconds) = (&self.topic.name, begun.elapsed().as_secs());
            eprintln!("{topic}:{}: {} took {seconds} s", step.line, step.text);
        }
        answer
    }

    fn make(&mut self, step: &Step) -> io::Result<Answer> {
        self.variables.insert("now".to_owned(), now());
        let directives: Vec<&Directive> = self.topic.directives.iter().chain(&step.directives).collect();
        let rules = self.rules(&directives);
        match &step.action {
            Action::Shell(command) => {
                let out = self.target.shell(command, &self.variables)?;
                let stdout = String::from_utf8_lossy(&out.stdout);
                for directive in &directives {
                    if let Directive::Save(name, path) = directive {
                        let saved = Json::all(&stdout).and_then(|v| text_at(v.first()?, path));
                        let saved = saved.unwrap_or_else(|| stdout.trim().to_owned());
                        self.variables.insert(name.clone(), saved);
                    }
                }
                let mut lines = prefixed("|", rules.lines(&stdout));
                lines.extend(prefixed("!", rules.lines(&String::from_utf8_lossy(&out.stderr))));
                let code = out.status.code().unwrap_or(-1);
                if code != 0 {
                    lines.push(format!("= {code}"));
                }
                Ok(Answer { lines, fine: code == 0 })
            }
            Action::Request { method, path, body } => {
                let versions = directives.iter().find_map(|d| match d {
                    Directive::Versions(list) => Some(list.as_slice()),
                    _ => None,
                });
                let (newest, older) = match versions {
                    Some([older @ .., newest]) => (newest.as_str(), older),
                    _ => (VERSION, &[][..]),
                };
                let ask = |session: &Self, version: &str| {
                    session.request(method, &path.replace("{version}", version), body, &directives)
                };
                let response = ask(self, newest)?;
                let answer = body::read(&response);
                if let Body::Json(values) = &answer {
                    for directive in &directives {
                        if let Directive::Save(name, path) = directive {
                            let saved = values.first().and_then(|v| text_at(v, path)).unwrap_or_default();
                            self.variables.insert(name.clone(), saved);
                        }
                    }
                }
                let headers = directives.contains(&&Directive::Headers);
                let mut lines = vec![head(&response)];
                if headers {
                    lines
                        .extend(prefixed("=", headers_of(&response).iter().map(|h| rules.text(h)).collect()));
                }
                let newest = normalised(&rules, answer);
                lines.extend(prefixed("|", shown(&newest)));
                for version in older.iter().rev() {
                    let response = ask(self, version)?;
                    let mut changes = match (&newest, normalised(&rules, body::read(&response))) {
                        (Body::Json(newest), Body::Json(now)) => versions::changes(newest, &now),
                        (_, now) => shown(&now),
                    };
                    if head(&response) != lines[0] {
                        changes.insert(0, head(&response));
                    }
                    lines.push(format!("@ {version}"));
                    lines.extend(prefixed("@", changes.into_iter().map(|c| format!("  {c}")).collect()));
                }
                Ok(Answer { lines, fine: response.status < 400 })
            }
        }
    }

    fn request(
        &self,
        method: &str,
        path: &str,
        body: &str,
        directives: &[&Directive],
    ) -> io::Result<Response> {
        let mut headers = Vec::new();
        let mut stdin = None;
        for directive in directives {
            match directive {
                Directive::Header(text) => headers.push(self.filled(text)),
                Directive::Stdin(text) => stdin = Some(text.replace("\\n", "\n")),
                _ => {}
            }
        }
        let path = self.filled(path);
        // `/~/info` is a request without a version.
        let versioned = path.strip_prefix("/v").is_some_and(|p| p.starts_with(|c: char| c.is_ascii_digit()));
        let path = match path.strip_prefix("/~") {
            Some(path) => path.to_owned(),
            None if versioned => path,
            None => format!("/v{VERSION}{path}"),
        };
        let raw = directives.contains(&&Directive::Raw);
        let path = if raw { path } else { path.replace('"', "%22").replace('|', "%7C") };
        let body = self.filled(body);
        let request = Request {
            method,
            path: &path,
            headers: &headers,
            body: body.as_bytes(),
            stdin: stdin.as_deref().map(str::as_bytes),
        };
        http::exchange(&self.target.socket, request)
    }

    fn rules(&self, directives: &[&Directive]) -> Rules {
        let mut rules = Rules { roots: self.target.roots.clone(), ..Rules::default() };
        rules.roots.push(self.target.scratch.path().join("work").display().to_string());
        rules.roots.push(self.target.scratch.path().join("config").display().to_string());
        rules.masks.push(regex_escaped(&self.target.socket.display().to_string()));
        for directive in directives {
            match directive {
                Directive::Mask(mask) => rules.masks.push(mask.clone()),
                Directive::Drop(path) => rules.drops.push(path.clone()),
                Directive::Only(paths) => rules.only.extend(paths.iter().cloned()),
                Directive::Sort => rules.sort = true,
                _ => {}
            }
        }
        rules
    }

    fn filled(&self, text: &str) -> String {
        self.variables
            .iter()
            .fold(text.to_owned(), |text, (name, value)| text.replace(&format!("${{{name}}}"), value))
    }
}

fn text_at(value: &Json, path: &str) -> Option<String> {
    match value.at(path)? {
        Json::Text(text) => Some(text.clone()),
        other => Some(other.line()),
    }
}

fn normalised(rules: &Rules, body: Body) -> Body {
    match body {
        Body::Json(values) => Body::Json(values.into_iter().map(|v| rules.value(v)).collect()),
        Body::Text(lines) => {
            let mut lines: Vec<String> = lines.iter().map(|l| rules.text(l).trim_end().to_owned()).collect();
            if rules.sort {
                lines.sort();
            }
            Body::Text(lines)
        }
    }
}

fn shown(body: &Body) -> Vec<String> {
    match body {
        Body::Json(values) if values.len() == 1 => values[0].layout().lines().map(str::to_owned).collect(),
        Body::Json(values) => join(values).lines().map(str::to_owned).collect(),
        Body::Text(lines) => lines.clone(),
    }
}

/// `= 200 application/json`
fn head(response: &Response) -> String {
    let kind = response.header("content-type").unwrap_or_default();
    format!("= {} {kind}", response.status).trim_end().to_owned()
}

/// All headers but those that tell of the connection.
fn headers_of(response: &Response) -> Vec<String> {
    let told = |name: &str| {
        !matches!(name, "date" | "content-length" | "transfer-encoding" | "content-type" | "connection")
    };
    let mut lines: Vec<String> =
        response.headers.iter().filter(|(n, _)| told(n)).map(|(n, v)| format!("{n}: {v}")).collect();
    lines.sort();
    lines
}

fn prefixed(sign: &str, lines: Vec<String>) -> Vec<String> {
    lines.into_iter().map(|line| format!("{sign} {line}").trim_end().to_owned()).collect()
}

fn regex_escaped(text: &str) -> String {
    text.chars()
        .flat_map(|c| (!c.is_alphanumeric() && c != '/').then_some('\\').into_iter().chain([c]))
        .collect()
}

fn now() -> String {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    format!("{}.{:09}", since.as_secs(), since.subsec_nanos())
}
