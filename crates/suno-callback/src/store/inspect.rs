//! Inspecting a store, redriving, deciding and purging: for people, tools and retention.

use std::fmt;

use bytes::Bytes;
use jiff::Timestamp;
use suno_types::{Code, Product, Stage, TaskKind};

use super::{DeadCause, EventState, Sibling};
use crate::key::{EventId, EventKey, Reference, SubmitId};
use crate::origin::{Source, VerifiedBy};
use crate::url_suffix::UrlSuffix;

/// An event as it is stored.
#[derive(Clone, PartialEq)]
#[non_exhaustive]
pub struct EventRecord {
    /// The store's number.
    pub id: EventId,
    /// The task, the stage and the revision.
    pub key: EventKey,
    /// The code that was sent.
    pub code: Code,
    /// What the task makes.
    pub product: Product,
    /// The number of results that it reports, such as the ready tracks of a song.
    pub results: u16,
    /// Its state.
    pub state: EventState,
    /// The number of times it was claimed since it was stored or redriven.
    pub attempts: u32,
    /// The number of claims in a row that lapsed.
    pub lapses: u32,
    /// The reason why the last attempt failed.
    pub reason: Option<String>,
    /// The cause that made it a dead letter, if it is one.
    pub dead_cause: Option<DeadCause>,
    /// The way in which it became known.
    pub source: Source,
    /// The methods by which the sender was verified.
    pub verified_by: VerifiedBy,
    /// Whether the provider's record must confirm it.
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
    /// The number of deliveries of the same key with different content that are kept, or were kept
    /// until they were purged.
    pub conflicts: u32,
    /// The body, if it was requested and is not purged.
    pub raw: Option<Bytes>,
}

impl EventRecord {
    /// Creates the record of an event that was not claimed yet. Stores set the other fields.
    #[must_use]
    pub fn new(id: EventId, key: EventKey, code: Code, received_at: Timestamp) -> Self {
        Self {
            id,
            key,
            code,
            product: Product::SONG,
            results: 0,
            state: EventState::Ready,
            attempts: 0,
            lapses: 0,
            reason: None,
            dead_cause: None,
            source: Source::Callback,
            verified_by: VerifiedBy::default(),
            unconfirmed: false,
            received_at,
            suffix: None,
            submit: None,
            reference: None,
            kind: None,
            conflicts: 0,
            raw: None,
        }
    }

    /// Returns the event as the other events of its task see it.
    #[must_use]
    pub fn sibling(&self) -> Sibling {
        Sibling::new(self.key.stage().clone(), self.state, self.unconfirmed)
            .with_revision(self.key.revision())
            .with_results(self.results)
    }
}

/// Leaves out the body.
impl fmt::Debug for EventRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EventRecord")
            .field("id", &self.id)
            .field("key", &self.key)
            .field("code", &self.code)
            .field("product", &self.product)
            .field("results", &self.results)
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

/// A conflict of an event, as it is stored.
#[derive(Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct ConflictRecord {
    /// The body, if it is not purged.
    pub raw: Option<Bytes>,
    /// The time at which it was received, if an earlier version of the store did not leave it out.
    pub received_at: Option<Timestamp>,
    /// The way in which it became known, if `received_at` is there.
    pub source: Option<Source>,
    /// The methods by which its sender was verified.
    pub verified_by: VerifiedBy,
}

impl ConflictRecord {
    /// Creates a conflict with a body and nothing else. Stores set the other fields.
    #[must_use]
    pub fn new(raw: Option<Bytes>) -> Self {
        Self {
            raw,
            ..Self::default()
        }
    }

    /// Sets where it came from.
    #[must_use]
    pub fn with_origin(
        mut self,
        received_at: Timestamp,
        source: Source,
        verified_by: VerifiedBy,
    ) -> Self {
        self.received_at = Some(received_at);
        self.source = Some(source);
        self.verified_by = verified_by;
        self
    }
}

/// Leaves out the body.
impl fmt::Debug for ConflictRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConflictRecord")
            .field("received_at", &self.received_at)
            .field("source", &self.source)
            .field("verified_by", &self.verified_by)
            .finish_non_exhaustive()
    }
}

/// An event of another store, to be adopted with its conflicts.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct AdoptedEvent {
    /// The event, with its body. Its number is that of the other store and is not used.
    pub record: EventRecord,
    /// Its conflicts. Those without a body are left out.
    pub conflicts: Vec<ConflictRecord>,
}

impl AdoptedEvent {
    /// Creates an event to adopt.
    #[must_use]
    pub fn new(record: EventRecord, conflicts: Vec<ConflictRecord>) -> Self {
        Self { record, conflicts }
    }
}

/// The result of adopting an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Adoption {
    /// The event is stored.
    Adopted,
    /// The store has an event of the stage with the same or a later revision. Nothing changed.
    Known,
}

