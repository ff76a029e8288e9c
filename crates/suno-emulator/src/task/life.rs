//! The life of one task as a state machine: a plan, how far it has come, and what a poll sees.
//!
//! There is no clock here and no network. Time comes in as a number, callbacks go out as data.

use std::borrow::Cow;

use crate::task::plan::{Change, Failure, Plan, PlannedCallback, Tracks};

/// A task somewhere on its plan.
#[derive(Debug)]
pub(crate) struct Life {
    plan: Plan,
    started_ms: u64,
    /// The index of the first step that has not happened yet.
    next: usize,
    record: Record,
}

/// What a poll shows of a task, apart from what was submitted.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Record {
    pub(crate) status: Cow<'static, str>,
    pub(crate) tracks: Tracks,
    pub(crate) failure: Option<Failure>,
    /// Whether a poll finds the task at all.
    pub(crate) is_visible: bool,
}

/// What became due in one go.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct DueSteps {
    pub(crate) callbacks: Vec<PlannedCallback>,
    pub(crate) is_refunded: bool,
    /// Tracks exist now and did not before.
    pub(crate) has_new_tracks: bool,
}

impl Life {
    pub(crate) fn new(plan: Plan, started_ms: u64) -> Self {
        // What is hidden from the first moment on must be so before anyone can ask.
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

    /// When the next step is due, on the time line of the tasks.
    pub(crate) fn due_at(&self) -> Option<u64> {
        let step = self.plan.steps.get(self.next)?;
        Some(self.started_ms.saturating_add(step.at_ms))
    }

    pub(crate) fn is_over(&self) -> bool {
        self.next >= self.plan.steps.len()
    }

    /// Takes all steps that are due at `now_ms`.
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

    /// The callbacks of the plan that have been due so far, oldest first.
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
