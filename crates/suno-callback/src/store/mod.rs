//! The durable record of events, and the contract that every store must keep.

pub mod bounds;
mod claim;
mod error;
mod inspect;
mod ledger;
mod memory;
mod purge;
mod quarantine;
pub mod rules;
mod turn;

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use suno_types::{Stage, TaskId};

pub use claim::{
    Claim, ClaimRequest, Claims, DeadCause, ExtendResult, SettleResult, Settlement, Ticket,
    WorkerId,
};
pub use error::{StoreError, StoreErrorKind};
pub use inspect::{
    AdoptedEvent, Adoption, ConflictRecord, Counts, Decision, EventFilter, EventRecord,
    ListRequest, Page, Redrive, RedriveResult, StateName,
};
pub use ledger::{
    DueRequest, DueTask, DueTasks, DueTicket, Expectation, ExpectedTask, Intent, OpenIntent,
    PollState, Postponement, RecordedSubmit, RecordedTask,
};
pub use memory::MemoryStore;
pub use purge::{PurgeReport, PurgeRequest};
pub use quarantine::QuarantinedDelivery;
pub use turn::{EventState, Sibling, Turn, turn};

use crate::delivery::Delivery;
use crate::key::{EventId, Reference, SubmitId};

/// A durable record of events, shared by every process that receives or handles them.
///
/// The methods form four groups: accepting; claiming and settling; inspecting; submits and due
/// tasks. None has a default: a store implements all of them, and the suite of the `conformance`
/// feature decides whether it keeps the contract. Each case of the suite names the sentence that it
/// tests. The example `vec_store` is a complete store in about 300 lines.
///
/// # Contract
///
/// In general:
///
/// * **G1** Every operation is atomic: it happens completely or not at all, even if the process
///   dies during it. If it returns an error, the caller may repeat it.
/// * **G2** Everything that an operation has reported survives the end of the process and, in a
///   durable store, a power cut.
/// * **G3** Callers pass durations, never times. The store measures them with a clock of its own,
///   which never goes back and does not follow changes to the system clock.
///
/// Accepting:
///
/// * **A1** The deliveries of one slice are accepted in their order, and the answers have the same
///   order.
/// * **A2** One key is one event, however many deliveries, threads or processes report it. Events of
///   one stage of a task differ in their revisions, which the store numbers from 0.
/// * **A3** A delivery of a known stage is a [`Duplicate`](Acceptance::Duplicate) if an event of the
///   stage already has its strict or its semantic fingerprint.
/// * **A4** If it neither confirms an event (A7) nor is a revision (A13), it is a
///   [`Conflict`](Acceptance::Conflict): it is kept with the latest event of the stage, which does not
///   change, once for each fingerprint. An event keeps at most
///   [`CONFLICTS_OF_EVENT_MAX`](bounds::CONFLICTS_OF_EVENT_MAX).
/// * **A5** A new event is [`Late`](Acceptance::Late) if its task has an event of a later stage: it
///   is stored as superseded and never claimed. Complete and failed are both terminal stages: the
///   one that is stored second is late.
/// * **A6** An unconfirmed event makes no other event late and supersedes none until it is done; a
///   revision does neither while it is unconfirmed.
/// * **A7** A delivery that is not unconfirmed confirms an unconfirmed event of its stage
///   ([`Confirmed`](Acceptance::Confirmed), even if the content is the same): its body replaces the
///   event's, and bodies with other content are kept as conflicts. If the event was waiting, it
///   becomes ready; if it was a dead letter or a revision that is done, it is redriven. No other
///   state changes, and a confirmed event stays confirmed. It confirms the event whose fingerprint it
///   has or, if none has it, the latest event of the stage, unless A14 says otherwise.
/// * **A8** Any other delivery of an unconfirmed event that waits for a retry makes it ready at
///   once, at most [`NUDGES_MAX`](bounds::NUDGES_MAX) times for one event.
/// * **A9** A delivery that could not be decoded is [`Quarantined`](Acceptance::Quarantined), once
///   for each strict fingerprint, and never claimed.
/// * **A10** A task has at most [`UNRANKED_EVENTS_MAX`](bounds::UNRANKED_EVENTS_MAX) events of stages
///   without a rank. A delivery of a further such event is quarantined. Stages with a rank are always
///   accepted.
/// * **A11** A delivery that exceeds a limit on conflicts or on the quarantine
///   ([`QUARANTINED_MAX`](bounds::QUARANTINED_MAX)) is [`Dropped`](Acceptance::Dropped) and counted.
/// * **A12** A delivery that names an open intent closes it and makes its task expected, in the
///   same transaction. If the delivery's task cannot be read, the intent stays open.
/// * **A13** A delivery that says more than its stage, whose fingerprint no event of the stage has, is
///   a revision ([`Revised`](Acceptance::Revised)): a new event of the same stage, which does not
///   change the others. It is late like any other event (A5). A stage has at most
///   [`REVISIONS_MAX`](bounds::REVISIONS_MAX) revisions. While the latest event of the stage is
///   unconfirmed and ready or waiting, there is no revision: the record will be asked anyway.
/// * **A14** A delivery says more than its stage if it reports more results than each event of the
///   stage that is confirmed, or is the first and done. If there is no such event, it says more if
///   it reports more results than the latest one. A delivery that is not unconfirmed and does not say
///   more never confirms a revision, if there is such an event. One that says more never confirms a
///   first event that is done, nor a claimed event whose ticket it does not name as its
///   [`claim`](Delivery::claim): that may be handled with less already.
/// * **A15** An event keeps the URL suffix and the submit of its first delivery and, if the submit
///   was recorded and made this task, the submit's reference and kind, also after the intent was
///   closed. A confirmation adds them if the event names no submit.
///
/// Claiming:
///
/// * **C1** Of any number of concurrent claims of one event, exactly one is granted.
/// * **C2** A live claim is never taken. After its lease has ended, the event can be claimed again,
///   and the old ticket is void as soon as another claim is granted. A lease is at most
///   [`LEASE_MAX`](bounds::LEASE_MAX), also when it is extended.
/// * **C3** Each claim counts as an attempt. A claim lapses if its lease ends before it is settled;
///   the next claim counts the lapse. Every settlement except a release resets the count of lapses
///   to zero.
/// * **C4** Events of one task are claimed one at a time: first one whose claim has lapsed, then in the
///   order of their stages, and of the arrival of events of the same rank. Stages without a rank come
///   first, in the order of their arrival. So revisions of a stage are claimed in their order.
/// * **C5** A stage that waits for a retry does not delay a later stage of its task: it is
///   superseded when the later one is claimed or, if the later one is unconfirmed, when that is
///   done. An event that is done also supersedes ready events: earlier stages and the other
///   terminal stage of its task. A later revision that is confirmed supersedes an earlier one of its
///   stage in the same way.
/// * **C6** Across tasks, events are claimed in the order in which the events themselves became
///   ready: by arrival, by the end of a retry's wait, by the end of a lapsed lease, or when they
///   were released or made ready again. Events that became ready at the same moment are claimed in
///   the order of their numbers. Events that another worker is claiming at the same time may be
///   skipped.
/// * **C7** A claim returns at most as many events as were requested, and reports whether there may
///   be more and when the next one becomes ready. It may leave a bounded amount of work for the
///   next claim; then it reports that there may be more.
/// * **C8** An event that has lapsed [`LAPSES_SUSPECT`](bounds::LAPSES_SUSPECT) times in a row is
///   claimed alone: by a worker that runs nothing else, and with no other event. Other claims skip
///   it and report that they did.
/// * **C9** A worker that repeats the number of its last request receives the claims of that
///   request that still hold, and no others. A smaller number receives none. A store remembers the
///   last requests of at least the 64 workers that claimed last. A worker uses one instance of the
///   store, which may keep this in memory.
/// * **C10** Each claim contains the accepted delivery, how long the claim holds, the number of
///   attempts, and how long the event has been waiting to be handled.
/// * **C11** An event whose record is damaged becomes a dead letter and does not prevent other
///   events from being claimed.
/// * **C12** [`wait`](IdempotencyStore::wait) returns as soon as there is something to claim,
///   whichever process or clock made it ready, and no later than the time limit that it was given.
///
/// Settling:
///
/// * **S1** Only the ticket of the latest claim can extend or settle. Any other ticket is lost and
///   changes nothing. A lapsed claim can still be extended and settled if the event was not claimed
///   again.
/// * **S2** A ticket that has settled its event is answered with
///   [`AlreadySettled`](SettleResult::AlreadySettled) when it settles again, until another claim of the
///   event is granted. Nothing changes.
/// * **S3** A retry becomes ready after its wait, never later than
///   [`RETRY_AFTER_MAX`](bounds::RETRY_AFTER_MAX); a dead letter is kept and not claimed; a
///   released event is ready at once, as if it had not been claimed.
/// * **S4** The settlements of a claim request are applied before its claims are granted, in the same
///   transaction.
///
/// Inspecting:
///
/// * **I1** A list that is continued from its cursor neither repeats nor skips records that existed
///   throughout. A page may be short although more follow: its cursor says so.
/// * **I2** A list contains the events that match its filter: by state, stage and time of receipt.
/// * **I3** Redriving makes a settled event ready, with attempts, lapses and age counted from zero.
///   It leaves an unsettled event unchanged, and also one that a done event of a later stage or
///   revision supersedes, unless that is requested.
/// * **I4** A quarantined delivery is requeued in one transaction: it leaves the quarantine and is
///   accepted with its new decoding.
/// * **I5** A decision for a terminal stage redrives the event of that stage if it was superseded (its
///   latest confirmed revision or, if none is confirmed, its latest one), and supersedes the other terminal stage if that is ready or waiting, in one transaction. If
///   the other one is claimed and then done, it supersedes as in C5. A decision for any other stage
///   changes nothing.
/// * **I6** Purging never touches an unsettled event. If a body is purged, its key stays known. A
///   purged key is unknown, and the number of its event is not reused.
/// * **I7** Dead letters and quarantine entries have purge ages of their own.
/// * **I8** A purge step looks at a bounded number of events and reports whether there is more.
/// * **I9** Counts add up: each event is counted in exactly one state.
/// * **I10** The conflicts of an event are those that it keeps, in the order in which they were kept,
///   with their bodies unless those are purged. An event that does not exist has none.
/// * **I11** An adopted event has the key, the content, the state and the conflicts that were given: done
///   stays done. One that was claimed or waiting is ready, with attempts and lapses counted from zero.
///   Ages are counted from the adoption. It supersedes no other event, and none makes it late. If the
///   store has an event of the stage with the same or a later revision, nothing changes, so that it is
///   safe to adopt the same events again.
///
/// Submits and due tasks:
///
/// * **L1** An intent stays open until it is withdrawn, its task is expected, or a delivery names it.
///   Open intents are listed oldest first, with their references and kinds.
/// * **L2** A task is expected once: expecting it again only closes its intent.
/// * **L3** A task is due after its delay. Tasks are taken in the order in which they became due. A
///   delay or a pause is at most [`POSTPONE_MAX`](bounds::POSTPONE_MAX).
/// * **L4** Of any number of concurrent requests for due tasks, exactly one receives a task. Others
///   receive it when its lease has ended. A lease is at most [`LEASE_MAX`](bounds::LEASE_MAX).
/// * **L5** If a task has events of exactly one terminal stage, and one of them is confirmed, or is the
///   first and done, the provider need not be asked, and the task is forgotten. A task with both
///   terminal stages is due.
/// * **L6** Only the ticket of the latest lease can postpone or finish a task. Any other ticket is
///   lost and changes nothing, including one from before the task was forgotten and expected again.
/// * **L7** Purging removes intents that have reached the age of keys, open or closed, but never
///   expected tasks.
/// * **L8** A due task says by which submit it was made and of which kind it is, as far as that was
///   recorded.
/// * **L9** The submits of a reference are listed oldest first, open and closed ones, until they are
///   withdrawn or purged. Of two callers that record an intent and then list its reference, at least
///   one sees both.
/// * **L10** Expected tasks are listed in the order in which they became expected, the latest first. A
///   list that is continued from its cursor neither repeats nor skips tasks that were expected
///   throughout. Tasks that need not be asked about (L5) are listed until they are forgotten.
/// * **L11** The record of an expected task contains for how long it has been expected, the number of
///   answers, and when it becomes due, for how long it has been due, or that it is being asked about.
/// * **L12** The record of a task contains its submit and its kind as far as they were recorded, also
///   after the task was forgotten, until the intent is purged. Of several submits that made the task,
///   it contains the one that was recorded first.
/// * **L13** Expected tasks, those that have been due for [`OVERDUE_AFTER`](bounds::OVERDUE_AFTER)
///   without being asked about, and open intents are counted, at least up to
///   [`LEDGER_COUNTED_MAX`](bounds::LEDGER_COUNTED_MAX).
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an idempotency store",
    note = "implement `IdempotencyStore` with `#[async_trait]` on the impl block"
)]
#[async_trait]
pub trait IdempotencyStore: fmt::Debug + Send + Sync {
    // Accepting.

