//! What a name means: a reference, an id, a prefix of an id.

use super::record;
use crate::db::Transaction;
use crate::error::{Error, Result};
use brig_core::{Digest, Id, Reference};

/// A name as Docker reads it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Name {
    /// 64 hex digits, with or without `sha256:`.
    Id(Digest),
    /// Anything else must be a reference, though it may turn out to be a prefix of an id.
    Reference(Reference),
}

impl Name {
    pub(crate) fn parse(text: &str) -> Result<Self> {
        if let Some(id) = Id::parse(text) {
            return Ok(Self::Id(Digest::from_sha256(*id.as_bytes())));
        }
        if let Ok(digest) = text.parse() {
            return Ok(Self::Id(digest));
        }
        Ok(Self::Reference(text.parse()?))
    }

    /// The error for a name that leads nowhere, in Docker's words.
    pub(crate) fn missing(&self) -> Error {
        Error::NoSuchImage(match self {
            Self::Id(digest) => digest.to_string(),
            Self::Reference(reference) => reference.clone().with_default_tag().familiar(),
        })
    }
}

/// The id of the image that `text` means.
pub(crate) fn resolve(tx: &Transaction<'_>, text: &str) -> Result<Digest> {
    let name = Name::parse(text)?;
    let found = match &name {
        Name::Id(digest) => exists(tx, digest)?.then_some(*digest),
        Name::Reference(reference) => match by_reference(tx, reference)? {
            Some(id) => Some(id),
            None => by_prefix(tx, text)?,
        },
    };
    found.ok_or_else(|| name.missing())
}

/// A digest in a reference wins over its tag.
pub(crate) fn key(reference: &Reference) -> Reference {
    match reference.digest() {
        Some(digest) => reference.with_digest(digest),
        None => reference.clone().with_default_tag(),
    }
}

fn by_reference(tx: &Transaction<'_>, reference: &Reference) -> Result<Option<Digest>> {
    record::lookup(tx, &key(reference))
}

pub(crate) fn exists(tx: &Transaction<'_>, id: &Digest) -> Result<bool> {
    Ok(tx.prepare_cached("SELECT 1 FROM images WHERE id = ?1")?.exists([id.to_string()])?)
}

/// The only image whose id starts with `text`; a prefix of several is none, as in Docker.
fn by_prefix(tx: &Transaction<'_>, text: &str) -> Result<Option<Digest>> {
    let hex = text.strip_prefix("sha256:").unwrap_or(text);
    if hex.is_empty() || !hex.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b)) {
        return Ok(None);
    }
    let mut query = tx.prepare_cached("SELECT id FROM images WHERE id >= ?1 AND id < ?2 LIMIT 2")?;
    // 'g' sorts after every hex digit.
    let rows = query
        .query_map([format!("sha256:{hex}"), format!("sha256:{hex}g")], |row| row.get::<_, String>(0))?;
    let ids: Vec<String> = rows.collect::<rusqlite::Result<_>>()?;
    match ids.as_slice() {
        [one] => Ok(Some(crate::db::digest(one)?)),
        _ => Ok(None),
    }
}
