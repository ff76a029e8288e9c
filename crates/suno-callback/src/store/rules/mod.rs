//! The rules of the contract as pure functions, for stores in memory: the effect of a delivery, a
//! claim or a settlement on an event, and the effects of the events of a task on one another.
//!
//! They do not depend on any storage. A store looks up the [`TaskEvents`] of a task, stores them,
//! and iterates over them in the order of [`TaskEvents::queue`]; the example `vec_store` shows a
//! complete store. Times are durations since some start of the store's clock. Stores that keep
//! events in another form can still use the functions on [`Sibling`]s.
//!
//! ```
//! use std::time::Duration;
//!
//! use suno_callback::rules::{ClaimRound, TaskEvents};
//! use suno_callback::{Acceptance, ClaimRequest, Delivery, EventId, WorkerId};
//!
//! let body = r#"{"code":200,"msg":"m","data":{"callbackType":"text","task_id":"t","data":[]}}"#;
//! let delivery = Delivery::decode(body.into(), jiff::Timestamp::UNIX_EPOCH);
//!
//! let now = Duration::from_secs(7);
//! let mut task = TaskEvents::default();
//! let accepted = task.accept(EventId(1), &delivery, now);
//! assert_eq!(accepted, Some((Acceptance::New, 0)));
//! assert!(task.queue().eq([(now, EventId(1))]));
//!
//! let request = ClaimRequest::new(WorkerId(1), 1, Duration::from_secs(60), 10);
//! let mut round = ClaimRound::new(&request, Vec::new(), now);
//! if round.goes_on(now) {
//!     round.look_at(&mut task, EventId(1));
//! }
//! assert_eq!(round.into_claims().claims.len(), 1);
//! # Ok::<_, Box<dyn std::error::Error>>(())
//! ```

mod event;
mod ledger;
mod purge;
mod quarantine;
mod requests;
mod round;
mod task;

use suno_types::Stage;

pub use event::{StoredEvent, StoredState};
pub use ledger::Ledger;
pub use purge::PurgeStep;
pub use quarantine::Quarantine;
pub use requests::LastRequests;
pub use round::ClaimRound;
pub use task::TaskEvents;

use super::bounds::EVENTS_OF_TASK_MAX;
use super::{Decision, EventState, Sibling};

/// How a delivery relates to the events of its task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Arrival {
    /// A new event, and whether it is late (A5, A6).
    New {
        /// Whether it is stored as superseded.
        is_late: bool,
    },
    /// Another delivery of the event at this index (A2).
    Again(usize),
    /// A key that exceeds the limit of its task (A10).
    TooMany,
}

/// Finds how a delivery of `stage` relates to the events of its task.
#[must_use]
pub fn arrival(siblings: &[Sibling], stage: &Stage) -> Arrival {
    if let Some(place) = siblings.iter().position(|known| known.stage == *stage) {
        return Arrival::Again(place);
    }
    if siblings.len() >= EVENTS_OF_TASK_MAX {
        return Arrival::TooMany;
    }
    let is_late = siblings.iter().any(|sibling| sibling.supersedes(stage));
    Arrival::New { is_late }
}

/// Returns the open events that the event at index `done` supersedes now that it is done (C5).
#[must_use]
pub fn superseded_by(siblings: &[Sibling], done: usize) -> Vec<usize> {
    let is_superseded = |place: &usize| {
        let sibling = &siblings[*place];
        *place != done && !sibling.state.is_settled() && siblings[done].supersedes(&sibling.stage)
    };
    (0..siblings.len()).filter(is_superseded).collect()
}

/// The effect of a decision for a stage on the events of a task (I5).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Choice {
    /// The answer, provided that the event to redrive still has its body.
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

/// Whether the provider need not be asked about a task (L5).
#[must_use]
pub fn is_decided(siblings: &[Sibling]) -> bool {
    let mut last = siblings.iter().filter(|event| event.stage.is_terminal());
    match (last.next(), last.next()) {
        (Some(only), None) => !only.unconfirmed || only.state == EventState::Done,
        _ => false,
    }
}