    /// Stores deliveries durably, and returns the outcome of each.
    ///
    /// # Errors
    ///
    /// Returns [`StoreError`] if nothing was stored, or (kind
    /// [`Unavailable`](StoreErrorKind::Unavailable)) if that is unknown. It is safe to accept the
    /// same deliveries again.
    async fn accept(&self, deliveries: &[Delivery]) -> Result<Vec<Acceptance>, StoreError>;

    /// Returns how many calls of [`accept`](Self::accept) the store can usefully run at the same time: 1
    /// if it commits one at a time. An inbox never has deliveries of one task in two of them.
    fn accepts_at_once(&self) -> usize;

    // Claiming and settling.

    /// Settles the events that the worker has finished, and claims ready events.
    ///
    /// # Errors
    ///
    /// Returns [`StoreError`] if nothing was settled or claimed, or if that is unknown. It is safe
    /// to repeat the request with the same number.
    async fn claim(&self, request: &ClaimRequest) -> Result<Claims, StoreError>;

    /// Extends claims to `lease` from now, and answers in the order of the tickets.
    ///
    /// # Errors
    ///
    /// Returns [`StoreError`] if it is unknown whether the claims were extended. It is safe to
    /// repeat the call.
    async fn extend(
        &self,
        tickets: &[Ticket],
        lease: Duration,
    ) -> Result<Vec<ExtendResult>, StoreError>;

