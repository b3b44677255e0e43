//! `list`.

use super::state::{self, State};
use super::{Command, Context};
use crate::args::{Flag, Parsed};
use crate::error::Error;
use crate::out;

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
    context.records().check_root()?;
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
        states.iter().map(|s| s.id.as_str()).try_for_each(out::line)?;
    } else if format == "json" {
        let json = serde_json::to_string(&states).unwrap_or_default();
        out::line(if states.is_empty() { "null" } else { &json })?;
    } else {
        out::line(table(&states).trim_end())?;
    }
    Ok(0)
}

const COLUMNS: [&str; 6] = ["ID", "PID", "STATUS", "BUNDLE", "CREATED", "OWNER"];

fn table(states: &[State]) -> String {
    let mut rows: Vec<[String; 6]> = vec![COLUMNS.map(str::to_owned)];
    rows.extend(states.iter().map(|s| {
        let bundle = s.bundle.display().to_string();
        [s.id.clone(), s.pid.to_string(), s.status.clone(), bundle, s.created.clone(), s.owner.clone()]
    }));
    let width = |column: usize| rows.iter().map(|r| r[column].chars().count()).max().unwrap_or(0).max(9) + 3;
    let widths: Vec<usize> = (0..COLUMNS.len()).map(width).collect();
    let line = |row: &[String; 6]| {
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
        let text = table(&[State::example()]);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0].find("STATUS"), lines[1].find("running"));
        assert_eq!(lines[0].find("OWNER"), lines[1].find("root"));
        assert!(lines[0].starts_with("ID "));
    }
}
