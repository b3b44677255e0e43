//! What is known of a container's health.

use brig_api::HealthcheckResult;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// What is known of the health of a container that is checked.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct HealthRecord {
    /// What the checks say.
    pub status: HealthStatus,
    /// Failures in a row.
    pub failing_streak: u32,
    /// The last results, oldest first.
    pub log: Vec<Arc<HealthcheckResult>>,
    /// The number of the last check that has a result: from the next one's, its process is known after a crash.
    #[serde(default)]
    pub checks: u64,
}

/// What the checks of a container say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HealthStatus {
    /// Nothing yet.
    #[default]
    Starting,
    /// It is well.
    Healthy,
    /// It is not.
    Unhealthy,
}

impl HealthStatus {
    /// The API's word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Healthy => "healthy",
            Self::Unhealthy => "unhealthy",
        }
    }
}
