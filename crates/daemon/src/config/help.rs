//! The help of `brig daemon`.

use super::table::{OPTIONS, Opt, Sort, Support};

const HEAD: &str = "\
Usage:  brig daemon [OPTIONS]

Run the daemon: it serves the Docker Engine API and keeps containers, images and networks.
Containers live on when it stops, and the next daemon on the same data root finds them.

Options:
";

const TAIL: &str = r#"
Examples:
  brig daemon
      Serve on /run/brig/brig.sock, and on /var/run/docker.sock when no other daemon does
  brig daemon -H unix:///run/mine.sock --data-root /srv/brig --exec-root /run/mine --bridge mine0
      A second daemon beside another one
  brig daemon --validate --config-file ./daemon.json
      Check a configuration file

The configuration file is dockerd's daemon.json: the names of flags are its keys, plural for those
that may be repeated ("hosts", "labels", "log-opts", "dns-opts", "default-ulimits").
SIGHUP reads it again and applies "debug" and "log-level".
Flags of dockerd that have no counterpart in brig are taken with a warning; those that somebody
counts on (--userns-remap, --tlsverify, …) are refused.
"#;

/// The help.
pub(super) fn text() -> String {
    let mut text = HEAD.to_owned();
    for opt in OPTIONS.iter().filter(|opt| opt.support == Support::Yes) {
        text.push_str(&line(opt));
    }
    text.push_str("  -h, --help                         Show this help\n");
    text.push_str("  -v, --version                      Show the version\n");
    text.push_str(TAIL);
    text
}

fn line(opt: &Opt) -> String {
    let short = opt.short.map_or("    ".to_owned(), |c| format!("-{c}, "));
    let argument = match opt.sort {
        Sort::Bool => "",
        Sort::Number => " NUMBER",
        Sort::Text => " VALUE",
        Sort::List | Sort::Structure => " VALUE",
        Sort::Map => " NAME=VALUE",
    };
    let flag = format!("  {short}--{}{argument}", opt.name);
    format!("{flag:<35}  {}\n", opt.help)
}
