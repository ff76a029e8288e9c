//! Writes a history in the background, so that nothing waits for it.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, timeout};

use super::detail::{self, DeliveryNote};
use super::{History, HistoryEntry, PURGED_MAX};
use crate::background::BackgroundTask;
use crate::clock::{Clock, SystemClock};
use crate::delivery::Delivery;
use crate::handler::DeadLetter;
use crate::observe::{HandledReport, Observer, PollReport};
use crate::store::{Acceptance, StoreError};
use crate::throttle::Throttle;

/// Writes entries to a [`History`] in the background. Clones write to the same one.
///
/// As an [`Observer`] of a pipeline it writes an entry for each delivery whose task is known, with its
/// [headers](crate::Delivery::headers), each end of a handler, each dead letter, and each request for a
/// task's record that said nothing new.
///
/// ```
/// use std::sync::Arc;
///
/// use suno_callback::history::{History, HistoryWriter, MemoryHistory};
/// use suno_callback::{MemoryStore, Pipeline, Verification, handler_fn};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let history: Arc<dyn History> = Arc::new(MemoryHistory::new());
/// let (writer, writing) = HistoryWriter::start(history);
/// let store = Arc::new(MemoryStore::new());
/// let verification = Verification::webhook_key("whk_demo_key");
/// let pipeline = Pipeline::builder(store, handler_fn(async |_| Ok(())), verification)
///     .with_observer(writer)
///     .start()?;
/// pipeline.stop().await;
/// writing.stop().await;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct HistoryWriter {
    queue: mpsc::Sender<Note>,
    clock: Arc<dyn Clock>,
    shared: Arc<Shared>,
    has_handlers: bool,
}

#[derive(Debug, Default)]
struct Shared {
    dropped: AtomicU64,
    throttle: Throttle,
}

/// A queued entry.
enum Note {
    Entry(Box<HistoryEntry>),
    Delivery(Box<DeliveryNote>, Timestamp),
}

impl Note {
    fn into_entry(self) -> HistoryEntry {
        match self {
            Self::Entry(entry) => *entry,
            Self::Delivery(note, at) => note.into_entry(at),
        }
    }
}

impl HistoryWriter {
    /// The maximum number of entries that wait to be written. Further ones are dropped and counted.
    pub const WAITING_MAX: usize = 4_096;
    /// The maximum number of entries that are written together.
    pub const BATCH_MAX: usize = 256;
    /// The time limit for writing a batch. A batch that takes longer counts as dropped.
    pub const RECORD_TIMEOUT: Duration = Duration::from_secs(10);
    /// The age at which entries are removed: 30 days, as for the keys of events.
    pub const KEPT_FOR: Duration = Duration::from_secs(30 * 86_400);
    /// The interval at which old entries are removed.
    pub const PURGE_INTERVAL: Duration = Duration::from_secs(3_600);
    /// The maximum number of steps of one removal.
    const PURGE_STEPS_MAX: u32 = 1_000;

    /// Starts to write. Stopping the task writes what is waiting, for at most
    /// [`RECORD_TIMEOUT`](Self::RECORD_TIMEOUT) for each batch.
    pub fn start(history: Arc<dyn History>) -> (Self, BackgroundTask) {
        Self::start_with_clock(history, SystemClock)
    }

    /// Starts to write, with times from another clock than the system's.
    pub fn start_with_clock(
        history: Arc<dyn History>,
        clock: impl Clock + 'static,
    ) -> (Self, BackgroundTask) {
        let (queue, waiting) = mpsc::channel(Self::WAITING_MAX);
        let writer = Self {
            queue,
            clock: Arc::new(clock),
            shared: Arc::default(),
            has_handlers: true,
        };
        let writing = Writing {
            history,
            waiting,
            clock: Arc::clone(&writer.clock),
            shared: Arc::clone(&writer.shared),
        };
        let task = BackgroundTask::start(|stopped| writing.run(stopped));
        (writer, task)
    }

    /// Writes no entry when a handler ends: for a gateway, which notes its attempts itself.
    #[must_use]
    pub fn without_handlers(mut self) -> Self {
        self.has_handlers = false;
        self
    }

    /// Queues an entry and returns at once. If too many are waiting, the entry is dropped and counted.
    pub fn note(&self, entry: HistoryEntry) {
        self.send(Note::Entry(Box::new(entry)));
    }

