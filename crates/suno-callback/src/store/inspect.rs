//! Looking into a store, redriving, deciding and purging: for people, tools and retention.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use jiff::Timestamp;
use suno_types::{Code, Stage};

use super::{DeadCause, EventState};
use crate::key::{EventId, EventKey};
use crate::origin::{Source, VerifiedBy};

/// An event as it is stored.
#[derive(Clone, PartialEq)]
#[non_exhaustive]
pub struct EventRecord {
    /// The store's number.
    pub id: EventId,
    /// The task and the stage.
    pub key: EventKey,
    /// The code that was sent.
    pub code: Code,
    /// Its state.
    pub state: EventState,
    /// How often it was claimed since it was stored or redriven.
    pub attempts: u32,
    /// How many claims have lapsed in a row.
    pub lapses: u32,
    /// Why the last attempt failed.
    pub reason: Option<String>,
    /// What made it a dead letter, if it is one.
    pub dead_cause: Option<DeadCause>,
    /// How it became known.
    pub source: Source,
    /// How the sender was verified.
    pub verified_by: VerifiedBy,
    /// True if the provider's record must confirm it.
    pub unconfirmed: bool,
    /// When the first delivery was received.
    pub received_at: Timestamp,
    /// How many deliveries of the same key that say something else are kept, or were until they were
    /// purged.
    pub conflicts: u32,
    /// The body, where it was asked for and until it is purged.
    pub raw: Option<Bytes>,
}

impl EventRecord {
    /// The record of an event that was not claimed yet; stores set the other fields.
    #[must_use]
    pub fn new(id: EventId, key: EventKey, code: Code, received_at: Timestamp) -> Self {
        Self {
            id,
            key,
            code,
            state: EventState::Ready,
            attempts: 0,
            lapses: 0,
            reason: None,
            dead_cause: None,
            source: Source::Callback,
            verified_by: VerifiedBy::default(),
            unconfirmed: false,
            received_at,
            conflicts: 0,
            raw: None,
        }
    }
}

/// Without the body.
impl fmt::Debug for EventRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EventRecord")
            .field("id", &self.id)
            .field("key", &self.key)
            .field("code", &self.code)
            .field("state", &self.state)
            .field("attempts", &self.attempts)
            .field("lapses", &self.lapses)
            .field("reason", &self.reason)
            .field("dead_cause", &self.dead_cause)
            .field("received_at", &self.received_at)
            .field("conflicts", &self.conflicts)
            .finish_non_exhaustive()
    }
}

/// A state without how long it lasts: what lists are filtered by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum StateName {
    /// It can be claimed.
    Ready,
    /// It is claimed, whether or not the lease has ended.
    Claimed,
    /// It waits for another attempt.
    Waiting,
    /// It was handled.
    Done,
    /// It is a dead letter.
    Dead,
    /// A later stage of its task made it pointless.
    Superseded,
}

impl StateName {
    /// Every state.
    pub const ALL: [Self; 6] = [
        Self::Ready,
        Self::Claimed,
        Self::Waiting,
        Self::Done,
        Self::Dead,
        Self::Superseded,
    ];

    /// The state as one word: `ready`, `claimed`, `waiting`, `done`, `dead` or `superseded`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::Claimed => "claimed",
            Self::Waiting => "waiting",
            Self::Done => "done",
            Self::Dead => "dead",
            Self::Superseded => "superseded",
        }
    }
}

impl From<EventState> for StateName {
    fn from(state: EventState) -> Self {
        match state {
            EventState::Ready => Self::Ready,
            EventState::Claimed { .. } => Self::Claimed,
            EventState::Waiting { .. } => Self::Waiting,
            EventState::Done => Self::Done,
            EventState::Dead => Self::Dead,
            EventState::Superseded => Self::Superseded,
        }
    }
}

impl fmt::Display for StateName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Which events a list contains. Without any condition, all of them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct EventFilter {
    /// Only events in this state.
    pub state: Option<StateName>,
    /// Only events of this stage.
    pub stage: Option<Stage>,
    /// Only events that were received at this time or later.
    pub received_from: Option<Timestamp>,
    /// Only events that were received before this time.
    pub received_before: Option<Timestamp>,
}

impl EventFilter {
    /// Events in a state.
    #[must_use]
    pub fn in_state(state: StateName) -> Self {
        Self {
            state: Some(state),
            ..Self::default()
        }
    }

    /// The same, and only events of `stage`.
    #[must_use]
    pub fn with_stage(mut self, stage: Stage) -> Self {
        self.stage = Some(stage);
        self
    }

    /// The same, and only events that were received from `from` until before `before`.
    #[must_use]
    pub fn with_received(mut self, from: Option<Timestamp>, before: Option<Timestamp>) -> Self {
        self.received_from = from;
        self.received_before = before;
        self
    }

    /// True if the filter contains an event.
    #[must_use]
    pub fn contains(&self, state: EventState, stage: &Stage, received_at: Timestamp) -> bool {
        self.state
            .is_none_or(|wanted| wanted == StateName::from(state))
            && self.stage.as_ref().is_none_or(|wanted| wanted == stage)
            && self.received_from.is_none_or(|from| received_at >= from)
            && self
                .received_before
                .is_none_or(|before| received_at < before)
    }
}

