//! Volume drivers outside of brig: Docker's plugin protocol, version 1. A plugin is a program of the host that answers
//! HTTP on a socket; brig asks and never starts one.
//!
//! What it answers is not believed: answers are bounded in time and size, and a mount point must be a folder. Nothing but
//! the volume that is asked for waits for it.

use crate::{
    core::Core,
    error::{Error, Result},
};
use brig_api::client::{Client, Endpoint};
use serde::{Deserialize, Serialize};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
    time::Duration,
};

/// Where sockets of plugins are.
const SOCKETS: &str = "/run/docker/plugins";
/// Where files say at which address a plugin is.
const SPECS: [&str; 2] = ["/etc/docker/plugins", "/usr/lib/docker/plugins"];

/// How long a plugin has to tell something.
const TELLS: Duration = Duration::from_secs(10);
/// How long a plugin has to do something: storage may be far away.
const DOES: Duration = Duration::from_secs(120);
/// How long all plugins have to tell what they have.
const LISTS: Duration = Duration::from_secs(2);

/// The plugins that have introduced themselves to this daemon, by name and address.
#[derive(Debug, Default)]
pub(crate) struct Plugins(Mutex<BTreeSet<(String, String)>>);

/// What a plugin tells of a volume.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub(super) struct PluginVolume {
    pub(super) name: String,
    pub(super) mountpoint: String,
    pub(super) created_at: String,
    pub(super) status: Option<BTreeMap<String, serde_json::Value>>,
}

/// All that a plugin answers.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Answer {
    #[serde(rename = "Err")]
    failure: String,
    #[serde(rename = "Implements")]
    implements: Vec<String>,
    #[serde(rename = "Mountpoint")]
    mountpoint: String,
    #[serde(rename = "Volume")]
    volume: Option<PluginVolume>,
    #[serde(rename = "Volumes")]
    volumes: Option<Vec<PluginVolume>>,
    #[serde(rename = "Capabilities")]
    capabilities: Capabilities,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Capabilities {
    #[serde(rename = "Scope")]
    scope: String,
}

#[derive(Debug, Default, Serialize)]
struct Question<'a> {
    #[serde(rename = "Name", skip_serializing_if = "str::is_empty")]
    name: &'a str,
    #[serde(rename = "ID", skip_serializing_if = "str::is_empty")]
    id: &'a str,
    #[serde(rename = "Opts", skip_serializing_if = "Option::is_none")]
    options: Option<&'a BTreeMap<String, String>>,
}

/// A plugin that is there.
#[derive(Debug)]
pub(super) struct Plugin {
    name: String,
    client: Client,
}

/// A file `<name>.json`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Spec {
    addr: String,
    #[serde(default, rename = "TLSConfig")]
    tls: Option<serde_json::Value>,
}

/// Where a plugin is; `None` when there is none of this name.
fn place(name: &str) -> Result<Option<String>, String> {
    let is_name = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-');
    if name.is_empty() || name.starts_with('.') || !name.bytes().all(is_name) {
        return Ok(None);
    }
    for socket in [format!("{SOCKETS}/{name}.sock"), format!("{SOCKETS}/{name}/{name}.sock")] {
        if Path::new(&socket).exists() {
            return Ok(Some(format!("unix://{socket}")));
        }
    }
    for folder in
        SPECS.iter().flat_map(|folder| [format!("{folder}/{name}"), format!("{folder}/{name}/{name}")])
    {
        if let Ok(address) = fs::read_to_string(format!("{folder}.spec")) {
            return Ok(Some(address.trim().to_owned()));
        }
        if let Ok(text) = fs::read(format!("{folder}.json")) {
            let spec: Spec = serde_json::from_slice(&text).map_err(|e| format!("{folder}.json: {e}"))?;
            if spec.tls.is_some() || spec.addr.starts_with("https:") {
                return Err(format!("{folder}.json: plugins over TLS are not supported"));
            }
            return Ok(Some(spec.addr));
        }
    }
    Ok(None)
}

impl Plugin {
    /// The volume driver of that name. It introduces itself when it is met for the first time.
    pub(super) fn find(core: &Core, name: &str) -> Result<Self> {
        Self::find_within(core, name, TELLS)
    }

    /// The same for those who don't wait long.
    pub(super) fn find_soon(core: &Core, name: &str) -> Result<Self> {
        Self::find_within(core, name, LISTS)
    }

    fn find_within(core: &Core, name: &str, limit: Duration) -> Result<Self> {
        let lookup = |why: String| format!("error looking up volume plugin {name}: {why}");
        let missing = || Error::NoSuchPlugin(lookup(format!("plugin {name:?} not found")));
        let address = place(name).map_err(|e| Error::System(lookup(e)))?.ok_or_else(missing)?;
        let endpoint = Endpoint::parse(&address).map_err(|e| Error::System(lookup(e.to_string())))?;
        let plugin = Self { name: name.to_owned(), client: Client::new(endpoint) };
        let key = (name.to_owned(), address);
        if !core.plugins.0.lock().unwrap_or_else(PoisonError::into_inner).contains(&key) {
            let met = plugin
                .ask("Plugin.Activate", &Question::default(), limit)
                .map_err(|e| Error::System(lookup(e)))?;
            if !met.implements.iter().any(|what| what == "VolumeDriver") {
                let words =
                    format!("plugin {name:?} does not implement the requested interface: VolumeDriver");
                return Err(Error::NoSuchPlugin(lookup(words)));
            }
            core.plugins.0.lock().unwrap_or_else(PoisonError::into_inner).insert(key);
        }
        Ok(plugin)
    }

