//! A transaction whose beginning and end are statements that were prepared once: parsing them anew takes longer than
//! most changes.

use rusqlite::Connection;
use std::ops::Deref;

/// How a transaction begins.
#[derive(Debug, Clone, Copy)]
pub(super) enum Kind {
    /// For reading: one consistent view.
    Read,
    /// For writing: takes the database's write lock at once.
    Write,
}

/// A transaction, undone when it is dropped before [`Transaction::commit`].
pub(crate) struct Transaction<'a> {
    connection: &'a Connection,
    open: bool,
}

impl<'a> Transaction<'a> {
    /// Begins one. The connection is borrowed as if it were changed, so that there is one at a time.
    pub(super) fn begin(connection: &'a mut Connection, kind: Kind) -> rusqlite::Result<Self> {
        let connection = &*connection;
        run(
            connection,
            match kind {
                Kind::Read => "BEGIN DEFERRED",
                Kind::Write => "BEGIN IMMEDIATE",
            },
        )?;
        Ok(Self { connection, open: true })
    }

    /// Makes its changes last.
    pub(super) fn commit(mut self) -> rusqlite::Result<()> {
        run(self.connection, "COMMIT")?;
        self.open = false;
        Ok(())
    }
}

impl Drop for Transaction<'_> {
    fn drop(&mut self) {
        // SQLite has undone it by itself after some errors, a full disk among them.
        if self.open && !self.connection.is_autocommit() {
            // A connection that can't go back fails at the next beginning, and that is told.
            let _ = run(self.connection, "ROLLBACK");
        }
    }
}

impl Deref for Transaction<'_> {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        self.connection
    }
}

fn run(connection: &Connection, statement: &'static str) -> rusqlite::Result<()> {
    connection.prepare_cached(statement)?.execute([]).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(connection: &Connection) -> i64 {
        connection.query_row("SELECT count(*) FROM t", [], |row| row.get(0)).unwrap()
    }

    #[test]
    fn what_is_not_committed_is_undone() {
        let mut connection = Connection::open_in_memory().unwrap();
        connection.execute_batch("CREATE TABLE t (x)").unwrap();
        for _ in 0..2 {
            let tx = Transaction::begin(&mut connection, Kind::Write).unwrap();
            tx.execute("INSERT INTO t VALUES (1)", []).unwrap();
            drop(tx);
            assert_eq!(count(&connection), 0);
        }
        let tx = Transaction::begin(&mut connection, Kind::Write).unwrap();
        tx.execute("INSERT INTO t VALUES (1)", []).unwrap();
        tx.commit().unwrap();
        let tx = Transaction::begin(&mut connection, Kind::Read).unwrap();
        assert_eq!(count(&tx), 1);
    }

    #[test]
    fn one_that_the_database_ended_itself_leaves_room_for_the_next() {
        let mut connection = Connection::open_in_memory().unwrap();
        connection.execute_batch("CREATE TABLE t (x UNIQUE ON CONFLICT ROLLBACK)").unwrap();
        let tx = Transaction::begin(&mut connection, Kind::Write).unwrap();
        tx.execute("INSERT INTO t VALUES (1)", []).unwrap();
        tx.execute("INSERT INTO t VALUES (1)", []).unwrap_err();
        drop(tx);
        let tx = Transaction::begin(&mut connection, Kind::Write).unwrap();
        tx.commit().unwrap();
    }
}
