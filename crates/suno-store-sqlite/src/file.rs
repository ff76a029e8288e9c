//! The file of a connection, and its log (`-wal`): checks that they are still the ones that were
//! opened.
//!
//! A connection keeps writing to files that were removed or replaced, and these writes would be
//! lost after a restart. So each transaction checks the files first.

use std::fs;
use std::path::{Path, PathBuf};

use rusqlite::Connection;
use rusqlite::config::DbConfig;
use suno_callback::{StoreError, StoreErrorKind};

use crate::error::store_error;

/// Opens a file for writing or reading.
pub(crate) type Open = fn(&Path) -> Result<Connection, StoreError>;

/// A connection and the files on which it was opened.
pub(crate) struct OpenFile {
    path: PathBuf,
    log_path: PathBuf,
    open: Open,
    /// `None` between closing the old files and opening others.
    connection: Option<Connection>,
    file: Identity,
    log: Option<Identity>,
    /// The file was emptied in place: the log does not belong to its new content.
    emptied: bool,
}

impl OpenFile {
    pub(crate) fn open(path: &Path, open: Open) -> Result<Self, StoreError> {
        let connection = open(path)?;
        let Some((file, _)) = Identity::of(path) else {
            return Err(unavailable(
                "not a regular file: its contents would be lost",
            ));
        };
        let log_path = log_path(path);
        Ok(Self {
            log: Identity::of(&log_path).map(|(log, _)| log),
            path: path.to_owned(),
            log_path,
            open,
            connection: Some(connection),
            file,
            emptied: false,
        })
    }

    /// Returns the connection to the current file, and whether it is another file than last time.
    ///
    /// * A file that was removed or emptied is not created again, because the events that it
    ///   remembered would be handled again. It is used again when it has been put back.
    /// * A file that replaced it is opened, unless the log of the old file is still present: its
    ///   pages would be read into the new file.
    /// * If the log was removed, its contents are first written to the file.
    pub(crate) fn connection(&mut self) -> Result<(&mut Connection, bool), StoreError> {
        let Some((file, bytes)) = Identity::of(&self.path) else {
            return Err(unavailable(
                "the file was removed; put it back, or restart to begin with an empty one",
            ));
        };
        let (log, log_bytes) = Identity::of(&self.log_path).unzip();
        self.emptied = file == self.file && (self.emptied || bytes == 0);
        if bytes == 0 || self.emptied {
            self.give_up();
            return Err(unavailable(
                "the file was emptied; remove its -wal and -shm and put a backup in its place, \
                 or restart to begin with an empty one",
            ));
        }
        if file != self.file {
            if log == self.log && log_bytes.is_some_and(|bytes| bytes > 0) {
                return Err(unavailable(
                    "the file was replaced, but its -wal belongs to the old file; remove \
                     its -wal and -shm too, or put the old file back",
                ));
            }
            self.give_up();
        } else if log != self.log {
            self.save_log()?;
            self.give_up();
        }
        let is_another = self.connection.is_none();
        let connection = match self.connection.take() {
            Some(connection) => connection,
            None => (self.open)(&self.path)?,
        };
        if is_another {
            self.file = file;
            self.log_path = log_path(&self.path);
            self.log = Identity::of(&self.log_path).map(|(log, _)| log);
        }
        Ok((self.connection.insert(connection), is_another))
    }

    /// Writes the contents of the log to the file, although the log no longer has a name in the
    /// folder.
    fn save_log(&self) -> Result<(), StoreError> {
        let Some(connection) = self.connection.as_ref().filter(|_| self.log.is_some()) else {
            return Ok(());
        };
        let is_busy = connection
            .query_row("PRAGMA wal_checkpoint(TRUNCATE)", (), |row| {
                row.get::<_, bool>(0)
            })
            .map_err(store_error)?;
        if is_busy {
            return Err(unavailable(
                "the -wal of the file was removed, and its contents could not be saved yet",
            ));
        }
        tracing::warn!("the -wal of the store was removed; its contents are now in the file");
        Ok(())
    }

    /// Closes the connection without touching the files that are there now.
    fn give_up(&mut self) {
        if let Some(connection) = self.connection.take() {
            // This fails only for a setting that SQLite does not know.
            let _ = connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true);
        }
    }
}

/// Returns the path of SQLite's log: it is next to the file itself, not next to a link to it.
fn log_path(path: &Path) -> PathBuf {
    let file = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let mut log = file.into_os_string();
    log.push("-wal");
    log.into()
}

fn unavailable(reason: &'static str) -> StoreError {
    StoreError::new(StoreErrorKind::Unavailable).with_source(reason)
}

/// Identifies a file independent of its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Identity {
    device: u64,
    inode: u64,
}

impl Identity {
    /// Returns the identity of the current file, and its size in bytes.
    #[cfg(unix)]
    fn of(path: &Path) -> Option<(Self, u64)> {
        use std::os::unix::fs::MetadataExt;

        let metadata = fs::metadata(path).ok()?;
        let identity = Self {
            device: metadata.dev(),
            inode: metadata.ino(),
        };
        Some((identity, metadata.len()))
    }

    /// On other systems, an open file cannot be removed.
    #[cfg(not(unix))]
    fn of(path: &Path) -> Option<(Self, u64)> {
        let metadata = fs::metadata(path).ok()?;
        let identity = Self {
            device: 0,
            inode: 0,
        };
        Some((identity, metadata.len()))
    }
}
