//! Values of options, before they have their types.

use std::{collections::BTreeMap, fmt};

/// A value of an option.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value {
    Bool(bool),
    Number(i64),
    Text(String),
    List(Vec<String>),
    Map(BTreeMap<String, String>),
    /// A structure that only the file can give.
    Json(serde_json::Value),
}

impl fmt::Display for Value {
    /// As Go's `%v` prints it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bool(on) => on.fmt(f),
            Self::Number(n) => n.fmt(f),
            Self::Text(text) => text.fmt(f),
            Self::List(list) => write!(f, "[{}]", list.join(" ")),
            Self::Map(map) => {
                let pairs: Vec<String> = map.iter().map(|(k, v)| format!("{k}:{v}")).collect();
                write!(f, "map[{}]", pairs.join(" "))
            }
            Self::Json(json) => json.fmt(f),
        }
    }
}

/// All options that were given, by flag name.
pub(super) type Values = BTreeMap<&'static str, Value>;

/// Go's `strconv.ParseBool`.
pub(super) fn parse_bool(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "TRUE" | "true" | "True" => Some(true),
        "0" | "f" | "F" | "FALSE" | "false" | "False" => Some(false),
        _ => None,
    }
}
