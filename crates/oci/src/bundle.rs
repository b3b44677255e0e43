//! A bundle: a folder with `config.json` and, usually, the root file system.

use crate::error::Error;
use oci_spec::runtime::{Process, Spec};
use serde::de::DeserializeOwned;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

/// The newest version of the specification that this runtime was written for.
pub(crate) const NEWEST: &str = "1.2.1";

/// A `config.json` larger than this is none: Docker's are about 30 KB.
const MAX_SIZE: u64 = 16 << 20;

/// Reads the bundle's `config.json`.
///
/// # Errors
/// It is not there, not JSON, of another major version, or larger than 16 MiB.
pub(crate) fn load(bundle: &Path) -> Result<Spec, Error> {
    let path = bundle.join("config.json");
    let not_there = |e: std::io::Error| match e.kind() {
        std::io::ErrorKind::NotFound => Error::Usage(format!(
            "JSON specification file config.json not found in {}: run `brig oci spec` there for a template",
            bundle.display()
        )),
        _ => Error::file("open", &path)(e),
    };
    let file = File::open(&path).map_err(not_there)?;
    let spec: Spec = parse(&path, file)?;
    check_version(spec.version()).map_err(|reason| Error::Json { path, reason })?;
    Ok(spec)
}

/// Reads a process for `exec --process`.
pub(crate) fn load_process(path: &Path) -> Result<Process, Error> {
    parse(path, File::open(path).map_err(Error::file("open", path))?)
}

/// Reads JSON of a bounded size.
pub(crate) fn parse<T: DeserializeOwned>(path: &Path, from: impl Read) -> Result<T, Error> {
    let mut bytes = Vec::new();
    from.take(MAX_SIZE + 1).read_to_end(&mut bytes).map_err(Error::file("read", path))?;
    let failed = |reason: String| Error::Json { path: path.to_owned(), reason };
    if bytes.len() as u64 > MAX_SIZE {
        return Err(failed(format!("larger than {} MiB", MAX_SIZE >> 20)));
    }
    serde_json::from_slice(&bytes).map_err(|e| failed(e.to_string()))
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
        let error = load(dir.path()).unwrap_err().to_string();
        assert!(error.contains("config.json not found") && error.contains("brig oci spec"), "{error}");
        let config = dir.path().join("config.json");
        for (text, expected) in [
            ("", "EOF"),
            ("{\"ociVersion\":", "EOF"),
            ("7", "line 1"),
            ("{\"ociVersion\":\"2.0.0\"}", "takes 1.x"),
        ] {
            std::fs::write(&config, text).unwrap();
            let error = load(dir.path()).unwrap_err().to_string();
            assert!(error.contains(expected) && error.contains("config.json"), "{text}: {error}");
        }
        let huge = File::create(&config).unwrap();
        huge.set_len(MAX_SIZE + 2).unwrap();
        assert!(load(dir.path()).unwrap_err().to_string().contains("larger than 16 MiB"));
    }

    #[test]
    fn unknown_fields_are_passed_over() {
        let dir = tempfile::tempdir().unwrap();
        let text = r#"{"ociVersion":"1.2.0","root":{"path":"rootfs","new":1},"of the future":{}}"#;
        std::fs::write(dir.path().join("config.json"), text).unwrap();
        let spec = load(dir.path()).unwrap();
        assert!(rootfs(dir.path(), &spec).unwrap_err().to_string().contains("rootfs"));
        std::fs::create_dir(dir.path().join("rootfs")).unwrap();
        assert_eq!(rootfs(dir.path(), &spec).unwrap(), dir.path().canonicalize().unwrap().join("rootfs"));
    }
}
