//! The rules of the contract as pure functions, for any store: the effect of a delivery, a
//! claim or a settlement on an event, and the effects of the events of a task on one another.
//!
//! They do not depend on any storage. A store looks up the [`TaskEvents`] of a task, stores them,
//! and iterates over them in the order of [`TaskEvents::queue`]; the example `vec_store` shows a
//! complete store. Times are durations since some start of the store's clock. A store that keeps
//! events elsewhere reads those of a task with [`StoredEvent::ready`] and the public fields, applies an
//! operation, and writes what has changed. Others can still use the functions on [`Sibling`]s.
//!
//! ```
//! use std::time::Duration;
//!
//! use suno_callback::rules::{ClaimRound, KnownSubmit, TaskEvents};
//! use suno_callback::{Acceptance, ClaimRequest, Delivery, EventId, WorkerId};
//!
//! let body = r#"{"code":200,"msg":"m","data":{"callbackType":"text","task_id":"t","data":[]}}"#;
//! let delivery = Delivery::decode(body.into(), jiff::Timestamp::UNIX_EPOCH);
//!
//! let now = Duration::from_secs(7);
//! let mut task = TaskEvents::default();
//! let accepted = task.accept(EventId(1), &delivery, &KnownSubmit::default(), now);
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

pub use event::{StoredConflict, StoredEvent, StoredPrint, StoredState};
pub use ledger::Ledger;
pub use purge::PurgeStep;
pub use quarantine::Quarantine;
pub use requests::LastRequests;
pub use round::ClaimRound;
pub use task::TaskEvents;

use super::bounds::{REVISIONS_MAX, UNRANKED_EVENTS_MAX};
pub use super::ledger::KnownSubmit;
use super::{Decision, EventState, Sibling};
use crate::simulation::{Mutation, mutated};

/// How a delivery relates to the events of its task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Arrival {
    /// A new event: the first of its stage, or a revision.
    New {
        /// Its revision (A13).
        revision: u32,
        /// Whether it is late and stored as superseded (A5, A6).
        is_late: bool,
    },
    /// It confirms the event at this index, and its body replaces the event's (A7).
    Confirms(usize),
    /// Another delivery of the event at this index: a duplicate or a conflict (A3, A4).
    Again(usize),
    /// A key that exceeds the limit of its task (A10).
    TooMany,
}

/// A delivery, as far as its relation to the events of its task depends on it.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Arriving<'a> {
    /// Its stage.
    pub stage: &'a Stage,
    /// The number of results that it reports.
    pub results: u16,
    /// Whether the provider's record must confirm it.
    pub unconfirmed: bool,
    /// The first event of its stage that has one of its fingerprints.
    pub same_event: Option<usize>,
    /// The first event of its stage of which a conflict has one of its fingerprints.
    pub same_conflict: Option<usize>,
    /// The claimed event whose latest ticket it names.
    pub claimed: Option<usize>,
}

impl<'a> Arriving<'a> {
    /// Creates a delivery whose fingerprints no event of its stage has.
    #[must_use]
    pub fn new(stage: &'a Stage, results: u16, unconfirmed: bool) -> Self {
        Self {
            stage,
            results,
            unconfirmed,
            same_event: None,
            same_conflict: None,
            claimed: None,
        }
    }

    /// Sets the events that have one of its fingerprints themselves or in a conflict.
    #[must_use]
    pub fn with_same(mut self, event: Option<usize>, conflict: Option<usize>) -> Self {
        self.same_event = event;
        self.same_conflict = conflict;
        self
    }

    /// Sets the claimed event whose latest ticket the delivery names.
    #[must_use]
    pub fn with_claimed(mut self, claimed: Option<usize>) -> Self {
        self.claimed = claimed;
        self
    }
}

