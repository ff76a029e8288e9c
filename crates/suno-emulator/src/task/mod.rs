//! A task: its facts, its life, and the queue of its callbacks.

use std::num::NonZeroU64;

use crate::clock::Moment;

pub(crate) mod attempt;
pub(crate) mod facts;
pub(crate) mod life;
pub(crate) mod outbox;
pub(crate) mod plan;
pub(crate) mod submission;
pub(crate) mod timing;

use facts::Facts;
use life::Life;
use outbox::Outbox;
use plan::{Plan, PlannedCallback, Tracks};

/// A task that a submit created.
#[derive(Debug)]
pub(crate) struct Task {
    pub(crate) facts: Facts,
    pub(crate) life: Life,
    pub(crate) outbox: Outbox,
    /// The hundredths of credits that were paid and not refunded. `None` if the task is free.
    paid: Option<NonZeroU64>,
}

/// The effects of advancing a task.
#[derive(Debug)]
pub(crate) struct DueCallbacks {
    /// The callbacks that became due, in order.
    pub(crate) callbacks: Vec<PlannedCallback>,
    /// The hundredths of credits to refund.
    pub(crate) refund: Option<NonZeroU64>,
}

impl Task {
    pub(crate) fn new(facts: Facts, plan: Plan, now: Moment, paid: Option<NonZeroU64>) -> Self {
        Self {
            facts,
            life: Life::new(plan, now.at_ms),
            outbox: Outbox::default(),
            paid,
        }
    }

    /// Begins again with another plan. Callbacks that wait are still sent.
    pub(crate) fn restart(&mut self, plan: Plan, now: Moment, paid: Option<NonZeroU64>) {
        self.life = Life::new(plan, now.at_ms);
        self.paid = paid;
        self.facts.completed_unix_ms = None;
        self.facts.restarts += 1;
        self.outbox.resume();
    }

    /// Executes everything that is due. The callbacks must be rendered from the facts as they are
    /// afterwards: they show the refund.
    pub(crate) fn advance(&mut self, now: Moment) -> DueCallbacks {
        let due = self.life.advance(now.at_ms);
        if due.has_new_tracks {
            self.facts.tracks_unix_ms.get_or_insert(now.unix_ms);
        }
        let refund = if due.is_refunded {
            self.paid.take()
        } else {
            None
        };
        if let Some(paid) = refund {
            self.facts.credits_consumed = 0;
            self.facts.credits_left = self.facts.credits_left.saturating_add(paid.get());
        }
        if self.ending() != TaskEnding::Open && self.life.record().status != "PENDING" {
            self.facts.completed_unix_ms.get_or_insert(now.unix_ms);
        }
        DueCallbacks {
            callbacks: due.callbacks,
            refund,
        }
    }

    /// Returns the status that a poll of the first dialect shows (`PROTOCOL.md 4.10`).
    pub(crate) fn status(&self) -> &str {
        if self.outbox.is_unreachable() {
            "CALLBACK_EXCEPTION"
        } else {
            &self.life.record().status
        }
    }

    /// Returns the true ending, independent of the callbacks that were sent.
    pub(crate) fn ending(&self) -> TaskEnding {
        let record = self.life.record();
        match &record.failure {
            Some(failure) => TaskEnding::Failed { code: failure.code },
            None if record.tracks == Tracks::Ready => TaskEnding::Complete,
            None => TaskEnding::Open,
        }
    }

    /// Returns the time at which the task has something to do.
    pub(crate) fn due_at(&self) -> Option<u64> {
        match (self.life.due_at(), self.outbox.due_at()) {
            (Some(life), Some(outbox)) => Some(life.min(outbox)),
            (life, outbox) => life.or(outbox),
        }
    }

    /// Whether the task has nothing left to do.
    pub(crate) fn is_finished(&self) -> bool {
        self.life.is_over() && self.outbox.is_idle()
    }
}

/// The ending of a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TaskEnding {
    /// The task has not ended, or never will.
    Open,
    /// The task is complete: all tracks are finished.
    Complete,
    /// The task failed.
    Failed {
        /// The code of the failure in callbacks and polls.
        code: u16,
    },
}