    /// Asks a question, to be called where blocking is allowed.
    fn ask(&self, method: &str, question: &Question<'_>, limit: Duration) -> Result<Answer, String> {
        let asked = async {
            let request = self.client.post(&format!("/{method}")).unversioned();
            request.body_json(question).response().await?.bytes().await
        };
        let answered =
            tokio::runtime::Handle::current().block_on(async { tokio::time::timeout(limit, asked).await });
        let failed =
            |why: String| if method.starts_with("Plugin.") { why } else { format!("{method}: {why}") };
        let told = |body: &[u8]| serde_json::from_slice::<Answer>(body);
        match answered {
            Err(_) => {
                Err(failed(format!("plugin {:?} did not answer within {} s", self.name, limit.as_secs())))
            }
            Ok(Err(brig_api::client::Error::Response { message, .. })) => {
                let why = told(message.as_bytes()).map(|answer| answer.failure).unwrap_or_default();
                Err(failed(if why.is_empty() { message } else { why }))
            }
            Ok(Err(error)) => Err(failed(error.to_string())),
            Ok(Ok(body)) if body.iter().all(u8::is_ascii_whitespace) => Ok(Answer::default()),
            Ok(Ok(body)) => match told(&body) {
                Ok(answer) if answer.failure.is_empty() => Ok(answer),
                Ok(answer) => Err(failed(answer.failure)),
                Err(error) => {
                    Err(failed(format!("the answer of plugin {:?} can't be read: {error}", self.name)))
                }
            },
        }
    }

    /// Makes a volume, or answers that it is there.
    pub(super) fn create(
        &self,
        name: &str,
        options: Option<&BTreeMap<String, String>>,
    ) -> Result<(), String> {
        let none = BTreeMap::new();
        let question = Question { name, options: Some(options.unwrap_or(&none)), ..Question::default() };
        self.ask("VolumeDriver.Create", &question, DOES).map(drop)
    }

    /// Removes a volume.
    pub(super) fn remove(&self, name: &str) -> Result<(), String> {
        self.ask("VolumeDriver.Remove", &Question { name, ..Question::default() }, DOES).map(drop)
    }

    /// Makes a volume usable for somebody. Answers where it is.
    pub(super) fn mount(&self, name: &str, id: &str) -> Result<PathBuf, String> {
        let mount = self.ask("VolumeDriver.Mount", &Question { name, id, options: None }, DOES)?;
        let mountpoint = match mount.mountpoint {
            // It tells of that apart.
            told if told.is_empty() => {
                let question = Question { name, ..Question::default() };
                self.ask("VolumeDriver.Path", &question, TELLS)?.mountpoint
            }
            told => told,
        };
        let path = PathBuf::from(&mountpoint);
        if path.is_absolute() && path.is_dir() {
            return Ok(path);
        }
        // Nobody will use it.
        let given_back = self.unmount(name, id).err().map(|e| format!("; {e}")).unwrap_or_default();
        Err(format!("VolumeDriver.Mount: the mount point {mountpoint:?} is no folder{given_back}"))
    }

    /// Says that somebody uses a volume no more.
    pub(super) fn unmount(&self, name: &str, id: &str) -> Result<(), String> {
        self.ask("VolumeDriver.Unmount", &Question { name, id, options: None }, DOES).map(drop)
    }

    /// What it tells of a volume.
    pub(super) fn get(&self, name: &str) -> Result<PluginVolume, String> {
        let told = self.ask("VolumeDriver.Get", &Question { name, ..Question::default() }, TELLS)?.volume;
        told.ok_or_else(|| {
            format!("VolumeDriver.Get: plugin {:?} tells nothing of volume {name:?}", self.name)
        })
    }

    /// What volumes it has.
    pub(super) fn list(&self) -> Result<Vec<PluginVolume>, String> {
        Ok(self.ask("VolumeDriver.List", &Question::default(), LISTS)?.volumes.unwrap_or_default())
    }

    /// `global` when its volumes are the same on all hosts; else, and where it does not tell, `local`.
    pub(super) fn scope(&self) -> String {
        let told = self.ask("VolumeDriver.Capabilities", &Question::default(), TELLS);
        let is_global = told.is_ok_and(|told| told.capabilities.scope.eq_ignore_ascii_case("global"));
        if is_global { "global" } else { "local" }.to_owned()
    }
}

/// The names of the plugins that this daemon has met.
pub(crate) fn met(core: &Core) -> BTreeSet<String> {
    let met = core.plugins.0.lock().unwrap_or_else(PoisonError::into_inner);
    met.iter().map(|(name, _)| name.clone()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_lead_to_no_other_folder() {
        for name in ["", ".", "..", "../../tmp/x", "a/b", "a\0"] {
            assert_eq!(place(name).unwrap(), None, "{name:?}");
        }
    }

    #[test]
    fn answers_are_read_whatever_is_left_out_or_null() {
        let told: Answer = serde_json::from_str(r#"{"Volumes":null,"More":1}"#).unwrap();
        assert!(told.volumes.is_none() && told.failure.is_empty());
        let told: Answer =
            serde_json::from_str(r#"{"Volume":{"Name":"v","Status":{"a":[1]}},"Err":""}"#).unwrap();
        assert_eq!(told.volume.unwrap().name, "v");
    }
}
