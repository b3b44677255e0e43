//! The generic documents that the engine keeps: `(kind, key) -> JSON`.

use crate::db::Transaction;
use crate::{
    NewSnapshot, Orphans, Store,
    error::{Error, Result},
    snapshot,
};
use brig_core::atomic::Durability;
use rusqlite::{OptionalExtension, params};
use serde::{Serialize, de::DeserializeOwned};

/// The documents of one store.
#[derive(Debug, Clone)]
pub struct Records {
    store: Store,
}

/// Changes that happen together or not at all.
#[derive(Debug, Default)]
pub struct Batch {
    changes: Vec<Change>,
}

#[derive(Debug)]
enum Change {
    Put { kind: String, key: String, value: String },
    Insert { kind: String, key: String, value: String },
    Delete { kind: String, key: String },
    Keep(NewSnapshot),
    Forget { key: String },
}

impl Batch {
    /// No changes.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Writes a document, replacing the one with its key.
    ///
    /// # Errors
    /// [`Error::Record`] when `value` can't be written as JSON.
    pub fn put(&mut self, kind: &str, key: &str, value: &impl Serialize) -> Result<&mut Self> {
        let value = encode(kind, key, value)?;
        self.changes.push(Change::Put { kind: kind.to_owned(), key: key.to_owned(), value });
        Ok(self)
    }

    /// Writes a document that must not be there yet: the whole batch fails with [`Error::Conflict`] otherwise.
    ///
    /// # Errors
    /// [`Error::Record`] when `value` can't be written as JSON.
    pub fn insert(&mut self, kind: &str, key: &str, value: &impl Serialize) -> Result<&mut Self> {
        let value = encode(kind, key, value)?;
        self.changes.push(Change::Insert { kind: kind.to_owned(), key: key.to_owned(), value });
        Ok(self)
    }

    /// Removes a document; nothing happens when there is none.
    pub fn delete(&mut self, kind: &str, key: &str) -> &mut Self {
        self.changes.push(Change::Delete { kind: kind.to_owned(), key: key.to_owned() });
        self
    }

    /// Writes down a snapshot.
    pub fn keep(&mut self, snapshot: NewSnapshot) -> &mut Self {
        self.changes.push(Change::Keep(snapshot));
        self
    }

    /// Writes down that a snapshot, and the layers that it alone kept alive, are no more; nothing happens when there is
    /// none. What becomes of the folders is in [`Orphans`].
    pub fn forget(&mut self, snapshot: &str) -> &mut Self {
        self.changes.push(Change::Forget { key: snapshot.to_owned() });
        self
    }
}

impl Records {
    pub(crate) fn new(store: Store) -> Self {
        Self { store }
    }

    /// Writes a document, replacing the one with its key.
    ///
    /// # Errors
    /// [`Error::Record`] when `value` can't be written as JSON, or what the database says.
    pub fn put(&self, kind: &str, key: &str, value: &impl Serialize, durability: Durability) -> Result<()> {
        let value = encode(kind, key, value)?;
        self.store.inner.db.write(durability, |tx| put(tx, kind, key, &value))?;
        self.store.inner.keep_wal_short();
        Ok(())
    }

    /// Reads a document; `None` when there is none.
    ///
    /// # Errors
    /// [`Error::Record`] when the document is not a `T`.
    pub fn get<T: DeserializeOwned>(&self, kind: &str, key: &str) -> Result<Option<T>> {
        let text: Option<String> = self.store.inner.db.read(|tx| {
            let mut query = tx.prepare_cached("SELECT value FROM records WHERE kind = ?1 AND key = ?2")?;
            Ok(query.query_row(params![kind, key], |row| row.get(0)).optional()?)
        })?;
        text.map(|text| decode(kind, key, &text)).transpose()
    }

