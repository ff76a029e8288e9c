//! The temporary file of a download.

use std::io;
use std::path::{Path, PathBuf};

use tokio::fs::{File, OpenOptions};
use tokio::io::{AsyncSeekExt, AsyncWriteExt};

use crate::{ClientError, ErrorKind};

/// A file with a temporary name. Dropping it removes the file.
#[derive(Debug)]
pub(super) struct Part {
    dir: PathBuf,
    path: PathBuf,
    file: File,
    bytes: u64,
    is_finished: bool,
}

impl Part {
    /// Creates a file with a random name.
    pub(super) async fn create(dir: &Path, stem: &str) -> Result<Self, ClientError> {
        let path = dir.join(format!("{stem}.{:016x}.part", fastrand::u64(..)));
        let opened = OpenOptions::new()
            .write(true)
            .create_new(true)
            .open(&path)
            .await;
        Ok(Self {
            dir: dir.to_owned(),
            file: opened.map_err(|err| failed("the file cannot be created in the folder", err))?,
            path,
            bytes: 0,
            is_finished: false,
        })
    }

    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    pub(super) async fn append(&mut self, data: &[u8]) -> Result<(), ClientError> {
        let written = self.file.write_all(data).await;
        written.map_err(|err| failed("the file cannot be written", err))?;
        self.bytes += data.len() as u64;
        Ok(())
    }

    /// Discards all bytes.
    pub(super) async fn start_again(&mut self) -> Result<(), ClientError> {
        self.bytes = 0;
        let emptied = async {
            self.file.flush().await?;
            self.file.set_len(0).await?;
            self.file.rewind().await.map(drop)
        };
        let emptied = emptied.await;
        emptied.map_err(|err| failed("the file cannot be written", err))
    }

    /// Syncs the file to disk and then renames it, so that its final name never shows a part.
    pub(super) async fn finish(mut self, name: &str) -> Result<PathBuf, ClientError> {
        let path = self.dir.join(name);
        let finished = async {
            self.file.flush().await?;
            self.file.sync_all().await?;
            tokio::fs::rename(&self.path, &path).await?;
            self.is_finished = true;
            sync_dir(&self.dir).await
        };
        let finished = finished.await;
        finished.map_err(|err| failed("the file cannot be saved to disk", err))?;
        Ok(path)
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        if !self.is_finished
            && let Err(err) = std::fs::remove_file(&self.path)
        {
            tracing::debug!(%err, "the file of a failed download cannot be removed");
        }
    }
}

fn failed(what: &'static str, err: io::Error) -> ClientError {
    ClientError::new(ErrorKind::File, what).with_cause(err)
}

/// Syncs the folder, which holds the new name.
#[cfg(unix)]
async fn sync_dir(dir: &Path) -> io::Result<()> {
    File::open(dir).await?.sync_all().await
}

/// Does nothing: other systems cannot open folders as files.
#[cfg(not(unix))]
async fn sync_dir(_: &Path) -> io::Result<()> {
    Ok(())
}
