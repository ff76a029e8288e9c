//! One task: what was submitted, its life, and the callbacks that it has to deliver.

use std::num::NonZeroU64;

use crate::clock::Moment;

pub(crate) mod attempt;
pub(crate) mod facts;
pub(crate) mod life;
pub(crate) mod outbox;
pub(crate) mod plan;
pub(crate) mod submission;
pub(crate) mod timing;
pub(crate) mod title;

use facts::Facts;
use life::Life;
use outbox::Outbox;
use plan::{Plan, PlannedCallback, Tracks};

/// A task that was taken.
#[derive(Debug)]
pub(crate) struct Task {
    pub(crate) facts: Facts,
    pub(crate) life: Life,
    pub(crate) outbox: Outbox,
    /// What was paid and has not come back.
    paid: Option<NonZeroU64>,
}

/// What a step in the life of a task led to.
#[derive(Debug)]
pub(crate) struct DueCallbacks {
    /// The callbacks that became due, in their order.
    pub(crate) callbacks: Vec<PlannedCallback>,
    /// What is given back.
    pub(crate) refund: Option<NonZeroU64>,
}

impl Task {
    pub(crate) fn new(facts: Facts, plan: Plan, now: Moment, paid: NonZeroU64) -> Self {
        Self {
            facts,
            life: Life::new(plan, now.at_ms),
            outbox: Outbox::default(),
            paid: Some(paid),
        }
    }

    /// Lets everything that is due happen. The facts are as the callbacks tell them afterwards.
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
        if refund.is_some() {
            self.facts.credits_consumed = 0;
        }
        DueCallbacks {
            callbacks: due.callbacks,
            refund,
        }
    }

    /// The status that a poll of the first dialect shows (`PROTOCOL.md 4.10`).
    pub(crate) fn status(&self) -> &str {
        if self.outbox.is_unreachable() {
            "CALLBACK_EXCEPTION"
        } else {
            &self.life.record().status
        }
    }

    /// How it ended in truth, whatever was posted.
    pub(crate) fn ending(&self) -> TaskEnding {
        let record = self.life.record();
        match &record.failure {
            Some(failure) => TaskEnding::Failed { code: failure.code },
            None if record.tracks == Tracks::Ready => TaskEnding::Complete,
            None => TaskEnding::Open,
        }
    }

    /// When this task needs attention next.
    pub(crate) fn due_at(&self) -> Option<u64> {
        match (self.life.due_at(), self.outbox.due_at()) {
            (Some(life), Some(outbox)) => Some(life.min(outbox)),
            (life, outbox) => life.or(outbox),
        }
    }

    /// Nothing will happen to this task any more by itself.
    pub(crate) fn is_finished(&self) -> bool {
        self.life.is_over() && self.outbox.is_idle()
    }
}

/// How a task ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TaskEnding {
    /// Not yet, or never.
    Open,
    /// All tracks are finished.
    Complete,
    /// It failed.
    Failed {
        /// The code of the failure, as callbacks and polls say it.
        code: u16,
    },
}
