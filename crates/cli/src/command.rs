//! What a command is, its help, and the words for a wrong call.

use crate::{
    context::Cli,
    error::{Error, Result},
    flags::{self, Flag, Mode, Outcome, Parsed},
};
use std::{future::Future, pin::Pin};

/// What a command does, as a future on the single-threaded runtime.
pub type Running<'a> = Pin<Box<dyn Future<Output = Result> + 'a>>;

/// How many operands a command takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operands {
    /// None.
    None,
    /// This many.
    Exactly(usize),
    /// This many or more.
    AtLeast(usize),
    /// This many or fewer.
    AtMost(usize),
    /// From the one to the other.
    Between(usize, usize),
}

/// A command.
#[derive(Debug)]
pub struct Command {
    /// All ways to call it, the shortest first: `ps`, `container ls`.
    pub paths: &'static [&'static str],
    /// The operands as the help shows them, `IMAGE [COMMAND] [ARG...]`.
    pub synopsis: &'static str,
    /// One line.
    pub about: &'static str,
    /// Calls without the program's name, each with what it does.
    pub examples: &'static [(&'static str, &'static str)],
    /// Its flags, in sets.
    pub flags: &'static [&'static [Flag]],
    /// Whether flags may follow operands.
    pub mode: Mode,
    /// How many operands it takes.
    pub operands: Operands,
    /// What it does.
    pub run: for<'a> fn(&'a Cli, Parsed) -> Running<'a>,
}

/// The exit code of a malformed flag, in all commands.
const FLAG_ERROR: u8 = 125;

impl Command {
    /// Parses the words after the command's name and runs it.
    ///
    /// # Errors
    /// When the call is wrong, or the command fails.
    pub async fn call(&self, cli: &Cli, path: &str, words: &[String]) -> Result {
        match flags::parse(self.flags, self.mode, words) {
            Ok(Outcome::Parsed(parsed)) if has_help(&parsed) => crate::out::print(&self.help(cli, path)),
            Ok(Outcome::Parsed(parsed)) => {
                self.check_operands(cli, path, &parsed)?;
                (self.run)(cli, parsed).await
            }
            Ok(Outcome::Help { deprecated }) => {
                if deprecated {
                    crate::out::warn("Flag shorthand -h has been deprecated, use --help");
                }
                crate::out::print(&self.help(cli, path))
            }
            Err(e) => Err(Error::Exit {
                message: format!(
                    "{e}\n\nUsage:  {}\n\nRun '{} {path} --help' for more information",
                    self.usage(cli, path),
                    cli.program
                ),
                code: FLAG_ERROR,
            }),
        }
    }

    /// `brig run [OPTIONS] IMAGE [COMMAND] [ARG...]`
    fn usage(&self, cli: &Cli, path: &str) -> String {
        let options = if self.flags.iter().any(|set| !set.is_empty()) { " [OPTIONS]" } else { "" };
        let blank = if self.synopsis.is_empty() { "" } else { " " };
        // Of a second form, the program's name is part of the synopsis.
        let synopsis = self.synopsis.replace("PROGRAM", &cli.program);
        format!("{} {path}{options}{blank}{synopsis}", cli.program)
    }

    fn check_operands(&self, cli: &Cli, path: &str, parsed: &Parsed) -> Result {
        let given = parsed.args.len();
        let plural = |n: usize| if n == 1 { "argument" } else { "arguments" };
        let (fine, what, verb) = match self.operands {
            Operands::None => (given == 0, "accepts no arguments".to_owned(), "Run"),
            Operands::Exactly(n) => (given == n, format!("requires {n} {}", plural(n)), "Run"),
            Operands::AtLeast(n) => (given >= n, format!("requires at least {n} {}", plural(n)), "See"),
            Operands::AtMost(n) => (given <= n, format!("requires at most {n} {}", plural(n)), "Run"),
            Operands::Between(a, b) => (
                (a..=b).contains(&given),
                format!("requires at least {a} and at most {b} {}", plural(b)),
                "Run",
            ),
        };
        if fine {
            return Ok(());
        }
        let program = &cli.program;
        Err(Error::Message(format!(
            "{program}: '{program} {path}' {what}\n\nUsage:  {}\n\n{verb} '{program} {path} --help' for more information",
            self.usage(cli, path)
        )))
    }

    /// The help text, as wide as the terminal.
    #[must_use]
    pub fn help(&self, cli: &Cli, path: &str) -> String {
        self.help_of_width(cli, path, crate::terminal::width() - 1)
    }

    fn help_of_width(&self, cli: &Cli, path: &str, columns: usize) -> String {
        let mut text = format!("Usage:  {}\n\n{}\n", self.usage(cli, path), self.about);
        if self.paths.len() > 1 {
            // The management form first, as Docker lists them.
            let mut names: Vec<String> =
                self.paths[1..].iter().map(|p| format!("{} {p}", cli.program)).collect();
            names.push(format!("{} {}", cli.program, self.paths[0]));
            text.push_str(&format!("\nAliases:\n  {}\n", names.join(", ")));
        }
        if !self.examples.is_empty() {
            text.push_str("\nExamples:\n");
            for (call, what) in self.examples {
                text.push_str(&format!("  # {what}\n  {} {call}\n", cli.program));
            }
        }
        let options = flags::usages(self.flags, columns);
        if !options.is_empty() {
            text.push_str(&format!("\nOptions:\n{options}"));
        }
        text
    }
}

/// `run` and `create` list `--help` themselves, since `-h` is theirs for the host name.
fn has_help(parsed: &Parsed) -> bool {
    parsed.changed("help") && parsed.on("help")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::context::Global;

    fn help(program: &str, path: &str) -> String {
        let cli = Cli::new(program.to_owned(), Global::default());
        let command = crate::commands::ALL.iter().find(|c| c.paths.contains(&path)).unwrap();
        command.help_of_width(&cli, path, 79)
    }

    #[test]
    fn help_is_laid_out_as_dockers() {
        assert_eq!(
            help("brig", "rm"),
            "Usage:  brig rm [OPTIONS] CONTAINER [CONTAINER...]

Remove one or more containers

Aliases:
  brig container rm, brig container remove, brig rm

Examples:
  # Kill it if need be, and remove its anonymous volumes too
  brig rm -fv web

Options:
  -f, --force     Remove running containers too: they are killed
  -l, --link      Remove the link of this name
  -v, --volumes   Remove the container's anonymous volumes too
"
        );
        assert_eq!(
            help("docker", "container wait"),
            "Usage:  docker container wait CONTAINER [CONTAINER...]

Wait until containers stop, and print their exit codes

Aliases:
  docker container wait, docker wait
"
        );
    }

    #[test]
    fn no_line_of_help_is_wider_than_asked() {
        for command in crate::commands::ALL {
            let text = help("brig", command.paths[0]);
            let options = text.split("Options:\n").nth(1).unwrap_or_default();
            for line in options.lines() {
                assert!(line.chars().count() <= 80, "{line}");
            }
        }
    }
}
