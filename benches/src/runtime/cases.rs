//! What is timed: whole commands, as an engine waits for them.

use super::Runtime;
use super::bundle::Bundle;

/// Containers one after another in `create_start_delete`, and side by side in `eight_at_a_time`.
const IN_A_ROW: usize = 100;
const AT_A_TIME: usize = 8;

type Step = fn(&Runtime, &Bundle) -> Result<(), String>;

/// One thing that an engine does.
pub(crate) struct Case {
    /// The row's name.
    pub(crate) name: &'static str,
    /// Done once before the rounds.
    pub(crate) before: Step,
    /// What is timed.
    pub(crate) body: Step,
    /// How many containers one round makes; times are of one.
    pub(crate) each: usize,
    /// Done once after the rounds.
    pub(crate) after: Step,
}

impl Case {
    /// So many rounds: one that does a thing a hundred times needs few.
    pub(crate) fn rounds(&self, reps: usize) -> usize {
        reps.div_ceil(self.each.min(10))
    }
}

/// All cases, in the order of the table.
pub(crate) const ALL: &[Case] = &[
    Case { name: "run_true", before: nothing, body: run_true, each: 1, after: nothing },
    Case {
        name: "create_start_delete",
        before: nothing,
        body: |runtime, bundle| {
            (0..IN_A_ROW).try_for_each(|n| create_start_delete(runtime, bundle, &format!("row-{n}")))
        },
        each: IN_A_ROW,
        after: nothing,
    },
    Case {
        name: "eight_at_a_time",
        before: nothing,
        body: |runtime, bundle| {
            let side_by_side = |n: usize| {
                move || {
                    (0..4).try_for_each(|m| create_start_delete(runtime, bundle, &format!("side-{n}-{m}")))
                }
            };
            std::thread::scope(|scope| {
                let all: Vec<_> = (0..AT_A_TIME).map(|n| scope.spawn(side_by_side(n))).collect();
                all.into_iter().try_for_each(|one| one.join().map_err(|_| "a thread panicked".to_owned())?)
            })
        },
        each: AT_A_TIME * 4,
        after: nothing,
    },
    Case { name: "exec_true", before: start_sleeper, body: exec_true, each: 1, after: delete_sleeper },
];

fn nothing(_: &Runtime, _: &Bundle) -> Result<(), String> {
    Ok(())
}

fn run_true(runtime: &Runtime, bundle: &Bundle) -> Result<(), String> {
    let dir = bundle.of(&runtime.name, "run", &["true"])?;
    runtime.call(bundle, &["run", "--bundle", &dir, "bench-run"])
}

fn create_start_delete(runtime: &Runtime, bundle: &Bundle, id: &str) -> Result<(), String> {
    // A program that stays, so that no runtime deletes what has already ended.
    let dir = bundle.of(&runtime.name, id, &["sleep", "1000"])?;
    runtime.call(bundle, &["create", "--bundle", &dir, id])?;
    runtime.call(bundle, &["start", id])?;
    runtime.call(bundle, &["delete", "--force", id])
}

fn start_sleeper(runtime: &Runtime, bundle: &Bundle) -> Result<(), String> {
    let dir = bundle.of(&runtime.name, "sleeper", &["sleep", "1000"])?;
    runtime.call(bundle, &["create", "--bundle", &dir, "sleeper"])?;
    runtime.call(bundle, &["start", "sleeper"])
}

fn exec_true(runtime: &Runtime, bundle: &Bundle) -> Result<(), String> {
    runtime.call(bundle, &["exec", "sleeper", "true"])
}

fn delete_sleeper(runtime: &Runtime, bundle: &Bundle) -> Result<(), String> {
    runtime.call(bundle, &["delete", "--force", "sleeper"])
}
