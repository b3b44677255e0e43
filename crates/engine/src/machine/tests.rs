//! Every state with every input, as a table to be read and reviewed, and what must hold for any sequence.

use super::*;
use crate::record::{
    After, Cause, ContainerRecord, Ended, Exit, Failure, MountRecord, Run, State, Status, Volumes,
};
use brig_api::ContainerUpdateRequest;
use brig_core::{HasKind, Id, Kind};
use jiff::Timestamp;
use std::{fmt::Write, time::Duration};

const NOW: Timestamp = Timestamp::constant(1_000_000, 0);

fn record(state: State) -> ContainerRecord {
    ContainerRecord {
        version: ContainerRecord::VERSION,
        id: Id::parse(&"a".repeat(64)).unwrap(),
        name: "ship".to_owned(),
        created: NOW,
        config: std::sync::Arc::default(),
        host_config: std::sync::Arc::default(),
        image: None,
        platform: "linux".to_owned(),
        networks: std::collections::BTreeMap::new(),
        mounts: Vec::<MountRecord>::new(),
        log_path: None,
        sandbox: None,
        state,
        health: None,
        last_finished: None,
        links: Default::default(),
        restart_count: 0,
        backoff_ms: 0,
        runs: 1,
    }
}

fn run(after: After) -> Run {
    Run { pid: 42, start_time: 7, started_at: Timestamp::constant(999_997, 0), oom_killed: false, after }
}

fn exit(code: i32, ended: Ended) -> Exit {
    Exit {
        code,
        oom_killed: false,
        error: String::new(),
        started_at: Timestamp::constant(999_990, 0),
        finished_at: Timestamp::constant(999_995, 0),
        ended,
    }
}

fn states() -> Vec<(&'static str, State)> {
    let last = exit(3, Ended::ByItself);
    vec![
        ("created", State::Created { failure: None }),
        ("starting", State::Starting { cause: Cause::User, previous: None }),
        ("starting again", State::Starting { cause: Cause::Restart, previous: Some(last.clone()) }),
        ("running", State::Running(run(After::Policy))),
        ("running, stop asked", State::Running(run(After::Stop))),
        ("running, kill sent", State::Running(run(After::Kill))),
        ("running, restart asked", State::Running(run(After::Restart))),
        ("running, removal asked", State::Running(run(After::Remove(Volumes::Keep)))),
        ("running, daemon ends", State::Running(run(After::Shutdown))),
        ("paused", State::Paused(run(After::Policy))),
        ("restarting", State::Restarting { exit: last.clone(), due: NOW }),
        ("exited", State::Exited(last.clone())),
        ("removing", State::Removing { exit: Some(last.clone()), volumes: Volumes::Keep }),
        ("dead", State::Dead { exit: Some(last), message: "busy".to_owned() }),
    ]
}

fn inputs() -> Vec<Input> {
    let order = StopOrder { signal: 15, timeout: Some(Duration::from_secs(10)) };
    vec![
        Input::Start,
        Input::Stop(order),
        Input::Restart(order),
        Input::Kill { signal: 1 },
        Input::Kill { signal: 9 },
        Input::Kill { signal: 15 },
        Input::Pause,
        Input::Unpause,
        Input::Remove { force: false, volumes: Volumes::Keep },
        Input::Remove { force: true, volumes: Volumes::Remove },
        Input::Rename { name: "boat".to_owned() },
        Input::Update(Box::new(ContainerUpdateRequest {
            cpu_shares: 7,
            ..ContainerUpdateRequest::default()
        })),
        Input::Shutdown(order),
        Input::Boot,
        Input::Started { pid: 43, start_time: 8, at: NOW },
        Input::StartFailed(Failure { code: 127, message: "no such command".to_owned() }),
        Input::Exited { code: 0, oom_killed: false, error: String::new(), at: NOW },
        Input::Exited { code: 137, oom_killed: true, error: String::new(), at: NOW },
        Input::OutOfMemory,
        Input::Checked { run: 1, number: 1, result: std::sync::Arc::default() },
        Input::Frozen,
        Input::Thawed,
        Input::StopExpired { run: 1 },
        Input::StopExpired { run: 0 },
        Input::RestartDue { run: 1 },
        Input::RestartDue { run: 0 },
        Input::Discarded,
        Input::DiscardFailed { message: "busy".to_owned() },
    ]
}

fn is_report(input: &Input) -> bool {
    !input.is_from_client()
}

fn show_input(input: &Input) -> String {
    match input {
        Input::Kill { signal } => format!("kill {signal}"),
        Input::Remove { force, .. } => format!("remove{}", if *force { " --force" } else { "" }),
        Input::Exited { code, .. } => format!("exited {code}"),
        Input::StopExpired { run: 0 } => "stop expired, earlier run".to_owned(),
        Input::RestartDue { run: 0 } => "restart due, earlier run".to_owned(),
        Input::StopExpired { .. } => "stop expired".to_owned(),
        Input::RestartDue { .. } => "restart due".to_owned(),
        other => {
            let text = format!("{other:?}");
            text.split([' ', '(']).next().unwrap_or_default().to_lowercase()
        }
    }
}