/// A part of a list.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct ListRequest {
    /// Only events after this one.
    pub after: Option<EventId>,
    /// How many events at most.
    pub events_max: u32,
    /// Which events.
    pub filter: EventFilter,
}

impl ListRequest {
    /// The first events that `filter` contains.
    #[must_use]
    pub fn first(events_max: u32, filter: EventFilter) -> Self {
        Self {
            after: None,
            events_max,
            filter,
        }
    }

    /// True if an event belongs to the list after [`after`](Self::after).
    #[must_use]
    pub fn contains(&self, event: &EventRecord) -> bool {
        let (state, stage) = (event.state, event.key.stage());
        Some(event.id) > self.after && self.filter.contains(state, stage, event.received_at)
    }

    /// The same, from an event on, such as [`Page::next`].
    #[must_use]
    pub fn with_after(mut self, after: EventId) -> Self {
        self.after = Some(after);
        self
    }
}

/// A part of a list, and where it goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Page<T> {
    /// The records.
    pub records: Vec<T>,
    /// The list goes on after this number. `None` if this was the end.
    pub next: Option<EventId>,
}

impl<T> Page<T> {
    /// A page.
    #[must_use]
    pub fn new(records: Vec<T>, next: Option<EventId>) -> Self {
        Self { records, next }
    }

    /// The first of the records, and where they go on. `id` is what they are ordered by.
    #[must_use]
    pub fn first_of(
        records: impl IntoIterator<Item = T>,
        records_max: u32,
        id: impl Fn(&T) -> EventId,
    ) -> Self {
        let mut rest = records.into_iter();
        let records: Vec<T> = rest.by_ref().take(records_max as usize).collect();
        let next = rest.next().and(records.last().map(id));
        Self { records, next }
    }
}

/// Which settled events are redriven.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Redrive {
    /// Only those that no done event of a later stage supersedes.
    #[default]
    Current,
    /// All of them: the handler is told of an earlier stage after a later one.
    EvenIfSuperseded,
}

/// What became of a redrive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Redriven {
    /// The event is ready again.
    Ready,
    /// The event is not settled: it will be handled anyway.
    NotSettled,
    /// A later stage of its task is done. The event was left as it is.
    Superseded,
    /// There is no such event, or its body was purged.
    Gone,
}

/// What became of a decision.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Decision {
    /// The event was superseded, and is ready now.
    Ready,
    /// The event is handled already, will be, or is a dead letter: it needed no decision.
    Unchanged,
    /// There is no such event, or its body was purged.
    Gone,
}

/// What to forget. Only settled events are forgotten. Ages are counted by the store's clock, from the
/// moment at which the event was stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct PurgeRequest {
    /// Bodies of events that are done or superseded and as old as this.
    pub bodies_after: Duration,
    /// Keys of events that are done or superseded and as old as this, and intents. A delivery of a
    /// purged key is a new event.
    pub keys_after: Duration,
    /// Dead letters as old as this, with key and body.
    pub dead_after: Duration,
    /// Entries of the quarantine as old as this.
    pub quarantined_after: Duration,
    /// How many events to look at in one step.
    pub events_max: u32,
}

impl PurgeRequest {
    /// How long a key is known unless set otherwise: 30 days. The provider ends its retries within
    /// minutes, and its media after 14 days.
    pub const KEYS_AFTER: Duration = Duration::from_secs(30 * 86_400);
    /// How long a body is kept unless set otherwise: 14 days.
    pub const BODIES_AFTER: Duration = Duration::from_secs(14 * 86_400);
    /// How long a dead letter is kept unless set otherwise: 90 days.
    pub const DEAD_AFTER: Duration = Duration::from_secs(90 * 86_400);
    /// How long an entry of the quarantine is kept unless set otherwise: 90 days.
    pub const QUARANTINED_AFTER: Duration = Duration::from_secs(90 * 86_400);
    /// How many events are looked at in one step unless set otherwise.
    pub const EVENTS_MAX: u32 = 250;
}

impl Default for PurgeRequest {
    fn default() -> Self {
        Self {
            bodies_after: Self::BODIES_AFTER,
            keys_after: Self::KEYS_AFTER,
            dead_after: Self::DEAD_AFTER,
            quarantined_after: Self::QUARANTINED_AFTER,
            events_max: Self::EVENTS_MAX,
        }
    }
}

/// What was forgotten.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Purged {
    /// Bodies of events and of conflicts.
    pub bodies: u64,
    /// Keys of events that were done or superseded.
    pub keys: u64,
    /// Dead letters.
    pub dead: u64,
    /// Entries of the quarantine.
    pub quarantined: u64,
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
    /// Deliveries that were dropped beyond a bound since the store was created.
    pub dropped: u64,
}

impl Counts {
    /// The count of a state.
    pub fn of(&mut self, state: StateName) -> &mut u64 {
        match state {
            StateName::Ready => &mut self.ready,
            StateName::Claimed => &mut self.claimed,
            StateName::Waiting => &mut self.waiting,
            StateName::Done => &mut self.done,
            StateName::Dead => &mut self.dead,
            StateName::Superseded => &mut self.superseded,
        }
    }
}
