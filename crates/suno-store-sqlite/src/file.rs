//! The file behind a connection: whether it is still the one that was opened.
//!
//! A connection goes on writing to a file that was removed or replaced, and nothing of that would
//! be there after the next start. So each transaction begins by looking.

use std::fs;
use std::path::{Path, PathBuf};

use rusqlite::Connection;
use suno_callback::{StoreError, StoreErrorKind};

/// Opens a file: to write or to read.
pub(crate) type Open = fn(&Path) -> Result<Connection, StoreError>;

/// A connection and the file that it was opened on.
pub(crate) struct OpenFile {
    path: PathBuf,
    open: Open,
    identity: Option<Identity>,
    connection: Connection,
}

impl OpenFile {
    pub(crate) fn open(path: &Path, open: Open) -> Result<Self, StoreError> {
        let connection = open(path)?;
        Ok(Self {
            path: path.to_owned(),
            open,
            identity: identity(path),
            connection,
        })
    }

    /// The connection to the file that is there now, and whether it is another one than last time.
    ///
    /// A file that was removed is not made anew: what it remembered would be handled again. It is
    /// opened when it has been put back.
    pub(crate) fn connection(&mut self) -> Result<(&mut Connection, bool), StoreError> {
        let now = identity(&self.path);
        if now == self.identity {
            return Ok((&mut self.connection, false));
        }
        if now.is_none() {
            let reason = "the file was removed; put it back, or restart to begin with an empty one";
            return Err(StoreError::new(StoreErrorKind::Unavailable).with_source(reason));
        }
        self.connection = (self.open)(&self.path)?;
        self.identity = now;
        Ok((&mut self.connection, true))
    }
}

/// What makes a file the same file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Identity {
    device: u64,
    inode: u64,
}

#[cfg(unix)]
fn identity(path: &Path) -> Option<Identity> {
    use std::os::unix::fs::MetadataExt;

    let metadata = fs::metadata(path).ok()?;
    Some(Identity {
        device: metadata.dev(),
        inode: metadata.ino(),
    })
}

/// Elsewhere a file that is open cannot be removed.
#[cfg(not(unix))]
fn identity(path: &Path) -> Option<Identity> {
    fs::metadata(path).ok()?;
    Some(Identity {
        device: 0,
        inode: 0,
    })
}
