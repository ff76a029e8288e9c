//! Claims: the right to handle an event until a lease ends, and how claims end.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use jiff::Timestamp;
use suno_types::TaskKind;

use crate::key::{EventId, EventKey, Reference, SubmitId};
use crate::origin::{Source, VerifiedBy};
use crate::url_suffix::UrlSuffix;

/// The name of a claiming worker: unique among all dispatchers of a store, and new after each
/// start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct WorkerId(pub u64);

/// A request to settle finished events and to claim new ones.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ClaimRequest {
    /// The worker that claims.
    pub worker: WorkerId,
    /// The number of this request. A worker that got no answer repeats it. The next request has a
    /// greater one.
    pub number: u64,
    /// The lease of the claims until they are extended, at most
    /// [`LEASE_MAX`](super::bounds::LEASE_MAX).
    pub lease: Duration,
    /// The maximum number of events to claim. With 0, the request only settles.
    pub events_max: usize,
    /// The number of claims that the worker still holds after the settlements of this request.
    pub running: usize,
    /// The settlements to apply before anything is claimed.
    pub settlements: Vec<(Ticket, Settlement)>,
}

impl ClaimRequest {
    /// Creates a request of a worker that holds no claims and settles nothing.
    #[must_use]
    pub fn new(worker: WorkerId, number: u64, lease: Duration, events_max: usize) -> Self {
        Self {
            worker,
            number,
            lease,
            events_max,
            running: 0,
            settlements: Vec::new(),
        }
    }

    /// Sets the number of claims that the worker still holds.
    #[must_use]
    pub fn with_running(mut self, running: usize) -> Self {
        self.running = running;
        self
    }

    /// Sets the settlements to apply first.
    #[must_use]
    pub fn with_settlements(mut self, settlements: Vec<(Ticket, Settlement)>) -> Self {
        self.settlements = settlements;
        self
    }
}

/// The answer to a [`ClaimRequest`].
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Claims {
    /// The results of the settlements, in their order.
    pub settled: Vec<SettleResult>,
    /// The claims that were granted.
    pub claims: Vec<Claim>,
    /// Whether more events may be ready now.
    pub more: bool,
    /// Whether a suspected event is ready that this worker can claim only when it runs nothing
    /// else.
    pub suspected: bool,
    /// The time until the next event becomes ready, as far as is known now. `None` if no event is
    /// waiting.
    pub next_due: Option<Duration>,
}

/// The right to handle an event, until its lease ends.
#[derive(Clone)]
#[non_exhaustive]
pub struct Claim {
    /// The proof of the claim.
    pub ticket: Ticket,
    /// The time for which the claim holds, counted from the request.
    pub holds_for: Duration,
    /// The task, the stage and the revision.
    pub key: EventKey,
    /// The body as it was received.
    pub raw: Bytes,
    /// The number of times the event was claimed, including this one.
    pub attempt: u32,
    /// The number of claims in a row that lapsed before this one.
    pub lapses: u32,
    /// The time since the event was stored or redriven.
    pub age: Duration,
    /// The way in which the event became known.
    pub source: Source,
    /// The methods by which the sender was verified.
    pub verified_by: VerifiedBy,
    /// Whether the provider's record must confirm the event.
    pub unconfirmed: bool,
    /// The time at which the first delivery was received.
    pub received_at: Timestamp,
    /// The part of the callback URL that the application chose, of the first delivery.
    pub suffix: Option<UrlSuffix>,
    /// The submit that the callback URL named.
    pub submit: Option<SubmitId>,
    /// The application's name for that submit.
    pub reference: Option<Reference>,
    /// The kind of the task, if its submit is known.
    pub kind: Option<TaskKind>,
}

impl Claim {
    /// Creates a first claim of an event that arrived by a callback in 1970 and is unverified.
    /// Stores set the other fields.
    #[must_use]
    pub fn new(ticket: Ticket, key: EventKey, raw: impl Into<Bytes>) -> Self {
        Self {
            ticket,
            holds_for: Duration::ZERO,
            key,
            raw: raw.into(),
            attempt: 1,
            lapses: 0,
            age: Duration::ZERO,
            source: Source::Callback,
            verified_by: VerifiedBy::default(),
            unconfirmed: false,
            received_at: Timestamp::UNIX_EPOCH,
            suffix: None,
            submit: None,
            reference: None,
            kind: None,
        }
    }
}

/// Leaves out the body.
impl fmt::Debug for Claim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Claim")
            .field("ticket", &self.ticket)
            .field("key", &self.key)
            .field("attempt", &self.attempt)
            .field("lapses", &self.lapses)
            .finish_non_exhaustive()
    }
}

/// The proof of a claim: a fencing token.
///
/// The epoch grows with every claim of an event. A database may lose an epoch in a failover and
/// assign it again; with the worker in it, an old ticket stays invalid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Ticket {
    /// The event.
    pub event: EventId,
    /// The epoch of the claim.
    pub epoch: u32,
    /// The worker that claimed the event.
    pub worker: WorkerId,
}

/// The end of a claim.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Settlement {
    /// The event was handled.
    Done,
    /// Handling failed; the event becomes ready again after a wait.
    Retry {
        /// The time to wait, at most [`RETRY_AFTER_MAX`](super::bounds::RETRY_AFTER_MAX).
        after: Duration,
        /// The reason why it failed, for people.
        reason: String,
    },
    /// Handling failed permanently; the event is kept as a dead letter.
    Dead {
        /// The cause that made it a dead letter.
        cause: DeadCause,
        /// The reason, for people.
        reason: String,
    },
    /// The event was not handled: it becomes ready, and the claim counts neither as an attempt nor
    /// as a lapse.
    Release,
}

/// The cause that made an event a dead letter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum DeadCause {
    /// The handler gave it up.
    GivenUp,
    /// The time or the number of attempts for retries ran out.
    Exhausted,
    /// Its claims lapsed while nothing else was claimed: handling it probably crashes the process.
    Lapsed,
    /// Its record cannot be read.
    Unreadable,
}

impl DeadCause {
    /// All causes.
    pub const ALL: [Self; 4] = [
        Self::GivenUp,
        Self::Exhausted,
        Self::Lapsed,
        Self::Unreadable,
    ];

    /// Returns the cause as one word: `given_up`, `exhausted`, `lapsed` or `unreadable`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::GivenUp => "given_up",
            Self::Exhausted => "exhausted",
            Self::Lapsed => "lapsed",
            Self::Unreadable => "unreadable",
        }
    }

    /// Parses the word of a cause.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|cause| cause.as_str() == word)
    }
}

impl fmt::Display for DeadCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The result of a settlement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SettleResult {
    /// The settlement is recorded.
    Settled,
    /// The same ticket had already settled the event. Nothing changed.
    AlreadySettled,
    /// Another claim was granted, or the event does not exist. Nothing changed.
    Lost,
}

/// The result of an extension.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ExtendResult {
    /// The claim holds for the new lease.
    Extended,
    /// The ticket is void. Nothing changed.
    Lost,
}
