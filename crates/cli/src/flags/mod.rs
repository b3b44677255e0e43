//! Flags as Docker's users know them: the words, the errors and the help layout are those of the `pflag`
//! package that Docker's own client uses. Why not an existing crate: `docs/adr/0003-flag-parser.md`.

mod check;
mod parse;
mod usage;

pub use check::{parse_bool, parse_int, parse_uint};
pub use parse::{Mode, Outcome, ParseError, Parsed, parse};
pub use usage::usages;

/// Checks one value as it is read; the text of the error follows `invalid argument "x" for "--flag" flag: `.
pub type Check = fn(&str) -> Result<(), String>;

/// Whether a flag takes a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arity {
    /// `--flag` means `--flag=true`.
    Switch,
    /// `--flag value` or `--flag=value`.
    Value,
}

/// One flag of a command.
#[derive(Debug, Clone, Copy)]
pub struct Flag {
    /// The long name, without dashes.
    pub name: &'static str,
    /// The short name, if it has one.
    pub short: Option<char>,
    /// The type as shown in the help; empty for switches.
    pub label: &'static str,
    /// Whether it takes a value.
    pub arity: Arity,
    /// The value when it is not given.
    pub default: &'static str,
    /// The default as the help shows it; empty when it is not worth a word.
    pub shown_default: &'static str,
    /// One or several lines of help.
    pub usage: &'static str,
    /// Accepted but not listed in the help.
    pub hidden: bool,
    /// Refuses malformed values while parsing.
    pub check: Check,
}

impl Flag {
    const fn new(name: &'static str, label: &'static str, usage: &'static str) -> Self {
        Self {
            name,
            short: None,
            label,
            arity: Arity::Value,
            default: "",
            shown_default: "",
            usage,
            hidden: false,
            check: check::any,
        }
    }

    /// A switch, false unless given.
    pub const fn switch(name: &'static str, usage: &'static str) -> Self {
        let mut flag = Self::new(name, "", usage);
        flag.arity = Arity::Switch;
        flag.default = "false";
        flag.check = check::boolean;
        flag
    }

    /// A text.
    pub const fn string(name: &'static str, usage: &'static str) -> Self {
        Self::new(name, "string", usage)
    }

    /// A flag that may be given several times.
    pub const fn list(name: &'static str, usage: &'static str) -> Self {
        Self::new(name, "list", usage)
    }

    /// A signed integer, 0 unless given.
    pub const fn int(name: &'static str, usage: &'static str) -> Self {
        let mut flag = Self::new(name, "int", usage);
        flag.default = "0";
        flag.check = check::int;
        flag
    }

    /// A number of bytes with an optional unit, 0 unless given.
    pub const fn bytes(name: &'static str, usage: &'static str) -> Self {
        let mut flag = Self::new(name, "bytes", usage);
        flag.default = "0";
        flag.check = check::bytes;
        flag
    }

    /// A Go duration.
    pub const fn duration(name: &'static str, usage: &'static str) -> Self {
        let mut flag = Self::new(name, "duration", usage);
        flag.default = "0s";
        flag.shown_default = "0s";
        flag.check = check::duration;
        flag
    }

    /// `key=value` conditions.
    pub const fn filter(name: &'static str, usage: &'static str) -> Self {
        let mut flag = Self::new(name, "filter", usage);
        flag.check = check::filter;
        flag
    }

    /// The short name.
    #[must_use]
    pub const fn short(mut self, short: char) -> Self {
        self.short = Some(short);
        self
    }

    /// Another word for the type in the help.
    #[must_use]
    pub const fn label(mut self, label: &'static str) -> Self {
        self.label = label;
        self
    }

    /// The value when not given, and how the help shows it.
    #[must_use]
    pub const fn default(mut self, value: &'static str, shown: &'static str) -> Self {
        self.default = value;
        self.shown_default = shown;
        self
    }

    /// Checks every value.
    #[must_use]
    pub const fn check(mut self, check: Check) -> Self {
        self.check = check;
        self
    }

    /// Leaves it out of the help.
    #[must_use]
    pub const fn hide(mut self) -> Self {
        self.hidden = true;
        self
    }

    /// `-m, --memory` or `--rm`, as errors name it.
    #[must_use]
    pub fn display_name(&self) -> String {
        match self.short {
            Some(c) => format!("-{c}, --{}", self.name),
            None => format!("--{}", self.name),
        }
    }
}
