//! Lines of progress, in Docker's form.

use brig_api::{JsonMessage, ProgressDetail};
use brig_core::Digest;
use std::time::{Duration, Instant};
use tokio::sync::mpsc::Sender;

/// How often it is told how far a layer is.
const EVERY: Duration = Duration::from_millis(100);

/// Where lines go.
#[derive(Debug, Clone)]
pub(crate) struct Lines(Sender<JsonMessage>);

impl Lines {
    pub(crate) fn new(sender: Sender<JsonMessage>) -> Self {
        Self(sender)
    }

    /// Sends a line; a client that went away needs none.
    pub(crate) async fn send(&self, line: JsonMessage) {
        let _ = self.0.send(line).await;
    }

    /// Says something about something.
    pub(crate) async fn about(&self, id: &str, status: &str) {
        self.send(JsonMessage { id: id.to_owned(), ..JsonMessage::status(status) }).await;
    }

    /// Tells a layer's state.
    pub(crate) async fn layer(&self, layer: &Digest, status: &str) {
        self.send(state(layer, status, ProgressDetail::default())).await;
    }

    /// The same from a thread that may block.
    pub(crate) fn layer_blocking(&self, layer: &Digest, status: &str) {
        // As above.
        let _ = self.0.blocking_send(state(layer, status, ProgressDetail::default()));
    }
}

fn state(layer: &Digest, status: &str, detail: ProgressDetail) -> JsonMessage {
    JsonMessage { id: layer.short(), progress_detail: Some(detail), ..JsonMessage::status(status) }
}

/// Tells now and then how far something is.
#[derive(Debug)]
pub(crate) struct Meter {
    lines: Lines,
    layer: Digest,
    status: &'static str,
    total: u64,
    told: Option<Instant>,
}

impl Meter {
    pub(crate) fn new(lines: Lines, layer: Digest, status: &'static str, total: u64) -> Self {
        Self { lines, layer, status, total, told: None }
    }

    /// So far it is.
    pub(crate) fn at(&mut self, current: u64) {
        let now = Instant::now();
        if self.told.is_some_and(|told| now - told < EVERY) {
            return;
        }
        self.told = Some(now);
        let whole = |bytes: u64| i64::try_from(bytes).unwrap_or(i64::MAX);
        let detail =
            ProgressDetail { current: whole(current), total: whole(self.total), ..ProgressDetail::default() };
        // What a slow client has no room for is left out.
        let _ = self.lines.0.try_send(state(&self.layer, self.status, detail));
    }
}
