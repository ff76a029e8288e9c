//! Tells open streams that there is something new, as an observer of a pipeline.

use suno_callback::{
    Acceptance, Delivery, EventId, EventKey, HandledOutcome, HandledReport, Observer,
};
use suno_types::TaskId;
use tokio::sync::{broadcast, watch};

/// Tells the streams of the admin service what happens in this process. Observe a pipeline with it.
///
/// Without it, streams look into the store every two seconds, as they do for other processes.
#[derive(Debug)]
pub struct Feed {
    arrivals: watch::Sender<u64>,
    changes: broadcast::Sender<Change>,
    /// The task of each delivery, also of one that changes no event but its history.
    deliveries: broadcast::Sender<TaskId>,
    quiet: broadcast::Sender<QuietDelivery>,
}

/// A delivery that no new event shows, such as a duplicate or a conflict.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct QuietDelivery {
    /// Its task, if that could be read.
    pub(super) task: Option<TaskId>,
    /// What the store did with it: one word.
    pub(super) change: &'static str,
}

/// An event whose state has changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Change {
    pub(super) id: EventId,
    pub(super) key: EventKey,
    /// One word.
    pub(super) change: &'static str,
}

/// The word for a redriven event.
pub(super) const REDRIVEN: &str = "redriven";

impl Default for Feed {
    fn default() -> Self {
        Self::new()
    }
}

impl Feed {
    /// The maximum number of changes that wait for a slow stream. After that it is told to read its
    /// list again.
    pub const CHANGES_MAX: usize = 1_024;

    /// Creates a feed without streams.
    #[must_use]
    pub fn new() -> Self {
        Self {
            arrivals: watch::Sender::new(0),
            changes: broadcast::Sender::new(Self::CHANGES_MAX),
            deliveries: broadcast::Sender::new(Self::CHANGES_MAX),
            quiet: broadcast::Sender::new(Self::CHANGES_MAX),
        }
    }

    /// Changes when an event has arrived.
    pub(super) fn arrivals(&self) -> watch::Receiver<u64> {
        self.arrivals.subscribe()
    }

    pub(super) fn changes(&self) -> broadcast::Receiver<Change> {
        self.changes.subscribe()
    }

    pub(super) fn deliveries(&self) -> broadcast::Receiver<TaskId> {
        self.deliveries.subscribe()
    }

    pub(super) fn quiet_deliveries(&self) -> broadcast::Receiver<QuietDelivery> {
        self.quiet.subscribe()
    }

    pub(super) fn tell(&self, change: Change) {
        // Without a stream there is nobody to tell.
        let _ = self.changes.send(change);
    }
}

impl Observer for Feed {
    fn on_delivery(&self, delivery: &Delivery, accepted: Acceptance) {
        if let Some(task) = delivery.task_id()
            && self.deliveries.receiver_count() > 0
        {
            // The list that waited may be gone since.
            let _ = self.deliveries.send(task.clone());
        }
        if matches!(
            accepted,
            Acceptance::New | Acceptance::Late | Acceptance::Revised
        ) {
            self.arrivals
                .send_modify(|count| *count = count.wrapping_add(1));
        } else if self.quiet.receiver_count() > 0 {
            // As above.
            let _ = self.quiet.send(QuietDelivery {
                task: delivery.task_id().cloned(),
                change: accepted.as_str(),
            });
        }
    }

    fn on_handled(&self, handled: &HandledReport<'_>) {
        // A cancelled event has changed nothing that a reader could see.
        if handled.outcome != HandledOutcome::Cancelled {
            self.tell(Change {
                id: handled.id,
                key: handled.key.clone(),
                change: handled.outcome.as_str(),
            });
        }
    }
}
