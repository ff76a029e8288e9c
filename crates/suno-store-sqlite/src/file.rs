//! The file behind a connection, and the log (`-wal`) beside it: whether they are still the ones
//! that were opened.
//!
//! A connection goes on writing to files that were removed or replaced, and nothing of that would
//! be there after the next start. So each transaction begins by looking.

use std::fs;
use std::path::{Path, PathBuf};

use rusqlite::Connection;
use rusqlite::config::DbConfig;
use suno_callback::{StoreError, StoreErrorKind};

use crate::error::store_error;

/// Opens a file: to write or to read.
pub(crate) type Open = fn(&Path) -> Result<Connection, StoreError>;

/// A connection and the files that it was opened on.
pub(crate) struct OpenFile {
    path: PathBuf,
    log_path: PathBuf,
    open: Open,
    /// `None` after they were given up and before others could be opened.
    connection: Option<Connection>,
    file: Identity,
    log: Option<Identity>,
    /// The file was emptied in place: whatever is in it now, the log does not go with it.
    emptied: bool,
}

impl OpenFile {
    pub(crate) fn open(path: &Path, open: Open) -> Result<Self, StoreError> {
        let connection = open(path)?;
        let Some((file, _)) = Identity::of(path) else {
            return Err(unavailable("it is no file: nothing in it would last"));
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

    /// The connection to the file that is there now, and whether it is another one than last time.
    ///
    /// * A file that was removed or emptied is not made anew: what it remembered would be handled
    ///   again. It is used again when it has been put back.
    /// * Another file in its place is opened, unless the log of the old one is still beside it: its
    ///   pages would be read into the new one.
    /// * When the log was removed, what is in it is first brought into the file.
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
                "the file was emptied; remove its -wal and -shm and move a backup in its place, \
                 or restart to begin with an empty one",
            ));
        }
        if file != self.file {
            if log == self.log && log_bytes.is_some_and(|bytes| bytes > 0) {
                return Err(unavailable(
                    "the file was replaced, and the -wal beside it goes with the old one; remove \
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

    /// Brings what is in the log into the file, although the log can no longer be found there.
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
                "the -wal of the file was removed, and what was in it could not be saved yet",
            ));
        }
        tracing::warn!("the -wal of the store was removed; what was in it is in the file now");
        Ok(())
    }

    /// Closes the connection, and leaves the files that are there now alone.
    fn give_up(&mut self) {
        if let Some(connection) = self.connection.take() {
            // It fails only for a setting that SQLite does not know.
            let _ = connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true);
        }
    }
}

/// Where SQLite keeps the log: beside the file itself, not beside a link to it.
fn log_path(path: &Path) -> PathBuf {
    let file = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let mut log = file.into_os_string();
    log.push("-wal");
    log.into()
}

fn unavailable(reason: &'static str) -> StoreError {
    StoreError::new(StoreErrorKind::Unavailable).with_source(reason)
}

/// What makes a file the same file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Identity {
    device: u64,
    inode: u64,
}

impl Identity {
    /// Of the file that is there, with how many bytes it has.
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

    /// Elsewhere a file that is open cannot be removed.
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
