//! One claimed event: the work that runs for it, and its outcome.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use suno_types::{Callback, TaskId};
use tokio::time::{Instant, sleep_until};

use super::lease::Lease;
use crate::clock::after;
use crate::event::Event;
use crate::handler::{
    CallbackHandler, DeadLetter, FailureAction, HandlerError, warn_of_empty_success,
};
use crate::key::EventId;
use crate::simulation::{Mutation, mutated};
use crate::store::{Claim, Settlement, Ticket};

/// A claimed event whose work is running.
#[derive(Debug)]
pub(super) struct RunningEvent {
    pub(super) ticket: Ticket,
    pub(super) task_id: TaskId,
    pub(super) attempt: u32,
    pub(super) lapses: u32,
    /// The age of the event at `begun`.
    age: Duration,
    begun: Instant,
    pub(super) event: Option<Arc<Event>>,
    pub(super) work: Work,
}

/// The work that runs for an event.
#[derive(Debug)]
pub(super) enum Work {
    /// The handler, on the event.
    Handling,
    /// The handler's `on_dead_letter`, before this settlement.
    Burying(Settlement),
}

/// The outcome of the work.
#[derive(Debug)]
pub(super) enum HandlerOutcome {
    /// The handler returned or exceeded its time limit.
    Handled(Result<(), HandlerError>),
    /// The claim ended before the handler did.
    Lapsed,
    /// The handler was notified.
    Told,
}

impl RunningEvent {
    pub(super) fn new(claim: &Claim, event: Option<Arc<Event>>) -> Self {
        Self {
            ticket: claim.ticket,
            task_id: claim.key.task_id().clone(),
            attempt: claim.attempt,
            lapses: claim.lapses,
            age: claim.age,
            begun: Instant::now(),
            event,
            work: Work::Handling,
        }
    }

    /// Returns the time since the claim was received.
    pub(super) fn took(&self) -> Duration {
        self.begun.elapsed()
    }

    /// Returns the current age of the event.
    pub(super) fn age(&self) -> Duration {
        self.age.saturating_add(self.begun.elapsed())
    }
}

/// Decodes the event of a claim.
pub(super) fn event(claim: &Claim) -> Result<Event, suno_types::DecodeError> {
    Ok(Event {
        ticket: claim.ticket,
        key: claim.key.clone(),
        callback: Callback::decode(&claim.raw)?,
        raw: claim.raw.clone(),
        suffix: claim.suffix.clone().unwrap_or_default(),
        submit: claim.submit,
        reference: claim.reference.clone(),
        kind: claim.kind.clone(),
        attempt: claim.attempt,
        source: claim.source,
        verified_by: claim.verified_by,
        received_at: claim.received_at,
        is_settled: Arc::new(AtomicBool::new(false)),
    })
}

/// Runs the handler on an event, while the claim holds and for at most `limit`.
pub(super) async fn run(
    handler: Arc<dyn CallbackHandler>,
    event: Arc<Event>,
    lease: Lease,
    limit: Duration,
) -> (EventId, HandlerOutcome) {
    let deadline = after(Instant::now(), limit);
    warn_of_empty_success(&event);
    let outcome = tokio::select! {
        biased;
        // Checked first, so that a process that was suspended does not run a handler whose
        // claim has ended.
        () = lease.ended(), if !mutated(Mutation::RunsWithoutLease) => HandlerOutcome::Lapsed,
        () = sleep_until(deadline) => {
            let reason = format!("the handler took longer than {limit:?}");
            HandlerOutcome::Handled(Err(HandlerError::retry(reason)))
        }
        result = handle(&*handler, &event) => HandlerOutcome::Handled(result),
    };
    (event.id(), outcome)
}

/// Calls the handler. If it takes nothing now, waits for as long as it should have waited.
async fn handle(handler: &dyn CallbackHandler, event: &Event) -> Result<(), HandlerError> {
    let earliest = after(Instant::now(), HandlerError::NOT_NOW_PAUSE);
    let result = handler.on_event(event).await;
    if let Err(err) = &result
        && err.verdict() == FailureAction::NotNow
    {
        sleep_until(earliest).await;
    }
    result
}

/// Notifies the handler of a dead letter, while the claim holds and for at most `limit`.
pub(super) async fn bury(
    handler: Arc<dyn CallbackHandler>,
    letter: DeadLetter,
    lease: Lease,
    limit: Duration,
) -> (EventId, HandlerOutcome) {
    let deadline = after(Instant::now(), limit);
    let outcome = tokio::select! {
        biased;
        () = lease.ended() => HandlerOutcome::Lapsed,
        () = sleep_until(deadline) => HandlerOutcome::Told,
        () = handler.on_dead_letter(&letter) => HandlerOutcome::Told,
    };
    (letter.id, outcome)
}