    /// Returns the number of entries that were dropped or could not be written.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.shared.dropped.load(Ordering::Relaxed)
    }

    fn send(&self, note: Note) {
        if self.queue.try_send(note).is_err() {
            self.shared.drop_entries(1, "too many are waiting", None);
        }
    }
}

impl Shared {
    fn drop_entries(&self, entries: usize, why: &'static str, err: Option<&StoreError>) {
        self.dropped.fetch_add(entries as u64, Ordering::Relaxed);
        if self.throttle.admits(why) {
            let err = err.map(tracing::field::display);
            tracing::warn!(
                entries,
                err,
                "the history misses entries, because {why}; events are not affected"
            );
        }
    }
}

impl fmt::Debug for HistoryWriter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HistoryWriter")
            .field("dropped", &self.dropped())
            .field("has_handlers", &self.has_handlers)
            .finish_non_exhaustive()
    }
}

impl Observer for HistoryWriter {
    fn wants_headers(&self) -> bool {
        true
    }

    fn on_delivery(&self, delivery: &Delivery, accepted: Acceptance) {
        if let Some(note) = DeliveryNote::of(delivery, accepted) {
            self.send(Note::Delivery(Box::new(note), self.clock.now()));
        }
    }

    fn on_handled(&self, handled: &HandledReport<'_>) {
        if self.has_handlers {
            self.note(detail::handled(handled, self.clock.now()));
        }
    }

    fn on_poll(&self, poll: &PollReport<'_>) {
        if let Some(entry) = detail::poll(poll, self.clock.now()) {
            self.note(entry);
        }
    }

    fn on_dead_letter(&self, letter: &DeadLetter) {
        self.note(detail::dead_letter(letter, self.clock.now()));
    }
}

/// The task that writes.
struct Writing {
    history: Arc<dyn History>,
    waiting: mpsc::Receiver<Note>,
    clock: Arc<dyn Clock>,
    shared: Arc<Shared>,
}

impl Writing {
    async fn run(mut self, mut stopped: watch::Receiver<()>) {
        let mut notes = Vec::with_capacity(HistoryWriter::BATCH_MAX);
        let mut next_purge = Instant::now();
        loop {
            let received = tokio::select! {
                biased;
                received = self.waiting.recv_many(&mut notes, HistoryWriter::BATCH_MAX) => received,
                _ = stopped.changed() => break,
                () = tokio::time::sleep_until(next_purge) => {
                    self.purge().await;
                    next_purge = Instant::now() + HistoryWriter::PURGE_INTERVAL;
                    continue;
                }
            };
            if received == 0 {
                return;
            }
            self.write(&mut notes).await;
        }
        self.waiting.close();
        while self
            .waiting
            .recv_many(&mut notes, HistoryWriter::BATCH_MAX)
            .await
            > 0
        {
            if !self.write(&mut notes).await {
                return;
            }
        }
    }

    /// Writes a batch. Returns false if that failed.
    async fn write(&self, notes: &mut Vec<Note>) -> bool {
        let entries: Vec<_> = notes.drain(..).map(Note::into_entry).collect();
        let recorded = timeout(HistoryWriter::RECORD_TIMEOUT, self.history.record(&entries));
        let failed = match recorded.await {
            Ok(Ok(())) => return true,
            Ok(Err(err)) => Some(err),
            Err(_) => Some(StoreError::unanswered()),
        };
        let count = entries.len();
        self.shared
            .drop_entries(count, "it cannot be written", failed.as_ref());
        false
    }

    async fn purge(&self) {
        let kept_for = SignedDuration::try_from(HistoryWriter::KEPT_FOR).unwrap_or_default();
        let Ok(before) = self.clock.now().checked_sub(kept_for) else {
            return;
        };
        for _ in 0..HistoryWriter::PURGE_STEPS_MAX {
            let purged = timeout(HistoryWriter::RECORD_TIMEOUT, self.history.purge(before));
            match purged.await {
                Ok(Ok(purged)) if purged >= u64::from(PURGED_MAX) => {}
                Ok(Ok(_)) => return,
                Ok(Err(_)) | Err(_) => {
                    tracing::debug!("old entries of the history could not be removed");
                    return;
                }
            }
        }
    }
}
