//! How much has been copied, on a terminal.

use crate::{format::size, out, terminal};
use std::time::{Duration, Instant};

/// Not more often than this is the line written anew.
const EVERY: Duration = Duration::from_millis(75);

/// Counts what is copied, and shows it while it is.
#[derive(Debug)]
pub struct Progress {
    header: &'static str,
    bytes: u64,
    shown: Option<Instant>,
    quiet: bool,
}

impl Progress {
    /// `header` comes before the number. Nothing at all is shown when quiet.
    #[must_use]
    pub fn new(header: &'static str, quiet: bool) -> Self {
        let progress = Self { header, bytes: 0, shown: None, quiet };
        if progress.is_live() {
            out::warn_bytes(format!("\x1b[s\x1b[?25l{header}0B").as_bytes());
        }
        progress
    }

    fn is_live(&self) -> bool {
        !self.quiet && terminal::is_terminal(std::io::stderr())
    }

    /// More has been copied.
    pub fn add(&mut self, bytes: usize) {
        self.bytes += bytes as u64;
        if self.is_live() && self.shown.is_none_or(|at| at.elapsed() >= EVERY) {
            self.shown = Some(Instant::now());
            let line = format!("\x1b[u\x1b[2K{}{}", self.header, self.size());
            out::warn_bytes(line.as_bytes());
        }
    }

    fn size(&self) -> String {
        size::with_precision(self.bytes as f64, 3)
    }

    /// Takes the line away and says what was copied.
    pub fn finish(self, to: &str) {
        if self.is_live() {
            out::warn_bytes(b"\x1b[?25h\x1b[u\x1b[2K");
        }
        if !self.quiet {
            out::warn(&format!("Successfully copied {} to {to}", self.size()));
        }
    }
}
