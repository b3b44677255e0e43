//! Splitting a command's arguments into flags and operands.

use super::{Arity, Flag, parse_bool, parse_int};
use crate::format::{go_quote, go_quote_char};

/// Whether flags may stand after the first operand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Flags and operands in any order.
    Interspersed,
    /// Everything after the first operand is an operand (`run`, `exec`, `create`).
    UntilOperand,
}

/// What came of parsing.
#[derive(Debug)]
pub enum Outcome {
    /// Flags and operands.
    Parsed(Parsed),
    /// `--help`; `deprecated` when it was `-h`.
    Help {
        /// `-h` was used, which Docker deprecates with a word on standard error.
        deprecated: bool,
    },
}

/// A malformed command line, in pflag's words.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum ParseError {
    /// A long flag that the command does not have.
    #[error("unknown flag: --{0}")]
    UnknownLong(String),
    /// A short flag that the command does not have.
    #[error("unknown shorthand flag: {} in -{group}", go_quote_char(*flag))]
    UnknownShort {
        /// The letter.
        flag: char,
        /// The letters that it stood in.
        group: String,
    },
    /// `--=x`, `---x`.
    #[error("bad flag syntax: {0}")]
    Syntax(String),
    /// The value is missing.
    #[error("flag needs an argument: --{0}")]
    MissingLong(String),
    /// The value is missing.
    #[error("flag needs an argument: {} in -{group}", go_quote_char(*flag))]
    MissingShort {
        /// The letter.
        flag: char,
        /// The letters that it stood in.
        group: String,
    },
    /// The flag's check refused the value.
    #[error("invalid argument {} for {} flag: {reason}", go_quote(value), go_quote(flag))]
    Invalid {
        /// The value.
        value: String,
        /// The flag as it is shown, `-m, --memory`.
        flag: String,
        /// The check's words.
        reason: String,
    },
}

/// The flags and operands of one command line.
#[derive(Debug)]
pub struct Parsed {
    sets: Vec<&'static [Flag]>,
    values: Vec<(&'static str, String)>,
    /// The operands.
    pub args: Vec<String>,
}

impl Parsed {
    /// All values given for a flag, in order.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> + 'a {
        self.values.iter().filter(move |(n, _)| *n == name).map(|(_, v)| v.as_str())
    }

    /// All values given for a flag, owned.
    #[must_use]
    pub fn list(&self, name: &str) -> Vec<String> {
        self.values.iter().filter(|(n, _)| *n == name).map(|(_, v)| v.clone()).collect()
    }

    /// Whether the flag was given at all.
    #[must_use]
    pub fn changed(&self, name: &str) -> bool {
        self.values.iter().any(|(n, _)| *n == name)
    }

    /// The last value given, or the default.
    #[must_use]
    pub fn get(&self, name: &str) -> &str {
        let given = self.values.iter().rev().find(|(n, _)| *n == name).map(|(_, v)| v.as_str());
        given.unwrap_or_else(|| find(&self.sets, name).map_or("", |f| f.default))
    }

    /// The value when the flag was given and is not empty.
    #[must_use]
    pub fn non_empty(&self, name: &str) -> Option<String> {
        let value = self.get(name);
        (!value.is_empty()).then(|| value.to_owned())
    }

    /// A switch's value.
    #[must_use]
    pub fn on(&self, name: &str) -> bool {
        parse_bool(self.get(name)).unwrap_or(false)
    }

    /// A checked integer's value.
    #[must_use]
    pub fn int(&self, name: &str) -> i64 {
        parse_int(self.get(name)).unwrap_or(0)
    }
}

fn find<'a>(sets: &[&'a [Flag]], name: &str) -> Option<&'a Flag> {
    sets.iter().flat_map(|s| s.iter()).find(|f| f.name == name)
}

fn find_short<'a>(sets: &[&'a [Flag]], short: char) -> Option<&'a Flag> {
    sets.iter().flat_map(|s| s.iter()).find(|f| f.short == Some(short))
}

