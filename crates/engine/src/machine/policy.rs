//! Restart policies: whether a container that ended is started again, and after which wait.
//!
//! The waits are Docker's: 100 ms, doubled with each restart up to a minute, and 100 ms again after a run
//! of ten seconds or more.

use crate::record::{After, ContainerRecord, Ended, Exit};
use std::time::Duration;

const FIRST_WAIT: Duration = Duration::from_millis(100);
const LONGEST_WAIT: Duration = Duration::from_secs(60);
const STABLE_RUN_SECONDS: i64 = 10;

/// A restart policy, read from its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Restart {
    /// Never.
    No,
    /// Whatever ended it, save a client.
    Always,
    /// As always; after a restart of the daemon only if no client had ended it.
    UnlessStopped,
    /// When the exit code is not 0, at most so many times; 0 for no limit.
    OnFailure(u32),
}

/// What a policy says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It stays as it is.
    Stay,
    /// It is started again after this wait.
    Again(Duration),
}

impl Restart {
    /// The policy of a container. An unknown name was refused when the container was made, and counts as none.
    #[must_use]
    pub fn of(record: &ContainerRecord) -> Self {
        let policy = &record.host_config.restart_policy;
        match policy.name.as_str() {
            "always" => Self::Always,
            "unless-stopped" => Self::UnlessStopped,
            "on-failure" => Self::OnFailure(u32::try_from(policy.maximum_retry_count).unwrap_or(0)),
            _ => Self::No,
        }
    }

    /// What happens after a run that ended as `exit` says, when `after` was what the run was to end in.
    #[must_use]
    pub fn after_exit(self, record: &ContainerRecord, exit: &Exit, after: After) -> Verdict {
        if after != After::Policy {
            return Verdict::Stay;
        }
        let again = match self {
            Self::No => false,
            Self::Always | Self::UnlessStopped => true,
            Self::OnFailure(limit) => exit.code != 0 && (limit == 0 || record.restart_count < limit),
        };
        if again { Verdict::Again(wait(record, exit)) } else { Verdict::Stay }
    }

    /// Whether the daemon starts the container when it comes up.
    #[must_use]
    pub fn at_boot(self, record: &ContainerRecord, exit: &Exit) -> bool {
        match self {
            Self::No => false,
            Self::Always => true,
            Self::UnlessStopped => exit.ended == Ended::ByItself,
            Self::OnFailure(limit) => {
                exit.ended == Ended::ByItself
                    && exit.code != 0
                    && (limit == 0 || record.restart_count < limit)
            }
        }
    }
}

fn wait(record: &ContainerRecord, exit: &Exit) -> Duration {
    let ran = exit.finished_at.duration_since(exit.started_at).as_secs();
    let last = Duration::from_millis(record.backoff_ms);
    if last.is_zero() || ran >= STABLE_RUN_SECONDS { FIRST_WAIT } else { (last * 2).min(LONGEST_WAIT) }
}
