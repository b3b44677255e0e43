//! One line of a stream that tells how a pull, load, import or build goes on.

use serde::{Deserialize, Serialize};

/// One line of progress (`CreateImageInfo`, `PushImageInfo`, `BuildInfo`).
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct JsonMessage {
    /// Output, to be shown as it is.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub stream: String,
    /// What is being done.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub status: String,
    /// How far it is.
    #[serde(rename = "progressDetail", skip_serializing_if = "Option::is_none")]
    pub progress_detail: Option<ProgressDetail>,
    /// How far it is, drawn (deprecated).
    #[serde(skip_serializing_if = "String::is_empty")]
    pub progress: String,
    /// To what, such as a layer's short id.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub id: String,
    /// Why it failed.
    #[serde(rename = "errorDetail", skip_serializing_if = "Option::is_none")]
    pub error_detail: Option<ErrorDetail>,
    /// Why it failed (deprecated).
    #[serde(skip_serializing_if = "String::is_empty")]
    pub error: String,
    /// Something for programs, such as an image's id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub aux: Option<serde_json::Value>,
}

/// How far something is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct ProgressDetail {
    /// Done.
    #[serde(skip_serializing_if = "super::is_default")]
    pub current: i64,
    /// Of how many.
    #[serde(skip_serializing_if = "super::is_default")]
    pub total: i64,
    /// When it began, Unix seconds.
    #[serde(skip_serializing_if = "super::is_default")]
    pub start: i64,
    /// Don't show numbers.
    #[serde(rename = "hidecounts", skip_serializing_if = "super::is_default")]
    pub hide_counts: bool,
    /// Of what; empty for bytes.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub units: String,
}

/// Why something failed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ErrorDetail {
    /// An exit code.
    #[serde(skip_serializing_if = "super::is_default")]
    pub code: i64,
    /// The reason.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub message: String,
}

impl JsonMessage {
    /// Output, to be shown as it is.
    #[must_use]
    pub fn stream(text: impl Into<String>) -> Self {
        Self { stream: text.into(), ..Self::default() }
    }

    /// What is being done.
    #[must_use]
    pub fn status(text: impl Into<String>) -> Self {
        Self { status: text.into(), ..Self::default() }
    }

    /// The end by a failure.
    #[must_use]
    pub fn failure(message: impl Into<String>) -> Self {
        let message = message.into();
        Self {
            error_detail: Some(ErrorDetail { code: 0, message: message.clone() }),
            error: message,
            ..Self::default()
        }
    }
}
