//! Runs transactions: in a thread with its own connection or, for a simulation, at once.

#[cfg(test)]
mod tests;

use std::fmt;
use std::iter;
use std::path::Path;
use std::sync::{Mutex, mpsc as std_mpsc};
use std::thread;
use std::time::Duration;

use rusqlite::Transaction;
use suno_callback::{StoreError, StoreErrorKind};
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

use crate::error::{Result, store_error};
use crate::file::OpenFile;
use crate::queue::Queue;
use crate::schema;

/// The maximum number of operations that wait for a thread; further ones wait for a place in the
/// queue.
const WAITING_MAX: usize = 256;
/// The time limit for getting a place in the queue.
const PLACE_TIMEOUT: Duration = Duration::from_secs(10);
/// The maximum number of operations that share a transaction.
const TOGETHER_MAX: usize = 64;
/// The maximum time that dropping the handle waits for queued operations, and for the file to be
/// closed.
const CLOSING_MAX: Duration = Duration::from_secs(5);

/// A queued operation, with the channel to its caller.
trait Job<M>: Send {
    /// Runs it. Returns false if it failed.
    fn run(&mut self, transaction: &Transaction<'_>, memory: &mut M) -> bool;

    /// Sends the result to the caller. `failed` is set if the transaction was not committed.
    fn tell(self: Box<Self>, failed: Option<StoreError>);
}

/// An operation, its result, and the channel for that.
struct Operation<T, F> {
    operation: Option<F>,
    result: Option<Result<T>>,
    answer: oneshot::Sender<std::result::Result<T, StoreError>>,
}

impl<T, F, M> Job<M> for Operation<T, F>
where
    T: Send,
    F: FnOnce(&Transaction<'_>, &mut M) -> Result<T> + Send,
{
    fn run(&mut self, transaction: &Transaction<'_>, memory: &mut M) -> bool {
        let operation = self.operation.take();
        let result = operation.map(|operation| operation(transaction, memory));
        let is_done = matches!(result, Some(Ok(_)));
        self.result = result;
        is_done
    }

    fn tell(self: Box<Self>, failed: Option<StoreError>) {
        let result = match (self.result, failed) {
            (Some(Err(err)), _) => Err(err.into()),
            (_, Some(failed)) => Err(failed),
            (Some(Ok(value)), None) => Ok(value),
            (None, None) => Err(unavailable("the operation did not start")),
        };
        // If the caller was cancelled, its receiver is gone; the work is done all the same.
        let _ = self.answer.send(result);
    }
}

type Jobs<M> = Vec<Box<dyn Job<M>>>;

/// The state that is kept between transactions.
pub(crate) trait Memory: Default + Send + 'static {
    /// Forgets everything that the operations of a failed transaction may have changed.
    fn forget(&mut self);
}

/// A file with its kept state.
struct Executor<M> {
    file: OpenFile,
    memory: M,
    /// The queue for the right to write; `None` if it only reads.
    queue: Option<Queue>,
}

/// Runs operations on a file, in the order of their arrival.
pub(crate) struct Thread<M> {
    inner: Inner<M>,
}

enum Inner<M> {
    /// Runs in a separate thread. It ends when the handle is dropped and the queued operations are
    /// done. Dropping waits for that, so that a process closes the file before it ends.
    Threaded {
        /// `None` while the handle is being dropped.
        jobs: Option<mpsc::Sender<Box<dyn Job<M>>>>,
        /// Disconnects when the file is closed. Only the drop uses it: the lock makes it `Sync`.
        closed: Mutex<std_mpsc::Receiver<()>>,
    },
    /// Runs at once, in the calling task.
    #[cfg(feature = "simulation")]
    Inline(Box<Mutex<Executor<M>>>),
}

impl<M> Drop for Thread<M> {
    fn drop(&mut self) {
        #[cfg_attr(
            not(feature = "simulation"),
            expect(
                irrefutable_let_patterns,
                reason = "with a simulation there are two variants"
            )
        )]
        if let Inner::Threaded { jobs, closed } = &mut self.inner {
            *jobs = None;
            if let Ok(closed) = closed.get_mut() {
                let _ = closed.recv_timeout(CLOSING_MAX);
            }
        }
    }
}

impl<M> fmt::Debug for Thread<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Thread").finish_non_exhaustive()
    }
}

impl<M: Memory> Thread<M> {
    /// Starts a thread that writes. Its transactions are immediate: one that began by reading could
    /// fail to write while another process writes.
    pub(crate) fn writer(path: &Path) -> std::result::Result<Self, StoreError> {
        let file = OpenFile::open(path, schema::open)?;
        Self::start(file, "suno-sqlite-write", Some(Queue::beside(path)))
    }

    /// Starts a thread that reads, and does not wait for the one that writes.
    pub(crate) fn reader(path: &Path) -> std::result::Result<Self, StoreError> {
        let file = OpenFile::open(path, schema::open_reader)?;
        Self::start(file, "suno-sqlite-read", None)
    }

    /// Starts a thread that reads and writes the file of a history.
    pub(crate) fn history(path: &Path) -> std::result::Result<Self, StoreError> {
        let file = OpenFile::open(path, schema::open_history)?;
        Self::start(file, "suno-sqlite-hist", Some(Queue::unfair()))
    }

