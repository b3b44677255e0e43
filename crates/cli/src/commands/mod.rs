//! The commands, one file each or one file for a few of a kind.

mod attach;
mod cp;
mod events;
mod exec;
mod export;
mod history;
mod images;
mod import;
mod info;
mod inspect;
mod lifecycle;
mod load;
mod login;
mod logs;
mod network;
mod participant;
mod port;
mod prune;
mod ps;
mod pull;
mod push;
mod run;
mod search;
mod start;
mod stats;
mod system_df;
mod tag;
mod top;
mod update;
mod version;
mod volume;
mod volume_files;

pub use version::CLIENT as CLIENT_VERSION;

use crate::{
    command::Command,
    context::Cli,
    error::{Error, Result},
    flags::Flag,
    out,
};
use brig_api::filters::Filters;
use futures_util::future::join_all;

/// All commands, in the order of the help's lists.
pub const ALL: &[&Command] = &[
    &run::RUN,
    &exec::EXEC,
    &ps::PS,
    &images::IMAGES,
    &pull::PULL,
    &version::VERSION,
    &info::INFO,
    &attach::ATTACH,
    &export::COMMIT,
    &cp::CP,
    &run::CREATE,
    &export::DIFF,
    &events::EVENTS,
    &export::EXPORT,
    &history::HISTORY,
    &import::IMPORT,
    &inspect::INSPECT,
    &lifecycle::KILL,
    &load::LOAD,
    &login::LOGIN,
    &login::LOGOUT,
    &logs::LOGS,
    &lifecycle::PAUSE,
    &port::PORT,
    &push::PUSH,
    &lifecycle::RENAME,
    &lifecycle::RESTART,
    &lifecycle::RM,
    &images::RMI,
    &load::SAVE,
    &search::SEARCH,
    &start::START,
    &stats::STATS,
    &lifecycle::STOP,
    &tag::TAG,
    &top::TOP,
    &lifecycle::UNPAUSE,
    &update::UPDATE,
    &lifecycle::WAIT,
    &inspect::CONTAINER_INSPECT,
    &inspect::IMAGE_INSPECT,
    &inspect::NETWORK_INSPECT,
    &network::CONNECT,
    &network::CREATE,
    &network::DISCONNECT,
    &network::LS,
    &network::PRUNE,
    &network::RM,
    &volume::CREATE,
    &inspect::VOLUME_INSPECT,
    &volume::LS,
    &prune::VOLUME_PRUNE,
    &volume::RM,
    &volume::UPDATE,
    &volume_files::EXPORT,
    &volume_files::IMPORT,
    &volume_files::CLONE,
    &prune::CONTAINER_PRUNE,
    &prune::IMAGE_PRUNE,
    &prune::SYSTEM_PRUNE,
    &system_df::DF,
];

/// Help for `--format` of lists.
const LIST_FORMAT: &str = "Format of the output:\n'table':            A table with headers (default)\n'table TEMPLATE':   A table of a Go template's columns\n'json':             A line of JSON an entry\n'TEMPLATE':         A line of a Go template an entry";
/// Help for `--format` of single objects.
const OBJECT_FORMAT: &str =
    "Format of the output:\n'json':             JSON on one line\n'TEMPLATE':         A Go template";

/// `--format` of lists.
const FORMAT: Flag = Flag::string("format", LIST_FORMAT);
/// `--filter` of lists.
const FILTER: Flag = Flag::filter("filter", "Show only what meets a condition").short('f').label("filter");

/// `--filter`s as the API takes them; `None` when there is none.
fn filters<'a>(given: impl Iterator<Item = &'a str>) -> Filters {
    given
        .filter(|text| !text.is_empty())
        .map(|text| {
            let (name, value) = text.split_once('=').unwrap_or((text, ""));
            (name.trim().to_lowercase(), value.trim().to_owned())
        })
        .collect()
}

/// The `filters` parameter; empty when there are none.
fn filters_json(filters: &Filters) -> String {
    if filters.is_empty() { String::new() } else { filters.to_json() }
}

/// Does the same for each name, some side by side as Docker's client does, and tells in order what came of it:
/// the name or what the work answered on standard output, at last the errors on standard error.
///
/// # Errors
/// When any of them failed.
async fn each<'a, W>(names: &'a [String], work: impl Fn(&'a str) -> W) -> Result
where
    W: Future<Output = Result<Option<String>>> + 'a,
{
    const AT_ONCE: usize = 50;
    let mut failed = Vec::new();
    for some in names.chunks(AT_ONCE) {
        for result in join_all(some.iter().map(|name| work(name))).await {
            match result {
                Ok(Some(text)) => out::line(&text)?,
                Ok(None) => {}
                Err(e) => failed.push(e),
            }
        }
    }
    if failed.is_empty() {
        return Ok(());
    }
    for error in failed {
        out::warn(&error.to_string());
    }
    Err(Error::Told)
}

/// Asks a question on standard error's terminal and reads the answer from standard input.
///
/// # Errors
/// When standard output can't be written.
fn confirm(question: &str) -> Result<bool> {
    use std::io::BufRead;
    out::print(question)?;
    let mut answer = String::new();
    std::io::stdin().lock().read_line(&mut answer)?;
    Ok(matches!(answer.trim(), "y" | "Y"))
}

/// `1234567` as a size with three significant digits.
fn size3(bytes: i64) -> String {
    crate::format::size::with_precision(bytes as f64, 3)
}

/// The keys that detach: the flag's, the config file's, or none.
fn detach_keys(cli: &Cli, flag: &str) -> String {
    if flag.is_empty() { cli.config().detach_keys.clone().unwrap_or_default() } else { flag.to_owned() }
}
