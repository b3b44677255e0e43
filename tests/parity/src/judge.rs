//! Whether what brig answered is what was recorded, or what is known to differ.

use crate::{
    corpus::{Step, Topic},
    diff,
    run::{Answer, Session, Target},
};
use std::io;

/// What came of one step against brig.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// As it should be.
    Same,
    /// As Docker answers, though the step says that it is not.
    NowSame,
    /// Not as recorded; the difference.
    Different(String),
}

/// A step of a topic, and what came of it with one command line.
#[derive(Debug)]
pub struct Judged {
    /// The step's place in the topic.
    pub at: usize,
    /// What came of it.
    pub verdict: Verdict,
    /// What brig answered.
    pub answer: Answer,
}

/// Runs a topic against brig and judges each step.
///
/// # Errors
/// When the daemon can't be reached at all.
pub fn topic(target: &Target, topic: &Topic, applies: impl Fn(&Step) -> bool) -> io::Result<Vec<Judged>> {
    let mut session = Session::new(target, topic);
    let mut judged = Vec::new();
    for (at, step) in topic.steps.iter().enumerate() {
        if !applies(step) {
            continue;
        }
        let answer = session.step(step)?;
        judged.push(Judged { at, verdict: verdict(step, &answer), answer });
    }
    Ok(judged)
}

/// Compares an answer with what the step says.
#[must_use]
pub fn verdict(step: &Step, answer: &Answer) -> Verdict {
    let differs = step.differs().is_some();
    let same = if step.prepares { answer.fine } else { answer.lines == step.recorded };
    if step.pending().is_some() {
        return if same { Verdict::NowSame } else { Verdict::Same };
    }
    if differs && same {
        return Verdict::NowSame;
    }
    let expected = if differs { &step.brig } else { &step.recorded };
    if same || (differs && answer.lines == *expected) {
        return Verdict::Same;
    }
    Verdict::Different(if step.prepares {
        format!("  failed:\n    {}\n", answer.lines.join("\n    "))
    } else {
        diff::lines(expected, &answer.lines)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(file: &str, answer: &[&str], fine: bool) -> Verdict {
        let topic = Topic::parse("t", file).unwrap();
        let lines = answer.iter().map(|l| (*l).to_owned()).collect();
        verdict(&topic.steps[0], &Answer { lines, fine })
    }

    #[test]
    fn what_is_pending_or_known_fails_once_it_is_the_same() {
        assert_eq!(judged("$ docker ps\n| a\n", &["| a"], true), Verdict::Same);
        assert!(matches!(judged("$ docker ps\n| a\n", &["| b"], true), Verdict::Different(_)));
        assert_eq!(judged("%pending x\n$ docker ps\n| a\n", &["| b"], true), Verdict::Same);
        assert_eq!(judged("%pending x\n$ docker ps\n| a\n", &["| a"], true), Verdict::NowSame);
        assert_eq!(judged("%differs x\n$ docker ps\n| a\nb| b\n", &["| b"], true), Verdict::Same);
        assert_eq!(judged("%differs x\n$ docker ps\n| a\nb| b\n", &["| a"], true), Verdict::NowSame);
        assert!(matches!(
            judged("%differs x\n$ docker ps\n| a\nb| b\n", &["| c"], true),
            Verdict::Different(_)
        ));
        assert_eq!(judged("do docker ps\n", &["| any"], true), Verdict::Same);
        assert!(matches!(judged("do docker ps\n", &["| any"], false), Verdict::Different(_)));
    }
}
