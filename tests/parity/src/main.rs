//! `cargo xtask parity`: records the corpus from a dockerd, and shows where brig answers otherwise.

use brig_parity::{
    corpus::{Directive, Topic},
    corpus_folder, known,
    peer::Peer,
    replay,
    run::{Session, Target},
};
use std::{io, process::ExitCode};

const HELP: &str = "\
Compares brig with Docker by the corpus in tests/parity/corpus.

Usage:  cargo xtask parity [OPTIONS]

Without --peer, what is recorded is replayed against brig.

Options:
  --peer unix://S  Ask this dockerd as well; it must be the recorder's alone, since all in it is removed
  --write          Write down what the dockerd answers (with --peer), and what brig answers where it is known to differ
  --mark WORD      Mark what differs as %pending WORD, and take the mark from what does not differ any more
  --pending        Show what is marked as pending, too
  --filter S       Only topics whose name contains S
  --docs           Only write the list of known differences into docs/compat.md
";

#[derive(Debug, Default)]
struct Options {
    peer: Option<String>,
    write: bool,
    mark: Option<String>,
    filter: String,
    docs: bool,
    pending: bool,
}

impl Options {
    fn parse(args: impl Iterator<Item = String>) -> Result<Option<Self>, String> {
        let mut options = Self::default();
        let mut args = args;
        while let Some(arg) = args.next() {
            let mut value = || args.next().ok_or_else(|| format!("{arg} needs a value"));
            match arg.as_str() {
                "--peer" => options.peer = Some(value()?),
                "--write" => options.write = true,
                "--mark" => options.mark = Some(value()?),
                "--filter" => options.filter = value()?,
                "--pending" => options.pending = true,
                "--docs" => options.docs = true,
                "--help" | "-h" => return Ok(None),
                _ => return Err(format!("unknown option: {arg}\n\n{HELP}")),
            }
        }
        Ok(Some(options))
    }
}

fn main() -> ExitCode {
    let options = match Options::parse(std::env::args().skip(1)) {
        Ok(Some(options)) => options,
        Ok(None) => {
            print!("{HELP}");
            return ExitCode::SUCCESS;
        }
        Err(e) => {
            eprintln!("{e}");
            return ExitCode::FAILURE;
        }
    };
    match run(&options) {
        Ok(0) => ExitCode::SUCCESS,
        Ok(count) => {
            println!("{count} differences");
            ExitCode::FAILURE
        }
        Err(e) => {
            eprintln!("parity: {e}");
            ExitCode::FAILURE
        }
    }
}

fn run(options: &Options) -> io::Result<usize> {
    if options.docs {
        return write_docs().map(|()| 0);
    }
    let peer = options.peer.as_deref().map(Peer::at).transpose()?;
    let mut count = 0;
    for mut topic in Topic::load_all(&corpus_folder())? {
        if !topic.name.contains(&options.filter) {
            continue;
        }
        println!("── {} ({} exchanges)", topic.name, topic.steps.iter().filter(|s| !s.prepares).count());
        if let Some(peer) = &peer {
            count += record(&mut topic, peer, options.write)?;
        }
        let played = replay::topic(&topic)?;
        if options.pending {
            show_pending(&topic, &played);
        }
        let mut failures = replay::failures(&topic, &played);
        if options.write {
            for step in
                &played.iter().find(|p| p.client == brig_e2e::Client::Brig).expect("always played").judged
            {
                let known = &mut topic.steps[step.at];
                if known.differs().is_some() {
                    known.brig = step.answer.lines.clone();
                    failures.retain(|f| f.at != step.at || f.now_same);
                }
            }
        }
        if let Some(word) = &options.mark {
            for failure in failures.drain(..) {
                let step = &mut topic.steps[failure.at];
                match step.pending().cloned() {
                    Some(pending) if failure.now_same => step.unmark(&pending),
                    None if !failure.now_same => {
                        println!("{}", failure.text);
                        step.mark(Directive::Pending(word.clone()));
                    }
                    _ => println!("{}", failure.text),
                }
            }
        }
        for failure in &failures {
            println!("{}", failure.text);
        }
        count += failures.len();
        if options.write || options.mark.is_some() {
            std::fs::write(corpus_folder().join(format!("{}.txt", topic.name)), topic.print())?;
        }
    }
    Ok(count)
}

/// Runs a topic against the dockerd. What it answers is put into the topic, or compared with what is there.
fn record(topic: &mut Topic, peer: &Peer, write: bool) -> io::Result<usize> {
    peer.reset()?;
    let docker = replay::docker().ok_or_else(|| io::Error::other("no docker on the PATH"))?;
    let roots = vec![peer.root.clone(), "/var/run/docker".to_owned()];
    let target = Target::new(&peer.socket, &docker, roots)?;
    let mut answers = Vec::new();
    let mut session = Session::new(&target, topic);
    for step in &topic.steps {
        answers.push(session.step(step)?);
    }
    let mut count = 0;
    for (step, answer) in topic.steps.iter_mut().zip(answers) {
        if step.prepares {
            if !answer.fine {
                println!(
                    "{}:{}: {} failed:\n  {}",
                    topic.name,
                    step.line,
                    step.text,
                    answer.lines.join("\n  ")
                );
                count += 1;
            }
        } else if step.directives.contains(&Directive::Spec) {
        } else if write {
            step.recorded = answer.lines;
        } else if step.recorded != answer.lines {
            let diff = brig_parity::diff::lines(&step.recorded, &answer.lines);
            println!("{}:{}: {}   [recorded otherwise]\n{diff}", topic.name, step.line, step.text);
            count += 1;
        }
    }
    peer.reset()?;
    Ok(count)
}

fn show_pending(topic: &Topic, played: &[replay::Played]) {
    for (at, step) in topic.steps.iter().enumerate().filter(|(_, s)| s.pending().is_some() && !s.prepares) {
        for one in played {
            let answer = one.judged.iter().find(|j| j.at == at && j.answer.lines != step.recorded);
            if let Some(judged) = answer {
                let diff = brig_parity::diff::lines(&step.recorded, &judged.answer.lines);
                println!("{}:{}: {}   [{}]\n{diff}", topic.name, step.line, step.text, one.client.name());
            }
        }
    }
}

fn write_docs() -> io::Result<()> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/compat.md");
    let page = known::page(&std::fs::read_to_string(path)?)
        .ok_or_else(|| io::Error::other("docs/compat.md has no marks for the generated part"))?;
    std::fs::write(path, page)
}