/// Parses the words after a command's name against its flags (given in sets, so that commands may share some).
///
/// # Errors
/// The first malformed flag, in pflag's words.
pub fn parse(sets: &[&'static [Flag]], mode: Mode, words: &[String]) -> Result<Outcome, ParseError> {
    let mut parsed = Parsed { sets: sets.to_vec(), values: Vec::new(), args: Vec::new() };
    let mut rest = words.iter();
    while let Some(word) = rest.next() {
        if let Some(long) = word.strip_prefix("--") {
            if long.is_empty() {
                parsed.args.extend(rest.cloned());
                break;
            }
            match long_flag(&mut parsed, word, long, &mut rest)? {
                Step::Go => {}
                Step::Help => return Ok(Outcome::Help { deprecated: false }),
            }
        } else if word.len() > 1 && word.starts_with('-') {
            match short_flags(&mut parsed, &word[1..], &mut rest)? {
                Step::Go => {}
                Step::Help => return Ok(Outcome::Help { deprecated: true }),
            }
        } else {
            parsed.args.push(word.clone());
            if mode == Mode::UntilOperand {
                parsed.args.extend(rest.cloned());
                break;
            }
        }
    }
    Ok(Outcome::Parsed(parsed))
}

enum Step {
    Go,
    Help,
}

fn long_flag(
    parsed: &mut Parsed,
    word: &str,
    long: &str,
    rest: &mut std::slice::Iter<'_, String>,
) -> Result<Step, ParseError> {
    if long.starts_with(['-', '=']) {
        return Err(ParseError::Syntax(word.to_owned()));
    }
    let (name, value) = match long.split_once('=') {
        Some((name, value)) => (name, Some(value)),
        None => (long, None),
    };
    let Some(flag) = find(&parsed.sets, name) else {
        if name == "help" {
            return match value.map(parse_bool) {
                None | Some(Ok(true)) => Ok(Step::Help),
                Some(Ok(false)) => Ok(Step::Go),
                Some(Err(reason)) => Err(ParseError::Invalid {
                    value: value.unwrap_or_default().to_owned(),
                    flag: "--help".to_owned(),
                    reason,
                }),
            };
        }
        return Err(ParseError::UnknownLong(name.to_owned()));
    };
    let value = match (value, flag.arity) {
        (Some(value), _) => value,
        (None, Arity::Switch) => "true",
        (None, Arity::Value) => rest.next().ok_or_else(|| ParseError::MissingLong(name.to_owned()))?.as_str(),
    };
    set(parsed, flag, value)?;
    Ok(Step::Go)
}

fn short_flags(
    parsed: &mut Parsed,
    group: &str,
    rest: &mut std::slice::Iter<'_, String>,
) -> Result<Step, ParseError> {
    let mut letters = group;
    while let Some(letter) = letters.chars().next() {
        let after = &letters[letter.len_utf8()..];
        let Some(flag) = find_short(&parsed.sets, letter) else {
            if letter == 'h' {
                return Ok(Step::Help);
            }
            return Err(ParseError::UnknownShort { flag: letter, group: letters.to_owned() });
        };
        if let Some(value) = after.strip_prefix('=').filter(|v| !v.is_empty()) {
            set(parsed, flag, value)?;
            return Ok(Step::Go);
        }
        if flag.arity == Arity::Switch {
            set(parsed, flag, "true")?;
            letters = after;
            continue;
        }
        let value = if after.is_empty() {
            rest.next()
                .ok_or_else(|| ParseError::MissingShort { flag: letter, group: letters.to_owned() })?
                .as_str()
        } else {
            after
        };
        set(parsed, flag, value)?;
        return Ok(Step::Go);
    }
    Ok(Step::Go)
}

fn set(parsed: &mut Parsed, flag: &Flag, value: &str) -> Result<(), ParseError> {
    (flag.check)(value).map_err(|reason| ParseError::Invalid {
        value: value.to_owned(),
        flag: flag.display_name(),
        reason,
    })?;
    parsed.values.push((flag.name, value.to_owned()));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const FLAGS: &[Flag] = &[
        Flag::switch("all", "").short('a'),
        Flag::switch("tty", "").short('t'),
        Flag::list("env", "").short('e'),
        Flag::int("last", "").short('n').default("-1", "-1"),
        Flag::bytes("memory", "").short('m'),
        Flag::filter("filter", ""),
    ];

    fn run(mode: Mode, words: &[&str]) -> Result<Outcome, ParseError> {
        parse(&[FLAGS], mode, &words.iter().map(|w| (*w).to_owned()).collect::<Vec<_>>())
    }

    fn ok(mode: Mode, words: &[&str]) -> Parsed {
        match run(mode, words) {
            Ok(Outcome::Parsed(p)) => p,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn forms_of_flags_are_all_read() {
        let p = ok(
            Mode::Interspersed,
            &["-at", "x", "-e", "A=1", "--env=B=2", "-eC=3", "-e=D", "--last", "-5", "-"],
        );
        assert!(p.on("all") && p.on("tty"));
        assert_eq!(p.list("env"), ["A=1", "B=2", "C=3", "D"]);
        assert_eq!(p.int("last"), -5);
        assert_eq!(p.args, ["x", "-"]);
        assert!(!ok(Mode::Interspersed, &["--all=false"]).on("all"));
        assert_eq!(ok(Mode::Interspersed, &[]).int("last"), -1);
        assert_eq!(ok(Mode::Interspersed, &["--", "-a", "--nope"]).args, ["-a", "--nope"]);
    }

    #[test]
    fn commands_that_take_a_command_stop_at_the_first_operand() {
        let p = ok(Mode::UntilOperand, &["-a", "image", "-t", "--foo", "--"]);
        assert_eq!(p.args, ["image", "-t", "--foo", "--"]);
        assert!(!p.on("tty"));
    }

    #[test]
    fn errors_are_in_pflags_words() {
        for (words, text) in [
            (&["--foo"][..], "unknown flag: --foo"),
            (&["--foo=1"], "unknown flag: --foo"),
            (&["-aZ"], "unknown shorthand flag: 'Z' in -Z"),
            (&["--env"], "flag needs an argument: --env"),
            (&["-ae"], "flag needs an argument: 'e' in -e"),
            (&["--=x"], "bad flag syntax: --=x"),
            (&["---x"], "bad flag syntax: ---x"),
            (&["-m", "x"], "invalid argument \"x\" for \"-m, --memory\" flag: invalid size: 'x'"),
            (
                &["--all=maybe"],
                "invalid argument \"maybe\" for \"-a, --all\" flag: strconv.ParseBool: parsing \"maybe\": invalid syntax",
            ),
            (
                &["--filter", "x"],
                "invalid argument \"x\" for \"--filter\" flag: bad format of filter (expected name=value)",
            ),
        ] {
            assert_eq!(run(Mode::Interspersed, words).unwrap_err().to_string(), text);
        }
    }

    #[test]
    fn help_is_asked_for_in_two_ways() {
        assert!(matches!(run(Mode::Interspersed, &["x", "--help"]), Ok(Outcome::Help { deprecated: false })));
        assert!(matches!(run(Mode::Interspersed, &["-h"]), Ok(Outcome::Help { deprecated: true })));
        assert!(matches!(run(Mode::UntilOperand, &["x", "--help"]), Ok(Outcome::Parsed(_))));
    }
}
