//! `GET /version`.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What answers, and its versions (`SystemVersion`).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct SystemVersion {
    /// The product.
    pub platform: SystemPlatform,
    /// Its parts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub components: Option<Vec<ComponentVersion>>,
    /// The engine's version.
    pub version: String,
    /// The newest version of the API that it speaks.
    pub api_version: String,
    /// The oldest one.
    #[serde(rename = "MinAPIVersion", skip_serializing_if = "String::is_empty")]
    pub min_api_version: String,
    /// The commit that it was built from.
    pub git_commit: String,
    /// The version of Go that it was built with; brig tells its Rust.
    pub go_version: String,
    /// `linux`.
    pub os: String,
    /// In Go's words, such as `amd64`.
    pub arch: String,
    /// The kernel's release.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub kernel_version: String,
    /// Experimental features are on.
    #[serde(skip_serializing_if = "super::is_default")]
    pub experimental: bool,
    /// When it was built.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub build_time: String,
}

/// The product.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct SystemPlatform {
    /// Its name.
    pub name: String,
}

/// A part of the product.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct ComponentVersion {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// More, for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub details: Option<BTreeMap<String, String>>,
}
