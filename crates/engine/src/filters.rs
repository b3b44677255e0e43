//! Filters of lists and events: `{"label":{"a=b":true}}`, or the older `{"label":["a=b"]}`.

use crate::error::{Error, Result};
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};

/// Filters: for each key, values of which one has to match.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filters(BTreeMap<String, BTreeSet<String>>);

impl Filters {
    /// Reads the API's `filters` parameter; empty for none.
    ///
    /// # Errors
    /// When it is not JSON of one of the two forms.
    pub fn parse(text: &str) -> Result<Self> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Values {
            Set(BTreeMap<String, bool>),
            List(Vec<String>),
        }
        if text.is_empty() {
            return Ok(Self::default());
        }
        let raw: Option<BTreeMap<String, Option<Values>>> =
            serde_json::from_str(text).map_err(|_| Error::Invalid("invalid filter".to_owned()))?;
        let keys = raw.unwrap_or_default().into_iter().map(|(key, values)| {
            let values = match values {
                None => BTreeSet::new(),
                Some(Values::Set(set)) => set.into_iter().filter(|(_, on)| *on).map(|(v, _)| v).collect(),
                Some(Values::List(list)) => list.into_iter().collect(),
            };
            (key, values)
        });
        Ok(Self(keys.collect()))
    }

    /// Adds a value to a key.
    pub fn add(&mut self, key: impl Into<String>, value: impl Into<String>) {
        self.0.entry(key.into()).or_default().insert(value.into());
    }

    /// Refuses keys that are not among `known`.
    ///
    /// # Errors
    /// Docker's text for the first unknown key.
    pub fn validate(&self, known: &[&str]) -> Result<()> {
        match self.0.keys().find(|key| !known.contains(&key.as_str())) {
            None => Ok(()),
            Some(key) => Err(Error::Invalid(format!("invalid filter '{key}'"))),
        }
    }

    /// Whether the key was given at all.
    #[must_use]
    pub fn contains(&self, key: &str) -> bool {
        self.0.contains_key(key)
    }

    /// The values of a key.
    pub fn get(&self, key: &str) -> impl Iterator<Item = &str> {
        self.0.get(key).into_iter().flatten().map(String::as_str)
    }

    /// Whether one of the key's values is `value`; true when the key has none.
    #[must_use]
    pub fn exact(&self, key: &str, value: &str) -> bool {
        self.any(key, |v| v == value)
    }

    /// Whether one of the key's values, a regular expression, is found in `value`, as with names and ids;
    /// true when the key has none.
    #[must_use]
    pub fn matches(&self, key: &str, value: &str) -> bool {
        self.any(key, |pattern| pattern == value || matches_pattern(pattern, value))
    }

    /// Whether one of the key's values is a prefix of `value`; true when the key has none.
    #[must_use]
    pub fn prefix(&self, key: &str, value: &str) -> bool {
        self.any(key, |v| value.starts_with(v))
    }

    /// Whether all of the key's values, `name` or `name=value`, are among `labels`.
    #[must_use]
    pub fn labels(&self, key: &str, labels: Option<&BTreeMap<String, String>>) -> bool {
        self.get(key).all(|wanted| {
            let (name, value) = match wanted.split_once('=') {
                Some((name, value)) => (name, Some(value)),
                None => (wanted, None),
            };
            labels.and_then(|l| l.get(name)).is_some_and(|have| value.is_none_or(|value| value == have))
        })
    }

    /// Reads a yes-or-no key; `None` when it was not given.
    ///
    /// # Errors
    /// When its value is neither, or when there are both.
    pub fn flag(&self, key: &str) -> Result<Option<bool>> {
        if !self.contains(key) {
            return Ok(None);
        }
        let values: Vec<&str> = self.get(key).collect();
        match values.as_slice() {
            ["1" | "true" | "True" | "TRUE" | "t" | "T"] => Ok(Some(true)),
            ["0" | "false" | "False" | "FALSE" | "f" | "F"] => Ok(Some(false)),
            _ => Err(Error::Invalid(format!("invalid filter '{key}=[{}]'", values.join(" ")))),
        }
    }

    fn any(&self, key: &str, test: impl Fn(&str) -> bool) -> bool {
        let mut values = self.get(key).peekable();
        values.peek().is_none() || values.any(test)
    }
}

