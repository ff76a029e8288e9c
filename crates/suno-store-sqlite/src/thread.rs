//! A thread with a connection of its own: one writes, one reads.

use std::fmt;
use std::path::Path;
use std::sync::{Mutex, mpsc};
use std::thread;
use std::time::Duration;

use rusqlite::{Transaction, TransactionBehavior};
use suno_callback::{StoreError, StoreErrorKind};
use tokio::sync::oneshot;

use crate::error::store_error;
use crate::file::OpenFile;
use crate::schema;

/// How many operations wait for a thread at most; further ones fail.
const WAITING_MAX: usize = 256;

/// How long dropping the handle waits at most for what was waiting, and for the file to be closed.
const CLOSING_MAX: Duration = Duration::from_secs(5);

/// Something to do in the thread.
type Job<M> = Box<dyn FnOnce(&mut OpenFile, &mut M) + Send>;

/// What a thread remembers from one transaction to the next.
pub(crate) trait Memory: Default + Send + 'static {
    /// Forgets everything, since the transaction that changed it failed.
    fn forget(&mut self);
}

/// A thread that reads remembers nothing.
impl Memory for () {
    fn forget(&mut self) {}
}

/// Runs operations in a thread of its own, each in one transaction. The thread ends when the
/// handle is dropped and what was waiting is done; dropping waits for that, so that a process that
/// ends has closed the file.
pub(crate) struct Thread<M> {
    /// `None` while the handle is dropped.
    jobs: Option<mpsc::SyncSender<Job<M>>>,
    /// Hangs up when the file is closed. Only the end asks: the lock makes it shareable.
    closed: Mutex<mpsc::Receiver<()>>,
    behavior: TransactionBehavior,
}

impl<M> Drop for Thread<M> {
    fn drop(&mut self) {
        self.jobs = None;
        if let Ok(closed) = self.closed.get_mut() {
            let _ = closed.recv_timeout(CLOSING_MAX);
        }
    }
}

impl<M> fmt::Debug for Thread<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Thread").finish_non_exhaustive()
    }
}

impl<M: Memory> Thread<M> {
    /// A thread that writes. Its transactions are immediate: one that began by reading could fail
    /// to write beside another process.
    pub(crate) fn writer(path: &Path) -> Result<Self, StoreError> {
        let file = OpenFile::open(path, schema::open)?;
        Self::start(file, "suno-sqlite-write", TransactionBehavior::Immediate)
    }

    /// A thread that reads, and does not wait for the one that writes.
    pub(crate) fn reader(path: &Path) -> Result<Self, StoreError> {
        let file = OpenFile::open(path, schema::open_reader)?;
        Self::start(file, "suno-sqlite-read", TransactionBehavior::Deferred)
    }

    fn start(
        mut file: OpenFile,
        name: &str,
        behavior: TransactionBehavior,
    ) -> Result<Self, StoreError> {
        let (jobs, waiting) = mpsc::sync_channel::<Job<M>>(WAITING_MAX);
        let (closing, closed) = mpsc::channel();
        thread::Builder::new()
            .name(name.to_owned())
            .spawn(move || {
                let mut memory = M::default();
                while let Ok(job) = waiting.recv() {
                    job(&mut file, &mut memory);
                }
                drop(file);
                drop::<mpsc::Sender<()>>(closing);
            })
            .map_err(|err| StoreError::new(StoreErrorKind::Unavailable).with_source(err))?;
        Ok(Self {
            jobs: Some(jobs),
            closed: Mutex::new(closed),
            behavior,
        })
    }

    /// Runs an operation in a transaction that is committed if it succeeds.
    pub(crate) async fn run<T, F>(&self, operation: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&Transaction<'_>, &mut M) -> Result<T, StoreError> + Send + 'static,
    {
        let (answer, answered) = oneshot::channel();
        let behavior = self.behavior;
        let job: Job<M> = Box::new(move |file, memory| {
            let done = transact(file, memory, behavior, operation);
            if done.is_err() {
                memory.forget();
            }
            // Nobody waits any more if the caller was cancelled; the work is done all the same.
            let _ = answer.send(done);
        });
        let sent = self.jobs.as_ref().map(|jobs| jobs.try_send(job));
        if !matches!(sent, Some(Ok(()))) {
            let reason = "too many operations wait for the file";
            return Err(StoreError::new(StoreErrorKind::Unavailable).with_source(reason));
        }
        // Where both share a core, the thread begins now, and is synced while others are served.
        thread::yield_now();
        answered
            .await
            .unwrap_or_else(|_| Err(StoreError::new(StoreErrorKind::Unavailable)))
    }
}

fn transact<T, M: Memory>(
    file: &mut OpenFile,
    memory: &mut M,
    behavior: TransactionBehavior,
    operation: impl FnOnce(&Transaction<'_>, &mut M) -> Result<T, StoreError>,
) -> Result<T, StoreError> {
    let (connection, is_another) = file.connection()?;
    if is_another {
        memory.forget();
    }
    let transaction = connection
        .transaction_with_behavior(behavior)
        .map_err(store_error)?;
    let done = operation(&transaction, memory)?;
    transaction.commit().map_err(store_error)?;
    Ok(done)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A thread that writes into a file that has some events.
    async fn writer(dir: &tempfile::TempDir) -> Thread<()> {
        let writer = Thread::writer(&dir.path().join("suno.db")).unwrap();
        write(&writer, 1).await.unwrap();
        writer
    }

    async fn write(writer: &Thread<()>, kilobytes: usize) -> Result<(), StoreError> {
        let insert = move |transaction: &Transaction<'_>, (): &mut ()| {
            transaction
                .execute(
                    "INSERT INTO quarantine
                     (strict, source, verified_by, received_at, reason, raw)
                     VALUES (randomblob(16), 0, 0, 0, '', ?1)",
                    [vec![0_u8; kilobytes * 1_024]],
                )
                .map_err(store_error)?;
            Ok(())
        };
        writer.run(insert).await
    }

    /// Runs a pragma in the thread's own connection, outside of any transaction.
    async fn pragma(writer: &Thread<()>, sql: &'static str) {
        let (done, is_done) = oneshot::channel();
        let job: Job<()> = Box::new(move |file, ()| {
            file.connection().unwrap().0.execute_batch(sql).unwrap();
            done.send(()).unwrap();
        });
        writer.jobs.as_ref().unwrap().send(job).unwrap();
        is_done.await.unwrap();
    }

    #[tokio::test]
    async fn commits_are_synced_to_a_write_ahead_log() {
        let dir = tempfile::tempdir().unwrap();
        let writer = writer(&dir).await;
        let settings = |transaction: &Transaction<'_>, (): &mut ()| {
            let synchronous =
                transaction.pragma_query_value(None, "synchronous", |row| row.get::<_, i64>(0));
            let journal =
                transaction.pragma_query_value(None, "journal_mode", |row| row.get::<_, String>(0));
            Ok((synchronous.unwrap(), journal.unwrap()))
        };
        // 2 is FULL: the log is synced at each commit.
        assert_eq!(writer.run(settings).await.unwrap(), (2, "wal".to_owned()));
    }