/// Finds how a delivery relates to the events of its task (A2 to A7, A10, A13, A14).
///
/// A delivery says more than its stage if it reports more results than every event of the stage that
/// [counts](Sibling::counts) or, if none does, than the latest one. A sender who can forge unconfirmed
/// deliveries cannot raise that number.
#[must_use]
pub fn arrival(siblings: &[Sibling], arriving: &Arriving<'_>) -> Arrival {
    let of_stage = |place: &usize| siblings[*place].stage == *arriving.stage;
    let places = || (0..siblings.len()).filter(of_stage);
    let Some(last) = places().max_by_key(|place| siblings[*place].revision) else {
        return new(siblings, arriving.stage, 0);
    };
    let latest = &siblings[last];
    let confirms = |event: &Sibling| event.unconfirmed && !arriving.unconfirmed;
    if let Some(same) = arriving.same_event {
        return match confirms(&siblings[same]) {
            true => Arrival::Confirms(same),
            false => Arrival::Again(same),
        };
    }
    let counting = places().filter(|place| siblings[*place].counts());
    let base = counting.map(|place| siblings[place].results).max();
    let says_more =
        arriving.results > base.unwrap_or(latest.results) && !mutated(Mutation::SeesNoRevisions);
    // A claimed event may be handled with less already, unless the delivery comes from its claim.
    let is_handled = match latest.state {
        EventState::Claimed { .. } => arriving.claimed != Some(last),
        EventState::Done => latest.counts(),
        _ => false,
    };
    if confirms(latest) && !(says_more && is_handled) {
        let is_about_it = latest.revision == 0 || base.is_none() || says_more;
        if is_about_it {
            return Arrival::Confirms(last);
        }
    }
    // The record will be asked about the latest event, and shows whatever is true by then.
    let is_open = matches!(latest.state, EventState::Ready | EventState::Waiting { .. });
    let is_pending = latest.unconfirmed && is_open;
    if says_more && !is_pending && latest.revision < REVISIONS_MAX {
        return new(siblings, arriving.stage, latest.revision + 1);
    }
    Arrival::Again(arriving.same_conflict.unwrap_or(last))
}

/// A new event of a task.
fn new(siblings: &[Sibling], stage: &Stage, revision: u32) -> Arrival {
    let unranked = siblings.iter().filter(|event| event.stage.rank().is_none());
    if stage.rank().is_none() && unranked.count() >= UNRANKED_EVENTS_MAX {
        return Arrival::TooMany;
    }
    let is_late = siblings.iter().any(|sibling| sibling.makes_late(stage));
    Arrival::New { revision, is_late }
}

/// Returns the open events that the event at index `done` supersedes now that it is done (C5).
#[must_use]
pub fn superseded_by(siblings: &[Sibling], done: usize) -> Vec<usize> {
    let is_superseded = |place: &usize| {
        let sibling = &siblings[*place];
        *place != done && !sibling.state.is_settled() && siblings[done].supersedes(sibling)
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

/// Decides for a stage of a task: for its latest event that is confirmed or, if none is, for its
/// latest one.
#[must_use]
pub fn decide(siblings: &[Sibling], stage: &Stage) -> Choice {
    let mut choice = Choice {
        decision: Decision::Unchanged,
        redrive: None,
        supersede: Vec::new(),
    };
    let of_stage = |place: &usize| siblings[*place].stage == *stage;
    let latest = (0..siblings.len()).filter(of_stage).max_by_key(|place| {
        let event = &siblings[*place];
        (!event.unconfirmed, event.revision)
    });
    let Some(decided) = latest else {
        choice.decision = Decision::Gone;
        return choice;
    };
    if !stage.is_terminal() {
        return choice;
    }
    let waits = |place: &usize| {
        let event = &siblings[*place];
        let waits = matches!(event.state, EventState::Ready | EventState::Waiting { .. });
        event.stage != *stage && event.stage.is_terminal() && waits
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
    let mut terminal = siblings.iter().filter(|event| event.stage.is_terminal());
    let Some(first) = terminal.next() else {
        return false;
    };
    let mut counts = first.counts();
    for event in terminal {
        if event.stage != first.stage {
            return false;
        }
        counts |= event.counts();
    }
    counts
}
