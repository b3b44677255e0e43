//! Who the user is to registries: `config.json`'s entries and the helpers that it names.
//!
//! A helper is a program `docker-credential-NAME` that reads one request from its standard input and answers in JSON.

use crate::{
    config::Config,
    error::{Error, Result, os_text},
};
use base64::{Engine as _, engine::general_purpose};
use brig_core::{
    Reference,
    atomic::{self, Durability},
};
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeMap,
    io::Write,
    path::Path,
    process::{Command, Stdio},
};

/// How Docker Hub is called where credentials are kept.
pub const HUB: &str = "https://index.docker.io/v1/";
/// The name of a user who is known by a token alone.
const TOKEN_USER: &str = "<token>";

/// What proves to a registry who asks, as the API takes it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Auth {
    /// The user's name.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub username: String,
    /// The password.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub password: String,
    /// Whom they are for.
    #[serde(rename = "serveraddress", skip_serializing_if = "String::is_empty")]
    pub server_address: String,
    /// A token in place of the password.
    #[serde(rename = "identitytoken", skip_serializing_if = "String::is_empty")]
    pub identity_token: String,
    /// A token to be shown as it is.
    #[serde(rename = "registrytoken", skip_serializing_if = "String::is_empty")]
    pub registry_token: String,
}

/// What this client reads of `config.json` about registries.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct File {
    auths: BTreeMap<String, Entry>,
    creds_store: String,
    cred_helpers: BTreeMap<String, String>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
struct Entry {
    auth: String,
    username: String,
    password: String,
    identitytoken: String,
    registrytoken: String,
}

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct Stored {
    #[serde(rename = "ServerURL")]
    server_url: String,
    username: String,
    secret: String,
}

/// Under which name a registry's credentials are kept.
#[must_use]
pub fn key(domain: &str) -> String {
    if matches!(domain, "docker.io" | "index.docker.io" | "registry-1.docker.io") {
        HUB.to_owned()
    } else {
        domain.to_owned()
    }
}

/// `X-Registry-Auth` for the registry of a reference.
///
/// # Errors
/// When the file or a helper fails.
pub fn header(config: &Config, reference: &Reference) -> Result<String> {
    Ok(encode(&find(config, &key(reference.domain()))?))
}

/// The same of credentials.
#[must_use]
pub fn encode(auth: &Auth) -> String {
    // Texts alone can always be written.
    let json = serde_json::to_vec(auth).unwrap_or_default();
    general_purpose::URL_SAFE.encode(json)
}

/// What is known for a registry; empty when nothing is.
///
/// # Errors
/// When the file or a helper fails.
pub fn find(config: &Config, registry: &str) -> Result<Auth> {
    let file = load(config.folder())?;
    if let Some(helper) = file.helper(registry) {
        return from_helper(helper, registry);
    }
    let entry = file.auths.get(registry).or_else(|| {
        // Old files have whole addresses.
        file.auths.iter().find(|(name, _)| host_of(name) == host_of(registry)).map(|(_, entry)| entry)
    });
    Ok(entry.map(|entry| entry.auth(registry)).unwrap_or_default())
}

/// Whether anything is kept for a registry, and under which name.
///
/// # Errors
/// When the file can't be read.
pub fn is_known(config: &Config, registry: &str) -> Result<bool> {
    let file = load(config.folder())?;
    Ok(file.auths.contains_key(registry) || file.helper(registry).is_some())
}

