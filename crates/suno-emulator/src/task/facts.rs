//! What is known of a task besides its progress: what bodies are built from.

use fastrand::Rng;

use super::submission::Submission;
use crate::seed;

/// The parts of a task that bodies are built from.
#[derive(Clone, Debug)]
pub(crate) struct Facts {
    pub(crate) task_id: String,
    pub(crate) submission: Submission,
    pub(crate) tracks: Vec<TrackFacts>,
    pub(crate) created_unix_ms: u64,
    /// When the tracks came into being, once they have.
    pub(crate) tracks_unix_ms: Option<u64>,
    /// What the task cost; 0 once the credits were given back.
    pub(crate) credits_consumed: u64,
    /// Bodies have members that nobody knows.
    pub(crate) has_extra_members: bool,
    /// The words of its scenario, those included that were drawn by the seed.
    pub(crate) words: String,
}

/// One track of a task.
#[derive(Clone, Debug)]
pub(crate) struct TrackFacts {
    pub(crate) id: String,
    /// In hundredths of a second, so that a task is compared exactly.
    pub(crate) duration_cs: u32,
}

/// How long a track plays, in hundredths of a second. Short, since it is synthesised.
const DURATION_CS: std::ops::RangeInclusive<u32> = 400..=800;

impl TrackFacts {
    pub(crate) fn draw(rng: &mut Rng) -> Self {
        Self {
            id: seed::uuid(rng),
            duration_cs: rng.u32(DURATION_CS),
        }
    }
}
