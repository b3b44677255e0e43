//! The engine itself.

use crate::{config::EngineConfig, error::Result, options::Running};
use std::sync::Arc;

/// What the engine stands on.
#[derive(Debug)]
pub struct Backends {}

/// All of brig behind the API: one of it a daemon.
#[derive(Debug)]
pub struct Engine {
    config: EngineConfig,
}

impl Engine {
    /// Opens the engine: reads the records, finds what still runs, finishes or undoes what a crash left half
    /// done, and applies restart policies.
    ///
    /// # Errors
    /// When the records can't be read, or the network can't be made.
    pub async fn open(config: EngineConfig, _backends: Backends) -> Result<Arc<Self>> {
        Ok(Arc::new(Self { config }))
    }

    /// What it was opened with.
    #[must_use]
    pub fn config(&self) -> &EngineConfig {
        &self.config
    }

    /// Ends the engine: refuses new work, and stops or leaves what runs.
    pub async fn shutdown(&self, _running: Running) {}
}
