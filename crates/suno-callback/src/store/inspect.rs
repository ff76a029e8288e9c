//! Looking into a store, for people and tools.

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use jiff::Timestamp;
use suno_types::{Code, TaskId};

use super::turn::EventState;
use super::{EventId, IdempotencyStore, StoreError};
use crate::delivery::{Source, VerifiedBy};
use crate::event::EventKey;

/// Looking into a store, for people and tools.
///
/// # Contract
///
/// * Records come in the order of their numbers; a page that is continued after its last number
///   neither repeats nor skips what was there when the first page was read.
/// * [`redrive`](Self::redrive) makes a settled event ready again, with its attempts counted anew;
///   it leaves others as they are.
/// * [`purge`](Self::purge) never touches what is not settled. A purged body leaves the key and the
///   fingerprints known, so that a delivery of it is still a duplicate, until the key is purged.
#[async_trait]
pub trait Inspect: IdempotencyStore {
    /// All events of a task, with their bodies, in the order of their arrival.
    ///
    /// # Errors
    ///
    /// [`StoreError`]
    async fn find(&self, task_id: &TaskId) -> Result<Vec<Record>, StoreError>;

    /// A page of events, without their bodies.
    ///
    /// # Errors
    ///
    /// [`StoreError`]
    async fn list(&self, page: Page) -> Result<Vec<Record>, StoreError>;

    /// A page of what was trusted but not understood.
    ///
    /// # Errors
    ///
    /// [`StoreError`]
    async fn quarantine(&self, page: Page) -> Result<Vec<Quarantined>, StoreError>;

    /// Makes a settled event ready to be handled again.
    ///
    /// # Errors
    ///
    /// [`StoreError`]
    async fn redrive(&self, event: EventId) -> Result<Redriven, StoreError>;

    /// Forgets what is old, as much as the request allows at once.
    ///
    /// # Errors
    ///
    /// [`StoreError`]; nothing was purged then.
    async fn purge(&self, request: PurgeRequest) -> Result<Purged, StoreError>;

    /// How many events there are, by state.
    ///
    /// # Errors
    ///
    /// [`StoreError`]
    async fn counts(&self) -> Result<Counts, StoreError>;
}

/// An event as it stands in a store.
#[derive(Clone, PartialEq)]
#[non_exhaustive]
pub struct Record {
    /// The store's number.
    pub id: EventId,
    /// The task and the stage.
    pub key: EventKey,
    /// The code that was sent.
    pub code: Code,
    /// How it stands.
    pub state: EventState,
    /// How often it was claimed.
    pub attempts: u32,
    /// Why handling failed the last time, if it did.
    pub reason: Option<String>,
    /// How it became known.
    pub source: Source,
    /// What spoke for the sender.
    pub verified_by: VerifiedBy,
    /// When the first delivery was received.
    pub received_at: Timestamp,
    /// How many deliveries of the same key say something else.
    pub conflicts: u32,
    /// The body as it was first received; only where it was asked for, and until it is purged.
    pub raw: Option<Bytes>,
}

impl Record {
    /// A record of an event that nobody claimed yet; stores set the other fields.
    #[must_use]
    pub fn new(id: EventId, key: EventKey, code: Code, received_at: Timestamp) -> Self {
        Self {
            id,
            key,
            code,
            state: EventState::Ready,
            attempts: 0,
            reason: None,
            source: Source::Callback,
            verified_by: VerifiedBy::default(),
            received_at,
            conflicts: 0,
            raw: None,
        }
    }
}

/// Without the body.
impl fmt::Debug for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Record")
            .field("id", &self.id)
            .field("key", &self.key)
            .field("code", &self.code)
            .field("state", &self.state)
            .field("attempts", &self.attempts)
            .field("reason", &self.reason)
            .field("received_at", &self.received_at)
            .field("conflicts", &self.conflicts)
            .finish_non_exhaustive()
    }
}

/// A delivery that could be trusted but not understood.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Quarantined {
    /// The store's number, of its own series.
    pub id: EventId,
    /// The task, if at least that could be read.
    pub task_id: Option<TaskId>,
    /// What was not understood.
    pub reason: String,
    /// When it was received.
    pub received_at: Timestamp,
    /// The body as it was received.
    pub raw: Bytes,
}

