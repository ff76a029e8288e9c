//! The rules of the contract as plain functions of data, one rule in one place: what a delivery, a
//! claim or a settlement does to an event, and what the events of a task do to one another.
//!
//! They know no storage. A store finds events, keeps them, and orders them by
//! [`StoredEvent::ready_at`]; the example `vec_store` shows a whole one. Moments are durations since
//! some start of the store's clock. Stores that keep events in another form may still use the
//! functions on [`Sibling`]s.

mod event;
mod purge;
mod requests;

use suno_types::Stage;

pub use event::{StoredEvent, StoredState};
pub use requests::LastRequests;

use super::{Decision, EventState, Redrive, Sibling};

/// True if a new event of `stage` is late (A5, A6).
#[must_use]
pub fn is_late(siblings: &[Sibling], stage: &Stage) -> bool {
    siblings.iter().any(|sibling| sibling.supersedes(stage))
}

/// The open events that the event at the place `done` supersedes now that it is done (C5).
#[must_use]
pub fn superseded_by(siblings: &[Sibling], done: usize) -> Vec<usize> {
    let is_superseded = |place: &usize| {
        let sibling = &siblings[*place];
        *place != done && !sibling.state.is_settled() && siblings[done].supersedes(&sibling.stage)
    };
    (0..siblings.len()).filter(is_superseded).collect()
}

/// True if a settled event may be redriven (I3), as far as the other events of its task matter.
#[must_use]
pub fn may_redrive(siblings: &[Sibling], stage: &Stage, redrive: Redrive) -> bool {
    let is_superseded = siblings
        .iter()
        .any(|other| other.state == EventState::Done && other.stage.supersedes(stage));
    redrive == Redrive::EvenIfSuperseded || !is_superseded
}

/// What a decision for a stage does to the events of a task (I5).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Choice {
    /// What it comes to, if the body of the event to redrive is still there.
    pub decision: Decision,
    /// The event to redrive.
    pub redrive: Option<usize>,
    /// The events to supersede.
    pub supersede: Vec<usize>,
}

/// Decides for a stage of a task.
#[must_use]
pub fn decide(siblings: &[Sibling], stage: &Stage) -> Choice {
    let mut choice = Choice {
        decision: Decision::Unchanged,
        redrive: None,
        supersede: Vec::new(),
    };
    let Some(decided) = siblings.iter().position(|event| event.stage == *stage) else {
        choice.decision = Decision::Gone;
        return choice;
    };
    if !stage.is_terminal() {
        return choice;
    }
    let waits = |place: &usize| {
        let event = &siblings[*place];
        let state = event.state;
        let waits = matches!(state, EventState::Ready | EventState::Waiting { .. });
        *place != decided && event.stage.is_terminal() && waits
    };
    choice.supersede = (0..siblings.len()).filter(waits).collect();
    if siblings[decided].state == EventState::Superseded {
        choice.decision = Decision::Ready;
        choice.redrive = Some(decided);
    }
    choice
}

/// True if nobody needs to be asked about a task (L5).
#[must_use]
pub fn is_decided(siblings: &[Sibling]) -> bool {
    let mut last = siblings.iter().filter(|event| event.stage.is_terminal());
    match (last.next(), last.next()) {
        (Some(only), None) => !only.unconfirmed || only.state == EventState::Done,
        _ => false,
    }
}
