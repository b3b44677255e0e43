//! The `filters` parameter of lists, events and prunes.

use std::collections::{BTreeMap, BTreeSet};

/// Filters by name; each with one or more values, of which one has to match (all, for labels).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filters(BTreeMap<String, BTreeSet<String>>);

/// Why filters are refused. The texts are Docker's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FilterError {
    /// The text is neither of the two encodings.
    #[error("invalid filter")]
    Malformed,
    /// There is no such filter here.
    #[error("invalid filter '{0}'")]
    Unknown(String),
    /// The filter can't have this value.
    #[error("invalid filter '{name}={}'", go_list(.values))]
    Value {
        /// The filter.
        name: String,
        /// All of its values.
        values: Vec<String>,
    },
}

impl brig_core::HasKind for FilterError {
    fn kind(&self) -> brig_core::Kind {
        brig_core::Kind::InvalidParameter
    }
}

/// A list as Go's `%v` prints it.
fn go_list(values: &[String]) -> String {
    format!("[{}]", values.join(" "))
}

impl Filters {
    /// No filters.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads either encoding: `{"name":{"value":true}}` (since 1.22) or `{"name":["value"]}`. The empty text
    /// stands for no filters.
    ///
    /// # Errors
    /// When it is neither.
    pub fn from_json(text: &str) -> Result<Self, FilterError> {
        type New = BTreeMap<String, BTreeMap<String, bool>>;
        type Old = BTreeMap<String, Vec<String>>;
        if text.is_empty() {
            return Ok(Self::default());
        }
        if let Ok(new) = crate::json::from_slice::<New>(text.as_bytes()) {
            return Ok(Self(new.into_iter().map(|(k, v)| (k, v.into_keys().collect())).collect()));
        }
        let old: Old = crate::json::from_slice(text.as_bytes()).map_err(|_| FilterError::Malformed)?;
        Ok(Self(old.into_iter().map(|(k, v)| (k, v.into_iter().collect())).collect()))
    }

    /// Writes the encoding of 1.22 and later; the empty text when there are none.
    #[must_use]
    pub fn to_json(&self) -> String {
        if self.0.is_empty() {
            return String::new();
        }
        let map: BTreeMap<_, BTreeMap<_, _>> =
            self.0.iter().map(|(k, v)| (k, v.iter().map(|v| (v, true)).collect())).collect();
        // A map of strings to booleans can always be written.
        serde_json::to_string(&map).unwrap_or_default()
    }

    /// Adds a value of a filter.
    pub fn add(&mut self, name: impl Into<String>, value: impl Into<String>) {
        self.0.entry(name.into()).or_default().insert(value.into());
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether there is a filter of this name.
    #[must_use]
    pub fn contains(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    /// The values of a filter, in order; empty when it is not there.
    pub fn get(&self, name: &str) -> impl Iterator<Item = &str> {
        self.0.get(name).into_iter().flatten().map(String::as_str)
    }

    /// Whether a filter is not there, has no values, or has exactly this one among them.
    #[must_use]
    pub fn matches(&self, name: &str, value: &str) -> bool {
        self.0.get(name).is_none_or(|values| values.is_empty() || values.contains(value))
    }

    /// Refuses filters other than these.
    ///
    /// # Errors
    /// The first one that is unknown.
    pub fn validate(&self, known: &[&str]) -> Result<(), FilterError> {
        match self.0.keys().find(|name| !known.contains(&name.as_str())) {
            Some(name) => Err(FilterError::Unknown(name.clone())),
            None => Ok(()),
        }
    }

    /// The value of a filter that is true or false.
    ///
    /// # Errors
    /// When it is neither, or both.
    pub fn bool_or(&self, name: &str, default: bool) -> Result<bool, FilterError> {
        let Some(values) = self.0.get(name) else { return Ok(default) };
        let is = |texts: [&str; 2]| texts.iter().any(|t| values.contains(*t));
        match (values.is_empty(), is(["1", "true"]), is(["0", "false"])) {
            (false, true, false) => Ok(true),
            (false, false, true) => Ok(false),
            _ => Err(FilterError::Value { name: name.to_owned(), values: values.iter().cloned().collect() }),
        }
    }

    /// Whether labels meet all values `key` or `key=value` of a filter, `label` mostly.
    #[must_use]
    pub fn matches_labels(&self, name: &str, labels: &BTreeMap<String, String>) -> bool {
        self.get(name).all(|wanted| match wanted.split_once('=') {
            Some((key, value)) => labels.get(key).is_some_and(|v| v == value),
            None => labels.contains_key(wanted),
        })
    }
}

impl<K: Into<String>, V: Into<String>> FromIterator<(K, V)> for Filters {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(iter: I) -> Self {
        let mut filters = Self::default();
        for (name, value) in iter {
            filters.add(name, value);
        }
        filters
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_encodings_are_read() {
        let expected: Filters =
            [("label", "a=b"), ("label", "c"), ("status", "running")].into_iter().collect();
        for text in [
            r#"{"label":{"a=b":true,"c":true},"status":{"running":true}}"#,
            r#"{"label":["a=b","c"],"status":["running"]}"#,
        ] {
            assert_eq!(Filters::from_json(text), Ok(expected.clone()));
        }
        assert_eq!(Filters::from_json(&expected.to_json()), Ok(expected));
        assert!(Filters::from_json("").unwrap().is_empty());
        assert!(Filters::from_json("{}").unwrap().is_empty());
        for bad in ["x", "[]", r#"{"a":"b"}"#, r#"{"a":[1]}"#] {
            assert_eq!(Filters::from_json(bad).unwrap_err().to_string(), "invalid filter", "{bad}");
        }
    }

    #[test]
    fn unknown_filters_and_odd_booleans_are_refused() {
        let filters: Filters = [("dangling", "x"), ("foo", "y")].into_iter().collect();
        assert_eq!(filters.validate(&["dangling"]).unwrap_err().to_string(), "invalid filter 'foo'");
        assert_eq!(
            filters.bool_or("dangling", false).unwrap_err().to_string(),
            "invalid filter 'dangling=[x]'"
        );
        assert_eq!(filters.bool_or("missing", true), Ok(true));
        let yes: Filters = [("dangling", "1")].into_iter().collect();
        assert_eq!(yes.bool_or("dangling", false), Ok(true));
    }

    #[test]
    fn labels_have_to_match_all() {
        let labels = BTreeMap::from([("a".to_owned(), "b".to_owned()), ("c".to_owned(), String::new())]);
        let matches = |wanted: &[&str]| {
            wanted.iter().map(|w| ("label", *w)).collect::<Filters>().matches_labels("label", &labels)
        };
        assert!(matches(&[]) && matches(&["a"]) && matches(&["a=b", "c"]) && matches(&["c="]));
        assert!(!matches(&["a=x"]) && !matches(&["a", "d"]));
    }
}
