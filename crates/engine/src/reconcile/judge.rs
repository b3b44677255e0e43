//! What becomes of a container, from its record and what was found of its shim. Pure but for the clock.

use super::probe::Probe;
use crate::{
    actor::timestamp,
    machine::Input,
    record::{Failure, State},
};
use brig_shim::protocol::{ExitRecord, ShimState, Status};
use jiff::Timestamp;
use std::os::unix::net::UnixStream;

/// The exit code of a container whose end nobody saw, as in Docker.
const LOST: i32 = 255;

/// What becomes of a container.
#[derive(Debug)]
pub(super) enum Fate {
    /// It runs: take it over.
    Adopt {
        /// What its shim knows.
        state: Box<ShimState>,
        /// A connection to it.
        control: UnixStream,
        /// What has happened meanwhile.
        inputs: Vec<Input>,
    },
    /// It has ended.
    Ended {
        /// What has happened.
        inputs: Vec<Input>,
    },
    /// Kill what may be left of it.
    Kill {
        /// What has happened.
        inputs: Vec<Input>,
    },
    /// Nothing has happened.
    Idle,
}

/// Decides.
pub(super) fn judge(recorded: &State, probe: Probe) -> Fate {
    match (recorded, probe) {
        (State::Starting { .. }, Probe::Live { state, control }) => match (state.status, state.started_at) {
            // It was made and never released. A shim whose daemon died before that undoes it, and may be at it.
            (Status::Created, _) | (Status::Exited, None) => Fate::Kill { inputs: vec![undone()] },
            // The daemon died between the start and its commit. How one that ended did so, its shim tells when
            // it is taken over.
            (Status::Running | Status::Paused | Status::Exited, at) => {
                let at = at.map_or_else(Timestamp::now, timestamp);
                let mut inputs = vec![Input::Started { pid: state.pid, start_time: state.start_time, at }];
                if state.status == Status::Paused {
                    inputs.push(Input::Frozen);
                }
                Fate::Adopt { state, control, inputs }
            }
        },
        (State::Starting { .. }, Probe::Exited { exit, state }) => {
            let ran = state.is_some_and(|state| state.started_at.is_some());
            if ran {
                Fate::Ended { inputs: vec![ended(exit)] }
            } else {
                Fate::Kill { inputs: vec![undone()] }
            }
        }
        (State::Starting { .. }, Probe::Dead { .. } | Probe::Nothing) => {
            Fate::Kill { inputs: vec![undone()] }
        }

        (State::Running(_) | State::Paused(_), Probe::Live { state, control }) => {
            let inputs = match (recorded, state.status) {
                (State::Running(_), Status::Paused) => vec![Input::Frozen],
                (State::Paused(_), Status::Running) => vec![Input::Thawed],
                _ => Vec::new(),
            };
            Fate::Adopt { state, control, inputs }
        }
        (State::Running(_) | State::Paused(_), Probe::Exited { exit, .. }) => {
            Fate::Ended { inputs: vec![ended(exit)] }
        }
        (State::Running(_) | State::Paused(_), Probe::Dead { .. }) => {
            Fate::Kill { inputs: vec![lost("its supervisor died")] }
        }
        (State::Running(_) | State::Paused(_), Probe::Nothing) => {
            Fate::Kill { inputs: vec![lost("the machine was restarted")] }
        }

        // The end was written down, and the daemon died before it had cleaned up.
        (
            State::Created { .. }
            | State::Restarting { .. }
            | State::Exited(_)
            | State::Removing { .. }
            | State::Dead { .. },
            Probe::Nothing,
        ) => Fate::Idle,
        (
            State::Created { .. }
            | State::Restarting { .. }
            | State::Exited(_)
            | State::Removing { .. }
            | State::Dead { .. },
            _,
        ) => Fate::Kill { inputs: Vec::new() },
    }
}

fn ended(exit: ExitRecord) -> Input {
    Input::Exited {
        code: exit.code,
        oom_killed: exit.oom_killed,
        error: exit.error.unwrap_or_default(),
        at: timestamp(exit.exited_at),
    }
}

fn undone() -> Input {
    Input::StartFailed(Failure {
        code: 128,
        message: "the daemon ended while the container was started".to_owned(),
    })
}

/// The end of a container that nobody saw.
pub(super) fn lost(why: &str) -> Input {
    Input::Exited { code: LOST, oom_killed: false, error: why.to_owned(), at: Timestamp::now() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Cause;
    use brig_core::Id;

    const STARTING: State = State::Starting { cause: Cause::User, previous: None };

    fn live(status: Status, started_at: Option<i64>) -> Probe {
        let state = ShimState {
            protocol: 1,
            id: Id::random(),
            boot_id: String::new(),
            shim_pid: 1,
            shim_start_time: 1,
            pid: 1,
            start_time: 1,
            cgroup: None,
            status,
            started_at,
            execs: Vec::new(),
        };
        Probe::Live { state: Box::new(state), control: UnixStream::pair().unwrap().0 }
    }

    #[test]
    fn what_was_never_released_has_not_run() {
        for status in [Status::Created, Status::Exited] {
            let fate = judge(&STARTING, live(status, None));
            assert!(
                matches!(&fate, Fate::Kill { inputs } if matches!(inputs[..], [Input::StartFailed(_)])),
                "{status:?}: {fate:?}"
            );
        }
    }

    #[test]
    fn what_ran_is_taken_over_and_its_shim_tells_the_rest() {
        for status in [Status::Running, Status::Exited] {
            let fate = judge(&STARTING, live(status, Some(1)));
            assert!(
                matches!(&fate, Fate::Adopt { inputs, .. } if matches!(inputs[..], [Input::Started { .. }])),
                "{status:?}: {fate:?}"
            );
        }
    }
}
