//! The durable record of events: what every store must do.

pub mod bounds;
mod claim;
mod error;
mod inspect;
mod ledger;
mod memory;
mod quarantine;
pub mod rules;
mod turn;

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use suno_types::{Stage, TaskId};

pub use claim::{
    Claim, ClaimRequest, Claims, DeadCause, Extended, Settled, Settlement, Ticket, WorkerId,
};
pub use error::{StoreError, StoreErrorKind};
pub use inspect::{
    Counts, Decision, EventFilter, EventRecord, ListRequest, Page, PurgeRequest, Purged, Redrive,
    Redriven, StateName,
};
pub use ledger::{
    DueRequest, DueTask, DueTasks, DueTicket, ExpectedTask, Intent, OpenIntent, Postponement,
};
pub use memory::MemoryStore;
pub use quarantine::QuarantinedDelivery;
pub use turn::{EventState, Sibling, Turn, turn};

use crate::delivery::Delivery;
use crate::key::{EventId, SubmitId};

/// A durable record of events, shared by every process that receives or handles them.
///
/// The methods come in four groups: accepting; claiming and settling; inspecting; submits and due
/// tasks. None has a default: a store implements all of them, and the suite of the `conformance`
/// feature decides whether it keeps the contract. Each case of the suite names the sentence that
/// it tests. The example `vec_store` is a whole store in under 300 lines.
///
/// # Contract
///
/// In general:
///
/// * **G1** Every operation is atomic: it happens completely or not at all, also if the process dies
///   during it. If it returns an error, the caller may repeat it.
/// * **G2** What an operation has reported survives the end of the process, and in a durable store a
///   power cut.
/// * **G3** Callers pass durations, never times. The store measures them by a clock of its own, which
///   never goes back and does not follow steps of the system clock.
///
/// Accepting:
///
/// * **A1** Deliveries of one slice are accepted in their order, and answered in their order.
/// * **A2** One key is one event, however many deliveries, threads or processes bring it.
/// * **A3** A delivery of a known key is a [`Duplicate`](Accepted::Duplicate) if its strict or its
///   semantic fingerprint is one that the event has.
/// * **A4** Otherwise it is a [`Conflict`](Accepted::Conflict): it is kept beside the event, which does
///   not change. An event keeps at most [`CONFLICTS_OF_EVENT_MAX`](bounds::CONFLICTS_OF_EVENT_MAX).
/// * **A5** A new event is [`Late`](Accepted::Late) if its task has an event of a later stage: it is
///   stored as superseded and never claimed. Complete and failed are both the last stage: the one
///   that is stored second is late.
/// * **A6** An unconfirmed event makes no other event late, and supersedes none, until it is done.
/// * **A7** A delivery that is not unconfirmed confirms an unconfirmed event of the same key
///   ([`Confirmed`](Accepted::Confirmed), also if it says the same): its body takes the place of the
///   event's, and what said something else is kept as a conflict. If the event waited, it is ready
///   again; if it was a dead letter, it is redriven. No other state changes, and a confirmed event
///   stays confirmed.
/// * **A8** Any other delivery of an unconfirmed event that waits for another attempt makes it ready
///   at once, at most [`NUDGES_MAX`](bounds::NUDGES_MAX) times for one event.
/// * **A9** A delivery that was not understood is [`Quarantined`](Accepted::Quarantined), once for each
///   strict fingerprint, and never claimed.
/// * **A10** A task has at most [`EVENTS_OF_TASK_MAX`](bounds::EVENTS_OF_TASK_MAX) events. A delivery of
///   a further key is quarantined.
/// * **A11** What exceeds a bound on conflicts or on the quarantine
///   ([`QUARANTINED_MAX`](bounds::QUARANTINED_MAX)) is [`Dropped`](Accepted::Dropped) and counted.
/// * **A12** A delivery that names an open intent closes it and makes its task expected, in the same
///   transaction. If no task can be read from it, the intent stays open.
///
/// Claiming:
///
/// * **C1** Of any number of concurrent claims of one event, one is granted.
/// * **C2** A live claim is never taken. When its lease has ended it can be, and its ticket is void as
///   soon as another claim is granted. A lease is at most [`LEASE_MAX`](bounds::LEASE_MAX), also
///   when it is extended.
/// * **C3** Each claim counts an attempt. A claim whose lease ended before it was settled has lapsed;
///   the next claim counts that, and a settlement other than a release sets the count of lapses to
///   zero.
/// * **C4** Events of one task are claimed one at a time: first one whose claim has lapsed, then in the
///   order of their stages. Stages without a rank come first, in the order of their arrival.
/// * **C5** A stage that waits for another attempt does not hold up a later stage of its task: it is
///   superseded when the later one is claimed or, if that is unconfirmed, done. An event that is done
///   also supersedes what is ready: earlier stages and the other last stage of its task.
/// * **C6** Among tasks, events are claimed in the order in which the events themselves became ready:
///   by arrival, by the end of a retry's wait, by the end of a lapsed lease, or when they were
///   released or made ready again. Those of the same moment are claimed in the order of their
///   numbers. Events that another worker is claiming at the same time may be skipped.
/// * **C7** A claim returns at most as many events as were asked for, and says whether there may be
///   more and when the next one becomes ready. A bounded amount of work may be left for the next
///   claim; then it says that there may be more.
/// * **C8** An event that has lapsed [`LAPSES_SUSPECT`](bounds::LAPSES_SUSPECT) times in a row is
///   claimed alone: by a worker that runs nothing else, and with no other event. Other claims leave
///   it and say so.
/// * **C9** A worker that repeats the number of its last request gets the claims of that request that
///   still hold, and no others. A smaller number gets none. A store knows the last requests of at
///   least the 64 workers that claimed last; a worker asks one instance of the store, which may keep
///   this in memory.
/// * **C10** Each claim carries what was accepted, how long it holds, how often it was attempted, and
///   for how long the event has been waiting to be handled.
/// * **C11** An event whose record is damaged becomes a dead letter and does not keep others from being
///   claimed.
/// * **C12** [`wait`](IdempotencyStore::wait) returns as soon as there is something to claim, whichever
///   process or clock made it so, and no later than it was told.
///
/// Settling:
///
/// * **S1** Only the ticket of the latest claim extends or settles. Any other is lost and changes
///   nothing. A lapsed claim that nobody has taken can still be extended and settled.
/// * **S2** A ticket that has settled its event is answered with
///   [`AlreadySettled`](Settled::AlreadySettled) when it settles again, until another claim of the
///   event is granted. Nothing changes.
/// * **S3** A retry is ready again after its wait, never later than
///   [`RETRY_AFTER_MAX`](bounds::RETRY_AFTER_MAX); a dead letter is kept and not claimed; a released
///   event is ready at once, as if it had not been claimed.
/// * **S4** The settlements of a claim request are applied before its claims are granted, in the same
///   transaction.
///
/// Inspecting:
///
/// * **I1** A list that is continued from its cursor neither repeats nor skips what was there all the
///   time. A page may be short although more follow: its cursor says so.
/// * **I2** A list contains what its filter names: by state, stage and time of receipt.
/// * **I3** Redriving makes a settled event ready, with attempts, lapses and age counted from zero.
///   It leaves one that is not settled as it is, and one that a done event of a later stage
///   supersedes unless that is asked for.
/// * **I4** A quarantined delivery is requeued in one transaction: it leaves the quarantine and is
///   accepted as it is understood now.
/// * **I5** A decision for a last stage redrives the event of that stage if it was superseded, and
///   supersedes the other last stage if that is ready or waits, in one transaction. If the other is
///   claimed and then done, it supersedes as C5 says. A decision for any other stage changes nothing.
/// * **I6** Purging never touches an event that is not settled. A purged body leaves the key known. A
///   purged key is unknown, and the number of its event is not used again.
/// * **I7** Dead letters and the quarantine are purged by ages of their own.
/// * **I8** A purge step looks at a bounded number of events and says whether there is more.
/// * **I9** Counts add up: each event is counted in exactly one state.
///
/// Submits and due tasks:
///
/// * **L1** An intent stays open until it is withdrawn, its task is expected, or a delivery names it.
///   Open intents are listed oldest first.
/// * **L2** A task is expected once: expecting it again changes nothing but closes its intent.
/// * **L3** A task is due after its delay, the one that has been due longest first. A delay or a pause
///   is at most [`POSTPONE_MAX`](bounds::POSTPONE_MAX).
/// * **L4** Of any number of concurrent requests for due tasks, one gets a task. Others get it when its
///   lease has ended, which is at most [`LEASE_MAX`](bounds::LEASE_MAX).
/// * **L5** A task needs no asking, and is forgotten, if it has exactly one event of a last stage and
///   that is done or not unconfirmed. A task with two last stages is due.
/// * **L6** Only the ticket of the latest lease postpones or finishes. Any other is lost and changes
///   nothing, also one from before the task was forgotten and expected again.
/// * **L7** Purging forgets intents with the keys of their age, and expected tasks never.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an idempotency store",
    note = "implement `IdempotencyStore` with `#[async_trait]` on the impl block"
)]
#[async_trait]
pub trait IdempotencyStore: fmt::Debug + Send + Sync {
    // Accepting.

