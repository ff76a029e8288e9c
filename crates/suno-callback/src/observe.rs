//! Reports of what happens between the provider and a handler, for metrics, a history or a page.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use suno_types::{TaskId, TaskStatus};

use crate::delivery::Delivery;
use crate::event::Event;
use crate::handler::DeadLetter;
use crate::key::{EventId, EventKey};
use crate::store::Acceptance;

/// Receives a report of each step.
///
/// Every report is ignored by default. A closure `Fn(&Delivery, Acceptance)` is an observer of
/// deliveries.
///
/// # Contract
///
/// * The methods are called on the tasks that do the work: they return at once and never panic.
/// * A report is not durable. After a crash, a step may be reported again or never.
pub trait Observer: Send + Sync + 'static {
    /// Returns whether deliveries are to have [headers](Delivery::headers). False by default, and then
    /// nothing is copied. Called for each request whose head passed all checks.
    fn wants_headers(&self) -> bool {
        false
    }

    /// A request was answered, or its head or body could not be read.
    fn on_response(&self, response: &ResponseReport) {
        let _ = response;
    }

    /// A commit of deliveries has ended.
    fn on_commit(&self, commit: &CommitReport) {
        let _ = commit;
    }

    /// A delivery was committed. Called before its sender is answered.
    fn on_delivery(&self, delivery: &Delivery, accepted: Acceptance) {
        let _ = (delivery, accepted);
    }

    /// A handler has ended, or was cancelled.
    fn on_handled(&self, handled: &HandledReport<'_>) {
        let _ = handled;
    }

    /// The provider was asked for the record of a task, by a [`Reconciler`](crate::Reconciler) or for
    /// the confirmation of an event. What the record says that is new is a delivery, which is reported
    /// before.
    fn on_poll(&self, poll: &PollReport<'_>) {
        let _ = poll;
    }

    /// An event becomes a dead letter. Called before the store records it.
    fn on_dead_letter(&self, letter: &DeadLetter) {
        let _ = letter;
    }

    /// The claim of an event ended before its handler did, or another worker has claimed it.
    fn on_claim_lost(&self, event: EventId) {
        let _ = event;
    }
}

/// The response to a request.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ResponseReport {
    /// The status.
    pub status: StatusCode,
    /// The reason, if it is not 200: one of a few dozen texts, with nothing that a sender can choose.
    pub reason: Option<Cow<'static, str>>,
    /// The time since the head was checked. `None` if the head was refused, or the body could not be
    /// read.
    pub took: Option<Duration>,
}

/// A commit of deliveries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct CommitReport {
    /// The number of deliveries.
    pub deliveries: usize,
    /// The number of deliveries that were stored.
    pub stored: usize,
    /// The duration.
    pub took: Duration,
}

/// A request for the record of a task.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct PollReport<'a> {
    /// The task.
    pub task_id: &'a TaskId,
    /// The event that was to be confirmed, if the request was for one.
    pub key: Option<&'a EventKey>,
    /// The status that the record shows, if there was one.
    pub status: Option<&'a TaskStatus>,
    /// The outcome.
    pub outcome: PollOutcome,
    /// The reason, if the provider could not be asked. It contains neither a key nor a URL.
    pub reason: Option<&'a str>,
}

/// The outcome of a request for the record of a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum PollOutcome {
    /// The record says something new, which was given to the store as a delivery.
    Found,
    /// The record says nothing new.
    Unchanged,
    /// The record decides between callbacks that contradict each other.
    Decided,
    /// The record shows the event.
    Confirmed,
    /// The record shows another end of the task than the event.
    Denied,
    /// The record does not show the event yet.
    NotShown,
    /// The provider does not know the task, or does not know it yet.
    NotFound,
    /// The provider could not be asked, or what it answered could not be stored.
    Failed,
    /// The task has not ended, and is given up.
    GivenUp,
}

impl PollOutcome {
    /// Returns the outcome as one word: `found`, `unchanged`, `decided`, `confirmed`, `denied`,
    /// `not_shown`, `not_found`, `failed` or `given_up`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Found => "found",
            Self::Unchanged => "unchanged",
            Self::Decided => "decided",
            Self::Confirmed => "confirmed",
            Self::Denied => "denied",
            Self::NotShown => "not_shown",
            Self::NotFound => "not_found",
            Self::Failed => "failed",
            Self::GivenUp => "given_up",
        }
    }
}

/// The end of a handler.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct HandledReport<'a> {
    /// The store's number of the event.
    pub id: EventId,
    /// The task, the stage and the revision.
    pub key: &'a EventKey,
    /// The event.
    pub event: &'a Event,
    /// The duration.
    pub took: Duration,
    /// The outcome.
    pub outcome: HandledOutcome,
}

/// The outcome of a handler.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum HandledOutcome {
    /// The event is done.
    Done,
    /// The event is retried.
    Retried,
    /// The event becomes a dead letter.
    Dead,
    /// The handler could not take the event now; the attempt does not count.
    NotNow,
    /// The handler was cancelled, because of a stop or the end of its claim.
    Cancelled,
}

impl HandledOutcome {
    /// All outcomes.
    pub const ALL: [Self; 5] = [
        Self::Done,
        Self::Retried,
        Self::Dead,
        Self::NotNow,
        Self::Cancelled,
    ];

    /// Returns the outcome as one word: `done`, `retried`, `dead`, `not_now` or `cancelled`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Retried => "retried",
            Self::Dead => "dead",
            Self::NotNow => "not_now",
            Self::Cancelled => "cancelled",
        }
    }
}

impl<F: Fn(&Delivery, Acceptance) + Send + Sync + 'static> Observer for F {
    fn on_delivery(&self, delivery: &Delivery, accepted: Acceptance) {
        self(delivery, accepted);
    }
}

/// Several observers, which are told in their order.
impl Observer for Vec<Arc<dyn Observer>> {
    fn wants_headers(&self) -> bool {
        self.iter().any(|one| one.wants_headers())
    }

    fn on_response(&self, response: &ResponseReport) {
        self.iter().for_each(|one| one.on_response(response));
    }

    fn on_commit(&self, commit: &CommitReport) {
        self.iter().for_each(|one| one.on_commit(commit));
    }

    fn on_delivery(&self, delivery: &Delivery, accepted: Acceptance) {
        self.iter()
            .for_each(|one| one.on_delivery(delivery, accepted));
    }

    fn on_handled(&self, handled: &HandledReport<'_>) {
        self.iter().for_each(|one| one.on_handled(handled));
    }

    fn on_poll(&self, poll: &PollReport<'_>) {
        self.iter().for_each(|one| one.on_poll(poll));
    }

    fn on_dead_letter(&self, letter: &DeadLetter) {
        self.iter().for_each(|one| one.on_dead_letter(letter));
    }

    fn on_claim_lost(&self, event: EventId) {
        self.iter().for_each(|one| one.on_claim_lost(event));
    }
}

/// Ignores everything.
#[derive(Debug)]
pub(crate) struct NoObserver;

impl Observer for NoObserver {}
