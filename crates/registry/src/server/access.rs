//! Who may use the registry: a file of `htpasswd -B`.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use brig_core::Digest;
use http::{HeaderMap, header};
use std::{
    collections::HashMap,
    io,
    path::Path,
    sync::{Mutex, PoisonError},
};

/// Names and hashes of passwords.
#[derive(Debug)]
pub struct Htpasswd {
    users: HashMap<String, String>,
    /// Digests of what was found right: bcrypt is slow on purpose, and clients ask often.
    right: Mutex<HashMap<String, Digest>>,
}

impl Htpasswd {
    /// Reads a file.
    ///
    /// # Errors
    /// What the file system says, or that a hash is not bcrypt's.
    pub fn open(path: &Path) -> io::Result<Self> {
        let text = std::fs::read_to_string(path)?;
        let mut users = HashMap::new();
        for line in text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
            let bad = |why| {
                let name = line.split(':').next().unwrap_or_default();
                io::Error::new(io::ErrorKind::InvalidData, format!("{}: {name}: {why}", path.display()))
            };
            let (name, hash) = line.split_once(':').ok_or_else(|| bad("no NAME:HASH"))?;
            if !hash.starts_with("$2") {
                return Err(bad("only bcrypt's hashes are taken (htpasswd -B)"));
            }
            users.insert(name.to_owned(), hash.to_owned());
        }
        Ok(Self { users, right: Mutex::default() })
    }

    /// Whether a request shows a name and its password.
    pub(super) fn allows(&self, headers: &HeaderMap) -> bool {
        let Some((name, password)) = shown(headers) else { return false };
        let Some(hash) = self.users.get(&name) else {
            return false;
        };
        let digest = Digest::of(format!("{hash}\0{password}").as_bytes());
        let mut right = self.right.lock().unwrap_or_else(PoisonError::into_inner);
        if right.get(&name) == Some(&digest) {
            return true;
        }
        drop(right);
        let fits = tokio::task::block_in_place(|| bcrypt::verify(&password, hash)).unwrap_or(false);
        if fits {
            right = self.right.lock().unwrap_or_else(PoisonError::into_inner);
            right.insert(name, digest);
        }
        fits
    }
}

fn shown(headers: &HeaderMap) -> Option<(String, String)> {
    let text = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, encoded) = text.trim().split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let text = String::from_utf8(STANDARD.decode(encoded.trim()).ok()?).ok()?;
    let (name, password) = text.split_once(':')?;
    Some((name.to_owned(), password.to_owned()))
}
