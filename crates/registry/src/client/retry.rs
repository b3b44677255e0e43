//! Other tries, with growing pauses.

use super::config::Limits;
use crate::error::{Error, Result};
use std::time::Duration;

/// Longest pause that a registry may ask for.
const PAUSE_MAX: Duration = Duration::from_secs(60);

/// Counts tries.
#[derive(Debug)]
pub(super) struct Tries {
    left: u32,
    pause: Duration,
    first_pause: Duration,
    all: u32,
}

impl Tries {
    pub(super) fn new(limits: &Limits) -> Self {
        let all = limits.tries.max(1);
        Self { left: all - 1, pause: limits.pause, first_pause: limits.pause, all }
    }

    /// Something has come of the last try: the next failure is the first one again.
    pub(super) fn start_over(&mut self) {
        (self.left, self.pause) = (self.all - 1, self.first_pause);
    }

    /// Waits for the next try.
    ///
    /// # Errors
    /// The error itself when another try does not help, or there were enough.
    pub(super) async fn again(&mut self, error: Error) -> Result<()> {
        if !error.is_passing() || self.left == 0 {
            return Err(error);
        }
        self.left -= 1;
        let asked = match &error {
            Error::Refused(refusal) => refusal.retry_after.map(Duration::from_secs),
            _ => None,
        };
        let pause = asked.unwrap_or(self.pause).min(PAUSE_MAX);
        tracing::debug!(%error, ?pause, "tried again");
        tokio::time::sleep(pause).await;
        self.pause *= 2;
        Ok(())
    }
}