    /// Returns when there may be something to claim, or after `at_most`. May return early.
    ///
    /// # Errors
    ///
    /// Returns [`StoreError`] if the store cannot be watched. The caller should then wait on its
    /// own and try again.
    async fn wait(&self, at_most: Duration) -> Result<(), StoreError>;

    // Inspecting.

    /// Returns the events of a task in the order of their arrival, with their bodies.
    ///
    /// # Errors
    ///
    /// Returns [`StoreError`] if the store cannot be read.
    async fn find(&self, task_id: &TaskId) -> Result<Vec<EventRecord>, StoreError>;

    /// Returns a page of events in the order of their arrival, without their bodies.
    ///
    /// # Errors
    ///
    /// Returns [`StoreError`] if the store cannot be read.
    async fn list(&self, request: &ListRequest) -> Result<Page<EventRecord>, StoreError>;

    /// Returns the conflicts of an event, at most
    /// [`CONFLICTS_OF_EVENT_MAX`](bounds::CONFLICTS_OF_EVENT_MAX).
    ///
    /// # Errors
    ///
    /// Returns [`StoreError`] if the store cannot be read.
    async fn conflicts(&self, event: EventId) -> Result<Vec<ConflictRecord>, StoreError>;

    /// Returns a page of the quarantine in the order of arrival: at most `entries_max` entries after
    /// the entry `after`.
    ///
    /// # Errors
    ///
    /// Returns [`StoreError`] if the store cannot be read.
    async fn quarantine(
        &self,
        after: Option<EventId>,
        entries_max: u32,
    ) -> Result<Page<QuarantinedDelivery>, StoreError>;