impl Quarantined {
    /// A delivery in quarantine.
    #[must_use]
    pub fn new(
        id: EventId,
        task_id: Option<TaskId>,
        reason: impl Into<String>,
        received_at: Timestamp,
        raw: impl Into<Bytes>,
    ) -> Self {
        Self {
            id,
            task_id,
            reason: reason.into(),
            received_at,
            raw: raw.into(),
        }
    }
}

/// Without the body.
impl fmt::Debug for Quarantined {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Quarantined")
            .field("id", &self.id)
            .field("task_id", &self.task_id)
            .field("reason", &self.reason)
            .finish_non_exhaustive()
    }
}

/// A part of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Page {
    /// Only what comes after this number.
    pub after: EventId,
    /// How many at most.
    pub records_max: u32,
}

impl Page {
    /// The first records.
    #[must_use]
    pub fn first(records_max: u32) -> Self {
        Self::after(EventId(i64::MIN), records_max)
    }

    /// The records that come after a number.
    #[must_use]
    pub fn after(after: EventId, records_max: u32) -> Self {
        Self { after, records_max }
    }
}

/// What became of a redrive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Redriven {
    /// The event is ready again.
    Ready,
    /// The event is not settled: it will be handled anyway.
    NotSettled,
    /// There is no such event, or its body was purged.
    Gone,
}

/// What to forget. Only settled events are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct PurgeRequest {
    /// Bodies of events that were received before.
    pub bodies_before: Timestamp,
    /// Keys of events that were received before; a delivery of one is a new event from then on.
    pub keys_before: Timestamp,
    /// How many events to look at in one transaction.
    pub events_max: u32,
}

impl PurgeRequest {
    /// How long a key is known unless set otherwise: 30 days. The provider ends its retries within
    /// minutes, and its media after 14 days.
    pub const KEYS_FOR: Duration = Duration::from_secs(30 * 86_400);
    /// How long a body is kept unless set otherwise: 14 days.
    pub const BODIES_FOR: Duration = Duration::from_secs(14 * 86_400);
    /// How many events are looked at in one transaction unless set otherwise.
    pub const EVENTS_MAX: u32 = 1_000;

    /// What is to be forgotten at `now` by default.
    #[must_use]
    pub fn at(now: Timestamp) -> Self {
        Self::older_than(now, Self::BODIES_FOR, Self::KEYS_FOR)
    }

    /// What is to be forgotten at `now` if bodies and keys are kept for so long.
    #[must_use]
    pub fn older_than(now: Timestamp, bodies_for: Duration, keys_for: Duration) -> Self {
        let before = |age| now.checked_sub(age).unwrap_or(Timestamp::MIN);
        Self {
            bodies_before: before(bodies_for),
            keys_before: before(keys_for),
            events_max: Self::EVENTS_MAX,
        }
    }
}

/// What was forgotten.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Purged {
    /// Bodies, of events and conflicts, and deliveries in quarantine.
    pub bodies: u64,
    /// Keys.
    pub keys: u64,
    /// True if there is more to forget.
    pub more: bool,
}

/// How many events there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Counts {
    /// Ready to be claimed.
    pub ready: u64,
    /// Claimed, whether or not the lease has ended.
    pub claimed: u64,
    /// Waiting for another attempt.
    pub waiting: u64,
    /// Handled.
    pub done: u64,
    /// Dead letters.
    pub dead: u64,
    /// Superseded by a later stage.
    pub superseded: u64,
    /// In quarantine.
    pub quarantined: u64,
}

impl Counts {
    /// Counts events of a state in.
    pub fn add(&mut self, state: EventState, events: u64) {
        let count = match state {
            EventState::Ready => &mut self.ready,
            EventState::Claimed { .. } => &mut self.claimed,
            EventState::Waiting { .. } => &mut self.waiting,
            EventState::Done => &mut self.done,
            EventState::Dead => &mut self.dead,
            EventState::Superseded => &mut self.superseded,
        };
        *count += events;
    }
}
