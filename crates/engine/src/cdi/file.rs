//! The files in which vendors describe devices.

use serde::Deserialize;
use std::{
    collections::BTreeMap,
    io,
    path::{Path, PathBuf},
};

/// A file is not longer.
const LONGEST: u64 = 4 << 20;

/// One file.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct File {
    /// `vendor.com/class`.
    pub(super) kind: String,
    #[serde(default)]
    devices: Vec<Device>,
    /// What every container with one of its devices gets.
    #[serde(default, rename = "containerEdits")]
    pub(super) edits: Edits,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Device {
    name: String,
    #[serde(default, rename = "containerEdits")]
    edits: Edits,
}

/// What a container gets.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Edits {
    pub(super) env: Vec<String>,
    pub(super) device_nodes: Vec<Node>,
    pub(super) mounts: Vec<Mount>,
    pub(super) hooks: Vec<Hook>,
    #[serde(rename = "additionalGids")]
    pub(super) additional_gids: Vec<u32>,
    /// What brig does not know would be left out of the container.
    #[serde(flatten)]
    pub(super) unknown: BTreeMap<String, serde_json::Value>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Node {
    pub(super) path: PathBuf,
    pub(super) host_path: Option<PathBuf>,
    #[serde(rename = "type")]
    pub(super) kind: String,
    pub(super) major: i64,
    pub(super) minor: i64,
    pub(super) file_mode: Option<u32>,
    pub(super) permissions: String,
    pub(super) uid: Option<u32>,
    pub(super) gid: Option<u32>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Mount {
    pub(super) host_path: PathBuf,
    pub(super) container_path: PathBuf,
    #[serde(default)]
    pub(super) options: Vec<String>,
    #[serde(default, rename = "type")]
    pub(super) kind: String,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Hook {
    pub(super) hook_name: String,
    pub(super) path: PathBuf,
    #[serde(default)]
    pub(super) args: Vec<String>,
    #[serde(default)]
    pub(super) env: Vec<String>,
    #[serde(default)]
    pub(super) timeout: Option<i64>,
}

impl File {
    /// What the device `vendor.com/class=name` needs, if it is in this file.
    pub(super) fn device(&self, qualified: &str) -> Option<&Edits> {
        let (kind, name) = qualified.split_once('=')?;
        let mut devices = self.devices.iter().filter(|_| kind == self.kind);
        devices.find(|device| device.name == name).map(|device| &device.edits)
    }

    fn read(text: &[u8]) -> Result<Self, String> {
        let file: Self = serde_json::from_slice(text).map_err(|e| e.to_string())?;
        let edits = file.devices.iter().map(|device| &device.edits).chain([&file.edits]);
        let unknown = edits.flat_map(|edits| edits.unknown.keys()).next().cloned();
        match unknown {
            Some(unknown) => Err(format!("brig can't do what {unknown:?} asks for")),
            None => Ok(file),
        }
    }
}

/// All files of some folders, in the order of folders and names.
pub(super) fn all(folders: &[PathBuf]) -> Result<Vec<File>, String> {
    let mut files = Vec::new();
    for folder in folders {
        let entries = match std::fs::read_dir(folder) {
            Ok(entries) => entries.collect::<io::Result<Vec<_>>>(),
            Err(e) if e.kind() == io::ErrorKind::NotFound => continue,
            Err(e) => Err(e),
        };
        let entries = entries.map_err(|e| format!("{}: {e}", folder.display()))?;
        let mut paths: Vec<PathBuf> = entries.iter().map(std::fs::DirEntry::path).collect();
        paths.sort();
        for path in paths {
            match path.extension().and_then(|extension| extension.to_str()) {
                Some("json") => match one(&path) {
                    Ok(file) => files.push(file),
                    // The devices of other files are as good as without it.
                    Err(reason) => {
                        tracing::warn!(file = %path.display(), reason, "not read as a CDI specification")
                    }
                },
                Some("yaml" | "yml") => tracing::warn!(
                    file = %path.display(), "brig reads CDI specifications in JSON only: let its generator write that"
                ),
                _ => {}
            }
        }
    }
    Ok(files)
}

fn one(path: &Path) -> Result<File, String> {
    let length = std::fs::metadata(path).map_err(|e| e.to_string())?.len();
    if length > LONGEST {
        return Err(format!("{length} bytes are too many"));
    }
    File::read(&std::fs::read(path).map_err(|e| e.to_string())?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_are_found_by_kind_and_name() {
        let text = br#"{"cdiVersion":"0.6.0","kind":"a.com/b","devices":[{"name":"x","containerEdits":{"env":["A=1"],
            "deviceNodes":[{"path":"/dev/n","hostPath":"/dev/null"}]}}],"containerEdits":{"additionalGids":[7]}}"#;
        let file = File::read(text).unwrap();
        assert_eq!(file.device("a.com/b=x").unwrap().env, ["A=1"]);
        assert_eq!(file.edits.additional_gids, [7]);
        for missing in ["a.com/b=y", "a.com/c=x", "x", ""] {
            assert!(file.device(missing).is_none(), "{missing}");
        }
        for bad in [&b"kind: a.com/b"[..], b"{}", br#"{"kind":"a/b","containerEdits":{"intelRdt":{}}}"#] {
            File::read(bad).unwrap_err();
        }
    }
}
