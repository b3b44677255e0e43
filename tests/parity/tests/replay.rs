//! The corpus against brig, without any dockerd: topics side by side, each on daemons of its own.

use brig_parity::{corpus::Topic, corpus_folder, known, replay};
use std::{
    collections::BTreeSet,
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

/// How many topics are replayed at once.
const AT_ONCE: usize = 3;

#[test]
fn brig_answers_as_docker_does() {
    let topics = Topic::load_all(&corpus_folder()).expect("the corpus can be read");
    let next = AtomicUsize::new(0);
    let failures = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                while let Some(topic) = topics.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let played = replay::topic(topic).unwrap_or_else(|e| panic!("{}: {e}", topic.name));
                    let found = replay::failures(topic, &played);
                    failures.lock().expect("not poisoned").extend(found.into_iter().map(|f| f.text));
                }
            });
        }
    });
    let failures = failures.into_inner().expect("not poisoned");
    assert!(failures.is_empty(), "{} differences\n\n{}", failures.len(), failures.join("\n"));
}

#[test]
fn the_corpus_is_whole() {
    let topics = Topic::load_all(&corpus_folder()).expect("the corpus can be read");
    let keys: BTreeSet<&str> = known::KNOWN.iter().map(|k| k.key).collect();
    let mut used = BTreeSet::new();
    for topic in &topics {
        for step in topic.steps.iter().filter(|s| !s.prepares) {
            let place = format!("{}.txt:{}: {}", topic.name, step.line, step.text);
            assert!(!step.recorded.is_empty() || step.text.starts_with('$'), "{place}: nothing is recorded");
            if let Some(key) = step.differs() {
                assert!(keys.contains(key), "{place}: no known difference {key}");
                used.insert(key);
            }
        }
    }
    for difference in known::KNOWN.iter().filter(|k| matches!(k.rule, known::Rule::Exchange)) {
        assert!(used.contains(difference.key), "no exchange shows the difference {}", difference.key);
    }
}

#[test]
fn the_page_of_differences_is_that_of_the_table() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/compat.md");
    let text = std::fs::read_to_string(path).expect("docs/compat.md");
    let page = known::page(&text).expect("docs/compat.md has marks for the generated part");
    assert!(text == page, "run `cargo xtask parity --docs`");
}
