//! The facts of a task that bodies are built from.

use fastrand::Rng;

use super::submission::Submission;
use crate::seed;

/// The data of a task that does not depend on its progress, or that is set once.
#[derive(Clone, Debug)]
pub(crate) struct Facts {
    pub(crate) task_id: String,
    pub(crate) submission: Submission,
    pub(crate) tracks: Vec<TrackFacts>,
    pub(crate) created_unix_ms: u64,
    /// The creation time of the tracks, once they exist.
    pub(crate) tracks_unix_ms: Option<u64>,
    /// The time at which the task completed or failed.
    pub(crate) completed_unix_ms: Option<u64>,
    /// The price of the task in hundredths of a credit, or 0 after a refund.
    pub(crate) credits_consumed: u64,
    /// What was left in the account after the task was paid or refunded, in hundredths of a credit.
    pub(crate) credits_left: u64,
    /// Whether the voice that a check asks for can be used.
    pub(crate) is_voice_available: bool,
    /// Whether bodies have unknown members.
    pub(crate) has_extra_members: bool,
    /// Whether callbacks have the shape of records.
    pub(crate) has_record_shape: bool,
    /// The number of times that the task was run again.
    pub(crate) restarts: usize,
    /// The words of the scenario, including those drawn by `random`.
    pub(crate) words: String,
}

/// One track of a task.
#[derive(Clone, Debug)]
pub(crate) struct TrackFacts {
    pub(crate) id: String,
    /// The duration in hundredths of a second: an integer, so that tasks can be compared exactly.
    pub(crate) duration_cs: u32,
}

/// The range of track durations, in hundredths of a second. Short, since the audio is synthesised.
const DURATION_CS: std::ops::RangeInclusive<u32> = 400..=800;

impl TrackFacts {
    pub(crate) fn draw(rng: &mut Rng) -> Self {
        Self {
            id: seed::uuid(rng),
            duration_cs: rng.u32(DURATION_CS),
        }
    }
}
