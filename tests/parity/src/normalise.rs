//! Takes out of an answer what belongs to the moment and the machine: ids, times, addresses of hardware, sizes.

use crate::{json::Json, known};
use regex_lite::Regex;
use std::sync::OnceLock;

/// What an exchange asks for beside the rules that hold for all.
#[derive(Debug, Default, Clone)]
pub struct Rules {
    /// Folders of the daemon's own, replaced by `<root>`.
    pub roots: Vec<String>,
    /// Fields left out.
    pub drops: Vec<String>,
    /// The only fields that are compared, unless there are none.
    pub only: Vec<String>,
    /// Patterns replaced.
    pub masks: Vec<String>,
    /// Whether order is of no account.
    pub sort: bool,
}

/// Fields with numbers that say when or how much; those that are 0 or below stay.
const NUMBERS: [&str; 15] = [
    "Created",
    "time",
    "timeNano",
    "Pid",
    "Size",
    "SizeRw",
    "SizeRootFs",
    "VirtualSize",
    "SharedSize",
    "LayersSize",
    "NFd",
    "NGoroutines",
    "NCPU",
    "MemTotal",
    "SpaceReclaimed",
];

/// Fields with texts that are facts of the host or of the build.
const FACTS: [&str; 7] =
    ["KernelVersion", "OperatingSystem", "OSVersion", "SystemTime", "BuildTime", "GitCommit", "GoVersion"];

/// Lists in no order.
const UNORDERED: [&str; 2] = ["Mounts", "Ports"];

