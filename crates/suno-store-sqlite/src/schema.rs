//! Opens the file: settings and migrations.

use std::fs::OpenOptions;
use std::io::ErrorKind;
use std::path::Path;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, MAIN_DB, Transaction, TransactionBehavior};
use suno_callback::{StoreError, StoreErrorKind};

use crate::error::store_error;
use crate::queue::{Queue, wait_for_others};

/// The number of prepared statements that a connection keeps: more than this crate contains.
const STATEMENTS_MAX: usize = 128;
/// The number of pages in the log at which they are copied into the file. A commit that copies them
/// takes some milliseconds, and so do the commits that wait for it.
const CHECKPOINT_PAGES: i32 = 500;
/// The maximum size of the writing connection's page cache, in KiB: the keys of 300,000 events.
const CACHE_KIB: i32 = 8 * 1_024;

/// A kind of file: its tables, and how it is recognised.
struct FileKind {
    /// `PRAGMA application_id`.
    application_id: i32,
    /// `PRAGMA user_version` of a file with this schema.
    version: i32,
    schema: &'static str,
}

const STORE: FileKind = FileKind {
    // "Suno" in ASCII.
    application_id: 0x5375_6e6f,
    version: 7,
    schema: include_str!("schema.sql"),
};
const HISTORY: FileKind = FileKind {
    // "SunH" in ASCII.
    application_id: 0x5375_6e48,
    version: 1,
    schema: include_str!("history.sql"),
};
/// The size to which the log is cut when it restarts after a long reader made it grow, in bytes.
const LOG_BYTES_MAX: i64 = 64 << 20;

/// Opens the file or creates it, and makes it durable.
pub(crate) fn open(path: &Path) -> Result<Connection, StoreError> {
    let connection = open_to_write(path)?;
    connection
        .execute_batch(
            "PRAGMA synchronous = FULL;
             -- On macOS, a sync that reaches the disk itself.
             PRAGMA fullfsync = ON;
             PRAGMA checkpoint_fullfsync = ON;",
        )
        .map_err(store_error)?;
    connection
        .pragma_update(None, "wal_autocheckpoint", CHECKPOINT_PAGES)
        .map_err(store_error)?;
    Ok(connection)
}

fn open_to_write(path: &Path) -> Result<Connection, StoreError> {
    make_private(path)?;
    let mut connection = Connection::open(path).map_err(|err| cannot_open(path, err))?;
    // SQLite opens a file without write permission for reading, and never tries again.
    if connection.is_readonly(MAIN_DB).map_err(store_error)? {
        return Err(StoreError::new(StoreErrorKind::ReadOnly));
    }
    wait_for_others(&mut connection).map_err(store_error)?;
    create(path, &mut connection)?;
    use_log(&connection)?;
    let set = |name, value| {
        connection
            .pragma_update(None, name, value)
            .map_err(store_error)
    };
    set("cache_size", i64::from(-CACHE_KIB))?;
    set("journal_size_limit", LOG_BYTES_MAX)?;
    keep_statements(&connection)?;
    Ok(connection)
}

/// Creates the file so that only its owner can read it, because it contains titles and lyrics. An
/// existing file is not changed.
fn make_private(path: &Path) -> Result<(), StoreError> {
    // To SQLite this is no file, so one of this name would be made and left behind.
    if path == Path::new(":memory:") {
        let reason = "it is no file: nothing in it would last";
        return Err(StoreError::new(StoreErrorKind::Unavailable).with_source(reason));
    }
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    match options.open(path) {
        Err(err) if is_denied(&err) => Err(system_error(err)),
        // Opening a pipe would wait for its writer.
        Err(_)
            if path
                .metadata()
                .is_ok_and(|file| !file.is_file() && !file.is_dir()) =>
        {
            let reason = "not a regular file, but a pipe or a device";
            Err(StoreError::new(StoreErrorKind::Unavailable).with_source(reason))
        }
        // The file exists, or SQLite will report why it cannot be created.
        _ => Ok(()),
    }
}

/// Switches to a write-ahead log. SQLite does not return an error if that fails: it returns the
/// mode that is used.
fn use_log(connection: &Connection) -> Result<(), StoreError> {
    let mode: String = connection
        .query_row("PRAGMA journal_mode = WAL", (), |row| row.get(0))
        .map_err(store_error)?;
    if mode != "wal" {
        let reason = format!("the file cannot have a write-ahead log; its journal mode is {mode}");
        return Err(StoreError::new(StoreErrorKind::Unavailable).with_source(reason));
    }
    // The log exists as soon as anything has been read.
    connection
        .query_row("SELECT count(*) FROM sqlite_schema", (), |_| Ok(()))
        .map_err(store_error)
}

/// Opens the file for a simulation: nothing is synced, and closing it leaves the log in place.
#[cfg(feature = "simulation")]
pub(crate) fn open_inline(path: &Path) -> Result<Connection, StoreError> {
    let connection = open_to_write(path)?;
    connection
        .pragma_update(None, "synchronous", "OFF")
        .map_err(store_error)?;
    leave_log(&connection)?;
    Ok(connection)
}