    /// Counts events by state, and expected tasks and open intents. It may take as long as reading all
    /// unsettled events.
    ///
    /// # Errors
    ///
    /// Returns [`StoreError`] if the store cannot be read.
    async fn counts(&self) -> Result<Counts, StoreError>;

    /// Makes settled events ready again, and answers in the order of `events`.
    ///
    /// # Errors
    ///
    /// Returns [`StoreError`] if the store failed; nothing was changed.
    async fn redrive(
        &self,
        events: &[EventId],
        redrive: Redrive,
    ) -> Result<Vec<RedriveResult>, StoreError>;

    /// Stores events of another store as they were there, and answers in the order of `events`.
    ///
    /// # Errors
    ///
    /// Returns [`StoreError`] if nothing was stored, or if that is unknown. It is safe to adopt the same
    /// events again.
    async fn adopt(&self, events: &[AdoptedEvent]) -> Result<Vec<Adoption>, StoreError>;

    /// Removes an entry from the quarantine and accepts `delivery`, which is the same body decoded
    /// again, in its place. Returns `None` if the entry does not exist.
    ///
    /// # Errors
    ///
    /// Returns [`StoreError`] if the store failed; the entry is still in quarantine.
    async fn requeue(
        &self,
        entry: EventId,
        delivery: &Delivery,
    ) -> Result<Option<Acceptance>, StoreError>;

    /// Decides for one terminal stage of a task whose callbacks contradict each other.
    ///
    /// # Errors
    ///
    /// Returns [`StoreError`] if the store failed; nothing was changed.
    async fn decide(&self, task_id: &TaskId, stage: &Stage) -> Result<Decision, StoreError>;

    /// Purges one step of old data.
    ///
    /// # Errors
    ///
    /// Returns [`StoreError`] if the store failed; nothing was purged in this step.
    async fn purge(&self, request: &PurgeRequest) -> Result<PurgeReport, StoreError>;

