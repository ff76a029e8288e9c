//! Waits for something to claim: woken by other handles of this process, and by polling for writes
//! of other processes.

use std::collections::HashMap;
use std::fs;
use std::future::Future;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use suno_callback::StoreError;
use tokio::sync::Notify;
use tokio::time::{Instant, timeout};

/// The interval of polling for writes of other processes. SQLite does not announce them, and a poll
/// reads two rows.
const LOOK_INTERVAL: Duration = Duration::from_millis(250);

/// The handles of this process on each file.
static FILES: Mutex<Option<HashMap<PathBuf, Weak<Notify>>>> = Mutex::new(None);

/// The watch of one handle.
#[derive(Debug)]
pub(crate) struct Watch {
    changed: Arc<Notify>,
    has_other_processes: bool,
}

impl Watch {
    /// The watch of an existing file, shared by all handles of this process.
    pub(crate) fn of(path: &Path, has_other_processes: bool) -> Self {
        let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
        let mut files = FILES.lock().unwrap_or_else(PoisonError::into_inner);
        let files = files.get_or_insert_default();
        files.retain(|_, changed| changed.strong_count() > 0);
        let known = files.get(&path).and_then(Weak::upgrade);
        let changed = known.unwrap_or_default();
        files.insert(path, Arc::downgrade(&changed));
        Self {
            changed,
            has_other_processes,
        }
    }

    /// Wakes all waiting handles of this process.
    pub(crate) fn wake(&self) {
        self.changed.notify_waiters();
    }

    /// Waits until the next event is due, or for `at_most`. `next_due` returns the time until then.
    pub(crate) async fn wait<F>(
        &self,
        at_most: Duration,
        next_due: impl Fn() -> F,
    ) -> Result<(), StoreError>
    where
        F: Future<Output = Result<Option<Duration>, StoreError>>,
    {
        let start = Instant::now();
        loop {
            // Registered before the check, so that no change in between is missed.
            let mut changed = pin!(self.changed.notified());
            changed.as_mut().enable();
            let due = next_due().await?.unwrap_or(Duration::MAX);
            let left = at_most.saturating_sub(start.elapsed());
            let mut pause = due.min(left);
            if pause.is_zero() {
                return Ok(());
            }
            if self.has_other_processes {
                pause = pause.min(LOOK_INTERVAL);
            }
            // Timers count in milliseconds: a shorter wait would poll again and again.
            if timeout(pause.max(Duration::from_millis(1)), changed)
                .await
                .is_ok()
            {
                return Ok(());
            }
        }
    }
}
