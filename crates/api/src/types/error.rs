//! Errors as the API tells them.

use serde::{Deserialize, Serialize};

/// The body of every answer with a status of 400 or more.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ErrorResponse {
    /// What went wrong. Plugins tell it by another name.
    #[serde(alias = "Err")]
    pub message: String,
}

/// The answer of operations that only tell an id.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct IdResponse {
    /// The id of what was made.
    pub id: String,
}