/// Keeps credentials; answers whether they lie in the file as they are.
///
/// # Errors
/// When the file or a helper fails.
pub fn store(config: &Config, registry: &str, auth: &Auth) -> Result<bool> {
    let folder = config.folder();
    if let Some(helper) = load(folder)?.helper(registry) {
        let by_token = !auth.identity_token.is_empty();
        let stored = Stored {
            server_url: registry.to_owned(),
            username: if by_token { TOKEN_USER.to_owned() } else { auth.username.clone() },
            secret: if by_token { auth.identity_token.clone() } else { auth.password.clone() },
        };
        let json = serde_json::to_vec(&stored).map_err(|e| Error::Message(e.to_string()))?;
        ask(helper, "store", &json)?;
        edit(folder, |auths| drop(auths.insert(registry.to_owned(), serde_json::json!({}))))?;
        return Ok(false);
    }
    let pair = general_purpose::STANDARD.encode(format!("{}:{}", auth.username, auth.password));
    let mut entry = serde_json::json!({ "auth": pair });
    if !auth.identity_token.is_empty() {
        let user = general_purpose::STANDARD.encode(format!("{}:", auth.username));
        entry = serde_json::json!({ "auth": user, "identitytoken": auth.identity_token });
    }
    edit(folder, |auths| drop(auths.insert(registry.to_owned(), entry)))?;
    Ok(true)
}

/// Forgets credentials.
///
/// # Errors
/// When the file or a helper fails.
pub fn erase(config: &Config, registry: &str) -> Result {
    let folder = config.folder();
    if let Some(helper) = load(folder)?.helper(registry) {
        ask(helper, "erase", registry.as_bytes())?;
    }
    edit(folder, |auths| drop(auths.remove(registry)))
}

/// Where credentials are kept, for who is told of it.
#[must_use]
pub fn place(config: &Config) -> String {
    config.folder().join("config.json").display().to_string()
}

impl File {
    fn helper(&self, registry: &str) -> Option<&str> {
        let special = self.cred_helpers.get(registry).map(String::as_str);
        special.or(Some(self.creds_store.as_str())).filter(|name| !name.is_empty())
    }
}

impl Entry {
    fn auth(&self, registry: &str) -> Auth {
        let decoded = general_purpose::STANDARD.decode(self.auth.trim()).unwrap_or_default();
        let text = String::from_utf8(decoded).unwrap_or_default();
        let (username, password) = match text.split_once(':') {
            Some((user, password)) => (user.to_owned(), password.trim_end_matches('\0').to_owned()),
            None => (self.username.clone(), self.password.clone()),
        };
        Auth {
            username,
            password,
            server_address: registry.to_owned(),
            identity_token: self.identitytoken.clone(),
            registry_token: self.registrytoken.clone(),
        }
    }
}

/// `https://host/v1/` is `host`.
fn host_of(name: &str) -> &str {
    let bare = name.strip_prefix("https://").or_else(|| name.strip_prefix("http://")).unwrap_or(name);
    bare.split('/').next().unwrap_or(bare)
}

fn load(folder: &Path) -> Result<File> {
    let path = folder.join("config.json");
    match std::fs::read(&path) {
        // One that is no JSON was told of when the client began.
        Ok(text) => Ok(brig_api::json::from_slice(&text).unwrap_or_default()),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(File::default()),
        Err(e) => Err(Error::Message(format!("open {}: {}", path.display(), os_text(&e)))),
    }
}

/// Changes the entries; all else in the file stays as it is.
fn edit(folder: &Path, change: impl FnOnce(&mut serde_json::Map<String, serde_json::Value>)) -> Result {
    let path = folder.join("config.json");
    let failed = |what: String| Error::Message(format!("{}: {what}", path.display()));
    let mut root: serde_json::Value = match std::fs::read(&path) {
        Ok(text) => serde_json::from_slice(&text).map_err(|e| failed(e.to_string()))?,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => serde_json::json!({}),
        Err(e) => return Err(failed(os_text(&e))),
    };
    let fields = root.as_object_mut().ok_or_else(|| failed("not an object".to_owned()))?;
    let auths = fields.entry("auths").or_insert_with(|| serde_json::json!({}));
    change(auths.as_object_mut().ok_or_else(|| failed("\"auths\" is not an object".to_owned()))?);
    let mut text = Vec::new();
    let layout = serde_json::ser::PrettyFormatter::with_indent(b"\t");
    root.serialize(&mut serde_json::Serializer::with_formatter(&mut text, layout))
        .map_err(|e| failed(e.to_string()))?;
    std::fs::create_dir_all(folder).map_err(|e| failed(os_text(&e)))?;
    // What links to the file elsewhere is kept a link.
    let target = std::fs::canonicalize(&path).unwrap_or_else(|_| path.clone());
    atomic::write(&target, &text, 0o600, Durability::Process).map_err(|e| failed(os_text(&e)))
}

