//! The metadata database: SQLite in WAL mode.
//!
//! One connection writes, behind a mutex that is also the store's lock: whatever decides what is garbage does so
//! while it holds it. A second connection reads, so that readers never wait for a writer's sync.

pub(crate) mod migrations;
mod transaction;

pub(crate) use transaction::Transaction;

use crate::error::{Error, Result};
use brig_core::atomic::Durability;
use rusqlite::{Connection, OpenFlags};
use std::{
    path::{Path, PathBuf},
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};
use transaction::Kind;

/// Commits after which the WAL is due to be folded back into the database. Rare, because folding syncs; and not done
/// by the commit itself, which somebody waits for.
const CHECKPOINT_COMMITS: u32 = 256;
/// Pages of WAL after which a commit folds it all the same (4 KiB each).
const CHECKPOINT_PAGES: u32 = 4000;
/// Page cache of each connection in KiB (negative as SQLite wants it).
const CACHE_KIB: i32 = -512;

#[derive(Debug)]
pub(crate) struct Db {
    write: Mutex<Connection>,
    read: Mutex<Connection>,
    path: PathBuf,
    /// Commits since the WAL was last due.
    commits: AtomicU32,
    /// What [`Durability::Power`] means here: tests may turn syncing off.
    sync: bool,
}

impl Db {
    /// Opens or makes the database and brings its schema up to date.
    pub(crate) fn open(path: &Path, sync: bool) -> Result<Self> {
        let corrupt = |e: rusqlite::Error| classify(path, e);
        let mut write = connect(path, sync).map_err(corrupt)?;
        let check: String =
            write.query_row("PRAGMA quick_check(1)", [], |row| row.get(0)).map_err(corrupt)?;
        if check != "ok" {
            return Err(Error::DatabaseCorrupt { path: path.to_owned(), reason: check });
        }
        migrations::run(&mut write, path).map_err(|e| match e {
            Error::Database(e) => classify(path, e),
            other => other,
        })?;
        let read = connect(path, sync).map_err(corrupt)?;
        read.pragma_update(None, "query_only", true)?;
        let (write, read) = (Mutex::new(write), Mutex::new(read));
        Ok(Self { write, read, path: path.to_owned(), commits: AtomicU32::new(0), sync })
    }

    /// Whether the WAL has become long since this was last true.
    pub(crate) fn checkpoint_due(&self) -> bool {
        let due = self.commits.load(Ordering::Relaxed) >= CHECKPOINT_COMMITS;
        due && self.commits.swap(0, Ordering::Relaxed) >= CHECKPOINT_COMMITS
    }

    /// Folds the WAL back into the database, on a connection of its own: neither readers nor the writer wait for it.
    pub(crate) fn checkpoint(path: &Path, sync: bool) -> Result<()> {
        let connection = connect(path, sync)?;
        Ok(connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()))?)
    }

    /// What [`Db::checkpoint`] needs.
    pub(crate) fn place(&self) -> (PathBuf, bool) {
        (self.path.clone(), self.sync)
    }

    /// Reads, in one consistent view.
    pub(crate) fn read<T>(&self, f: impl FnOnce(&Transaction<'_>) -> Result<T>) -> Result<T> {
        let mut connection = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        let tx = Transaction::begin(&mut connection, Kind::Read)?;
        f(&tx)
    }

    /// Takes the store's lock.
    pub(crate) fn lock(&self) -> Locked<'_> {
        self.commits.fetch_add(1, Ordering::Relaxed);
        Locked { connection: self.write.lock().unwrap_or_else(PoisonError::into_inner), sync: self.sync }
    }

    /// One atomic change.
    pub(crate) fn write<T>(
        &self,
        durability: Durability,
        f: impl FnOnce(&Transaction<'_>) -> Result<T>,
    ) -> Result<T> {
        self.lock().write(durability, f)
    }
}

/// The store's lock, with the connection that may write.
pub(crate) struct Locked<'a> {
    connection: MutexGuard<'a, Connection>,
    sync: bool,
}

impl Locked<'_> {
    /// One atomic change. An error from `f` undoes all of it.
    pub(crate) fn write<T>(
        &mut self,
        durability: Durability,
        f: impl FnOnce(&Transaction<'_>) -> Result<T>,
    ) -> Result<T> {
        let full = self.sync && durability == Durability::Power;
        if full {
            self.connection.execute_batch("PRAGMA synchronous=FULL")?;
        }
        let result = (|| {
            let tx = Transaction::begin(&mut self.connection, Kind::Write)?;
            let value = f(&tx)?;
            tx.commit()?;
            Ok(value)
        })();
        if full {
            self.connection.execute_batch("PRAGMA synchronous=NORMAL")?;
        }
        result
    }
}

fn connect(path: &Path, sync: bool) -> rusqlite::Result<Connection> {
    let connection = Connection::open_with_flags(
        path,
        OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX,
    )?;
    // A user may look into the database with the sqlite3 program: wait for it instead of failing.
    connection.busy_timeout(Duration::from_secs(5))?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", if sync { "NORMAL" } else { "OFF" })?;
    connection.pragma_update(None, "foreign_keys", true)?;
    connection.pragma_update(None, "wal_autocheckpoint", CHECKPOINT_PAGES)?;
    connection.pragma_update(None, "cache_size", CACHE_KIB)?;
    connection.set_prepared_statement_cache_capacity(64);
    Ok(connection)
}

fn classify(path: &Path, e: rusqlite::Error) -> Error {
    let path: PathBuf = path.to_owned();
    match e.sqlite_error_code() {
        Some(rusqlite::ErrorCode::NotADatabase | rusqlite::ErrorCode::DatabaseCorrupt) => {
            Error::DatabaseCorrupt { path, reason: e.to_string() }
        }
        _ => Error::Database(e),
    }
}

/// A digest as the database has it.
pub(crate) fn digest(text: &str) -> Result<brig_core::Digest> {
    text.parse().map_err(|e: brig_core::digest::DigestError| Error::Damaged {
        what: format!("digest {text:?} in the metadata database"),
        reason: e.to_string(),
    })
}