    /// Stores deliveries durably, and returns what each of them was.
    ///
    /// # Errors
    ///
    /// [`StoreError`]: nothing was stored, or (kind
    /// [`Unavailable`](StoreErrorKind::Unavailable)) it is not known whether it was. Accepting the same
    /// again is safe.
    async fn accept(&self, deliveries: &[Delivery]) -> Result<Vec<Accepted>, StoreError>;

    // Claiming and settling.

    /// Settles what the worker has finished, and claims events that are ready.
    ///
    /// # Errors
    ///
    /// [`StoreError`]: nothing was settled or claimed, or it is not known whether it was. Repeating
    /// the request with the same number is safe.
    async fn claim(&self, request: &ClaimRequest) -> Result<Claims, StoreError>;

    /// Makes claims hold for `lease` from now on, and answers in the order of the tickets.
    ///
    /// # Errors
    ///
    /// [`StoreError`]: it is not known whether claims were extended. Repeating it is safe.
    async fn extend(
        &self,
        tickets: &[Ticket],
        lease: Duration,
    ) -> Result<Vec<Extended>, StoreError>;

    /// Returns when there may be something to claim, or after `at_most`. It may return early.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the store cannot be watched; the caller waits by itself then.
    async fn wait(&self, at_most: Duration) -> Result<(), StoreError>;

