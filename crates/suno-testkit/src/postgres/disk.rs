//! A disk that is small enough to be filled.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use tempfile::TempDir;

use super::Programs;

/// A file system in memory with a limited size, which only root can make. It is unmounted when it is
/// dropped; a server that uses it must end before.
#[derive(Debug)]
pub struct SmallDisk {
    folder: TempDir,
    data: PathBuf,
}

impl SmallDisk {
    /// Makes a disk on which a server can store tables.
    ///
    /// # Errors
    ///
    /// Returns an error if this process may not mount file systems.
    pub fn new(programs: &Programs, mebibytes: u32) -> Result<Self> {
        let folder = tempfile::tempdir().context("cannot make a folder for the disk")?;
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={mebibytes}m"), "tmpfs"])
            .arg(folder.path())
            .output()
            .context("cannot run mount")?;
        ensure!(
            mounted.status.success(),
            "a small file system cannot be mounted, which needs root"
        );
        let data = folder.path().join("data");
        let disk = Self { folder, data };
        std::fs::create_dir(&disk.data).context("cannot make a folder on the small disk")?;
        programs.give(disk.folder.path())?;
        programs.give(&disk.data)?;
        Ok(disk)
    }

    /// Returns an empty folder on the disk.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.data
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily, because a backend that was killed may not have closed its files yet.
        let _ = Command::new("umount")
            .arg("--lazy")
            .arg(self.folder.path())
            .status();
    }
}
