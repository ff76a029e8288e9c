//! Decides which event of a task may be claimed: the rule for every store, as a pure function.

use std::time::Duration;

use suno_types::Stage;

/// The state of an event, with its remaining duration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum EventState {
    /// It can be claimed.
    Ready,
    /// It is claimed.
    Claimed {
        /// The remaining time of the claim; zero if it has lapsed.
        holds_for: Duration,
    },
    /// Handling failed, and the event waits for a retry.
    Waiting {
        /// The remaining wait; zero if the event can be claimed.
        ready_in: Duration,
    },
    /// It was handled.
    Done,
    /// It is a dead letter.
    Dead,
    /// A later stage of its task superseded it.
    Superseded,
}

impl EventState {
    /// Whether the event needs no more handling.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        matches!(self, Self::Done | Self::Dead | Self::Superseded)
    }

    /// Whether the event has a claim that still holds.
    #[must_use]
    pub fn is_held(&self) -> bool {
        matches!(self, Self::Claimed { holds_for } if !holds_for.is_zero())
    }

    /// Whether the event has a claim whose lease has ended.
    #[must_use]
    pub fn is_lapsed(&self) -> bool {
        matches!(self, Self::Claimed { holds_for } if holds_for.is_zero())
    }

    /// Whether the event could be claimed if its task had no other events.
    #[must_use]
    pub fn is_claimable(&self) -> bool {
        match self {
            Self::Ready => true,
            Self::Claimed { holds_for: left } | Self::Waiting { ready_in: left } => left.is_zero(),
            Self::Done | Self::Dead | Self::Superseded => false,
        }
    }
}

/// An event of a task, as far as it affects the other events of the task.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Sibling {
    /// Its stage.
    pub stage: Stage,
    /// Its state.
    pub state: EventState,
    /// Whether the provider's record must confirm it.
    pub unconfirmed: bool,
    /// Its revision.
    pub revision: u32,
    /// The number of results that it reports.
    pub results: u16,
}

impl Sibling {
    /// Creates a sibling of a stage and in a state, with revision 0 and no results.
    #[must_use]
    pub fn new(stage: Stage, state: EventState, unconfirmed: bool) -> Self {
        Self {
            stage,
            state,
            unconfirmed,
            revision: 0,
            results: 0,
        }
    }

    /// Sets the revision.
    #[must_use]
    pub fn with_revision(mut self, revision: u32) -> Self {
        self.revision = revision;
        self
    }

    /// Sets the number of results.
    #[must_use]
    pub fn with_results(mut self, results: u16) -> Self {
        self.results = results;
        self
    }

    /// Whether other events depend on this one: it is confirmed, or it is the first of its stage and
    /// done. An unconfirmed revision that is done has shown nothing: the provider's record did not
    /// report more than was handled before (A14).
    #[must_use]
    pub fn counts(&self) -> bool {
        !self.unconfirmed || (self.state == EventState::Done && self.revision == 0)
    }

    /// Whether this event makes a new one of `stage` late: it belongs to a later stage, and
    /// [counts](Self::counts).
    #[must_use]
    pub fn makes_late(&self, stage: &Stage) -> bool {
        self.counts() && self.stage.supersedes(stage)
    }

    /// Whether this event supersedes another one of its task: it belongs to a later stage or is a
    /// later revision of the same stage, and [counts](Self::counts).
    #[must_use]
    pub fn supersedes(&self, other: &Self) -> bool {
        let is_revision = self.stage == other.stage && self.revision > other.revision;
        self.counts() && (is_revision || self.stage.supersedes(&other.stage))
    }
}

/// The effects of a claim on the events of one task.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Turn {
    /// The event to claim.
    pub claim: usize,
    /// The events that are superseded: earlier stages and revisions that wait for a retry.
    pub supersede: Vec<usize>,
}

/// Decides which event of a task may be claimed. The events are given in the order of their
/// arrival.
///
/// No event may be claimed while another one of the task is. Otherwise an event whose claim has
/// lapsed goes first, so that its ticket is void before a sibling is claimed; then the claimable
/// event of the earliest stage, and of its revisions the earliest, which arrived first. Unknown
/// stages go first, in the order of their arrival.
#[must_use]
pub fn turn(events: &[Sibling]) -> Option<Turn> {
    if events.iter().any(|event| event.state.is_held()) {
        return None;
    }
    let claimable = |place: &usize| events[*place].state.is_claimable();
    let claim = (0..events.len()).filter(claimable).min_by_key(|place| {
        let event = &events[*place];
        (!event.state.is_lapsed(), event.stage.rank(), *place)
    })?;
    let pointless = |place: &usize| {
        let event = &events[*place];
        matches!(event.state, EventState::Waiting { .. })
            && *place != claim
            && events[claim].supersedes(event)
    };
    Some(Turn {
        claim,
        supersede: (0..events.len()).filter(pointless).collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const LATER: Duration = Duration::from_secs(9);

    fn ready(stage: Stage) -> Sibling {
        Sibling::new(stage, EventState::Ready, false)
    }

    fn waiting(stage: Stage) -> Sibling {
        let state = EventState::Waiting { ready_in: LATER };
        Sibling::new(stage, state, false)
    }

    #[test]
    fn the_earliest_stage_comes_first_and_supersedes_nothing() {
        let events = [ready(Stage::Complete), ready(Stage::Text)];
        let turn = turn(&events).unwrap();
        assert_eq!((turn.claim, turn.supersede), (1, vec![]));
    }

    #[test]
    fn a_stage_that_waits_is_superseded_by_a_later_one_unless_that_is_unconfirmed() {
        let mut events = [waiting(Stage::Text), ready(Stage::Complete)];
        assert_eq!(turn(&events).unwrap().supersede, [0]);
        events[1].unconfirmed = true;
        let turn = turn(&events).unwrap();
        assert_eq!((turn.claim, turn.supersede), (1, vec![]));
    }

    #[test]
    fn a_revision_supersedes_an_earlier_one_that_waits_unless_it_is_unconfirmed() {
        let revised = ready(Stage::Complete).with_revision(1);
        let mut events = [waiting(Stage::Complete), revised];
        assert_eq!(turn(&events).unwrap().supersede, [0]);
        events[1].unconfirmed = true;
        assert!(turn(&events).unwrap().supersede.is_empty());
        events[1].state = EventState::Done;
        assert!(!events[1].supersedes(&events[0]));
    }

    #[test]
    fn nothing_is_claimed_while_a_sibling_is_held_and_a_lapsed_one_comes_first() {
        let claimed = |holds_for| {
            let state = EventState::Claimed { holds_for };
            [
                Sibling::new(Stage::Complete, state, false),
                ready(Stage::Text),
            ]
        };
        assert_eq!(turn(&claimed(LATER)), None);
        assert_eq!(turn(&claimed(Duration::ZERO)).unwrap().claim, 0);
    }
}