    /// All documents of a kind, by key. One that can't be decoded does not hide the others: it comes as its error.
    ///
    /// # Errors
    /// What the database says.
    pub fn list<T: DeserializeOwned>(&self, kind: &str) -> Result<Vec<(String, Result<T>)>> {
        self.store.inner.db.read(|tx| {
            let mut query =
                tx.prepare_cached("SELECT key, value FROM records WHERE kind = ?1 ORDER BY key")?;
            let rows =
                query.query_map([kind], |row| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?)))?;
            rows.map(|row| {
                let (key, text) = row?;
                let value = decode(kind, &key, &text);
                Ok((key, value))
            })
            .collect()
        })
    }

    /// Removes a document; answers whether there was one.
    ///
    /// # Errors
    /// What the database says.
    pub fn delete(&self, kind: &str, key: &str, durability: Durability) -> Result<bool> {
        self.store.inner.db.write(durability, |tx| delete(tx, kind, key))
    }

    /// Applies all changes of a batch in one transaction.
    ///
    /// # Errors
    /// [`Error::Conflict`] when an inserted key is taken, [`Error::NoSuchImage`] when the image of a snapshot has gone
    /// since it was made; nothing is changed then.
    pub fn batch(&self, batch: Batch, durability: Durability) -> Result<()> {
        self.commit(batch, durability)?.discard()
    }

    /// The same; the folders of snapshots that are no more are the caller's to discard.
    ///
    /// # Errors
    /// As [`Records::batch`].
    pub fn commit(&self, mut batch: Batch, durability: Durability) -> Result<Orphans> {
        let numbers = self.store.inner.db.write(durability, |tx| {
            let mut orphans = Vec::new();
            for change in &batch.changes {
                match change {
                    Change::Put { kind, key, value } => put(tx, kind, key, value)?,
                    Change::Insert { kind, key, value } => insert(tx, kind, key, value)?,
                    Change::Delete { kind, key } => {
                        delete(tx, kind, key)?;
                    }
                    Change::Keep(snapshot) => snapshot.insert(tx)?,
                    Change::Forget { key } => orphans.extend(snapshot::forget(&self.store.inner, tx, key)?),
                }
            }
            Ok(orphans)
        })?;
        for change in &mut batch.changes {
            if let Change::Keep(snapshot) = change {
                snapshot.kept();
            }
        }
        self.store.inner.keep_wal_short();
        Ok(Orphans { store: self.store.clone(), numbers })
    }
}

fn put(tx: &Transaction<'_>, kind: &str, key: &str, value: &str) -> Result<()> {
    tx.prepare_cached(
        "INSERT INTO records (kind, key, value) VALUES (?1, ?2, ?3)
         ON CONFLICT (kind, key) DO UPDATE SET value = excluded.value",
    )?
    .execute(params![kind, key, value])?;
    Ok(())
}

fn insert(tx: &Transaction<'_>, kind: &str, key: &str, value: &str) -> Result<()> {
    let inserted = tx
        .prepare_cached("INSERT INTO records (kind, key, value) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING")?
        .execute(params![kind, key, value])?;
    if inserted == 0 {
        return Err(Error::Conflict(format!("{kind} {key} already exists")));
    }
    Ok(())
}

fn delete(tx: &Transaction<'_>, kind: &str, key: &str) -> Result<bool> {
    let mut statement = tx.prepare_cached("DELETE FROM records WHERE kind = ?1 AND key = ?2")?;
    Ok(statement.execute(params![kind, key])? > 0)
}

fn encode(kind: &str, key: &str, value: &impl Serialize) -> Result<String> {
    serde_json::to_string(value).map_err(|source| Error::Record {
        kind: kind.to_owned(),
        key: key.to_owned(),
        source,
    })
}

fn decode<T: DeserializeOwned>(kind: &str, key: &str, text: &str) -> Result<T> {
    serde_json::from_str(text).map_err(|source| Error::Record {
        kind: kind.to_owned(),
        key: key.to_owned(),
        source,
    })
}
