//! Shares the right to write fairly with other processes that use the same file.
//!
//! SQLite gives the right to write to the process that asks first when it is free. A process that
//! writes one transaction after the other is nearly always first itself, and others wait for
//! seconds. So a waiting process locks a file beside the store (`-queue`), and a process that wants
//! to write lets the waiting ones go first. The lock does not prevent writing: without it, turns
//! are only less fair.

use std::cell::Cell;
use std::fs::{File, OpenOptions, TryLockError};
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use rusqlite::{Connection, Transaction, TransactionBehavior};
use suno_callback::StoreError;

use crate::error::store_error;

/// The time limit for getting the right to write, or for another process that has exclusive access
/// to the file.
const BUSY_MAX: Duration = Duration::from_secs(5);
/// The wait before the next look.
const LOOK: Duration = Duration::from_micros(500);
/// The maximum number of looks at whether other processes still wait: a suspended process delays
/// the others no longer than that.
const LOOKS_MAX: u32 = 40;

/// The file with which processes announce that they wait.
pub(crate) struct Queue(Option<File>);

/// Announces that this process waits, until it is dropped.
struct Waiting<'q>(&'q Queue);

impl Queue {
    pub(crate) fn beside(path: &Path) -> Self {
        let mut file = path.as_os_str().to_owned();
        file.push("-queue");
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(false);
        // Other processes cannot announce that they wait in the meantime.
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        Self(options.open(file).ok())
    }

    /// Creates a queue in which no process lets another one go first.
    pub(crate) fn unfair() -> Self {
        Self(None)
    }

    /// Begins a transaction that may write, after others that wait for one.
    pub(crate) fn begin<'c>(
        &self,
        connection: &'c mut Connection,
    ) -> rusqlite::Result<Transaction<'c>> {
        self.let_others_begin();
        let _waiting = self.wait();
        connection.transaction_with_behavior(TransactionBehavior::Immediate)
    }

    /// Returns false if some still wait after all looks.
    fn let_others_begin(&self) -> bool {
        let Some(file) = &self.0 else { return true };
        for _ in 0..LOOKS_MAX {
            match file.try_lock() {
                Err(TryLockError::WouldBlock) => thread::sleep(LOOK),
                Ok(()) | Err(TryLockError::Error(_)) => {
                    let _ = file.unlock();
                    return true;
                }
            }
        }
        false
    }

    fn wait(&self) -> Waiting<'_> {
        if let Some(file) = &self.0 {
            // This fails while another process looks: this wait then goes unnoticed once.
            let _ = file.try_lock_shared();
        }
        Waiting(self)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        if let Some(file) = &self.0.0 {
            let _ = file.unlock();
        }
    }
}

/// Makes a connection wait for others by polling often: SQLite itself waits longer each time, and
/// would miss its turn.
pub(crate) fn wait_for_others(connection: &mut Connection) -> rusqlite::Result<()> {
    thread_local! {
        // A thread waits for one connection at a time. A pause can be much longer than it should be,
        // so the time is measured, and not the pauses counted.
        static SINCE: Cell<Option<Instant>> = const { Cell::new(None) };
    }
    connection.busy_handler(Some(|looks: i32| {
        if looks == 0 {
            SINCE.set(Some(Instant::now()));
        }
        thread::sleep(LOOK);
        SINCE.get().is_some_and(|since| since.elapsed() < BUSY_MAX)
    }))
}

/// Begins a transaction for [`settle_in`](crate::settle_in) on your own connection, in turn with
/// those of the store: a plain `BEGIN IMMEDIATE` can wait for seconds while the store is busy.
///
/// From then on the connection waits for others for up to 5 s, whatever its busy timeout was
/// before.
///
/// # Errors
///
/// Returns [`StoreError`] if the file was busy for longer, or if SQLite fails. No transaction is
/// open then.
pub fn begin(connection: &mut Connection) -> Result<Transaction<'_>, StoreError> {
    wait_for_others(connection).map_err(store_error)?;
    let queue = connection.path().map(|path| Queue::beside(Path::new(path)));
    let queue = queue.unwrap_or(Queue(None));
    queue.begin(connection).map_err(store_error)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn queue(dir: &tempfile::TempDir) -> Queue {
        Queue::beside(&dir.path().join("suno.db"))
    }

    fn is_waited_for(queue: &Queue) -> bool {
        let lock = queue.0.as_ref().unwrap().try_lock();
        let waited_for = matches!(lock, Err(TryLockError::WouldBlock));
        queue.0.as_ref().unwrap().unlock().unwrap();
        waited_for
    }

    #[test]
    fn who_waits_is_seen_until_it_has_begun() {
        let dir = tempfile::tempdir().unwrap();
        let (one, other) = (queue(&dir), queue(&dir));
        let waiting = one.wait();
        assert!(is_waited_for(&other));
        drop(waiting);
        assert!(!is_waited_for(&other));
    }

    #[test]
    fn one_that_stands_still_holds_up_nobody_for_long() {
        let dir = tempfile::tempdir().unwrap();
        let (one, other) = (queue(&dir), queue(&dir));
        let waiting = one.wait();
        assert!(!other.let_others_begin());
        drop(waiting);
        assert!(other.let_others_begin());
    }

    #[test]
    fn a_process_begins_only_after_the_others_had_time_to_begin() {
        let dir = tempfile::tempdir().unwrap();
        let (one, other) = (queue(&dir), queue(&dir));
        let mut connection = Connection::open(dir.path().join("suno.db")).unwrap();
        let waiting = one.wait();
        let asked = Instant::now();
        drop(other.begin(&mut connection).unwrap());
        // Nobody else began, so that it took all its looks. Sleeping takes at least its time.
        assert!(asked.elapsed() >= LOOK * LOOKS_MAX);
        drop(waiting);
    }

    #[test]
    fn without_the_file_it_is_written_all_the_same() {
        let dir = tempfile::tempdir().unwrap();
        let mut connection = Connection::open(dir.path().join("suno.db")).unwrap();
        let queue = Queue::beside(&dir.path().join("no folder/suno.db"));
        queue.begin(&mut connection).unwrap().commit().unwrap();
    }
}
