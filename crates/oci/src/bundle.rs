//! A bundle: a folder with `config.json` and, usually, the root file system.

use crate::error::Error;
use oci_spec::runtime::{Capability, Process, Spec};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fs::File;
use std::io::Read;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// The newest version of the specification that this runtime was written for.
pub(crate) const NEWEST: &str = "1.2.1";

/// A `config.json` larger than this is none: Docker's are about 30 KB.
const MAX_SIZE: u64 = 16 << 20;

/// Reads the bundle's `config.json`.
///
/// # Errors
/// It is not there, not JSON, of another major version, or larger than 16 MiB.
pub(crate) fn load(bundle: &Path, warn: &mut dyn FnMut(String)) -> Result<Spec, Error> {
    let path = bundle.join("config.json");
    let not_there = |e: std::io::Error| match e.kind() {
        std::io::ErrorKind::NotFound => Error::Usage(format!(
            "JSON specification file config.json not found in {}: run `brig oci spec` there for a template",
            bundle.display()
        )),
        _ => Error::file("open", &path)(e),
    };
    // A pipe in its place must not keep us waiting.
    let flags = libc::O_NONBLOCK | libc::O_NOCTTY;
    let file = File::options().read(true).custom_flags(flags).open(&path).map_err(not_there)?;
    let spec: Spec = parse_known(&path, file, "/process/capabilities", warn)?;
    check_version(spec.version()).map_err(|reason| Error::Json { path, reason })?;
    Ok(spec)
}

/// Reads a process for `exec --process`.
pub(crate) fn load_process(path: &Path, warn: &mut dyn FnMut(String)) -> Result<Process, Error> {
    parse_known(path, File::open(path).map_err(Error::file("open", path))?, "/capabilities", warn)
}

/// Reads JSON as [`parse`] does; capabilities of the future, in the sets at `sets`, are left out with a warning, as the
/// specification wants.
fn parse_known<T: DeserializeOwned>(
    path: &Path,
    from: impl Read,
    sets: &str,
    warn: &mut dyn FnMut(String),
) -> Result<T, Error> {
    let mut bytes = read(path, from)?;
    let failed = |e: serde_json::Error| Error::Json { path: path.to_owned(), reason: e.to_string() };
    let error = match serde_json::from_slice(&bytes) {
        Ok(read) => return Ok(read),
        Err(error) => error,
    };
    // Only what fails is looked at again: the usual configuration has none of these.
    if let Some(renamed) = with_other_names(&bytes) {
        bytes = renamed;
        if let Ok(read) = serde_json::from_slice(&bytes) {
            return Ok(read);
        }
    }
    let Ok(mut value) = serde_json::from_slice::<Value>(&bytes) else { return Err(failed(error)) };
    if without_user(&mut value, sets.trim_end_matches("/capabilities"))
        && let Ok(read) = serde_json::from_value(value.clone())
    {
        return Ok(read);
    }
    let is_known = |name: &Value| serde_json::from_value::<Capability>(name.clone()).is_ok();
    let mut unknown = BTreeSet::new();
    for set in
        value.pointer_mut(sets).and_then(Value::as_object_mut).into_iter().flat_map(|sets| sets.values_mut())
    {
        let Some(names) = set.as_array_mut() else { continue };
        unknown.extend(names.iter().filter(|n| n.is_string() && !is_known(n)).map(Value::to_string));
        names.retain(|name| !name.is_string() || is_known(name));
    }
    if unknown.is_empty() {
        return Err(failed(error));
    }
    // Where it is wrong, if it still is, is known by the first reading alone.
    let read = serde_json::from_value(value).map_err(failed)?;
    let names: Vec<String> = unknown.into_iter().collect();
    warn(format!("ignoring unknown or unavailable capabilities: {}", names.join(", ")));
    Ok(read)
}

/// Gives the process at `at` root's ids where it says none, as Go reads a field that is left out; answers whether it
/// had to.
fn without_user(value: &mut Value, at: &str) -> bool {
    let Some(process) = value.pointer_mut(at).and_then(Value::as_object_mut) else { return false };
    let Some(user) = process.entry("user").or_insert_with(|| json!({})).as_object_mut() else { return false };
    let said = user.len();
    for id in ["uid", "gid"] {
        user.entry(id).or_insert_with(|| 0.into());
    }
    user.len() > said
}

/// Reads JSON of a bounded size.
pub(crate) fn parse<T: DeserializeOwned>(path: &Path, from: impl Read) -> Result<T, Error> {
    let bytes = read(path, from)?;
    serde_json::from_slice(&bytes).map_err(|e| Error::Json { path: path.to_owned(), reason: e.to_string() })
}

