//! Measures the disk during a scenario. A signed callback is answered after a sync, and a busy
//! machine can delay the syncs of every process. The figure is shown but not judged.

use std::fs::File;
use std::io::{self, Seek, Write};
use std::path::Path;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow};

/// The time from the start of one sync to the start of the next.
const INTERVAL: Duration = Duration::from_millis(20);

/// A thread that writes a few bytes to its own file and syncs it.
pub(super) struct Syncs(JoinHandle<io::Result<Duration>>);

/// Starts to sync a file in `dir` repeatedly, until `until`.
pub(super) fn begin(dir: &Path, until: Instant) -> Syncs {
    let file = dir.join("synced");
    Syncs(thread::spawn(move || {
        let mut file = File::create(file)?;
        let mut slowest = Duration::ZERO;
        while Instant::now() < until {
            let before = Instant::now();
            file.rewind()?;
            file.write_all(&[0; 1_024])?;
            file.sync_data()?;
            slowest = slowest.max(before.elapsed());
            thread::sleep(INTERVAL);
        }
        Ok(slowest)
    }))
}

impl Syncs {
    /// Waits for the last sync, and returns the duration of the slowest.
    pub(super) fn slowest(self) -> Result<Duration> {
        let slowest = self.0.join();
        Ok(slowest.map_err(|_| anyhow!("the thread that syncs panicked"))??)
    }
}
