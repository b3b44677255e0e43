//! `list`.

use super::{Command, Context, state};
use crate::args::{Flag, Parsed};
use crate::error::Error;
use crate::out;
use serde_json::Value;

pub(super) const LIST: Command = Command {
    name: "list",
    about: "List the containers below --root",
    operands: "",
    count: 0..=0,
    flags: &[
        Flag::value("format", "FORMAT", "table or json (default table)").or("f"),
        Flag::switch("quiet", "ids alone").or("q"),
    ],
    examples: "  brig oci list\n  brig oci list --format json",
    failure: 1,
    run,
};

fn run(context: &Context<'_>, own: &Parsed) -> Result<u8, Error> {
    let format = own.text("format").unwrap_or("table");
    if !["table", "json"].contains(&format) {
        return Err(Error::Usage("invalid format option".into()));
    }
    let mut states = Vec::new();
    for entry in context.records().list()? {
        match state::describe(&entry) {
            Ok(state) => states.push(state),
            // Being made, or gone since it was listed.
            Err(Error::NotThere) => {}
            Err(error) => context.log.warn(&format!("container {}: {error}", entry.id())),
        }
    }
    if own.is_set("quiet") {
        states.iter().filter_map(|s| s["id"].as_str()).try_for_each(out::line)?;
    } else if format == "json" {
        out::line(&if states.is_empty() { "null".into() } else { Value::from(states).to_string() })?;
    } else {
        out::line(table(&states).trim_end())?;
    }
    Ok(0)
}

const COLUMNS: [(&str, &str); 6] = [
    ("ID", "id"),
    ("PID", "pid"),
    ("STATUS", "status"),
    ("BUNDLE", "bundle"),
    ("CREATED", "created"),
    ("OWNER", "owner"),
];

fn table(states: &[Value]) -> String {
    let cell = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let mut rows: Vec<Vec<String>> = vec![COLUMNS.iter().map(|(head, _)| (*head).to_owned()).collect()];
    rows.extend(states.iter().map(|s| COLUMNS.iter().map(|(_, key)| cell(&s[key])).collect()));
    let width = |column: usize| rows.iter().map(|r| r[column].chars().count()).max().unwrap_or(0).max(9) + 3;
    let widths: Vec<usize> = (0..COLUMNS.len()).map(width).collect();
    let line = |row: &Vec<String>| {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
        cells.collect::<String>().trim_end().to_owned() + "\n"
    };
    rows.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned() {
        let state = serde_json::json!({"id": "a-long-container-id", "pid": 7, "status": "running", "bundle": "/b",
            "created": "2026-01-01T00:00:00Z", "owner": "root"});
        let text = table(&[state]);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0].find("STATUS"), lines[1].find("running"));
        assert_eq!(lines[0].find("OWNER"), lines[1].find("root"));
        assert!(lines[0].starts_with("ID "));
    }
}