fn read(path: &Path, from: impl Read) -> Result<Vec<u8>, Error> {
    let mut bytes = Vec::new();
    from.take(MAX_SIZE + 1).read_to_end(&mut bytes).map_err(Error::file("read", path))?;
    if bytes.len() as u64 > MAX_SIZE {
        let reason = format!("larger than {} MiB", MAX_SIZE >> 20);
        return Err(Error::Json { path: path.to_owned(), reason });
    }
    Ok(bytes)
}

/// Flags of a scheduler that the specification names otherwise than the types that are read here.
const NAMES: [(&str, &str); 2] = [
    ("\"SCHED_FLAG_RESET_ON_FORK\"", "\"SCHED_RESET_ON_FORK\""),
    ("\"SCHED_FLAG_DL_OVERRUN\"", "\"SCHED_FLAG_D_L_OVERRUN\""),
];

fn with_other_names(bytes: &[u8]) -> Option<Vec<u8>> {
    let text =
        std::str::from_utf8(bytes).ok().filter(|text| NAMES.iter().any(|(name, _)| text.contains(name)))?;
    Some(NAMES.iter().fold(text.to_owned(), |text, (name, known)| text.replace(name, known)).into_bytes())
}

/// Versions are compatible within the first number.
fn check_version(version: &str) -> Result<(), String> {
    match version.split('.').next() {
        Some("1") => Ok(()),
        _ => Err(format!(
            "ociVersion {version:?} is not one that this runtime knows; it was written for {NEWEST} and takes 1.x"
        )),
    }
}

/// The absolute path of the root file system.
pub(crate) fn rootfs(bundle: &Path, spec: &Spec) -> Result<PathBuf, Error> {
    let root =
        spec.root().as_ref().ok_or_else(|| Error::Usage("root must be given in config.json".into()))?;
    let path = bundle.join(root.path());
    let path = path.canonicalize().map_err(Error::file("open root file system", &path))?;
    if path.is_dir() {
        return Ok(path);
    }
    Err(Error::Usage(format!("root file system {} is not a folder", path.display())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions() {
        for good in ["1.0.0", "1.0.2-dev", "1.2.1", "1.9.0"] {
            check_version(good).unwrap();
        }
        for bad in ["", "2.0.0", "0.9", "x"] {
            assert!(check_version(bad).unwrap_err().contains("not one that this runtime knows"), "{bad}");
        }
    }

    #[test]
    fn what_is_wrong_with_a_config_is_said() {
        let dir = tempfile::tempdir().unwrap();
        let error = load(dir.path(), &mut |_| ()).unwrap_err().to_string();
        assert!(error.contains("config.json not found") && error.contains("brig oci spec"), "{error}");
        let config = dir.path().join("config.json");
        for (text, expected) in [
            ("", "EOF"),
            ("{\"ociVersion\":", "EOF"),
            ("7", "line 1"),
            ("{\"ociVersion\":\"2.0.0\"}", "takes 1.x"),
        ] {
            std::fs::write(&config, text).unwrap();
            let error = load(dir.path(), &mut |_| ()).unwrap_err().to_string();
            assert!(error.contains(expected) && error.contains("config.json"), "{text}: {error}");
        }
        let huge = File::create(&config).unwrap();
        huge.set_len(MAX_SIZE + 2).unwrap();
        assert!(load(dir.path(), &mut |_| ()).unwrap_err().to_string().contains("larger than 16 MiB"));
    }

    #[test]
    fn a_process_that_says_no_user_is_roots() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("process.json");
        for text in [r#"{"cwd":"/","args":["true"]}"#, r#"{"cwd":"/","user":{"gid":0},"args":["true"]}"#] {
            std::fs::write(&path, text).unwrap();
            let process = load_process(&path, &mut |_| ()).unwrap();
            assert_eq!((process.user().uid(), process.user().gid()), (0, 0), "{text}");
        }
        std::fs::write(&path, r#"{"cwd":"/","user":7,"args":["true"]}"#).unwrap();
        assert!(load_process(&path, &mut |_| ()).is_err());
    }

    #[test]
    fn unknown_fields_are_passed_over() {
        let dir = tempfile::tempdir().unwrap();
        let text = r#"{"ociVersion":"1.2.0","root":{"path":"rootfs","new":1},"of the future":{}}"#;
        std::fs::write(dir.path().join("config.json"), text).unwrap();
        let spec = load(dir.path(), &mut |_| ()).unwrap();
        assert!(rootfs(dir.path(), &spec).unwrap_err().to_string().contains("rootfs"));
        std::fs::create_dir(dir.path().join("rootfs")).unwrap();
        assert_eq!(rootfs(dir.path(), &spec).unwrap(), dir.path().canonicalize().unwrap().join("rootfs"));
    }
}
