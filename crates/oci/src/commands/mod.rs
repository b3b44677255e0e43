//! The commands, one file each, and what they have in common.

mod checkpoint;
mod create;
mod delete;
mod events;
mod exec;
mod features;
mod foreground;
mod freeze;
mod kill;
mod list;
mod listener;
mod make;
mod ps;
mod restore;
pub(crate) mod rootless;
mod spec;
mod start;
mod state;
mod terminal;
mod update;

use crate::args::{Flag, Parsed};
use crate::error::Error;
use crate::log::Log;
use crate::records::Records;
use std::fmt::Write;
use std::ops::RangeInclusive;

/// What every command gets.
pub(crate) struct Context<'a> {
    /// The flags before the command.
    pub(crate) global: &'a Parsed,
    /// The log.
    pub(crate) log: &'a Log,
}

impl Context<'_> {
    /// Whether there are no rights over the machine, as `--rootless` says or is found out.
    fn is_rootless(&self) -> Result<bool, Error> {
        rootless::decide(self.global.text("rootless"))
    }

    fn records(&self) -> Records {
        Records::new(self.global)
    }
}

/// One command.
pub(crate) struct Command {
    /// Its name.
    pub(crate) name: &'static str,
    /// One line.
    pub(crate) about: &'static str,
    /// What follows the flags.
    operands: &'static str,
    /// How many of them.
    count: RangeInclusive<usize>,
    /// Its flags.
    pub(crate) flags: &'static [Flag],
    /// How it is used, as users would type it.
    examples: &'static str,
    /// Its exit code when it fails.
    pub(crate) failure: u8,
    /// Does it; gives the exit code.
    pub(crate) run: fn(&Context<'_>, &Parsed) -> Result<u8, Error>,
}

/// Flags before the command.
pub(crate) const GLOBAL: &[Flag] = &[
    Flag::switch("debug", "log what is being done"),
    Flag::value("log", "FILE", "write the log there, not to standard error"),
    Flag::value("log-format", "FORMAT", "form of the log: text or json (default text)"),
    Flag::value(
        "root",
        "DIR",
        "where containers' state is kept (default /run/brig/oci; without root $XDG_RUNTIME_DIR/brig-oci)",
    ),
    Flag::value("criu", "PATH", "the program that checkpoints and restores (default criu, found by PATH)"),
    Flag::switch("systemd-cgroup", "let systemd make the cgroup, a scope; cgroupsPath is slice:prefix:name"),
    Flag::value("rootless", "WHEN", "work around missing rights: true, false or auto (default auto)"),
    Flag::switch("version", "print the version").or("v"),
];

/// All commands, as the help lists them.
pub(crate) const ALL: &[Command] = &[
    checkpoint::CHECKPOINT,
    create::CREATE,
    delete::DELETE,
    events::EVENTS,
    exec::EXEC,
    features::FEATURES,
    kill::KILL,
    list::LIST,
    freeze::PAUSE,
    ps::PS,
    restore::RESTORE,
    freeze::RESUME,
    foreground::RUN,
    spec::SPEC,
    start::START,
    state::STATE,
    update::UPDATE,
];

impl Command {
    /// Says what is wrong with the number of operands, in runc's words.
    pub(crate) fn check_operands(&self, own: &Parsed) -> Result<(), Error> {
        let n = own.operands.len();
        if self.count.contains(&n) {
            return Ok(());
        }
        let (least, most) = (*self.count.start(), *self.count.end());
        let requires = match (least == most, n < least) {
            (true, _) => format!("exactly {least}"),
            (false, true) => format!("a minimum of {least}"),
            (false, false) => format!("a maximum of {most}"),
        };
        Err(Error::Usage(format!(
            "brig oci: {:?} requires {requires} argument(s)\n\nRun 'brig oci {} --help' for more information",
            self.name, self.name
        )))
    }

    /// Its help.
    pub(crate) fn help(&self) -> String {
        let flags = if self.flags.is_empty() { "" } else { " [OPTIONS]" };
        let space = if self.operands.is_empty() { "" } else { " " };
        let mut text =
            format!("Usage:  brig oci {}{flags}{space}{}\n\n{}\n", self.name, self.operands, self.about);
        list_flags(&mut text, self.flags);
        if !self.examples.is_empty() {
            let _ = write!(text, "\nExamples:\n{}\n", self.examples);
        }
        text
    }
}

/// The help of `brig oci`.
pub(crate) fn overview() -> String {
    let mut text = String::from(
        "Usage:  brig oci [OPTIONS] COMMAND\n\nThe OCI runtime: makes and runs containers from bundles, in place of \
         runc or crun.\n\nCommands:\n",
    );
    for command in ALL {
        let _ = writeln!(text, "  {:<11}{}", command.name, command.about);
    }
    list_flags(&mut text, GLOBAL);
    text.push_str(
        "\nExamples:\n  mkdir -p bundle/rootfs && cd bundle && brig oci spec\n      A bundle to start from: fill \
         rootfs, edit config.json\n  brig oci run web\n      Run the bundle in this folder as container web\n  \
         dockerd --add-runtime brig=/usr/local/bin/brig-oci\n      Let Docker use it, by a link or script that calls \
         `brig oci`\n",
    );
    text
}

fn list_flags(text: &mut String, flags: &[Flag]) {
    if flags.is_empty() {
        return;
    }
    text.push_str("\nOptions:\n");
    let width = flags.iter().map(|f| f.usage().len()).max().unwrap_or(0);
    for flag in flags {
        let _ = writeln!(text, "  {:<width$}  {}", flag.usage(), flag.help);
    }
}

/// The id, which is the first operand.
fn id(own: &Parsed) -> &str {
    own.operands.first().map_or("", String::as_str)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_sorted_and_their_help_names_their_flags() {
        assert!(ALL.is_sorted_by_key(|c| c.name));
        for command in ALL {
            let help = command.help();
            assert!(help.contains(command.about), "{help}");
            assert!(command.flags.iter().all(|f| help.contains(f.name)), "{help}");
            assert!(overview().contains(command.name));
        }
    }

    #[test]
    fn too_few_and_too_many() {
        let parsed = |n: usize| crate::args::parse(&[], &vec!["x".to_owned(); n]).unwrap();
        assert!(kill::KILL.check_operands(&parsed(1)).is_ok());
        let few = kill::KILL.check_operands(&parsed(0)).unwrap_err().to_string();
        assert!(few.contains("\"kill\" requires a minimum of 1 argument"), "{few}");
        let many = start::START.check_operands(&parsed(2)).unwrap_err().to_string();
        assert!(many.contains("\"start\" requires exactly 1 argument"), "{many}");
    }
}