    // Inspecting.

    /// Returns the events of a task in the order of their arrival, with their bodies.
    ///
    /// # Errors
    ///
    /// [`StoreError`]
    async fn find(&self, task_id: &TaskId) -> Result<Vec<EventRecord>, StoreError>;

    /// Returns a page of events in the order of their arrival, without their bodies.
    ///
    /// # Errors
    ///
    /// [`StoreError`]
    async fn list(&self, request: &ListRequest) -> Result<Page<EventRecord>, StoreError>;

    /// Returns a page of the quarantine in the order of arrival: at most `entries_max` entries after
    /// the entry `after`.
    ///
    /// # Errors
    ///
    /// [`StoreError`]
    async fn quarantine(
        &self,
        after: Option<EventId>,
        entries_max: u32,
    ) -> Result<Page<QuarantinedDelivery>, StoreError>;

    /// Counts events by state. It may take as long as it takes to read what is not settled.
    ///
    /// # Errors
    ///
    /// [`StoreError`]
    async fn counts(&self) -> Result<Counts, StoreError>;

    /// Makes settled events ready again, and answers in the order of `events`.
    ///
    /// # Errors
    ///
    /// [`StoreError`]; nothing was changed.
    async fn redrive(
        &self,
        events: &[EventId],
        redrive: Redrive,
    ) -> Result<Vec<Redriven>, StoreError>;

