//! Claims: the right to handle an event until a lease ends, and how they end.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use jiff::Timestamp;

use crate::key::{EventId, EventKey};
use crate::origin::{Source, VerifiedBy};

/// The name of one that claims: unique among all dispatchers of a store, and new with each start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct WorkerId(pub u64);

/// What a worker has finished, and what it claims.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ClaimRequest {
    /// Who claims.
    pub worker: WorkerId,
    /// The number of this request, which a worker repeats if it got no answer. The next request has a
    /// greater one.
    pub number: u64,
    /// How long the claims hold unless they are extended, at most
    /// [`LEASE_MAX`](super::bounds::LEASE_MAX).
    pub lease: Duration,
    /// How many events to claim at most. With 0, the request only settles.
    pub events_max: usize,
    /// How many claims the worker still holds after the settlements of this request.
    pub running: usize,
    /// What is settled before anything is claimed.
    pub settlements: Vec<(Ticket, Settlement)>,
}

impl ClaimRequest {
    /// A request of a worker that holds no claims and settles nothing.
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

    /// The same with how many claims the worker still holds.
    #[must_use]
    pub fn with_running(mut self, running: usize) -> Self {
        self.running = running;
        self
    }

    /// The same with what is settled first.
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
    /// What became of the settlements, in their order.
    pub settled: Vec<Settled>,
    /// The claims that were granted.
    pub claims: Vec<Claim>,
    /// True if more events may be ready now.
    pub more: bool,
    /// True if a suspected event is ready that this worker can claim only when it runs nothing else.
    pub suspected: bool,
    /// After what time the next event becomes ready, as far as is known now. `None` if none waits.
    pub next_due: Option<Duration>,
}

/// The right to handle an event, until its lease ends.
#[derive(Clone)]
#[non_exhaustive]
pub struct Claim {
    /// The proof of the claim.
    pub ticket: Ticket,
    /// How long the claim holds, from the moment at which the request was made.
    pub holds_for: Duration,
    /// The task and the stage.
    pub key: EventKey,
    /// The body as it was received.
    pub raw: Bytes,
    /// How often the event was claimed, this time included.
    pub attempt: u32,
    /// How many claims have lapsed in a row before this one.
    pub lapses: u32,
    /// How long ago the event was stored or redriven.
    pub age: Duration,
    /// How the event became known.
    pub source: Source,
    /// How the sender was verified.
    pub verified_by: VerifiedBy,
    /// True if the provider's record must confirm the event.
    pub unconfirmed: bool,
    /// When the first delivery was received.
    pub received_at: Timestamp,
}

impl Claim {
    /// A first claim of an event that came by a callback in 1970, verified by nothing: stores set
    /// the other fields.
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
        }
    }
}

/// Without the body.
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
/// The epoch grows with every claim of an event. With the worker in it, an epoch that a database lost
/// in a failover and gives again does not make an old ticket valid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Ticket {
    /// The event.
    pub event: EventId,
    /// Which claim of the event.
    pub epoch: u32,
    /// Who claimed it.
    pub worker: WorkerId,
}

/// How a claim ended.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Settlement {
    /// The event was handled.
    Done,
    /// Handling failed; the event is ready again after a wait.
    Retry {
        /// How long to wait, at most [`RETRY_AFTER_MAX`](super::bounds::RETRY_AFTER_MAX).
        after: Duration,
        /// Why it failed, for people.
        reason: String,
    },
    /// Handling failed for good; the event is kept as a dead letter.
    Dead {
        /// What made it a dead letter.
        cause: DeadCause,
        /// Why, for people.
        reason: String,
    },
    /// The event was not handled: it is ready, and the claim counts neither as attempt nor as lapse.
    Release,
}

/// What made an event a dead letter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum DeadCause {
    /// The handler gave it up.
    GivenUp,
    /// It was retried for as long as the dispatcher retries.
    Exhausted,
    /// Its claims lapsed while nothing else was claimed: handling it probably ends the process.
    Lapsed,
    /// Its record cannot be read.
    Unreadable,
}

impl DeadCause {
    /// Every cause.
    pub const ALL: [Self; 4] = [
        Self::GivenUp,
        Self::Exhausted,
        Self::Lapsed,
        Self::Unreadable,
    ];

    /// The cause as one word: `given_up`, `exhausted`, `lapsed` or `unreadable`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::GivenUp => "given_up",
            Self::Exhausted => "exhausted",
            Self::Lapsed => "lapsed",
            Self::Unreadable => "unreadable",
        }
    }

    /// The cause of a word.
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

/// What became of a settlement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Settled {
    /// It is recorded.
    Settled,
    /// The same ticket had settled the event before. Nothing changed.
    AlreadySettled,
    /// Another claim was granted, or there is no such event. Nothing changed.
    Lost,
}

/// What became of an extension.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Extended {
    /// The claim holds for the new lease.
    Extended,
    /// The ticket is void. Nothing changed.
    Lost,
}
