//! Requests the record of a task, and stores what it says.

use suno_types::TaskRecord;
use tokio::time::timeout;

use super::Reconciler;
use super::round::{Found, Obstacle, Polled};
use crate::delivery::Delivery;
use crate::inbox::AcceptError;
use crate::key::SubmitId;
use crate::observe::PollOutcome;
use crate::store::{Acceptance, Decision, DueTask, StoreError};

impl Reconciler {
    /// Requests the record and stores it.
    pub(super) async fn learn(&self, task: &DueTask) -> Result<(Found, Polled), Obstacle> {
        let Some(record) = self.ask(&task.ticket.task_id, &task.kind).await? else {
            return Ok((Found::Running, Polled::new(None, PollOutcome::NotFound)));
        };
        let status = &record.status;
        if task.age >= Self::RESULT_AGE_MAX
            && let Some(delivery) = Delivery::from_record_without_result(&record, self.clock.now())
        {
            // The result is missing or not understood, so the handler gets what the record says.
            let accepted = self.accept(delivery.with_submit(task.submit)).await?;
            let found = Found::Ended {
                recovered: accepted == Acceptance::New,
                decided: false,
            };
            let polled = Polled::of(status, Some(accepted), PollOutcome::Unchanged);
            return Ok((found, polled));
        }
        let (found, accepted) = self.take_in(&record, task.submit).await?;
        if let Found::Ended {
            recovered: true, ..
        } = found
        {
            let is_unheard = accepted == Some(Acceptance::New);
            self.silence.note(self.inbox.callbacks(), is_unheard);
        }
        let otherwise = match found {
            Found::Ended { decided: true, .. } => PollOutcome::Decided,
            _ => PollOutcome::Unchanged,
        };
        Ok((found, Polled::of(status, accepted, otherwise)))
    }

    /// Stores a record, and makes it decide if callbacks contradict it.
    pub(super) async fn take_in(
        &self,
        record: &TaskRecord,
        submit: Option<SubmitId>,
    ) -> Result<(Found, Option<Acceptance>), Obstacle> {
        let accepted = match Delivery::from_record(record, self.clock.now()) {
            Some(delivery) => Some(self.accept(delivery.with_submit(submit)).await?),
            None => None,
        };
        let Some(stage) = record.stage().filter(suno_types::Stage::is_terminal) else {
            return Ok((Found::Running, accepted));
        };
        let deciding = self.store().decide(&record.task_id, &stage);
        let decided = timeout(Self::STORE_TIMEOUT, deciding).await;
        let decision = decided.unwrap_or_else(|_| Err(StoreError::unanswered()))?;
        let decided = decision == Decision::Ready;
        if decided {
            tracing::warn!(task_id = %record.task_id, %stage, "callbacks contradict each other; the record decided");
        }
        let recovered = matches!(
            accepted,
            Some(Acceptance::New | Acceptance::Revised | Acceptance::Confirmed)
        );
        Ok((Found::Ended { recovered, decided }, accepted))
    }

    /// Stores a delivery that was made from a record.
    pub(super) async fn accept(&self, delivery: Delivery) -> Result<Acceptance, AcceptError> {
        let accepted = timeout(Self::STORE_TIMEOUT, self.inbox.accept(delivery)).await;
        accepted.unwrap_or(Err(AcceptError::TooSlow))
    }
}