/// The name of a state, without its duration: lists are filtered by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum StateName {
    /// It can be claimed.
    Ready,
    /// It is claimed, whether or not the lease has ended.
    Claimed,
    /// It waits for a retry.
    Waiting,
    /// It was handled.
    Done,
    /// It is a dead letter.
    Dead,
    /// A later stage of its task superseded it.
    Superseded,
}

impl StateName {
    /// All states.
    pub const ALL: [Self; 6] = [
        Self::Ready,
        Self::Claimed,
        Self::Waiting,
        Self::Done,
        Self::Dead,
        Self::Superseded,
    ];

    /// Returns the state as one word: `ready`, `claimed`, `waiting`, `done`, `dead` or
    /// `superseded`.
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

/// The conditions for the events in a list. Without any, it contains all events.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct EventFilter {
    /// Only events in this state.
    pub state: Option<StateName>,
    /// Only events of this stage.
    pub stage: Option<Stage>,
    /// Only events received at this time or later.
    pub received_from: Option<Timestamp>,
    /// Only events received before this time.
    pub received_before: Option<Timestamp>,
}

impl EventFilter {
    /// Creates a filter for a state.
    #[must_use]
    pub fn in_state(state: StateName) -> Self {
        Self {
            state: Some(state),
            ..Self::default()
        }
    }

    /// Adds the condition that events have the stage `stage`.
    #[must_use]
    pub fn with_stage(mut self, stage: Stage) -> Self {
        self.stage = Some(stage);
        self
    }

    /// Adds the condition that events were received from `from` until before `before`.
    #[must_use]
    pub fn with_received(mut self, from: Option<Timestamp>, before: Option<Timestamp>) -> Self {
        self.received_from = from;
        self.received_before = before;
        self
    }

    /// Whether an event matches the filter.
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

/// A request for one page of a list.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct ListRequest {
    /// Only events after this one.
    pub after: Option<EventId>,
    /// The maximum number of events.
    pub events_max: u32,
    /// The filter.
    pub filter: EventFilter,
}

impl ListRequest {
    /// Requests the first events that match `filter`.
    #[must_use]
    pub fn first(events_max: u32, filter: EventFilter) -> Self {
        Self {
            after: None,
            events_max,
            filter,
        }
    }

    /// Whether an event belongs to the list after [`after`](Self::after).
    #[must_use]
    pub fn contains(&self, event: &EventRecord) -> bool {
        let (state, stage) = (event.state, event.key.stage());
        Some(event.id) > self.after && self.filter.contains(state, stage, event.received_at)
    }

    /// Continues the list after an event, such as [`Page::next`].
    #[must_use]
    pub fn with_after(mut self, after: EventId) -> Self {
        self.after = Some(after);
        self
    }
}

/// One page of a list, with the cursor for the next one.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Page<T> {
    /// The records.
    pub records: Vec<T>,
    /// The cursor: the next page begins after this number. `None` at the end of the list.
    pub next: Option<EventId>,
}

impl<T> Page<T> {
    /// Creates a page.
    #[must_use]
    pub fn new(records: Vec<T>, next: Option<EventId>) -> Self {
        Self { records, next }
    }

    /// Creates a page from the first of the records, with a cursor if there are more. `id` returns
    /// the number by which they are ordered.
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

/// The settled events that a redrive includes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Redrive {
    /// Only events that are not superseded by a done event of a later stage.
    #[default]
    Current,
    /// All events: the handler may receive an earlier stage after a later one.
    EvenIfSuperseded,
}

/// The result of a redrive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RedriveResult {
    /// The event is ready again.
    Ready,
    /// The event is not settled, so it will be handled anyway.
    NotSettled,
    /// A later stage of its task is done, so the event was left unchanged.
    Superseded,
    /// The event does not exist, or its body was purged.
    Gone,
}

/// The result of a decision.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Decision {
    /// The event was superseded and is now ready.
    Ready,
    /// The event is handled, will be handled, or is a dead letter, so no decision was needed.
    Unchanged,
    /// The event does not exist, or its body was purged.
    Gone,
}

/// The number of events in each state, and of what else a store keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Counts {
    /// Ready to be claimed.
    pub ready: u64,
    /// Claimed, whether or not the lease has ended.
    pub claimed: u64,
    /// Waiting for a retry.
    pub waiting: u64,
    /// Handled.
    pub done: u64,
    /// Dead letters.
    pub dead: u64,
    /// Superseded by a later stage.
    pub superseded: u64,
    /// In quarantine.
    pub quarantined: u64,
    /// Deliveries dropped because of a limit since the store was created.
    pub dropped: u64,
    /// Expected tasks. This count and the two below may stop at
    /// [`LEDGER_COUNTED_MAX`](super::bounds::LEDGER_COUNTED_MAX).
    pub expected: u64,
    /// Expected tasks that have been due for at least
    /// [`OVERDUE_AFTER`](super::bounds::OVERDUE_AFTER) and are not being asked about.
    pub overdue: u64,
    /// Open intents.
    pub open_intents: u64,
}

impl Counts {
    /// Returns the count of a state.
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