/// Patterns of texts, each with what stands for it.
const PATTERNS: [(&str, &str); 18] = [
    // Which address comes next is for the daemon to choose, but for the first.
    (r"\b172\.17\.0\.([3-9]|\d\d+)\b", "<ip>"),
    (r"sha256:[0-9a-f]{64}", "sha256:<id>"),
    (r"\b[0-9a-f]{64}\b", "<id>"),
    (r"sha256:[0-9a-f]{12}\b", "sha256:<short>"),
    (r"\b[0-9a-f]{12}\b", "<short>"),
    (r"2\d\d\d-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)", "<time>"),
    (r"\b2\d\d\d-\d\d-\d\d \d\d:\d\d:\d\d(\.\d+)? [+-]\d{4} [A-Z]+", "<time>"),
    (r"\b([0-9a-f]{2}:){5}[0-9a-f]{2}\b", "<mac>"),
    (r"\b(About an?|Less than a|\d+) (second|minute|hour|day|week|month|year)s? ago\b", "<ago>"),
    (r"\bUp (About an?|Less than a|\d+) (second|minute|hour)s?", "Up <time>"),
    (r"\bUp <ago>", "Up <time>"),
    (r"\b\d+(\.\d+)?[kMGT]i?B\b", "<size>"),
    (r"\b[1-9]\d*(\.\d+)?B\b", "<size>"),
    (r":(3[2-9]|[45]\d|6[0-5])\d{3}\b", ":<port>"),
    (r#""HostPort": "(3[2-9]|[45]\d|6[0-5])\d{3}""#, r#""HostPort": "<port>""#),
    (r#""PublicPort": (3[2-9]|[45]\d|6[0-5])\d{3}"#, r#""PublicPort": <port>"#),
    (r"/var/run/docker/netns/\S+?\b|/var/run/brig/netns/\S+?\b", "<netns>"),
    (r"/(run|tmp)/[^ ]*containerd-runtime[^ ]*", "<bundle>"),
];

fn patterns() -> &'static [(Regex, &'static str)] {
    static PATTERNS_READ: OnceLock<Vec<(Regex, &'static str)>> = OnceLock::new();
    PATTERNS_READ
        .get_or_init(|| PATTERNS.iter().map(|(p, with)| (Regex::new(p).expect("a pattern"), *with)).collect())
}

impl Rules {
    /// A line or text without what belongs to the moment.
    #[must_use]
    pub fn text(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for words in known::silent() {
            text = text.replace(words, "");
        }
        for mask in &self.masks {
            if let Ok(mask) = Regex::new(mask) {
                text = mask.replace_all(&text, "<masked>").into_owned();
            }
        }
        for root in self.roots.iter().filter(|r| !r.is_empty()) {
            text = text.replace(&format!("{root}/"), "<root>/");
        }
        for (pattern, with) in patterns() {
            text = pattern.replace_all(&text, *with).into_owned();
        }
        text
    }

    /// Lines of a command's output. Columns are as wide as what stands in them, so runs of blanks are shortened
    /// where something was replaced.
    #[must_use]
    pub fn lines(&self, text: &str) -> Vec<String> {
        if let Some(values) =
            Json::all(text).filter(|_| text.starts_with(['{', '[']) && !text.starts_with("[]"))
        {
            let values: Vec<Json> = values.into_iter().map(|v| self.value(v)).collect();
            let laid = if values.len() == 1 { values[0].layout() } else { join(&values) };
            return laid.lines().map(|l| self.text(l)).collect();
        }
        let replaced = self.text(text);
        let table = replaced != text;
        let mut lines: Vec<String> = replaced
            .lines()
            .map(|line| if table { narrowed(line) } else { line.trim_end().to_owned() })
            .collect();
        if self.sort {
            lines.sort();
        }
        lines
    }

    /// A value without what belongs to the moment.
    #[must_use]
    pub fn value(&self, value: Json) -> Json {
        let value = self.drops.iter().fold(value, |v, path| dropped(v, &parts(path)));
        let at = |path: &String| Some((path.clone(), found(&value, &parts(path))?));
        let only: Vec<_> = self.only.iter().filter_map(at).collect();
        // An error has none of the fields, and is shown as it is.
        let value = if only.is_empty() { value } else { Json::Object(only) };
        let mut value = self.walk("", value);
        if self.sort
            && let Json::List(items) = &mut value
        {
            items.sort_by_key(Json::line);
        }
        value
    }

    fn walk(&self, name: &str, value: Json) -> Json {
        match value {
            Json::Object(fields) => {
                let mut fields: Vec<_> = fields
                    .into_iter()
                    .filter(|(name, _)| !known::hidden().any(|n| n == name))
                    .map(|(name, value)| {
                        let value = self.walk(name.rsplit('.').next().unwrap_or_default(), value);
                        (self.text(&name), value)
                    })
                    .collect();
                fields.sort_by_key(|(name, _)| !known::movable().any(|n| n == name));
                // Go prints maps in the order of their keys; of ids that order is chance.
                if fields.iter().all(|(name, _)| name.starts_with('<')) {
                    fields.sort_by_key(|(_, value)| value.line());
                }
                Json::Object(fields)
            }
            Json::List(items) => {
                let mut items: Vec<_> = items.into_iter().map(|item| self.walk(name, item)).collect();
                // Docker keeps these in a map, whose order is chance.
                if UNORDERED.contains(&name) {
                    items.sort_by_key(|item| (item.at(".Destination").map(Json::line), item.line()));
                }
                Json::List(items)
            }
            Json::Number(text) if NUMBERS.contains(&name) && !text.starts_with('-') && text != "0" => {
                Json::Text(format!("<{}>", name.to_lowercase()))
            }
            Json::Text(text) if FACTS.contains(&name) && !text.is_empty() => {
                Json::Text(format!("<{}>", name.to_lowercase()))
            }
            Json::Text(text) => Json::Text(self.text(&text)),
            other => other,
        }
    }
}

/// Values one a line.
#[must_use]
pub fn join(values: &[Json]) -> String {
    values.iter().map(Json::line).collect::<Vec<_>>().join("\n")
}

fn parts(path: &str) -> Vec<&str> {
    path.split('.').filter(|p| !p.is_empty()).collect()
}

/// What lies at a path; `*` stands for each item of a list.
fn found(value: &Json, path: &[&str]) -> Option<Json> {
    match (path, value) {
        ([], _) => Some(value.clone()),
        (["*", rest @ ..], Json::List(items)) => {
            Some(Json::List(items.iter().filter_map(|item| found(item, rest)).collect()))
        }
        ([first, rest @ ..], _) => found(value.at(first)?, rest),
    }
}

/// Without the field at a path; `*` stands for any field or item.
fn dropped(value: Json, path: &[&str]) -> Json {
    let Some((first, rest)) = path.split_first() else { return value };
    let fits = |name: &str| *first == "*" || *first == name;
    match value {
        Json::Object(fields) => Json::Object(
            fields
                .into_iter()
                .filter(|(name, _)| !(rest.is_empty() && fits(name)))
                .map(|(name, v)| if fits(&name) { (name, dropped(v, rest)) } else { (name, v) })
                .collect(),
        ),
        Json::List(items) if *first == "*" => {
            Json::List(items.into_iter().map(|v| dropped(v, rest)).collect())
        }
        other => other,
    }
}

fn narrowed(line: &str) -> String {
    static BLANKS: OnceLock<Regex> = OnceLock::new();
    let blanks = BLANKS.get_or_init(|| Regex::new(r"(\S) {2,}").expect("a pattern"));
    blanks.replace_all(line, "$1   ").trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_belongs_to_the_moment_is_replaced() {
        let rules = Rules { roots: vec!["/tmp/x".to_owned()], ..Rules::default() };
        for (text, expected) in [
            ("Up 2 seconds", "Up <time>"),
            ("Up Less than a second", "Up <time>"),
            ("Exited (0) 3 minutes ago", "Exited (0) <ago>"),
            ("1.98MB (virtual 2MB) 0B 12B", "<size> (virtual <size>) 0B <size>"),
            ("2024-01-02T03:04:05.678Z 0001-01-01T00:00:00Z", "<time> 0001-01-01T00:00:00Z"),
            ("/tmp/x/containers", "<root>/containers"),
            ("02:42:ac:11:00:02 at 172.17.0.2", "<mac> at 172.17.0.2"),
            ("0.0.0.0:32768->80/tcp :8080", "0.0.0.0:<port>->80/tcp :8080"),
        ] {
            assert_eq!(rules.text(text), expected);
        }
    }

    #[test]
    fn fields_are_dropped_and_numbers_replaced() {
        let rules = Rules { drops: vec![".A.B".to_owned(), ".*.Id".to_owned()], ..Rules::default() };
        let value = Json::all(r#"{"A": {"B": 1, "C": 2}, "D": {"Id": 1}, "Pid": 12, "Size": 0}"#).unwrap();
        let shown = rules.value(value[0].clone()).line();
        assert_eq!(shown, r#"{"A": {"C": 2}, "D": {}, "Pid": "<pid>", "Size": 0}"#);
    }
}