fn show_effect(effect: &Effect) -> String {
    match effect {
        Effect::Persist(_) => "persist".to_owned(),
        Effect::Emit(note) => format!("event {note:?}"),
        Effect::Limit(_) => "limit".to_owned(),
        Effect::Ended(exit) => format!("ended {}", exit.code),
        other => format!("{other:?}"),
    }
}

fn show_state(state: &State) -> String {
    match state {
        State::Running(run) => format!("Running, then {:?}", run.after),
        State::Paused(run) => format!("Paused, then {:?}", run.after),
        State::Created { failure: Some(failure) } => format!("Created, failed {}", failure.code),
        State::Created { failure: None } => "Created".to_owned(),
        State::Starting { cause, .. } => format!("Starting by {cause:?}"),
        State::Restarting { .. } => "Restarting".to_owned(),
        State::Exited(exit) => format!("Exited {} {:?}", exit.code, exit.ended),
        State::Removing { volumes, .. } => format!("Removing, {volumes:?} volumes"),
        State::Dead { .. } => "Dead".to_owned(),
    }
}

fn show(record: &ContainerRecord, input: Input) -> String {
    match step(record, input, NOW) {
        Err(refusal) => format!("refused ({:?}): {refusal}", refusal.kind()).replace(&"a".repeat(64), "ID"),
        Ok(step) if step.record == *record && step.effects.is_empty() => "-".to_owned(),
        Ok(step) => {
            let effects: Vec<String> = step.effects.iter().map(show_effect).collect();
            let to = if step.record.state == record.state {
                "same".to_owned()
            } else {
                show_state(&step.record.state)
            };
            format!("{to} | {}", effects.join("; "))
        }
    }
}

fn table(change: impl Fn(&mut ContainerRecord)) -> String {
    let mut out = String::new();
    for (name, state) in states() {
        let mut record = record(state);
        change(&mut record);
        writeln!(out, "{name}").unwrap();
        for input in inputs() {
            writeln!(out, "  {:<26} {}", show_input(&input), show(&record, input)).unwrap();
        }
    }
    out
}

#[test]
fn every_state_with_every_input() {
    insta::assert_snapshot!("plain", table(|_| {}));
}

#[test]
fn every_state_with_every_input_and_auto_remove() {
    insta::assert_snapshot!(
        "auto_remove",
        table(|r| std::sync::Arc::make_mut(&mut r.host_config).auto_remove = true)
    );
}

#[test]
fn every_state_with_every_input_and_restart_always() {
    insta::assert_snapshot!(
        "always",
        table(|r| std::sync::Arc::make_mut(&mut r.host_config).restart_policy.name = "always".to_owned())
    );
}

#[test]
fn reports_are_never_refused() {
    for (_, state) in states() {
        for input in inputs().into_iter().filter(is_report) {
            step(&record(state.clone()), input, NOW).unwrap();
        }
    }
}

#[test]
fn refusals_have_the_kind_that_docker_answers() {
    let kind = |state: State, input| step(&record(state), input, NOW).unwrap_err().kind();
    let running = || State::Running(run(After::Policy));
    assert_eq!(kind(running(), Input::Start), Kind::NotModified);
    assert_eq!(kind(running(), Input::Unpause), Kind::System);
    assert_eq!(kind(running(), Input::Remove { force: false, volumes: Volumes::Keep }), Kind::Conflict);
    assert_eq!(kind(State::Created { failure: None }, Input::Kill { signal: 9 }), Kind::Conflict);
}

#[test]
fn policies_decide_by_code_count_and_who_ended_it() {
    let verdict = |name: &str, limit: i64, count: u32, code: i32, after: After| {
        let mut record = record(State::Running(run(after)));
        std::sync::Arc::make_mut(&mut record.host_config).restart_policy =
            brig_api::RestartPolicy { name: name.to_owned(), maximum_retry_count: limit };
        record.restart_count = count;
        Restart::of(&record).after_exit(&record, &exit(code, Ended::ByItself), after) != Verdict::Stay
    };
    assert!(!verdict("", 0, 0, 1, After::Policy));
    assert!(!verdict("no", 0, 0, 1, After::Policy));
    assert!(verdict("always", 0, 9, 0, After::Policy));
    assert!(!verdict("always", 0, 0, 0, After::Stop));
    assert!(verdict("unless-stopped", 0, 0, 0, After::Policy));
    assert!(!verdict("unless-stopped", 0, 0, 0, After::Kill));
    assert!(!verdict("on-failure", 0, 0, 0, After::Policy));
    assert!(verdict("on-failure", 0, 99, 1, After::Policy));
    assert!(verdict("on-failure", 2, 1, 1, After::Policy));
    assert!(!verdict("on-failure", 2, 2, 1, After::Policy));
}

