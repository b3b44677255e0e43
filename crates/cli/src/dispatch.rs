//! From the words of a call to the command that they name.

use crate::{
    autostart,
    command::Command,
    commands::ALL,
    context::{Cli, Global},
    error::{Error, Result},
    flags::{self, Flag, Mode, Outcome, ParseError},
    out, terminal,
};
use std::path::{Path, PathBuf};

/// Commands that have commands of their own, and what they are for.
const GROUPS: [(&str, &str); 5] = [
    ("container", "Manage containers"),
    ("image", "Manage images"),
    ("network", "Manage networks"),
    ("system", "Manage the daemon"),
    ("volume", "Manage volumes"),
];

/// The commands that the help lists first.
const COMMON: [&str; 6] = ["run", "exec", "ps", "images", "version", "info"];

/// The commands that brig's own daemon answers with 501 in this version. Docker's serves them.
const DOCKER_ONLY: [&str; 2] = ["stats", "update"];

const GLOBAL: &[Flag] = &[
    Flag::string("config", "Folder of the client's config files"),
    Flag::string("context", "Context to use").short('c'),
    Flag::switch("debug", "Debug mode").short('D'),
    Flag::list("host", "Address of the daemon (BRIG_HOST, DOCKER_HOST)").short('H'),
    Flag::string("log-level", "How much is told (\"debug\", \"info\", \"warn\", \"error\", \"fatal\")")
        .short('l')
        .default("info", "info")
        .check(log_level),
    Flag::switch("tls", "").hide(),
    Flag::switch("tlsverify", "").hide(),
    Flag::string("tlscacert", "").hide(),
    Flag::string("tlscert", "").hide(),
    Flag::string("tlskey", "").hide(),
    Flag::switch("version", "Show the version and leave").short('v'),
];

fn log_level(text: &str) -> std::result::Result<(), String> {
    match text {
        "debug" | "info" | "warn" | "error" | "fatal" | "trace" | "panic" | "warning" => Ok(()),
        other => Err(format!("unable to parse logging level: {other}")),
    }
}

/// Runs a call and gives its exit code; everything that is wrong was told.
#[must_use]
pub fn run(args: Vec<String>) -> u8 {
    let program = args.first().and_then(|a| Path::new(a).file_name()?.to_str()).unwrap_or("brig").to_owned();
    let words = args.get(1..).unwrap_or_default();
    if words.first().is_some_and(|w| w == autostart::SESSION_COMMAND) {
        out::warn(&autostart::session(&words[1..]).to_string());
        return 1;
    }
    match call(program, words) {
        Ok(()) => 0,
        // As a shell shows a program that died of SIGPIPE.
        Err(e) if e.is_broken_pipe() => 141,
        Err(e) => {
            terminal::restore();
            let text = e.to_string();
            if !text.is_empty() {
                out::warn(&text);
            }
            e.code()
        }
    }
}

fn call(program: String, words: &[String]) -> Result {
    let parsed = match flags::parse(&[GLOBAL], Mode::UntilOperand, words) {
        Ok(Outcome::Parsed(parsed)) => parsed,
        Ok(Outcome::Help { deprecated }) => {
            if deprecated {
                out::warn("Flag shorthand -h has been deprecated, use --help");
            }
            return out::print(&main_help(&program));
        }
        Err(e) => return Err(wrong_flag(&program, &e)),
    };
    if parsed.on("version") {
        return out::line(&format!("{program} version {}", crate::commands::CLIENT_VERSION));
    }
    if parsed.all("host").count() > 1 {
        return Err("specify only one -H".into());
    }
    if parsed.changed("host") && parsed.changed("context") {
        return Err("conflicting options: cannot specify both --host and --context".into());
    }
    if parsed.on("tls") || parsed.on("tlsverify") {
        return Err("connections over TLS are not supported yet".into());
    }
    let global = Global {
        host: parsed.non_empty("host"),
        context: parsed.non_empty("context"),
        config: parsed.non_empty("config").map(PathBuf::from),
        debug: parsed.on("debug"),
    };
    let cli = Cli::new(program, global);
    match parsed.args.split_first() {
        None => out::print(&main_help(&cli.program)),
        Some((word, rest)) if word == "help" => help(&cli, rest),
        Some((word, rest)) => one(&cli, word, rest),
    }
}

