//! `GET /events`.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Something that happened.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct EventMessage {
    /// Deprecated and left out since 1.52: the action, of containers and images only.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub status: String,
    /// Deprecated and left out since 1.52: the actor's id, of containers and images only.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub id: String,
    /// Deprecated and left out since 1.52: the image, of containers only.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub from: String,
    /// `container`, `image`, `network`, `volume`, `daemon`, …
    #[serde(rename = "Type")]
    pub kind: String,
    /// What happened, such as `start` or `exec_create: sh`.
    #[serde(rename = "Action")]
    pub action: String,
    /// To what.
    #[serde(rename = "Actor")]
    pub actor: EventActor,
    /// `local`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub scope: String,
    /// Unix seconds.
    #[serde(skip_serializing_if = "super::is_default")]
    pub time: i64,
    /// Unix nanoseconds.
    #[serde(rename = "timeNano", skip_serializing_if = "super::is_default")]
    pub time_nano: i64,
}

/// What an event happened to.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct EventActor {
    /// Its id, or an image's name.
    #[serde(rename = "ID")]
    pub id: String,
    /// Its name, image and labels, and what the event adds.
    #[serde(rename = "Attributes")]
    pub attributes: BTreeMap<String, String>,
}
