//! Docker's config file and its contexts, as far as this client uses them.

use crate::error::{Error, Result};
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

/// What this client reads of `config.json`.
#[derive(Debug, Default, serde::Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Config {
    /// The context when no flag or variable names one.
    pub current_context: Option<String>,
    /// The keys that detach from a container.
    pub detach_keys: Option<String>,
    /// Headers on every request.
    #[serde(rename = "HttpHeaders")]
    pub http_headers: BTreeMap<String, String>,
    /// Formats of lists, when `--format` is not given.
    pub ps_format: Option<String>,
    /// See above.
    pub images_format: Option<String>,
    /// See above.
    pub networks_format: Option<String>,
    /// The format of `volume ls`.
    pub volumes_format: Option<String>,
    /// See above.
    pub stats_format: Option<String>,
    #[serde(skip)]
    folder: PathBuf,
}

impl Config {
    /// Reads the file in `folder`, `DOCKER_CONFIG` or `~/.docker`. A file that can't be read is told of and
    /// taken for an empty one, as Docker does.
    #[must_use]
    pub fn load(folder: Option<&Path>) -> Self {
        let folder = folder.map(Path::to_path_buf).unwrap_or_else(default_folder);
        let path = folder.join("config.json");
        let mut config = match std::fs::read(&path) {
            Ok(text) => brig_api::json::from_slice(&text).unwrap_or_else(|e| {
                crate::out::warn(&format!("WARNING: Error loading config file: {}: {e}", path.display()));
                Self::default()
            }),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Self::default(),
            Err(e) => {
                crate::out::warn(&format!(
                    "WARNING: Error loading config file: open {}: {}",
                    path.display(),
                    crate::error::os_text(&e)
                ));
                Self::default()
            }
        };
        config.folder = folder;
        config
    }

    /// The headers, without those that can't be sent.
    #[must_use]
    pub fn headers(&self) -> Vec<(http::HeaderName, http::HeaderValue)> {
        let pair = |(name, value): (&String, &String)| Some((name.parse().ok()?, value.parse().ok()?));
        self.http_headers.iter().filter_map(pair).collect()
    }

    /// The folder that the file is in.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The daemon's address of a context.
    ///
    /// # Errors
    /// When there is no such context, or it has no address.
    pub fn context_host(&self, name: &str) -> Result<String> {
        // A context's folder is the hash of its name.
        let hash = brig_core::Digest::of(name.as_bytes()).to_string();
        let hash = hash.trim_start_matches("sha256:");
        let path = self.folder.join("contexts/meta").join(hash).join("meta.json");
        let missing = || {
            let path = path.display();
            Error::Message(format!(
                "context {}: context not found: open {path}: no such file or directory",
                crate::format::go_quote(name)
            ))
        };
        let text = std::fs::read(&path).map_err(|_| missing())?;
        let meta: serde_json::Value = serde_json::from_slice(&text)
            .map_err(|e| Error::Message(format!("context {name}: reading {}: {e}", path.display())))?;
        let host = meta.pointer("/Endpoints/docker/Host").and_then(serde_json::Value::as_str);
        host.map(str::to_owned).ok_or_else(|| {
            Error::Message(format!("context {}: no docker endpoint", crate::format::go_quote(name)))
        })
    }
}

fn default_folder() -> PathBuf {
    if let Some(folder) = std::env::var_os("DOCKER_CONFIG").filter(|v| !v.is_empty()) {
        return folder.into();
    }
    let home = std::env::var_os("HOME").unwrap_or_default();
    PathBuf::from(home).join(".docker")
}