    /// Does the same without a thread.
    #[cfg(feature = "simulation")]
    pub(crate) fn inline(
        path: &Path,
        open: crate::file::Open,
        queue: Option<Queue>,
    ) -> std::result::Result<Self, StoreError> {
        let executor = Executor {
            file: OpenFile::open(path, open)?,
            memory: M::default(),
            queue,
        };
        Ok(Self {
            inner: Inner::Inline(Box::new(Mutex::new(executor))),
        })
    }

    fn start(
        file: OpenFile,
        name: &str,
        queue: Option<Queue>,
    ) -> std::result::Result<Self, StoreError> {
        let (jobs, mut waiting) = mpsc::channel::<Box<dyn Job<M>>>(WAITING_MAX);
        let (closing, closed) = std_mpsc::channel();
        thread::Builder::new()
            .name(name.to_owned())
            .spawn(move || {
                let memory = M::default();
                let mut executor = Executor {
                    file,
                    memory,
                    queue,
                };
                while let Some(job) = waiting.blocking_recv() {
                    executor.run_together(job, || waiting.try_recv().ok());
                }
                drop(executor);
                drop::<std_mpsc::Sender<()>>(closing);
            })
            .map_err(|err| StoreError::new(StoreErrorKind::Unavailable).with_source(err))?;
        Ok(Self {
            inner: Inner::Threaded {
                jobs: Some(jobs),
                closed: Mutex::new(closed),
            },
        })
    }

    /// Runs an operation in a transaction that is committed if it succeeds. Dropping the future
    /// does not stop an operation that is already queued.
    pub(crate) async fn run<T, F>(&self, operation: F) -> std::result::Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&Transaction<'_>, &mut M) -> Result<T> + Send + 'static,
    {
        let (answer, answered) = oneshot::channel();
        let job = Box::new(Operation {
            operation: Some(operation),
            result: None,
            answer,
        });
        self.enqueue(job).await?;
        answered
            .await
            .unwrap_or_else(|_| Err(unavailable("the store is closing")))
    }

    async fn enqueue(&self, job: Box<dyn Job<M>>) -> std::result::Result<(), StoreError> {
        match &self.inner {
            Inner::Threaded { jobs, .. } => {
                let Some(jobs) = jobs else {
                    return Err(unavailable("the store is closing"));
                };
                match timeout(PLACE_TIMEOUT, jobs.send(job)).await {
                    Ok(Ok(())) => {}
                    Ok(Err(_)) => return Err(unavailable("the store is closing")),
                    Err(_) => {
                        return Err(unavailable("too many operations are waiting for the file"));
                    }
                }
                // If both share a core, the thread starts now, and syncs while other tasks run.
                thread::yield_now();
            }
            #[cfg(feature = "simulation")]
            Inner::Inline(executor) => {
                let mut executor = executor
                    .lock()
                    .unwrap_or_else(std::sync::PoisonError::into_inner);
                executor.run_together(job, || None);
            }
        }
        Ok(())
    }
}

fn unavailable(reason: &'static str) -> StoreError {
    StoreError::new(StoreErrorKind::Unavailable).with_source(reason)
}

impl<M: Memory> Executor<M> {
    /// Runs a job, and those queued after it, in one transaction, so that they share its sync. A
    /// job that fails does not prevent the others from being committed.
    fn run_together(
        &mut self,
        mut first: Box<dyn Job<M>>,
        next: impl FnMut() -> Option<Box<dyn Job<M>>>,
    ) {
        let mut others = Vec::new();
        let committed = self.transact(&mut *first, &mut others, next);
        if committed.is_err() {
            self.memory.forget();
        }
        let failed = committed.err();
        for job in iter::once(first).chain(others) {
            job.tell(failed.as_ref().map(again));
        }
    }

    /// Runs a job, and others that are added. If the first one fails, the transaction ends: usually
    /// it is the only one, and so needs no savepoint.
    fn transact(
        &mut self,
        first: &mut dyn Job<M>,
        others: &mut Jobs<M>,
        mut next: impl FnMut() -> Option<Box<dyn Job<M>>>,
    ) -> std::result::Result<(), StoreError> {
        let (connection, is_another) = self.file.connection()?;
        if is_another {
            self.memory.forget();
        }
        let transaction = match &self.queue {
            Some(queue) => queue.begin(connection),
            None => connection.transaction(),
        };
        let transaction = transaction.map_err(store_error)?;
        if !first.run(&transaction, &mut self.memory) {
            self.memory.forget();
            return transaction.rollback().map_err(store_error);
        }
        while others.len() + 1 < TOGETHER_MAX
            && let Some(mut job) = next()
        {
            let ran = run_apart(&transaction, &mut self.memory, &mut *job);
            others.push(job);
            ran.map_err(store_error)?;
        }
        transaction.commit().map_err(store_error)
    }
}

/// Runs a job so that a failure leaves no changes in the transaction.
fn run_apart<M: Memory>(
    transaction: &Transaction<'_>,
    memory: &mut M,
    job: &mut dyn Job<M>,
) -> rusqlite::Result<()> {
    let execute = |sql| transaction.prepare_cached(sql)?.execute(()).map(|_| ());
    execute("SAVEPOINT job")?;
    if !job.run(transaction, memory) {
        memory.forget();
        // Fails if SQLite has rolled back the whole transaction, as it does when the disk is full.
        execute("ROLLBACK TO job")?;
    }
    execute("RELEASE job")
}

/// Copies an error for another caller.
fn again(err: &StoreError) -> StoreError {
    let cause = std::error::Error::source(err).map_or_else(String::new, ToString::to_string);
    StoreError::new(err.kind()).with_source(cause)
}