    // Submits and due tasks.
    //
    // A submit is recorded before it is sent. Afterwards may be too late: the process may die
    // before the response, and the provider offers neither an idempotency key nor a list of tasks
    // (`PROTOCOL.md 1.16` to `1.18`).

    /// Records that a submit is about to be sent.
    ///
    /// # Errors
    ///
    /// Returns [`StoreError`] if the intent was not recorded; the submit must not be sent then.
    async fn intend(&self, intent: &Intent) -> Result<(), StoreError>;

    /// Removes the open intent of a submit that certainly had no effect.
    ///
    /// # Errors
    ///
    /// Returns [`StoreError`] if the store failed; the intent may remain open.
    async fn withdraw(&self, submit: SubmitId) -> Result<(), StoreError>;

    /// Returns intents that have been open for at least `open_for`: their tasks may exist and may
    /// have been paid for. Returns at most `intents_max`, after the intent numbered `after`.
    ///
    /// # Errors
    ///
    /// Returns [`StoreError`] if the store cannot be read.
    async fn open_intents(
        &self,
        open_for: Duration,
        after: Option<u64>,
        intents_max: u32,
    ) -> Result<Vec<OpenIntent>, StoreError>;

    /// Returns the submits that were recorded with this reference, with their tasks as far as these are
    /// known: at most `submits_max`.
    ///
    /// # Errors
    ///
    /// Returns [`StoreError`] if the store cannot be read.
    async fn submits(
        &self,
        reference: &Reference,
        submits_max: u32,
    ) -> Result<Vec<RecordedSubmit>, StoreError>;

    /// Registers a task whose callbacks are expected.
    ///
    /// # Errors
    ///
    /// Returns [`StoreError`] if the store failed; the task may not be expected.
    async fn expect(&self, task: &ExpectedTask) -> Result<(), StoreError>;

    /// Returns expected tasks, the one that became expected last first: at most `tasks_max`, before the
    /// task numbered `before`.
    ///
    /// # Errors
    ///
    /// Returns [`StoreError`] if the store cannot be read.
    async fn expected_tasks(
        &self,
        before: Option<u64>,
        tasks_max: u32,
    ) -> Result<Vec<RecordedTask>, StoreError>;

    /// Returns what is recorded of tasks, in the order of `task_ids`.
    ///
    /// # Errors
    ///
    /// Returns [`StoreError`] if the store cannot be read.
    async fn recorded_tasks(&self, task_ids: &[TaskId]) -> Result<Vec<RecordedTask>, StoreError>;

    /// Takes tasks to ask the provider about.
    ///
    /// # Errors
    ///
    /// Returns [`StoreError`] if no task was taken, or if tasks were taken that become due again
    /// when the lease ends.
    async fn due(&self, request: &DueRequest) -> Result<DueTasks, StoreError>;

    /// Makes a task due again after a pause. Returns false if the ticket is lost.
    ///
    /// # Errors
    ///
    /// Returns [`StoreError`] if the store failed; the task becomes due again when the lease ends.
    async fn postpone(
        &self,
        ticket: &DueTicket,
        postponement: Postponement,
    ) -> Result<bool, StoreError>;

    /// Removes a task that needs no more requests to the provider. Returns false if the ticket is
    /// lost.
    ///
    /// # Errors
    ///
    /// Returns [`StoreError`] if the store failed; the task becomes due again when the lease ends.
    async fn finish(&self, ticket: &DueTicket) -> Result<bool, StoreError>;
}

/// The outcome of accepting a delivery. All outcomes except [`Dropped`](Self::Dropped) are durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Acceptance {
    /// A new event.
    New,
    /// A new event that says more than the earlier ones of its stage. The store has numbered its
    /// revision.
    Revised,
    /// A new event that arrived after a later stage of its task: stored as superseded.
    Late,
    /// Another delivery of a known event.
    Duplicate,
    /// A delivery of a known key with different content: kept with the event.
    Conflict,
    /// The confirmation of an event that was unconfirmed.
    Confirmed,
    /// A delivery from a trusted sender that could not be decoded, or that exceeds the limit on a
    /// task's events: kept as it was received.
    Quarantined,
    /// A delivery that exceeds a limit on what is kept: counted, but not kept.
    Dropped,
}

impl Acceptance {
    /// Returns the outcome as one word: `new`, `revised`, `late`, `duplicate`, `conflict`, `confirmed`,
    /// `quarantined` or `dropped`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Revised => "revised",
            Self::Late => "late",
            Self::Duplicate => "duplicate",
            Self::Conflict => "conflict",
            Self::Confirmed => "confirmed",
            Self::Quarantined => "quarantined",
            Self::Dropped => "dropped",
        }
    }
}
