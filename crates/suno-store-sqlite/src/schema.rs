//! Opening the file: settings and migrations.

use std::fs::OpenOptions;
use std::io::ErrorKind;
use std::path::Path;
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, MAIN_DB, TransactionBehavior};
use suno_callback::{StoreError, StoreErrorKind};

use crate::error::store_error;

/// How long to wait for another process that writes.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// How many statements a connection keeps prepared: more than there are in this crate.
const STATEMENTS_MAX: usize = 64;
/// How many pages the log has when they are copied into the file: a commit that copies them takes
/// some milliseconds, and so do those that wait for it.
const CHECKPOINT_PAGES: i32 = 500;
/// How many KiB of pages the connection that writes keeps at most: the keys of 300,000 events.
const CACHE_KIB: i32 = 8 * 1_024;
/// `PRAGMA application_id` of our files: "Suno" in ASCII.
const APPLICATION_ID: i32 = 0x5375_6e6f;
/// Each brings the file from the version of its place to the next one.
const MIGRATIONS: [&str; 2] = [
    include_str!("schema/1_events.sql"),
    include_str!("schema/2_ledger.sql"),
];

/// Opens the file, creates or migrates it, and sets it to be durable.
pub(crate) fn open(path: &Path) -> Result<Connection, StoreError> {
    let mut connection = Connection::open(path).map_err(|err| cannot_open(path, err))?;
    // SQLite opens a file that it may not write to read it, and never tries again.
    if connection.is_readonly(MAIN_DB).map_err(store_error)? {
        return Err(StoreError::new(StoreErrorKind::ReadOnly));
    }
    connection.busy_timeout(BUSY_TIMEOUT).map_err(store_error)?;
    migrate(&mut connection)?;
    connection
        .execute_batch(
            "PRAGMA journal_mode = WAL;
             PRAGMA synchronous = FULL;
             PRAGMA foreign_keys = ON;
             -- The log is there from the first time that anything is read.
             SELECT count(*) FROM sqlite_schema;",
        )
        .map_err(store_error)?;
    connection
        .pragma_update(None, "cache_size", -CACHE_KIB)
        .map_err(store_error)?;
    connection
        .pragma_update(None, "wal_autocheckpoint", CHECKPOINT_PAGES)
        .map_err(store_error)?;
    keep_statements(&connection)?;
    Ok(connection)
}

/// Says why a file could not be opened, in the words of the system: SQLite does not pass them on.
fn cannot_open(path: &Path, err: rusqlite::Error) -> StoreError {
    // Nobody here has it open, whose locks would end with this.
    match OpenOptions::new().append(true).create(true).open(path) {
        Err(cause) => {
            let kind = match cause.kind() {
                ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => {
                    StoreErrorKind::ReadOnly
                }
                _ => StoreErrorKind::Unavailable,
            };
            StoreError::new(kind).with_source(cause)
        }
        Ok(_) => StoreError::new(StoreErrorKind::Unavailable).with_source(err),
    }
}

/// Has a statement prepared once. Without the stability guarantee, SQLite prepares a statement anew
/// for each value that is bound, wherever a value might let it choose another plan, which is
/// most of the work then; `cargo xtask instructions` sees it.
fn keep_statements(connection: &Connection) -> Result<(), StoreError> {
    connection.set_prepared_statement_cache_capacity(STATEMENTS_MAX);
    connection
        .set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)
        .map_err(store_error)?;
    Ok(())
}

/// Opens the file once more, to read.
pub(crate) fn open_reader(path: &Path) -> Result<Connection, StoreError> {
    let connection = Connection::open(path).map_err(|err| cannot_open(path, err))?;
    connection.busy_timeout(BUSY_TIMEOUT).map_err(store_error)?;
    connection
        .pragma_update(None, "query_only", true)
        .map_err(store_error)?;
    // Whoever writes takes care of the log.
    connection
        .set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)
        .map_err(store_error)?;
    keep_statements(&connection)?;
    Ok(connection)
}

fn migrate(connection: &mut Connection) -> Result<(), StoreError> {
    // Immediate, so that of two processes that start at once the second waits and finds it done.
    let transaction = connection
        .transaction_with_behavior(TransactionBehavior::Immediate)
        .map_err(store_error)?;
    let pragma = |name| {
        transaction
            .pragma_query_value(None, name, |row| row.get::<_, i32>(0))
            .map_err(store_error)
    };
    let tables: i64 = transaction
        .query_row("SELECT count(*) FROM sqlite_schema", (), |row| row.get(0))
        .map_err(store_error)?;
    if tables > 0 && pragma("application_id")? != APPLICATION_ID {
        let reason = "the file is a database of another program";
        return Err(StoreError::new(StoreErrorKind::Corrupt).with_source(reason));
    }
    let version = pragma("user_version")?;
    let Some(pending) = usize::try_from(version)
        .ok()
        .and_then(|version| MIGRATIONS.get(version..))
    else {
        let newest = MIGRATIONS.len();
        let reason = format!("its schema is version {version}, this program knows up to {newest}");
        return Err(StoreError::new(StoreErrorKind::NewerVersion).with_source(reason));
    };
    if pending.is_empty() {
        return Ok(());
    }
    for migration in pending {
        transaction.execute_batch(migration).map_err(store_error)?;
    }
    let set = |name, value| {
        transaction
            .pragma_update(None, name, value)
            .map_err(store_error)
    };
    set("application_id", APPLICATION_ID)?;
    set(
        "user_version",
        i32::try_from(MIGRATIONS.len()).unwrap_or(i32::MAX),
    )?;
    transaction.commit().map_err(store_error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_may_only_be_read_is_not_taken() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("suno.db");
        drop(open(&path).unwrap());
        // The same as a file without the right to write, for whoever has every right.
        let to_read = format!("file:{}?mode=ro", path.display());
        let err = open(Path::new(&to_read)).unwrap_err();
        assert_eq!(err.kind(), StoreErrorKind::ReadOnly);
    }

    #[test]
    fn a_file_that_cannot_be_opened_is_so_for_a_reason_in_the_words_of_the_system() {
        let dir = tempfile::tempdir().unwrap();
        let err = open(dir.path()).unwrap_err();
        assert_eq!(err.kind(), StoreErrorKind::Unavailable);
        let cause = std::error::Error::source(&err).unwrap();
        assert!(cause.is::<std::io::Error>(), "{cause}");
    }
}
