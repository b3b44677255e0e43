//! The schema, as the list of steps that made it. A step that has been released is never edited.

use crate::error::{Error, Result};
use rusqlite::{Connection, TransactionBehavior};
use std::path::Path;

/// `PRAGMA application_id`: "brig".
const APPLICATION_ID: i64 = 0x6272_6967;

const STEPS: &[&str] = &[
    // 1: the beginning
    "CREATE TABLE meta (
        key TEXT PRIMARY KEY,
        value TEXT NOT NULL
    ) WITHOUT ROWID;

    -- Layers as snapshots. `chain` is the OCI chain id, `dir` the folder's number under snapshots/.
    CREATE TABLE layers (
        chain TEXT PRIMARY KEY,
        diff TEXT NOT NULL,
        parent TEXT REFERENCES layers(chain),
        dir INTEGER NOT NULL UNIQUE,
        size INTEGER NOT NULL,
        tar_size INTEGER NOT NULL
    ) WITHOUT ROWID;
    CREATE INDEX layers_parent ON layers(parent);
    CREATE INDEX layers_diff ON layers(diff);

    -- A layer's forms in registries and archives: digest of the compressed blob -> digest of what is in it.
    CREATE TABLE layer_blobs (
        digest TEXT PRIMARY KEY,
        diff TEXT NOT NULL,
        size INTEGER NOT NULL,
        media_type TEXT NOT NULL
    ) WITHOUT ROWID;
    CREATE INDEX layer_blobs_diff ON layer_blobs(diff);

    -- `id` is the digest of the configuration, whose bytes are a blob, as are manifest and index.
    CREATE TABLE images (
        id TEXT PRIMARY KEY,
        chain TEXT REFERENCES layers(chain),
        parent TEXT,
        manifest TEXT,
        index_digest TEXT,
        os TEXT NOT NULL,
        architecture TEXT NOT NULL,
        variant TEXT NOT NULL,
        last_tagged TEXT
    ) WITHOUT ROWID;
    CREATE INDEX images_chain ON images(chain);
    CREATE INDEX images_parent ON images(parent);

    -- `name` is the full form, docker.io/library/x:latest or docker.io/library/x@sha256:…
    CREATE TABLE image_references (
        name TEXT PRIMARY KEY,
        image TEXT NOT NULL REFERENCES images(id)
    ) WITHOUT ROWID;
    CREATE INDEX image_references_image ON image_references(image);

    -- Writable snapshots. A row keeps its chain alive even when the image is gone.
    CREATE TABLE snapshots (
        key TEXT PRIMARY KEY,
        chain TEXT REFERENCES layers(chain),
        dir INTEGER NOT NULL UNIQUE
    ) WITHOUT ROWID;
    CREATE INDEX snapshots_chain ON snapshots(chain);

    -- The engine's documents.
    CREATE TABLE records (
        kind TEXT NOT NULL,
        key TEXT NOT NULL,
        value TEXT NOT NULL,
        PRIMARY KEY (kind, key)
    ) WITHOUT ROWID;",
    // 2: mount points of an image's containers, made once
    "CREATE TABLE init_layers (
        chain TEXT PRIMARY KEY REFERENCES layers(chain),
        dir INTEGER NOT NULL UNIQUE
    ) WITHOUT ROWID;",
];

/// Brings the schema up to date; each step is atomic.
pub(crate) fn run(connection: &mut Connection, path: &Path) -> Result<()> {
    let version: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    let application: i64 = connection.pragma_query_value(None, "application_id", |row| row.get(0))?;
    let tables: i64 = connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    if application != APPLICATION_ID && (application != 0 || tables != 0) {
        let reason = "it is a database of another program".to_owned();
        return Err(Error::DatabaseCorrupt { path: path.to_owned(), reason });
    }
    let known = i64::try_from(STEPS.len()).unwrap_or(i64::MAX);
    if version > known {
        return Err(Error::DatabaseTooNew { path: path.to_owned(), found: version, known });
    }
    for (step, number) in STEPS.iter().zip(1i64..).skip(usize::try_from(version).unwrap_or(0)) {
        let tx = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        tx.execute_batch(step)?;
        tx.pragma_update(None, "user_version", number)?;
        tx.pragma_update(None, "application_id", APPLICATION_ID)?;
        tx.commit()?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_step_applies_once() {
        let mut c = Connection::open_in_memory().unwrap();
        run(&mut c, Path::new("x")).unwrap();
        run(&mut c, Path::new("x")).unwrap();
        let version: i64 = c.pragma_query_value(None, "user_version", |r| r.get(0)).unwrap();
        assert_eq!(version, i64::try_from(STEPS.len()).unwrap());
    }

    #[test]
    fn a_newer_schema_and_a_foreign_database_are_refused() {
        let mut c = Connection::open_in_memory().unwrap();
        run(&mut c, Path::new("x")).unwrap();
        c.pragma_update(None, "user_version", 99).unwrap();
        assert!(matches!(run(&mut c, Path::new("x")), Err(Error::DatabaseTooNew { found: 99, .. })));
        let mut c = Connection::open_in_memory().unwrap();
        c.execute_batch("CREATE TABLE t (x)").unwrap();
        assert!(matches!(run(&mut c, Path::new("x")), Err(Error::DatabaseCorrupt { .. })));
    }
}