/// Whether a value, taken for a regular expression as Docker does, is found in `text`. What is no regular
/// expression matches nothing but itself.
fn matches_pattern(pattern: &str, text: &str) -> bool {
    regex_lite::Regex::new(pattern).is_ok_and(|regex| regex.is_match(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_are_read_and_others_refused() {
        let set = Filters::parse(r#"{"status":{"running":true,"exited":false},"label":{}}"#).unwrap();
        assert_eq!(set.get("status").collect::<Vec<_>>(), ["running"]);
        assert!(set.contains("label"));
        let list = Filters::parse(r#"{"status":["running"]}"#).unwrap();
        assert!(list.exact("status", "running") && !list.exact("status", "exited"));
        assert_eq!(Filters::parse("").unwrap(), Filters::default());
        assert_eq!(Filters::parse("null").unwrap(), Filters::default());
        for bad in ["x", "[]", r#"{"a":1}"#, r#"{"a":{"b":"c"}}"#] {
            Filters::parse(bad).unwrap_err();
        }
    }

    #[test]
    fn unknown_keys_are_named() {
        let filters = Filters::parse(r#"{"nope":["x"]}"#).unwrap();
        assert_eq!(filters.validate(&["id"]).unwrap_err().to_string(), "invalid filter 'nope'");
        filters.validate(&["nope"]).unwrap();
    }

    #[test]
    fn labels_must_all_be_there() {
        let labels = BTreeMap::from([("a".to_owned(), "1".to_owned()), ("b".to_owned(), String::new())]);
        for (wanted, passes) in [
            (r#"["a"]"#, true),
            (r#"["a=1","b"]"#, true),
            (r#"["a=2"]"#, false),
            (r#"["a","c"]"#, false),
            (r#"["b="]"#, true),
        ] {
            let filters = Filters::parse(&format!(r#"{{"label":{wanted}}}"#)).unwrap();
            assert_eq!(filters.labels("label", Some(&labels)), passes, "{wanted}");
        }
        assert!(Filters::default().labels("label", None));
    }

    #[test]
    fn names_match_as_people_write_them() {
        for (pattern, text, passes) in [
            ("web", "my-web-1", true),
            ("^web", "my-web-1", false),
            ("^/?web$", "web", true),
            ("(", "(", true),
            ("(", "x(", false),
            ("^web$", "web", true),
            ("^web$", "web1", false),
            ("^web.*1$", "web-1", true),
            ("w.b", "web", true),
            ("a+b", "xaab", true),
            ("", "x", true),
            (r"a\.b", "a.b", true),
            (r"a\.b", "axb", false),
        ] {
            let mut filters = Filters::default();
            filters.add("name", pattern);
            assert_eq!(filters.matches("name", text), passes, "{pattern} {text}");
        }
    }

    #[test]
    fn flags() {
        assert_eq!(Filters::default().flag("dangling").unwrap(), None);
        assert_eq!(Filters::parse(r#"{"dangling":["true"]}"#).unwrap().flag("dangling").unwrap(), Some(true));
        assert_eq!(Filters::parse(r#"{"dangling":["0"]}"#).unwrap().flag("dangling").unwrap(), Some(false));
        Filters::parse(r#"{"dangling":["x"]}"#).unwrap().flag("dangling").unwrap_err();
        Filters::parse(r#"{"dangling":["1","0"]}"#).unwrap().flag("dangling").unwrap_err();
    }

    proptest::proptest! {
        #[test]
        fn matching_never_panics(pattern in ".{0,20}", text in ".{0,20}") {
            let mut filters = Filters::default();
            filters.add("name", pattern);
            let _ = filters.matches("name", &text);
        }
    }
}