/// Returns the system's reason why a file could not be opened, because SQLite does not pass it on.
/// Does not open the file itself: closing it would release the locks of other handles of this
/// process.
fn cannot_open(path: &Path, err: rusqlite::Error) -> StoreError {
    match std::fs::metadata(path) {
        Err(cause) => system_error(cause),
        Ok(metadata) if metadata.is_dir() => {
            system_error(std::io::Error::from(ErrorKind::IsADirectory))
        }
        Ok(_) => store_error(err),
    }
}

fn system_error(cause: std::io::Error) -> StoreError {
    let kind = match is_denied(&cause) {
        true => StoreErrorKind::ReadOnly,
        false => StoreErrorKind::Unavailable,
    };
    StoreError::new(kind).with_source(cause)
}

fn is_denied(err: &std::io::Error) -> bool {
    matches!(
        err.kind(),
        ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem
    )
}

/// Keeps SQLite from preparing a statement more than once. Without the stability guarantee, SQLite
/// prepares a statement again for each bound value that might allow another plan, which is then
/// most of the work; `cargo xtask instructions` shows the difference.
fn keep_statements(connection: &Connection) -> Result<(), StoreError> {
    connection.set_prepared_statement_cache_capacity(STATEMENTS_MAX);
    connection
        .set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)
        .map_err(store_error)?;
    Ok(())
}

/// Opens the file once more, for reading.
pub(crate) fn open_reader(path: &Path) -> Result<Connection, StoreError> {
    let mut connection = Connection::open(path).map_err(|err| cannot_open(path, err))?;
    wait_for_others(&mut connection).map_err(store_error)?;
    connection
        .pragma_update(None, "query_only", true)
        .map_err(store_error)?;
    // The writing connection maintains the log.
    leave_log(&connection)?;
    keep_statements(&connection)?;
    Ok(connection)
}

fn leave_log(connection: &Connection) -> Result<(), StoreError> {
    connection
        .set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)
        .map(|_| ())
        .map_err(store_error)
}

/// Opens the file of a history or creates it. Its latest commits may be lost with the power.
pub(crate) fn open_history(path: &Path) -> Result<Connection, StoreError> {
    make_private(path)?;
    let mut connection = Connection::open(path).map_err(|err| cannot_open(path, err))?;
    wait_for_others(&mut connection).map_err(store_error)?;
    let transaction = connection
        .transaction_with_behavior(TransactionBehavior::Immediate)
        .map_err(store_error)?;
    create_in(transaction, &HISTORY)?;
    use_log(&connection)?;
    connection
        .execute_batch("PRAGMA synchronous = NORMAL")
        .map_err(store_error)?;
    connection
        .pragma_update(None, "journal_size_limit", LOG_BYTES_MAX)
        .map_err(store_error)?;
    keep_statements(&connection)?;
    Ok(connection)
}

fn create(path: &Path, connection: &mut Connection) -> Result<(), StoreError> {
    // Takes the right to write, so that of two processes that start at the same time the second
    // waits and finds the work done.
    let transaction = Queue::beside(path).begin(connection).map_err(store_error)?;
    create_in(transaction, &STORE)
}

/// Creates the tables of a file, or checks that they are there.
fn create_in(transaction: Transaction<'_>, kind: &FileKind) -> Result<(), StoreError> {
    let pragma = |name| {
        transaction
            .pragma_query_value(None, name, |row| row.get::<_, i32>(0))
            .map_err(store_error)
    };
    let tables: i64 = transaction
        .query_row("SELECT count(*) FROM sqlite_schema", (), |row| row.get(0))
        .map_err(store_error)?;
    if tables > 0 {
        return kind.check(pragma("application_id")?, pragma("user_version")?);
    }
    transaction
        .execute_batch(kind.schema)
        .map_err(store_error)?;
    for (name, value) in [
        ("application_id", kind.application_id),
        ("user_version", kind.version),
    ] {
        transaction
            .pragma_update(None, name, value)
            .map_err(store_error)?;
    }
    transaction.commit().map_err(store_error)
}

impl FileKind {
    /// Whether an existing file can be used.
    fn check(&self, application_id: i32, version: i32) -> Result<(), StoreError> {
        if application_id != self.application_id {
            let reason = "the file is a database of another program";
            return Err(StoreError::new(StoreErrorKind::Corrupt).with_source(reason));
        }
        let supported = self.version;
        if version > supported {
            let reason = format!(
                "its schema has version {version}; this program supports versions up to {supported}"
            );
            return Err(StoreError::new(StoreErrorKind::NewerVersion).with_source(reason));
        }
        if version < supported {
            let reason = format!(
                "its schema has version {version}, which is older than the first release; begin with a new file"
            );
            return Err(StoreError::new(StoreErrorKind::Corrupt).with_source(reason));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_may_only_be_read_is_not_taken() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("suno.db");
        drop(open(&path).unwrap());
        // Simulates a file without write permission, for users such as root who have every
        // permission.
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
