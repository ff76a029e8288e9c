//! The results of asking.

use std::time::Duration;

use suno_types::{TaskId, TaskStatus};

use super::record_info::RecordInfoError;
use crate::handler::HandlerError;
use crate::inbox::AcceptError;
use crate::key::EventKey;
use crate::observe::{Observer, PollOutcome, PollReport};
use crate::store::{Acceptance, StoreError};

/// The results of one [`round`](crate::Reconciler::round).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Round {
    /// The number of tasks that were asked about.
    pub asked: usize,
    /// The number of them that had ended without a callback that reported it.
    pub recovered: usize,
    /// The number of contradictions that were decided in favour of the superseded stage.
    pub decided: usize,
    /// The number of tasks that could not be asked about, or whose record could not be stored.
    pub failed: usize,
    /// The number of tasks that were given up, because the provider does not report that they
    /// ended.
    pub given_up: usize,
}

impl Round {
    pub(super) fn add(&mut self, found: Found) {
        self.asked += 1;
        match found {
            Found::Running => {}
            Found::Ended { recovered, decided } => {
                self.recovered += usize::from(recovered);
                self.decided += usize::from(decided);
            }
            Found::Failed => self.failed += 1,
            Found::GivenUp => self.given_up += 1,
        }
    }
}

/// The result of asking about one task.
#[derive(Debug, Clone, Copy)]
pub(super) enum Found {
    Running,
    Ended { recovered: bool, decided: bool },
    Failed,
    GivenUp,
}

/// What a request for the record of a task has shown, for observers.
#[derive(Debug)]
pub(super) struct Polled {
    pub(super) status: Option<TaskStatus>,
    pub(super) outcome: PollOutcome,
    reason: Option<String>,
}

impl Polled {
    pub(super) fn new(status: Option<&TaskStatus>, outcome: PollOutcome) -> Self {
        Self {
            status: status.cloned(),
            outcome,
            reason: None,
        }
    }

    /// Converts what became of the delivery that a record was made into.
    pub(super) fn of(
        status: &TaskStatus,
        accepted: Option<Acceptance>,
        otherwise: PollOutcome,
    ) -> Self {
        let outcome = match accepted {
            None | Some(Acceptance::Duplicate) => otherwise,
            Some(_) => PollOutcome::Found,
        };
        Self::new(Some(status), outcome)
    }

    /// Converts an error, whose text is that of a failed handler: without URLs, and bounded.
    pub(super) fn failed(reason: &HandlerError) -> Self {
        Self {
            status: None,
            outcome: PollOutcome::Failed,
            reason: Some(reason.reason()),
        }
    }

    pub(super) fn report(&self, to: &dyn Observer, task_id: &TaskId, key: Option<&EventKey>) {
        to.on_poll(&PollReport {
            task_id,
            key,
            status: self.status.as_ref(),
            outcome: self.outcome,
            reason: self.reason.as_deref(),
        });
    }
}

/// The reason why a task could not be reconciled this time.
#[derive(Debug, thiserror::Error)]
pub(super) enum Obstacle {
    #[error(transparent)]
    Unanswered(#[from] RecordInfoError),
    #[error(transparent)]
    NotAccepted(#[from] AcceptError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Obstacle {
    pub(super) fn report(&self, task_id: &TaskId) {
        let err = self as &dyn std::error::Error;
        tracing::warn!(err, %task_id, "not reconciled; trying again");
    }

    /// Returns how long the provider asked to wait.
    pub(super) fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Unanswered(err) => err.retry_after(),
            _ => None,
        }
    }
}
