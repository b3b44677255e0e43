//! The dockerd that is recorded. It is the recorder's alone: whatever is in it is removed before each topic.

use crate::{
    http::{self, Request},
    image,
    json::Json,
};
use brig_e2e::http::Response;
use std::{
    io,
    path::{Path, PathBuf},
};

/// A dockerd.
#[derive(Debug)]
pub struct Peer {
    /// Its socket.
    pub socket: PathBuf,
    /// Its data root.
    pub root: String,
}

impl Peer {
    /// By its address, `unix:///…`.
    ///
    /// # Errors
    /// When it does not answer.
    pub fn at(address: &str) -> io::Result<Self> {
        let socket = PathBuf::from(address.strip_prefix("unix://").unwrap_or(address));
        let info = json(&call(&socket, "GET", "/info", b"")?)?;
        let root = match info.at(".DockerRootDir") {
            Some(Json::Text(root)) => root.clone(),
            _ => return Err(io::Error::other("it does not say where its data is")),
        };
        Ok(Self { socket, root })
    }

    /// Removes all there is and loads the corpus's images.
    ///
    /// # Errors
    /// When that fails.
    pub fn reset(&self) -> io::Result<()> {
        for id in self.names("/containers/json?all=1", ".Id")? {
            self.remove(&format!("/containers/{id}?force=1&v=1"))?;
        }
        for name in self.names("/networks", ".Name")? {
            if !matches!(name.as_str(), "bridge" | "host" | "none") {
                self.remove(&format!("/networks/{name}"))?;
            }
        }
        for id in self.names("/images/json?all=1", ".Id")? {
            // A child takes its parents along.
            let answer = call(&self.socket, "DELETE", &format!("/images/{id}?force=1"), b"")?;
            if answer.status >= 400 && answer.status != 404 {
                return Err(io::Error::other(String::from_utf8_lossy(&answer.body).into_owned()));
            }
        }
        let volumes = json(&call(&self.socket, "GET", "/volumes", b"")?)?;
        if let Some(Json::List(volumes)) = volumes.at(".Volumes") {
            for volume in volumes {
                if let Some(Json::Text(name)) = volume.at(".Name") {
                    self.remove(&format!("/volumes/{name}"))?;
                }
            }
        }
        let loaded = call(&self.socket, "POST", "/images/load?quiet=1", image::archive())?;
        if loaded.status == 200 {
            Ok(())
        } else {
            Err(io::Error::other(format!("load: {}", String::from_utf8_lossy(&loaded.body))))
        }
    }

    fn names(&self, path: &str, field: &str) -> io::Result<Vec<String>> {
        let Json::List(items) = json(&call(&self.socket, "GET", path, b"")?)? else { return Ok(Vec::new()) };
        Ok(items
            .iter()
            .filter_map(|item| match item.at(field) {
                Some(Json::Text(text)) => Some(text.clone()),
                _ => None,
            })
            .collect())
    }

    fn remove(&self, path: &str) -> io::Result<()> {
        let answer = call(&self.socket, "DELETE", path, b"")?;
        if answer.status < 300 || answer.status == 404 {
            return Ok(());
        }
        Err(io::Error::other(format!("DELETE {path}: {}", String::from_utf8_lossy(&answer.body))))
    }
}

fn call(socket: &Path, method: &str, path: &str, body: &[u8]) -> io::Result<Response> {
    let headers = ["Content-Type: application/x-tar".to_owned()];
    http::exchange(socket, Request { method, path, headers: &headers, body, stdin: None })
}

fn json(response: &Response) -> io::Result<Json> {
    let text = String::from_utf8_lossy(&response.body);
    Json::all(&text)
        .and_then(|values| values.into_iter().next())
        .ok_or_else(|| io::Error::other(format!("{}: {text}", response.status)))
}