    /// Takes an entry out of the quarantine and accepts `delivery`, which is the same body decoded
    /// anew, in its place. Returns `None` if there is no such entry.
    ///
    /// # Errors
    ///
    /// [`StoreError`]; the entry is still in quarantine.
    async fn requeue(
        &self,
        entry: EventId,
        delivery: &Delivery,
    ) -> Result<Option<Accepted>, StoreError>;

    /// Decides for one of the last stages of a task, where callbacks have contradicted each other.
    ///
    /// # Errors
    ///
    /// [`StoreError`]; nothing was changed.
    async fn decide(&self, task_id: &TaskId, stage: &Stage) -> Result<Decision, StoreError>;

    /// Forgets a step of what is old.
    ///
    /// # Errors
    ///
    /// [`StoreError`]; nothing was forgotten in this step.
    async fn purge(&self, request: &PurgeRequest) -> Result<Purged, StoreError>;

    // Submits and due tasks.
    //
    // A submit is written down before it is sent, because afterwards may be too late: the process
    // may die before the answer, and the provider has neither an idempotency key nor a list of tasks
    // (`PROTOCOL.md 1.16` to `1.18`).

    /// Records that a submit is about to be sent.
    ///
    /// # Errors
    ///
    /// [`StoreError`]; nothing must be sent then.
    async fn intend(&self, intent: &Intent) -> Result<(), StoreError>;

    /// Removes the intent of a submit that certainly did nothing.
    ///
    /// # Errors
    ///
    /// [`StoreError`]
    async fn withdraw(&self, submit: SubmitId) -> Result<(), StoreError>;

    /// Returns intents that have been open for at least `open_for`: a task may exist and may have been
    /// paid for. At most `intents_max`, after the intent numbered `after`.
    ///
    /// # Errors
    ///
    /// [`StoreError`]
    async fn open_intents(
        &self,
        open_for: Duration,
        after: Option<u64>,
        intents_max: u32,
    ) -> Result<Vec<OpenIntent>, StoreError>;

    /// Expects callbacks of a task.
    ///
    /// # Errors
    ///
    /// [`StoreError`]
    async fn expect(&self, task: &ExpectedTask) -> Result<(), StoreError>;

    /// Takes tasks about which the provider is to be asked.
    ///
    /// # Errors
    ///
    /// [`StoreError`]; none was taken, or they are due again when the lease ends.
    async fn due(&self, request: &DueRequest) -> Result<DueTasks, StoreError>;

    /// Makes a task due again after a pause. False if the ticket is lost.
    ///
    /// # Errors
    ///
    /// [`StoreError`]; the task is due again when the lease ends.
    async fn postpone(
        &self,
        ticket: &DueTicket,
        postponement: Postponement,
    ) -> Result<bool, StoreError>;

    /// Forgets a task about which nothing more is to be asked. False if the ticket is lost.
    ///
    /// # Errors
    ///
    /// [`StoreError`]; the task is due again when the lease ends.
    async fn finish(&self, ticket: &DueTicket) -> Result<bool, StoreError>;
}

/// What a delivery was. Except [`Dropped`](Self::Dropped), all of them are durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Accepted {
    /// A new event.
    New,
    /// A new event that comes after a later stage of its task: stored as superseded.
    Late,
    /// Another delivery of a known event.
    Duplicate,
    /// A delivery of a known key that says something else: kept beside the event.
    Conflict,
    /// The confirmation of an event that was unconfirmed.
    Confirmed,
    /// Trusted but not understood, or beyond the bound on a task's events: kept as it came.
    Quarantined,
    /// Beyond a bound on what is kept: counted, and not kept.
    Dropped,
}
