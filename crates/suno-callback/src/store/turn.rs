//! Whose turn it is: which event of a task may be claimed. The rule that every store follows, as a
//! plain function of data.

use jiff::Timestamp;
use suno_types::Stage;

/// How an event stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum EventState {
    /// It can be claimed.
    Ready,
    /// It is claimed until then, unless the claim is extended.
    Claimed {
        /// The end of the lease; from here on it can be claimed again.
        until: Timestamp,
    },
    /// Handling failed; it can be claimed from then on.
    Waiting {
        /// The earliest moment of another attempt.
        at: Timestamp,
    },
    /// It was handled.
    Done,
    /// It is a dead letter.
    Dead,
    /// A later stage of its task made it pointless.
    Superseded,
}

impl EventState {
    /// True if nothing more is to be done.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        matches!(self, Self::Done | Self::Dead | Self::Superseded)
    }

    /// True while a claim holds.
    #[must_use]
    pub fn is_held(&self, now: Timestamp) -> bool {
        matches!(self, Self::Claimed { until } if now < *until)
    }

    /// True if the event by itself could be claimed.
    #[must_use]
    pub fn is_claimable(&self, now: Timestamp) -> bool {
        match self {
            Self::Ready => true,
            Self::Claimed { until } => *until <= now,
            Self::Waiting { at } => *at <= now,
            Self::Done | Self::Dead | Self::Superseded => false,
        }
    }
}

/// What a claim does to the events of one task.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Turn {
    /// The event to claim.
    pub claim: usize,
    /// The events that this makes pointless: earlier stages that wait for another attempt.
    pub supersede: Vec<usize>,
}

/// Decides which of a task's events, given in the order of their arrival, may be claimed at `now`.
///
/// None, while one of them is held. Otherwise one whose claim has lapsed, so that its ticket loses
/// its worth before a sibling is claimed; then the claimable one of the earliest stage. Stages that
/// are not known come first, in the order of their arrival.
#[must_use]
pub fn turn(events: &[(Stage, EventState)], now: Timestamp) -> Option<Turn> {
    if events.iter().any(|(_, state)| state.is_held(now)) {
        return None;
    }
    let claimable = |place: &usize| events[*place].1.is_claimable(now);
    let claim = (0..events.len()).filter(claimable).min_by_key(|place| {
        let (stage, state) = &events[*place];
        let lapsed = matches!(state, EventState::Claimed { .. });
        (!lapsed, stage.rank(), *place)
    })?;
    let pointless = |place: &usize| {
        let (stage, state) = &events[*place];
        matches!(state, EventState::Waiting { .. }) && events[claim].0.supersedes(stage)
    };
    Some(Turn {
        claim,
        supersede: (0..events.len()).filter(pointless).collect(),
    })
}