fn wrong_flag(program: &str, e: &ParseError) -> Error {
    Error::Exit {
        message: format!(
            "{e}\n\nUsage:  {program} [OPTIONS] COMMAND [ARG...]\n\nRun '{program} --help' for more information"
        ),
        code: 125,
    }
}

fn find(path: &str) -> Option<&'static Command> {
    ALL.iter().find(|c| c.paths.contains(&path)).copied()
}

fn one(cli: &Cli, word: &str, rest: &[String]) -> Result {
    if let Some((group, about)) = GROUPS.iter().find(|(name, _)| *name == word) {
        return in_group(cli, group, about, rest);
    }
    match find(word) {
        Some(command) => start(cli, command, word, rest),
        None => Err(unknown(cli, "", word)),
    }
}

fn in_group(cli: &Cli, group: &str, about: &str, rest: &[String]) -> Result {
    let Some((word, rest)) = rest.split_first() else {
        return out::print(&group_help(&cli.program, group, about));
    };
    if word == "--help" || word == "-h" || word == "help" {
        return out::print(&group_help(&cli.program, group, about));
    }
    if word.starts_with('-') {
        let program = &cli.program;
        return Err(Error::Exit {
            message: format!(
                "unknown flag: {word}\n\nUsage:  {program} {group} COMMAND\n\nRun '{program} {group} --help' for more information"
            ),
            code: 125,
        });
    }
    let path = format!("{group} {word}");
    match find(&path) {
        Some(command) => start(cli, command, &path, rest),
        None => Err(unknown(cli, group, word)),
    }
}

/// Runs a command on a runtime of this thread alone: making threads would cost more than most commands take.
fn start(cli: &Cli, command: &Command, path: &str, rest: &[String]) -> Result {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let result = runtime.block_on(command.call(cli, path, rest));
    // Nothing that is left running is worth waiting for.
    runtime.shutdown_background();
    result
}

fn unknown(cli: &Cli, group: &str, word: &str) -> Error {
    let program = &cli.program;
    let scope = if group.is_empty() { String::new() } else { format!(" {group}") };
    let mut message = format!("{program}: unknown command: {program}{scope} {word}\n");
    if let Some(near) = nearest(group, word) {
        message.push_str(&format!("\nDid you mean '{program}{scope} {near}'?\n"));
    }
    if !group.is_empty() {
        message.push_str(&format!("\nUsage:  {program}{scope}\n"));
    }
    message.push_str(&format!("\nRun '{program}{scope} --help' for more information"));
    Error::Message(message)
}

/// The command of a group whose name is nearest to a mistyped one, if any is near.
fn nearest(group: &str, word: &str) -> Option<String> {
    let names = ALL.iter().flat_map(|c| c.paths).filter_map(|path| match path.split_once(' ') {
        Some((g, name)) => (g == group).then_some(name),
        None => group.is_empty().then_some(*path),
    });
    let names = names.chain(GROUPS.iter().map(|(name, _)| *name).filter(|_| group.is_empty()));
    // Of names that are as near as each other, the one that is used more.
    let (far, _, name) = names.map(|name| (distance(name, word), !COMMON.contains(&name), name)).min()?;
    let allowed = if word.len() > 4 { 2 } else { 1 };
    (far <= allowed).then(|| name.to_owned())
}

/// How many letters have to be put in, taken out, changed or swapped.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut rows = vec![vec![0; b.len() + 1]; a.len() + 1];
    for i in 0..=a.len() {
        for j in 0..=b.len() {
            rows[i][j] = if i == 0 || j == 0 {
                i + j
            } else {
                let same = usize::from(a[i - 1] != b[j - 1]);
                let mut best = (rows[i - 1][j] + 1).min(rows[i][j - 1] + 1).min(rows[i - 1][j - 1] + same);
                if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                    best = best.min(rows[i - 2][j - 2] + 1);
                }
                best
            };
        }
    }
    rows[a.len()][b.len()]
}

fn help(cli: &Cli, words: &[String]) -> Result {
    match words {
        [] => out::print(&main_help(&cli.program)),
        [word, ..] => {
            if let Some((group, about)) = GROUPS.iter().find(|(name, _)| name == word) {
                if let Some(name) = words.get(1) {
                    let path = format!("{group} {name}");
                    if let Some(command) = find(&path) {
                        return out::print(&command.help(cli, &path));
                    }
                }
                return out::print(&group_help(&cli.program, group, about));
            }
            match find(word) {
                Some(command) => out::print(&command.help(cli, word)),
                None => Err(format!("unknown help topic: {}", words.join(" ")).into()),
            }
        }
    }
}