#[test]
fn what_the_daemon_starts_when_it_comes_up() {
    let boots = |name: &str, ended: Ended, code: i32| {
        let mut record = record(State::Exited(exit(code, ended)));
        std::sync::Arc::make_mut(&mut record.host_config).restart_policy.name = name.to_owned();
        let step = step(&record, Input::Boot, NOW).unwrap();
        step.record.state.status() != Status::Exited || step.effects.contains(&Effect::BringUp(Cause::Policy))
    };
    assert!(boots("always", Ended::ByUser, 0));
    assert!(boots("unless-stopped", Ended::ByItself, 0));
    assert!(!boots("unless-stopped", Ended::ByUser, 0));
    assert!(boots("on-failure", Ended::ByItself, 1));
    assert!(!boots("on-failure", Ended::ByItself, 0));
    assert!(!boots("no", Ended::ByItself, 1));
}

#[test]
fn waits_double_up_to_a_minute_and_start_over_after_a_long_run() {
    let mut record = record(State::Running(run(After::Policy)));
    std::sync::Arc::make_mut(&mut record.host_config).restart_policy.name = "always".to_owned();
    let mut waits = Vec::new();
    for _ in 0..12 {
        let now = Input::Exited { code: 1, oom_killed: false, error: String::new(), at: NOW };
        let stepped = step(&record, now, NOW).unwrap();
        waits.extend(stepped.effects.iter().filter_map(|e| match e {
            Effect::ArmRestart(wait) => Some(wait.as_millis()),
            _ => None,
        }));
        record = stepped.record;
        record.state = State::Running(run(After::Policy));
    }
    assert_eq!(waits[..4], [100, 200, 400, 800]);
    assert_eq!(waits[10..], [60_000, 60_000]);
    record.state = State::Running(Run { started_at: Timestamp::constant(999_000, 0), ..run(After::Policy) });
    let long = Input::Exited { code: 1, oom_killed: false, error: String::new(), at: NOW };
    let stepped = step(&record, long, NOW).unwrap();
    assert!(stepped.effects.contains(&Effect::ArmRestart(Duration::from_millis(100))));
    assert_eq!(stepped.record.restart_count, 13);
}

#[test]
fn a_user_start_forgets_the_count_of_the_policy() {
    let mut record = record(State::Exited(exit(1, Ended::ByItself)));
    record.restart_count = 5;
    record.backoff_ms = 800;
    let stepped = step(&record, Input::Start, NOW).unwrap();
    assert_eq!((stepped.record.restart_count, stepped.record.backoff_ms), (0, 0));
}

#[test]
fn the_containers_own_stop_signal_counts_as_a_kill() {
    let mut record = record(State::Running(run(After::Policy)));
    std::sync::Arc::make_mut(&mut record.config).stop_signal = "SIGQUIT".to_owned();
    let after = |signal| {
        let stepped = step(&record, Input::Kill { signal }, NOW).unwrap();
        stepped.record.state.run().unwrap().after
    };
    assert_eq!(after(3), After::Kill);
    assert_eq!(after(15), After::Policy);
    assert_eq!(after(9), After::Kill);
}

#[test]
fn a_record_survives_its_json() {
    for (_, state) in states() {
        let record = record(state);
        let json = serde_json::to_string(&record).unwrap();
        assert_eq!(serde_json::from_str::<ContainerRecord>(&json).unwrap(), record);
    }
}

proptest::proptest! {
    /// Whatever comes in whatever order: the record is written before anything is done that a crash must find,
    /// and nothing is done for a container that was forgotten.
    #[test]
    fn intent_is_written_before_its_effect(choices in proptest::collection::vec(0usize..26, 1..60), rm: bool) {
        let all = inputs();
        let mut record = record(State::Created { failure: None });
        std::sync::Arc::make_mut(&mut record.host_config).auto_remove = rm;
        let mut pending: Vec<Input> = Vec::new();
        for choice in choices {
            let input = pending.pop().unwrap_or_else(|| all[choice].clone());
            let Ok(stepped) = step(&record, input, NOW) else { continue };
            let mut written = stepped.record.state == record.state;
            for effect in &stepped.effects {
                match effect {
                    // Two of them write first of all themselves.
                    Effect::Persist(_) | Effect::BringUp(_) | Effect::Erase => written = true,
                    Effect::Signal(_) | Effect::Discard(_) | Effect::TearDown => {
                        proptest::prop_assert!(written, "{effect:?} before persist: {:?}", stepped.effects);
                    }
                    Effect::Forget => {
                        let removing = matches!(stepped.record.state, State::Removing { .. });
                        proptest::prop_assert!(removing);
                        return Ok(());
                    }
                    _ => {}
                }
            }
            record = stepped.record;
        }
    }
}
