//! The life of one task as a state machine: its plan, the steps done so far, and the record that
//! polls see.
//!
//! It knows no clock and no network. Time is an argument, and callbacks are return values.

use std::borrow::Cow;

use crate::task::plan::{Change, Failure, Plan, PlannedCallback, Tracks};

/// The progress of a task on its plan.
#[derive(Debug)]
pub(crate) struct Life {
    plan: Plan,
    started_ms: u64,
    /// The index of the first step that has not happened yet.
    next: usize,
    record: Record,
}

/// The part of a poll's answer that changes while the task lives.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Record {
    pub(crate) status: Cow<'static, str>,
    pub(crate) tracks: Tracks,
    pub(crate) failure: Option<Failure>,
    /// Whether polls find the task.
    pub(crate) is_visible: bool,
}

/// The effects of the steps that became due.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct DueSteps {
    pub(crate) callbacks: Vec<PlannedCallback>,
    pub(crate) is_refunded: bool,
    /// Whether tracks exist that did not exist before.
    pub(crate) has_new_tracks: bool,
}

impl Life {
    pub(crate) fn new(plan: Plan, started_ms: u64) -> Self {
        // A task that starts hidden must be hidden before the first poll.
        let mut first = plan.steps.iter().take_while(|step| step.at_ms == 0);
        let is_visible = !first.any(|step| step.change.is_visible == Some(false));
        let record = Record {
            is_visible,
            ..Record::pending()
        };
        Self {
            plan,
            started_ms,
            next: 0,
            record,
        }
    }

    pub(crate) fn record(&self) -> &Record {
        &self.record
    }

    /// Returns the due time of the next step, on the time line of the tasks.
    pub(crate) fn due_at(&self) -> Option<u64> {
        let step = self.plan.steps.get(self.next)?;
        Some(self.started_ms.saturating_add(step.at_ms))
    }

    pub(crate) fn is_over(&self) -> bool {
        self.next >= self.plan.steps.len()
    }

    /// Executes all steps that are due at `now_ms`.
    pub(crate) fn advance(&mut self, now_ms: u64) -> DueSteps {
        let mut due = DueSteps::default();
        while self.due_at().is_some_and(|at_ms| at_ms <= now_ms) {
            let step = self.plan.steps[self.next].clone();
            self.next += 1;
            due.has_new_tracks |= self.record.tracks == Tracks::Absent
                && step
                    .change
                    .tracks
                    .is_some_and(|tracks| tracks != Tracks::Absent);
            due.is_refunded |= step.change.is_refunded;
            self.record.apply(step.change);
            due.callbacks.extend(step.callbacks);
        }
        due
    }

    /// Returns the callbacks of the executed steps, oldest first.
    pub(crate) fn past_callbacks(&self) -> impl DoubleEndedIterator<Item = &PlannedCallback> {
        self.plan.steps[..self.next]
            .iter()
            .flat_map(|step| &step.callbacks)
    }
}

impl Record {
    fn pending() -> Self {
        Self {
            status: Cow::Borrowed("PENDING"),
            tracks: Tracks::Absent,
            failure: None,
            is_visible: true,
        }
    }

    fn apply(&mut self, change: Change) {
        if let Some(status) = change.status {
            self.status = status;
        }
        if let Some(tracks) = change.tracks {
            self.tracks = tracks;
        }
        if let Some(failure) = change.failure {
            self.failure = Some(failure);
        }
        if let Some(is_visible) = change.is_visible {
            self.is_visible = is_visible;
        }
    }
}
