//! Replays topics against brig: each on a daemon of its own, by each command line that there is.

use crate::{
    corpus::{Directive, Step, Topic},
    image, judge,
    judge::{Judged, Verdict},
    run::Target,
};
use brig_e2e::{Client, Host};
use std::io;

/// What came of a topic by one command line.
#[derive(Debug)]
pub struct Played {
    /// The command line.
    pub client: Client,
    /// Step by step.
    pub judged: Vec<Judged>,
}

/// A step with which something is wrong.
#[derive(Debug)]
pub struct Failure {
    /// The step's place in the topic.
    pub at: usize,
    /// What is wrong, to be read.
    pub text: String,
    /// Whether it is only that a step marked as different is the same by now.
    pub now_same: bool,
}

/// Runs a topic against brig by each command line; one that holds no commands once.
///
/// # Errors
/// When the daemon can't be reached at all.
pub fn topic(topic: &Topic) -> io::Result<Vec<Played>> {
    let mut clients = Client::available();
    if !topic.has_commands() {
        clients.retain(|c| *c == Client::Brig);
    }
    clients.into_iter().map(|client| Ok(Played { client, judged: by(topic, client)? })).collect()
}

fn by(topic: &Topic, client: Client) -> io::Result<Vec<Judged>> {
    let host = Host::start();
    let program = match client {
        Client::Brig => host.binary(),
        Client::Docker => docker().ok_or_else(|| io::Error::other("no docker on the PATH"))?,
    };
    Client::Brig.run_with(&host, &["load"], image::archive()).ok();
    let roots = [host.path("data"), host.path("run"), host.dir().to_owned()];
    let target = Target::new(&host.socket(), &program, roots.map(|r| r.display().to_string()).into())?;
    let applies = |step: &Step| client == Client::Docker || !step.directives.contains(&Directive::DockerOnly);
    judge::topic(&target, topic, applies)
}

/// Where docker's command line lies.
#[must_use]
pub fn docker() -> Option<std::path::PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|dir| dir.join("docker")).find(|file| file.is_file())
}

/// What is wrong in a topic. A step that is marked as different only fails when no command line shows it any more.
#[must_use]
pub fn failures(topic: &Topic, played: &[Played]) -> Vec<Failure> {
    let mut failures = Vec::new();
    for (at, step) in topic.steps.iter().enumerate() {
        let of_step: Vec<(Client, &Verdict)> = played
            .iter()
            .filter_map(|p| Some((p.client, &p.judged.iter().find(|j| j.at == at)?.verdict)))
            .collect();
        let place = format!("{}.txt:{}: {}", topic.name, step.line, step.text);
        let mut told: Vec<(String, String)> = Vec::new();
        for (client, verdict) in &of_step {
            if let Verdict::Different(diff) = verdict {
                match told.iter_mut().find(|(_, text)| text == diff) {
                    Some((clients, _)) => clients.push_str(&format!(", {}", client.name())),
                    None => told.push((client.name().to_owned(), diff.clone())),
                }
            }
        }
        for (clients, diff) in told {
            failures.push(Failure { at, text: format!("{place}   [{clients}]\n{diff}"), now_same: false });
        }
        if !of_step.is_empty() && of_step.iter().all(|(_, v)| **v == Verdict::NowSame) {
            let text = format!("{place}\n  answers as Docker does by now: take %pending or %differs away\n");
            failures.push(Failure { at, text, now_same: true });
        }
    }
    failures
}