    #[tokio::test]
    async fn a_transaction_has_the_right_to_write_from_its_beginning() {
        let dir = tempfile::tempdir().unwrap();
        let writer = writer(&dir).await;
        let file = dir.path().join("suno.db");
        let begin = move |_: &Transaction<'_>, (): &mut ()| {
            let other = rusqlite::Connection::open(&file).unwrap();
            other.busy_timeout(std::time::Duration::ZERO).unwrap();
            Ok(other
                .execute_batch("BEGIN IMMEDIATE")
                .map_err(|err| err.sqlite_error_code()))
        };
        let begun = writer.run(begin).await.unwrap();
        assert_eq!(begun, Err(Some(rusqlite::ErrorCode::DatabaseBusy)));
    }

    #[tokio::test]
    async fn a_full_disk_is_said_so_and_recovers_when_there_is_room() {
        let dir = tempfile::tempdir().unwrap();
        let writer = writer(&dir).await;
        pragma(&writer, "PRAGMA max_page_count = 40").await;
        let err = write(&writer, 1_000).await.unwrap_err();
        assert_eq!(err.kind(), StoreErrorKind::Full);
        write(&writer, 1).await.unwrap();
        pragma(&writer, "PRAGMA max_page_count = 100000").await;
        write(&writer, 1_000).await.unwrap();
    }

    #[tokio::test]
    async fn a_read_only_file_is_said_so_and_recovers_when_it_can_be_written() {
        let dir = tempfile::tempdir().unwrap();
        let writer = writer(&dir).await;
        pragma(&writer, "PRAGMA query_only = ON").await;
        let err = write(&writer, 1).await.unwrap_err();
        assert_eq!(err.kind(), StoreErrorKind::ReadOnly);
        pragma(&writer, "PRAGMA query_only = OFF").await;
        write(&writer, 1).await.unwrap();
    }

    #[tokio::test]
    async fn another_process_that_writes_for_long_is_waited_for() {
        let dir = tempfile::tempdir().unwrap();
        let writer = writer(&dir).await;
        pragma(&writer, "PRAGMA busy_timeout = 1").await;
        let other = rusqlite::Connection::open(dir.path().join("suno.db")).unwrap();
        other.execute_batch("BEGIN IMMEDIATE").unwrap();
        let err = write(&writer, 1).await.unwrap_err();
        assert_eq!(err.kind(), StoreErrorKind::Unavailable);
        other.execute_batch("ROLLBACK").unwrap();
        write(&writer, 1).await.unwrap();
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn a_removed_file_is_an_error_until_it_is_put_back() {
        let dir = tempfile::tempdir().unwrap();
        let writer = writer(&dir).await;
        let (file, aside) = (dir.path().join("suno.db"), dir.path().join("aside.db"));
        std::fs::rename(&file, &aside).unwrap();
        let err = write(&writer, 1).await.unwrap_err();
        assert_eq!(err.kind(), StoreErrorKind::Unavailable);
        assert!(!file.exists(), "it must not be made anew");
        std::fs::rename(&aside, &file).unwrap();
        write(&writer, 1).await.unwrap();
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn a_damaged_file_is_said_so_and_a_backup_in_its_place_is_taken_up() {
        let dir = tempfile::tempdir().unwrap();
        let writer = writer(&dir).await;
        let (file, backup) = (dir.path().join("suno.db"), dir.path().join("backup.db"));
        pragma(&writer, "PRAGMA wal_checkpoint(TRUNCATE)").await;
        std::fs::copy(&file, &backup).unwrap();
        let garbage = dir.path().join("garbage");
        std::fs::write(&garbage, "x".repeat(8_192)).unwrap();
        std::fs::rename(&garbage, &file).unwrap();
        let err = write(&writer, 1).await.unwrap_err();
        assert_eq!(err.kind(), StoreErrorKind::Corrupt);
        std::fs::rename(&backup, &file).unwrap();
        write(&writer, 1).await.unwrap();
        let rows = |transaction: &Transaction<'_>, (): &mut ()| {
            transaction
                .query_row("SELECT count(*) FROM quarantine", (), |row| {
                    row.get::<_, i64>(0)
                })
                .map_err(store_error)
        };
        assert_eq!(writer.run(rows).await.unwrap(), 2);
    }
}