fn from_helper(helper: &str, registry: &str) -> Result<Auth> {
    let answer = match ask(helper, "get", registry.as_bytes()) {
        Ok(answer) => answer,
        Err(e) if e.to_string().contains("credentials not found in native keychain") => {
            return Ok(Auth::default());
        }
        Err(e) => return Err(e),
    };
    let stored: Stored = serde_json::from_slice(&answer).map_err(|e| {
        Error::Message(format!(
            "error getting credentials - docker-credential-{helper} answered no JSON: {e}"
        ))
    })?;
    let mut auth = Auth { server_address: registry.to_owned(), ..Auth::default() };
    if stored.username == TOKEN_USER {
        auth.identity_token = stored.secret;
    } else {
        (auth.username, auth.password) = (stored.username, stored.secret);
    }
    Ok(auth)
}

fn ask(helper: &str, verb: &str, input: &[u8]) -> Result<Vec<u8>> {
    let program = format!("docker-credential-{helper}");
    let what = match verb {
        "get" => "getting",
        "store" => "storing",
        _ => "erasing",
    };
    let failed = |why: String| Error::Message(format!("error {what} credentials - err: {why}"));
    let mut child = Command::new(&program)
        .arg(verb)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .spawn()
        .map_err(|e| match e.kind() {
            std::io::ErrorKind::NotFound => {
                failed(format!("exec: \"{program}\": executable file not found in $PATH, out: ``"))
            }
            _ => failed(format!("{program}: {}", os_text(&e))),
        })?;
    if let Some(mut stdin) = child.stdin.take() {
        // One that does not read says why by its end.
        let _ = stdin.write_all(input);
    }
    let output = child.wait_with_output().map_err(|e| failed(os_text(&e)))?;
    if output.status.success() {
        return Ok(output.stdout);
    }
    let said = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    let status =
        output.status.code().map_or_else(|| output.status.to_string(), |code| format!("exit status {code}"));
    Err(failed(format!("{status}, out: `{said}`")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn config(folder: &Path) -> Config {
        Config::load(Some(folder))
    }

    #[test]
    fn entries_are_kept_beside_what_else_is_in_the_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("config.json");
        std::fs::write(&path, r#"{"psFormat":"x","auths":{"https://old.example/v1/":{"auth":"YTpi"}}}"#)
            .unwrap();
        let config = config(dir.path());
        let old = find(&config, "old.example").unwrap();
        assert_eq!((old.username.as_str(), old.password.as_str()), ("a", "b"));
        assert_eq!(find(&config, "other").unwrap(), Auth::default());
        let auth = Auth { username: "u".to_owned(), password: "p:q".to_owned(), ..Auth::default() };
        assert!(store(&config, "r:5000", &auth).unwrap());
        let found = find(&config, "r:5000").unwrap();
        assert_eq!((found.username.as_str(), found.password.as_str()), ("u", "p:q"));
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.contains("psFormat") && text.contains("old.example"), "{text}");
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(is_known(&config, "r:5000").unwrap());
        erase(&config, "r:5000").unwrap();
        assert!(!is_known(&config, "r:5000").unwrap());
    }

    #[test]
    fn a_helper_that_is_not_there_is_told() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("config.json"), r#"{"credHelpers":{"r":"nowhere-at-all"}}"#).unwrap();
        let error = find(&config(dir.path()), "r").unwrap_err().to_string();
        assert_eq!(
            error,
            "error getting credentials - err: exec: \"docker-credential-nowhere-at-all\": executable file not found in $PATH, out: ``"
        );
        assert_eq!(find(&config(dir.path()), "other").unwrap(), Auth::default());
    }

    #[test]
    fn names_of_registries() {
        assert_eq!(key("docker.io"), HUB);
        assert_eq!(key("localhost:5000"), "localhost:5000");
        assert_eq!(host_of("https://a.example/v1/"), "a.example");
        assert_eq!(encode(&Auth::default()), "e30=");
    }
}
