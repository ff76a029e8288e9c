//! A handler that receives only events confirmed by the provider's record.

use std::cmp::Ordering;
use std::time::Duration;

use async_trait::async_trait;
use suno_types::{Callback, CallbackType, Product, Route, Stage, TaskKind, TaskRecord, TaskStatus};
use tokio::time::timeout;

use super::Reconciler;
use super::round::{Obstacle, Polled};
use crate::clock::doubled;
use crate::content;
use crate::delivery::Delivery;
use crate::event::Event;
use crate::handler::{CallbackHandler, DeadLetter, GivenUpTask, HandlerError, is_empty_success};
use crate::observe::PollOutcome;
use crate::simulation::{Mutation, mutated};
use crate::store::{EventState, StoreError};

/// The maximum wait for a record that does not show yet what a callback reports.
const WAIT_MAX: Duration = Duration::from_secs(300);
/// The first wait; it doubles with each further one.
const WAIT_MIN: Duration = Duration::from_secs(10);
/// The number of times that the record of a revision is requested before it counts as saying no more
/// than was handled: the provider's record may follow its callback.
const REVISION_ASKED_MIN: u32 = 6;

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
    /// * If the record reports more or fewer results than the event, the record is first stored in its
    ///   place, so that the store knows what was really handled.
    /// * A revision is handled only if the record reports more results than what was handled before.
    ///   Otherwise the record is requested five times more, for about 10 min, and then the event is
    ///   settled without a call of the handler: a forged body that claims more gains nothing. Each
    ///   stage has [`REVISIONS_MAX`](crate::bounds::REVISIONS_MAX) revisions, and forged ones count, so
    ///   that a genuine one after four of them is kept as a conflict.
    /// * Records never show a stage or a product that this version does not know, nor a success in
    ///   which it finds no result. The handler receives it as it was delivered, in
    ///   [`on_other`](CallbackHandler::on_other), and `VerifiedBy::record` is not set.
    ///
    /// Events from a poll already contain the content of the record.
    ///
    /// From this call on, callbacks that this reconciler's inbox accepts are unconfirmed: an
    /// unconfirmed event neither makes another stage late nor supersedes one before it is confirmed
    /// and handled. So a forged body costs a request, but neither delays nor suppresses the genuine
    /// event of a stage. Its URL is the exception: what the application added to it is that of the
    /// first delivery. Processes that only receive must call
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
        if event.verified_by().record || is_beyond_records(event) {
            return self.handler.on_event(event).await;
        }
        let wait = wait(event.attempt());
        let record = self.record(event).await.inspect_err(|err| {
            self.report(event, &Polled::failed(err));
        })?;
        let shown = record.as_ref().and_then(TaskRecord::stage);
        let status = record.as_ref().map(|record| record.status.clone());
        let polled = |outcome| Polled::new(status.as_ref(), outcome);
        match (record, compare(event.stage(), shown.as_ref())) {
            (Some(record), Shown::Confirms) => match shown_by(event, &record) {
                Some(callback) => self.handle_shown(event, &record.status, callback).await,
                None => Ok(()),
            },
            (Some(record), Shown::Denies) => {
                self.reconciler.take_in(&record, event.submit()).await?;
                self.report(event, &polled(PollOutcome::Denied));
                Err(HandlerError::give_up("the provider's record denies it"))
            }
            (_, Shown::PassesOver) => {
                self.report(event, &polled(PollOutcome::Unchanged));
                Ok(())
            }
            (record, _) => {
                self.report(
                    event,
                    &polled(match record {
                        Some(_) => PollOutcome::NotShown,
                        None => PollOutcome::NotFound,
                    }),
                );
                Err(HandlerError::retry_after(
                    wait,
                    "the provider's record does not show this stage",
                ))
            }
        }
    }

    fn report(&self, event: &Event, polled: &Polled) {
        let observer = self.reconciler.inbox.observer();
        polled.report(&**observer, event.task_id(), Some(event.key()));
    }

    /// Requests the record of an event's task, from each place where it may be.
    async fn record(&self, event: &Event) -> Result<Option<TaskRecord>, HandlerError> {
        for kind in kinds(event) {
            let asked = self.reconciler.ask(event.task_id(), &kind).await;
            let record = asked.map_err(|err| {
                let bound = match mutated(Mutation::UnboundedWait) {
                    true => Duration::MAX,
                    false => WAIT_MAX,
                };
                let wait = wait(event.attempt());
                let wait = err.retry_after().unwrap_or_default().clamp(wait, bound);
                HandlerError::retry_after(wait, err)
            })?;
            if record.is_some() {
                return Ok(record);
            }
        }
        Ok(None)
    }

    /// Handles an event with what the record shows of its stage, unless another event of the stage
    /// stands for that.
    async fn handle_shown(
        &self,
        event: &Event,
        status: &TaskStatus,
        callback: Callback,
    ) -> Result<(), HandlerError> {
        let shown = results(&callback);
        let now = self.reconciler.clock.now();
        let delivery = Delivery::of_record(&callback, now)
            .with_submit(event.submit())
            .with_claim(event.ticket());
        let raw = delivery.raw.clone();
        if event.revision() == 0 && shown == results(&event.callback) {
            self.report(event, &Polled::of(status, None, PollOutcome::Confirmed));
        } else {
            // An unconfirmed event takes over what the record says.
            let accepted = self.reconciler.accept(delivery).await?;
            self.report(
                event,
                &Polled::of(status, Some(accepted), PollOutcome::Confirmed),
            );
            match self.said_by_another(event, shown).await? {
                _ if mutated(Mutation::HandlesEveryRevision) => {}
                None => {}
                Some(Another::Earlier) if event.attempt() < REVISION_ASKED_MIN => {
                    return Err(HandlerError::retry_after(
                        wait(event.attempt()),
                        "the provider's record does not show more than was handled",
                    ));
                }
                Some(Another::Newer) => {
                    return Err(HandlerError::retry_after(
                        Duration::ZERO,
                        "a newer record was stored while the provider was asked",
                    ));
                }
                Some(Another::Earlier) => {
                    let key = event.key();
                    tracing::warn!(%key, "a revision is not handled: the provider's record does not show more than an earlier event");
                    return Ok(());
                }
                // It is handled next.
                Some(Another::Later) => return Ok(()),
            }
        }
        let mut confirmed = event.clone();
        confirmed.callback = callback;
        confirmed.raw = raw;
        confirmed.verified_by.record = true;
        self.handler.on_event(&confirmed).await
    }

    /// Looks for another event of the stage that reports at least as many results as the record: one
    /// that was or will be handled.
    async fn said_by_another(
        &self,
        event: &Event,
        results: u16,
    ) -> Result<Option<Another>, Obstacle> {
        let finding = self.reconciler.store().find(event.task_id());
        let found = timeout(Reconciler::STORE_TIMEOUT, finding).await;
        let found = found.unwrap_or_else(|_| Err(StoreError::unanswered()))?;
        let others = found.iter().filter(|other| {
            let says_as_much = other.key.stage() == event.stage() && other.results >= results;
            says_as_much && other.state != EventState::Superseded && other.sibling().counts()
        });
        let mut another = None;
        for other in others {
            match other.key.revision().cmp(&event.revision()) {
                Ordering::Greater => return Ok(Some(Another::Later)),
                Ordering::Equal if other.results > results => another = Some(Another::Newer),
                Ordering::Equal => {}
                Ordering::Less => another = Some(Another::Earlier),
            }
        }
        Ok(another)
    }
}

