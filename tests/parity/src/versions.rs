//! One request made with many versions of the API: the newest answer whole, of the others what they have otherwise.

use crate::json::Json;
use std::collections::BTreeMap;

/// What `other` has otherwise than `newest`, one field a line.
#[must_use]
pub fn changes(newest: &[Json], other: &[Json]) -> Vec<String> {
    let (newest, other) = (fields(newest), fields(other));
    let mut lines = Vec::new();
    for (path, value) in &newest {
        match other.get(path) {
            None => lines.push(format!("- {path}")),
            Some(now) if now != value => lines.push(format!("~ {path}: {now}")),
            Some(_) => {}
        }
    }
    let added = other.iter().filter(|(path, _)| !newest.contains_key(*path));
    lines.extend(added.map(|(path, value)| format!("+ {path}: {value}")));
    lines
}

/// All leaves by their paths.
fn fields(values: &[Json]) -> BTreeMap<String, String> {
    fn walk(value: &Json, path: String, into: &mut BTreeMap<String, String>) {
        match value {
            Json::Object(fields) if !fields.is_empty() => {
                for (name, value) in fields {
                    walk(value, format!("{path}.{name}"), into);
                }
            }
            Json::List(items) if items.iter().any(|i| matches!(i, Json::Object(_))) => {
                for (at, item) in items.iter().enumerate() {
                    walk(item, format!("{path}.{at}"), into);
                }
            }
            leaf => drop(into.insert(path, leaf.line())),
        }
    }
    let mut into = BTreeMap::new();
    for value in values {
        walk(value, String::new(), &mut into);
    }
    into
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_that_come_go_and_change_are_told() {
        let a = Json::all(r#"{"A": 1, "B": {"C": null}, "D": [{"E": 1}]}"#).unwrap();
        let b = Json::all(r#"{"A": 2, "B": {}, "D": [{"E": 1}], "F": []}"#).unwrap();
        assert_eq!(changes(&a, &b), ["~ .A: 2", "- .B.C", "+ .B: {}", "+ .F: []"]);
    }
}
