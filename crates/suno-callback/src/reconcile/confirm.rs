//! A handler that receives only events confirmed by the provider's record.

use std::time::Duration;

use async_trait::async_trait;
use suno_types::{CallbackType, Stage, TaskRecord};

use super::Reconciler;
use crate::clock::doubled;
use crate::event::Event;
use crate::handler::{CallbackHandler, DeadLetter, GivenUpTask, HandlerError};
use crate::simulation::{Mutation, mutated};

/// The maximum wait for a record that does not show yet what a callback reports.
const WAIT_MAX: Duration = Duration::from_secs(300);
/// The first wait; it doubles with each further one.
const WAIT_MIN: Duration = Duration::from_secs(10);

impl Reconciler {
    /// Returns a handler that receives only what the provider's record of the task shows, because a
    /// signature does not cover the body (`PROTOCOL.md 3.4`): anyone who has seen one signed
    /// callback can send any body for that task.
    ///
    /// Before an event is handled, this requests the record of its task, and passes on the event
    /// with the content of the record; [`VerifiedBy::record`](crate::VerifiedBy::record) is then
    /// set. This costs one request for each event.
    ///
    /// * If the record denies a terminal stage, such as completion of a task that failed, the event
    ///   becomes a dead letter. The terminal stage that the record shows is then stored as if it
    ///   had been polled, and handled.
    /// * If the record does not show a stage yet, it is requested again after 10 s to 5 min, or as
    ///   soon as another delivery of the event arrives. If the record does not show the stage for
    ///   as long as the dispatcher retries, the event becomes a dead letter; a later record that
    ///   shows the stage revives it.
    /// * An earlier stage is skipped if its task has failed in the meantime.
    /// * Records never show a stage that this version does not know. The handler receives it as it
    ///   was delivered, and `VerifiedBy::record` is not set.
    ///
    /// Events from a poll already contain the content of the record.
    ///
    /// From this call on, callbacks that this reconciler's inbox accepts are unconfirmed: an
    /// unconfirmed event neither makes another stage late nor supersedes one before it is confirmed
    /// and handled. So a forged body costs a request, but neither delays nor suppresses a genuine
    /// event. Processes that only receive must call
    /// [`Inbox::with_confirmation`](crate::Inbox::with_confirmation).
    pub fn confirm(&self, handler: impl CallbackHandler) -> impl CallbackHandler {
        self.inbox.require_confirmation();
        Confirmed {
            handler,
            reconciler: self.clone(),
        }
    }
}

struct Confirmed<H> {
    handler: H,
    reconciler: Reconciler,
}

impl<H: CallbackHandler> Confirmed<H> {
    async fn handle(&self, event: &Event) -> Result<(), HandlerError> {
        if event.verified_by().record || matches!(event.stage(), Stage::Other(_)) {
            return self.handler.on_event(event).await;
        }
        let wait = wait(event.attempt());
        let asked = self.reconciler.ask(event.task_id()).await;
        let record = asked.map_err(|err| {
            let bound = match mutated(Mutation::UnboundedWait) {
                true => Duration::MAX,
                false => WAIT_MAX,
            };
            let wait = err.retry_after().unwrap_or_default().clamp(wait, bound);
            HandlerError::retry_after(wait, err)
        })?;
        let shown = record.as_ref().and_then(TaskRecord::stage);
        match (record, compare(event.stage(), shown.as_ref())) {
            (Some(record), Shown::Confirms) => match confirmed(event, &record) {
                Some(event) => self.handler.on_event(&event).await,
                None => Ok(()),
            },
            (Some(record), Shown::Denies) => {
                self.reconciler.take_in(&record).await?;
                Err(HandlerError::give_up("the provider's record denies it"))
            }
            (_, Shown::PassesOver) => Ok(()),
            _ => Err(HandlerError::retry_after(
                wait,
                "the provider's record does not show this stage",
            )),
        }
    }
}

/// The relation between a record and the stage that a callback reports.
#[derive(Debug, PartialEq, Eq)]
enum Shown {
    /// The task has reached the stage.
    Confirms,
    /// The task has ended in the other terminal stage.
    Denies,
    /// The task has failed since, so an earlier stage no longer matters.
    PassesOver,
    /// The task has not reached the stage.
    NotYet,
}

/// Compares the stage that a callback reports with the one that a record shows.
fn compare(claimed: &Stage, shown: Option<&Stage>) -> Shown {
    match shown {
        Some(shown) if shown == claimed => Shown::Confirms,
        Some(shown) if shown.is_terminal() && claimed.is_terminal() => Shown::Denies,
        Some(Stage::Failed) => Shown::PassesOver,
        Some(shown) if shown.rank() > claimed.rank() => Shown::Confirms,
        _ => Shown::NotYet,
    }
}

/// Rebuilds the event from a record that has reached at least its stage.
fn confirmed(event: &Event, record: &TaskRecord) -> Option<Event> {
    let mut callback = record.to_callback()?;
    if callback.stage() != *event.stage() {
        callback.callback_type = Some(CallbackType::from(event.stage().as_str()));
    }
    let mut confirmed = event.clone();
    confirmed.callback = callback;
    confirmed.verified_by.record = true;
    Some(confirmed)
}

/// Returns the wait after an attempt.
fn wait(attempt: u32) -> Duration {
    doubled(WAIT_MIN, attempt.saturating_sub(1), WAIT_MAX)
}

#[async_trait]
impl<H: CallbackHandler> CallbackHandler for Confirmed<H> {
    async fn on_event(&self, event: &Event) -> Result<(), HandlerError> {
        self.handle(event).await
    }

    async fn on_complete(&self, event: &Event) -> Result<(), HandlerError> {
        self.on_event(event).await
    }

    async fn on_failed(&self, event: &Event) -> Result<(), HandlerError> {
        self.on_event(event).await
    }

    async fn on_dead_letter(&self, letter: &DeadLetter) {
        self.handler.on_dead_letter(letter).await;
    }

    async fn on_given_up(&self, task: &GivenUpTask) {
        self.handler.on_given_up(task).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_confirms_what_it_has_reached_and_denies_another_end() {
        use Stage::{Complete, Failed, First, Text};
        let table = [
            (
                Text,
                [
                    Shown::NotYet,
                    Shown::Confirms,
                    Shown::Confirms,
                    Shown::Confirms,
                    Shown::PassesOver,
                ],
            ),
            (
                First,
                [
                    Shown::NotYet,
                    Shown::NotYet,
                    Shown::Confirms,
                    Shown::Confirms,
                    Shown::PassesOver,
                ],
            ),
            (
                Complete,
                [
                    Shown::NotYet,
                    Shown::NotYet,
                    Shown::NotYet,
                    Shown::Confirms,
                    Shown::Denies,
                ],
            ),
            (
                Failed,
                [
                    Shown::NotYet,
                    Shown::NotYet,
                    Shown::NotYet,
                    Shown::Denies,
                    Shown::Confirms,
                ],
            ),
        ];
        for (claimed, expected) in table {
            let shown = [
                None,
                Some(&Text),
                Some(&First),
                Some(&Complete),
                Some(&Failed),
            ];
            assert_eq!(
                shown.map(|shown| compare(&claimed, shown)),
                expected,
                "{claimed}"
            );
        }
    }
}
