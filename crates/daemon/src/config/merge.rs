//! From the command line and the file to a configuration.

use super::{
    Command, Config, ConfigError, DEFAULT_FILE, file, flags, help,
    table::{self, Support},
    value::{Value, Values},
};
use std::{io, path::PathBuf};

/// Reads flags and file. Warnings are for the log, once there is one.
///
/// # Errors
/// When either makes no sense, or both say different things.
pub fn load(args: &[String]) -> Result<Command, ConfigError> {
    let given = flags::parse(args)?;
    if given.help {
        return Ok(Command::Help(help::text()));
    }
    if given.version {
        return Ok(Command::Version);
    }
    let (path, named) = match given.values.get("config-file") {
        Some(Value::Text(path)) => (PathBuf::from(path), true),
        _ => (PathBuf::from(DEFAULT_FILE), false),
    };
    let from_file = read(&path, named, &given.values)?;
    let validate = matches!(given.values.get("validate"), Some(Value::Bool(true)));
    let mut values = from_file;
    values.extend(given.values.clone());
    let warnings = check_support(&values)?;
    let config = Config::from_values(&values, given.values, path, warnings)?;
    Ok(if validate { Command::Validate } else { Command::Run(Box::new(config)) })
}

/// The values of the file; one that was not named may be missing.
pub(super) fn read(path: &std::path::Path, named: bool, flags: &Values) -> Result<Values, ConfigError> {
    let failed = |message| ConfigError::File { path: path.to_owned(), message };
    match std::fs::read(path) {
        Ok(bytes) => {
            let text = String::from_utf8(bytes)
                .map_err(|e| failed(format!("failed to decode configuration JSON: {e}")))?;
            file::parse(&text, flags).map_err(failed)
        }
        Err(e) if e.kind() == io::ErrorKind::NotFound && !named => Ok(Values::new()),
        Err(e) => Err(failed(format!("open {}: {e}", path.display()))),
    }
}

/// Refuses what brig can't do, and answers warnings for what has no effect.
fn check_support(values: &Values) -> Result<Vec<String>, ConfigError> {
    let mut warnings = Vec::new();
    for (name, value) in values {
        let off = match value {
            Value::Bool(on) => !on,
            Value::Number(n) => *n == 0,
            Value::Text(text) => text.is_empty(),
            Value::List(list) => list.is_empty(),
            Value::Map(_) | Value::Json(_) => false,
        };
        // brig is what dockerd calls runc here.
        let own_runtime =
            *name == "default-runtime" && matches!(value, Value::Text(t) if t == "runc" || t == "brig");
        match table::by_name(name).map(|opt| opt.support) {
            Some(Support::Refused(why)) if !off && !own_runtime => {
                return Err(ConfigError::Value(format!("--{name} can't be used: {why}")));
            }
            Some(Support::NoEffect(why)) if !off || *name == "live-restore" => {
                warnings.push(format!("--{name} has no effect: {why}"));
            }
            _ => {}
        }
    }
    Ok(warnings)
}