fn row(name: &str, about: &str) -> String {
    format!("  {name:<11} {about}\n")
}

fn group_help(program: &str, group: &str, about: &str) -> String {
    let rows = |docker_only: bool| {
        let in_group = |c: &&Command| {
            let name = c.paths.iter().find_map(|p| p.strip_prefix(group)?.strip_prefix(' '))?;
            (is_docker_only(c) == docker_only).then(|| row(name, c.about))
        };
        let mut rows: Vec<String> = ALL.iter().filter_map(in_group).collect();
        rows.sort();
        rows.concat()
    };
    format!(
        "Usage:  {program} {group} COMMAND\n\n{about}\n\nCommands:\n{}{}\nRun '{program} {group} COMMAND --help' for more information on a command.\n",
        rows(false),
        docker_only_section(&rows(true))
    )
}

fn is_docker_only(command: &Command) -> bool {
    DOCKER_ONLY.contains(&command.paths[0])
}

fn docker_only_section(rows: &str) -> String {
    if rows.is_empty() {
        return String::new();
    }
    format!("\nWith a daemon of Docker's only, in this version:\n{rows}")
}

/// The help of the program itself.
#[must_use]
pub fn main_help(program: &str) -> String {
    let top = |c: &&&Command| !c.paths[0].contains(' ');
    let common: String = COMMON.iter().filter_map(|name| Some(row(name, find(name)?.about))).collect();
    let groups: String = GROUPS.iter().map(|(name, about)| row(name, about)).collect();
    let mut rest: Vec<String> = ALL
        .iter()
        .filter(top)
        .filter(|c| !COMMON.contains(&c.paths[0]) && !is_docker_only(c))
        .map(|c| row(c.paths[0], c.about))
        .collect();
    rest.push(row("daemon", "Run the daemon"));
    rest.sort();
    let docker_only: String =
        ALL.iter().filter(|c| is_docker_only(c)).map(|c| row(c.paths[0], c.about)).collect();
    let docker_only = docker_only_section(&docker_only);
    let options = flags::usages(&[GLOBAL], terminal::width() - 1);
    format!(
        "Usage:  {program} [OPTIONS] COMMAND\n\nA container engine in one binary\n\nCommon Commands:\n{common}\nManagement Commands:\n{groups}\nCommands:\n{}{docker_only}\nGlobal Options:\n{options}\nRun '{program} COMMAND --help' for more information on a command.\n",
        rest.concat()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_misses_are_told() {
        assert_eq!(nearest("", "rn").as_deref(), Some("run"));
        assert_eq!(nearest("", "nope"), None);
        assert_eq!(nearest("", "exce").as_deref(), Some("exec"));
        assert_eq!(nearest("container", "prnue").as_deref(), Some("prune"));
        assert_eq!(nearest("", "kubernetes"), None);
        assert_eq!(distance("rnu", "run"), 1);
    }

    #[test]
    fn help_keeps_what_only_docker_serves_apart() {
        let help = main_help("brig");
        let (own, dockers) = help.split_once("With a daemon of Docker's only").unwrap();
        for name in DOCKER_ONLY {
            assert!(find(name).is_some());
            assert!(
                !own.contains(&format!("\n  {name} ")) && dockers.contains(&format!("\n  {name} ")),
                "{name}"
            );
        }
        assert!(!group_help("brig", "network", "Manage networks").contains("Docker's only"));
    }

    #[test]
    fn every_command_can_be_called_and_has_help() {
        let cli = Cli::new("brig".to_owned(), Global::default());
        for command in ALL {
            for path in command.paths {
                assert!(std::ptr::eq(find(path).unwrap(), *command), "{path} is there twice");
                assert!(command.help(&cli, path).starts_with(&format!("Usage:  brig {path}")));
                let group = path.split_once(' ').map(|(g, _)| g);
                assert!(group.is_none_or(|g| GROUPS.iter().any(|(name, _)| *name == g)), "{path}");
            }
            for (i, flag) in command.flags.concat().iter().enumerate() {
                let all = command.flags.concat();
                assert!(!all[..i].iter().any(|f| f.name == flag.name), "--{} twice", flag.name);
                assert!(
                    flag.short.is_none() || !all[..i].iter().any(|f| f.short == flag.short),
                    "-{:?} twice",
                    flag.short
                );
                assert!(flag.hidden || !flag.usage.is_empty());
            }
        }
    }
}
