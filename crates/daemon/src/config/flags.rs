//! The command line, read as Go's pflag reads it.

use super::{
    ConfigError,
    table::{self, Opt, Sort},
    value::{Value, Values, parse_bool},
};

/// What the command line gave.
#[derive(Debug, Default)]
pub(super) struct Given {
    pub values: Values,
    pub help: bool,
    pub version: bool,
}

/// Reads the arguments after `daemon`.
pub(super) fn parse(args: &[String]) -> Result<Given, ConfigError> {
    let mut given = Given::default();
    let mut args = args.iter();
    while let Some(arg) = args.next() {
        if let Some(long) = arg.strip_prefix("--").filter(|long| !long.is_empty()) {
            let (name, value) = match long.split_once('=') {
                Some((name, value)) => (name, Some(value.to_owned())),
                None => (long, None),
            };
            match name {
                "help" => given.help = true,
                "version" => given.version = true,
                _ => {
                    let opt = table::by_name(name)
                        .ok_or_else(|| ConfigError::Flag(format!("unknown flag: --{name}")))?;
                    let shown = format!("--{name}");
                    let value = match value {
                        Some(value) => value,
                        None if opt.sort == Sort::Bool => "true".to_owned(),
                        None => next(&mut args, &format!("flag needs an argument: {shown}"))?,
                    };
                    set(&mut given.values, opt, &value, &shown)?;
                }
            }
        } else if let Some(letters) = arg.strip_prefix('-').filter(|l| !l.is_empty() && *l != "-") {
            short(&mut given, letters, &mut args)?;
        } else {
            return Err(ConfigError::Flag("\"brig daemon\" accepts no arguments.".to_owned()));
        }
    }
    Ok(given)
}

fn next<'a>(args: &mut impl Iterator<Item = &'a String>, missing: &str) -> Result<String, ConfigError> {
    args.next().cloned().ok_or_else(|| ConfigError::Flag(missing.to_owned()))
}

/// Letters after one dash: flags without values, and then maybe one with the rest, or the next argument, as
/// its value.
fn short<'a>(
    given: &mut Given,
    letters: &str,
    args: &mut impl Iterator<Item = &'a String>,
) -> Result<(), ConfigError> {
    for (at, letter) in letters.char_indices() {
        let rest = &letters[at + letter.len_utf8()..];
        match letter {
            'h' => given.help = true,
            'v' => given.version = true,
            _ => {
                let opt = table::by_short(letter).ok_or_else(|| {
                    ConfigError::Flag(format!("unknown shorthand flag: '{letter}' in -{letters}"))
                })?;
                let shown = format!("-{letter}, --{}", opt.name);
                if let Some(value) = rest.strip_prefix('=') {
                    return set(&mut given.values, opt, value, &shown);
                }
                if opt.sort == Sort::Bool {
                    set(&mut given.values, opt, "true", &shown)?;
                    continue;
                }
                let missing = format!("flag needs an argument: '{letter}' in -{letters}");
                let value = if rest.is_empty() { next(args, &missing)? } else { rest.to_owned() };
                return set(&mut given.values, opt, &value, &shown);
            }
        }
    }
    Ok(())
}

fn set(values: &mut Values, opt: &'static Opt, text: &str, shown: &str) -> Result<(), ConfigError> {
    let invalid =
        |why: String| ConfigError::Flag(format!("invalid argument {text:?} for {shown:?} flag: {why}"));
    let value = match opt.sort {
        Sort::Bool => Value::Bool(
            parse_bool(text)
                .ok_or_else(|| invalid(format!("strconv.ParseBool: parsing {text:?}: invalid syntax")))?,
        ),
        Sort::Number => Value::Number(
            text.parse()
                .map_err(|_| invalid(format!("strconv.ParseInt: parsing {text:?}: invalid syntax")))?,
        ),
        Sort::Text => Value::Text(text.to_owned()),
        Sort::List | Sort::Structure => match values.get_mut(opt.name) {
            Some(Value::List(list)) => {
                list.push(text.to_owned());
                return Ok(());
            }
            _ => Value::List(vec![text.to_owned()]),
        },
        Sort::Map => {
            let (key, value) = text.split_once('=').unwrap_or((text, ""));
            let mut map = match values.remove(opt.name) {
                Some(Value::Map(map)) => map,
                _ => Default::default(),
            };
            map.insert(key.to_owned(), value.to_owned());
            Value::Map(map)
        }
    };
    values.insert(opt.name, value);
    Ok(())
}