/// The event that stands for what a record shows, if it is not the one that was claimed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Another {
    /// An earlier revision, which was handled or will be.
    Earlier,
    /// A later revision, which will be handled.
    Later,
    /// The event itself: another record has confirmed it since.
    Newer,
}

/// Returns the number of results that a callback reports.
fn results(callback: &Callback) -> u16 {
    content::results(&callback.stage(), callback.result_count())
}

/// Whether no record can show what an event reports: a stage or a product that this version does not
/// know, or a success in which it finds no result.
fn is_beyond_records(event: &Event) -> bool {
    let product = event.callback.product();
    match event.stage() {
        // The steps of a voice are in its record.
        Stage::Other(_) => product != Product::VOICE,
        Stage::Failed => false,
        _ => product == Product::OTHER || is_empty_success(event),
    }
}

/// Returns the kinds that the task can have, the likeliest first: the recorded one or, if its submit
/// is not known, the one that the callback shows. A failure need not say what was to be made, and a
/// step of a voice not which of its two places it is at.
fn kinds(event: &Event) -> Vec<TaskKind> {
    if let Some(kind) = &event.kind {
        return vec![kind.clone()];
    }
    let has = |name| event.callback.data_extra.json(name).is_some();
    let is_of_jobs = has("resultJson") || has("failCode") || (has("state") && has("model"));
    let route = match is_of_jobs {
        true => Route::Jobs,
        false => Route::Direct,
    };
    let shown = event.callback.product();
    let mut products = vec![shown.clone()];
    if route == Route::Jobs {
        // It has one place for all products.
    } else if *event.stage() == Stage::Failed {
        products = POLLED.to_vec();
        products.sort_by_key(|product| *product != shown);
    } else if shown == Product::VOICE {
        products.push(Product::VOICE_PHRASE);
    }
    let kinds = products.into_iter();
    kinds.map(|product| TaskKind::new(route, product)).collect()
}

/// The products that have a place of their own for their records, songs first.
const POLLED: [Product; 10] = [
    Product::SONG,
    Product::LYRICS,
    Product::WAV,
    Product::MP4,
    Product::STEMS,
    Product::MIDI,
    Product::COVER,
    Product::VOICE,
    Product::VOICE_PHRASE,
    Product::RECOVERY,
];

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

/// Returns the callback of the event's stage that says what a record shows, which has reached at
/// least that stage.
fn shown_by(event: &Event, record: &TaskRecord) -> Option<Callback> {
    let mut callback = record.to_callback()?;
    if callback.stage() != *event.stage() {
        callback.callback_type = Some(CallbackType::from(event.stage().as_str()));
    }
    Some(callback)
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
