//! Flags as runc takes them: `--name value`, `--name=value`, one dash as good as two, and everything from the first
//! operand on left alone (it may be the command of `exec`).

use std::collections::BTreeMap;

/// One flag.
#[derive(Debug)]
pub(crate) struct Flag {
    /// Its long name.
    pub(crate) name: &'static str,
    /// Another, shorter one.
    pub(crate) short: Option<&'static str>,
    /// What its value is called in the help; a switch has none.
    pub(crate) value: Option<&'static str>,
    /// One line of help.
    pub(crate) help: &'static str,
}

impl Flag {
    /// A switch.
    pub(crate) const fn switch(name: &'static str, help: &'static str) -> Self {
        Self { name, short: None, value: None, help }
    }

    /// A flag with a value. May be given several times; which count is up to who reads it.
    pub(crate) const fn value(name: &'static str, value: &'static str, help: &'static str) -> Self {
        Self { name, short: None, value: Some(value), help }
    }

    /// The same with a short name.
    pub(crate) const fn or(mut self, short: &'static str) -> Self {
        self.short = Some(short);
        self
    }

    fn is(&self, name: &str) -> bool {
        self.name == name || self.short == Some(name)
    }

    /// `--name value, -n value`.
    pub(crate) fn usage(&self) -> String {
        let value = self.value.map(|v| format!(" {v}")).unwrap_or_default();
        match self.short {
            Some(short) => format!("--{}{value}, -{short}{value}", self.name),
            None => format!("--{}{value}", self.name),
        }
    }
}

/// What was given.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Parsed {
    values: BTreeMap<&'static str, Vec<String>>,
    /// What follows the flags.
    pub(crate) operands: Vec<String>,
}

/// Reads flags up to the first operand. The error is in runc's words.
pub(crate) fn parse(flags: &'static [Flag], arguments: &[String]) -> Result<Parsed, String> {
    let mut parsed = Parsed::default();
    let mut rest = arguments.iter();
    while let Some(argument) = rest.next() {
        if argument == "--" {
            break;
        }
        let Some(text) = argument.strip_prefix('-').filter(|t| !t.is_empty()) else {
            parsed.operands.push(argument.clone());
            break;
        };
        let text = text.strip_prefix('-').unwrap_or(text);
        let (name, given) = match text.split_once('=') {
            Some((name, value)) => (name, Some(value.to_owned())),
            None => (text, None),
        };
        let flag = match flags.iter().find(|f| f.is(name)) {
            Some(flag) => flag,
            None if name == "help" || name == "h" => &HELP,
            None => return Err(format!("flag provided but not defined: -{name}")),
        };
        let value = match (flag.value, given) {
            (None, None) => "true".to_owned(),
            (None, Some(given)) => match given.as_str() {
                "true" | "t" | "T" | "TRUE" | "True" | "1" => "true".to_owned(),
                "false" | "f" | "F" | "FALSE" | "False" | "0" => "false".to_owned(),
                _ => {
                    return Err(format!("invalid boolean value \"{given}\" for -{name}: parse error"));
                }
            },
            (Some(_), Some(given)) => given,
            (Some(_), None) => {
                rest.next().cloned().ok_or_else(|| format!("flag needs an argument: -{name}"))?
            }
        };
        parsed.values.entry(flag.name).or_default().push(value);
    }
    parsed.operands.extend(rest.cloned());
    Ok(parsed)
}

const HELP: Flag = Flag::switch("help", "show help").or("h");

impl Parsed {
    /// Whether a switch is on.
    pub(crate) fn is_set(&self, name: &str) -> bool {
        self.text(name) == Some("true")
    }

    /// The last value given.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        self.values.get(name).and_then(|v| v.last()).map(String::as_str)
    }

    /// All values given.
    pub(crate) fn all(&self, name: &str) -> &[String] {
        self.values.get(name).map_or(&[], Vec::as_slice)
    }

    /// A number, if given.
    pub(crate) fn number<T: std::str::FromStr>(&self, name: &str) -> Result<Option<T>, String> {
        self.text(name)
            .map(|text| {
                text.parse().map_err(|_| format!("invalid value \"{text}\" for flag -{name}: parse error"))
            })
            .transpose()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FLAGS: &[Flag] = &[
        Flag::value("bundle", "DIR", "").or("b"),
        Flag::switch("detach", "").or("d"),
        Flag::value("env", "K=V", ""),
    ];

    fn read(line: &str) -> Result<Parsed, String> {
        parse(FLAGS, &line.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
    }

    #[test]
    fn one_dash_is_as_good_as_two() {
        for line in ["--bundle x -d id", "-bundle=x --detach id", "-b x -d=true id", "--b=x -detach=1 id"] {
            let parsed = read(line).unwrap();
            assert_eq!(parsed.text("bundle"), Some("x"), "{line}");
            assert!(parsed.is_set("detach"), "{line}");
            assert_eq!(parsed.operands, ["id"], "{line}");
        }
    }

    #[test]
    fn flags_end_at_the_first_operand() {
        let parsed = read("--env A=1 --env B=2 id ls -l --bundle").unwrap();
        assert_eq!(parsed.all("env"), ["A=1", "B=2"]);
        assert_eq!(parsed.operands, ["id", "ls", "-l", "--bundle"]);
        assert_eq!(read("-d -- -x").unwrap().operands, ["-x"]);
        assert_eq!(read("-").unwrap().operands, ["-"]);
        assert!(read("-h").unwrap().is_set("help"));
    }

    #[test]
    fn what_is_wrong_is_said() {
        assert_eq!(read("--what").unwrap_err(), "flag provided but not defined: -what");
        assert_eq!(read("--bundle").unwrap_err(), "flag needs an argument: -bundle");
        assert!(read("--detach=maybe").unwrap_err().contains("invalid boolean value \"maybe\""));
        let error = read("--env x").unwrap().number::<u32>("env").unwrap_err();
        assert_eq!(error, "invalid value \"x\" for flag -env: parse error");
    }
}
