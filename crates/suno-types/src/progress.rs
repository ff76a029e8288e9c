//! The state of a task, merged from callbacks and records in any order.

use std::collections::BTreeMap;

use crate::{Callback, Code, Stage, TaskRecord, Track};

/// The state of a task, merged from its callbacks and records.
///
/// Merge them as they arrive, with [`absorb_callback`](Self::absorb_callback) and
/// [`absorb_record`](Self::absorb_record). The result does not depend on their order, and a
/// duplicate changes nothing. A task never goes back: text, then first, then complete or failed.
///
/// If one source says complete and another says failed, a record outweighs callbacks, because a
/// callback's signature does not cover its body (`PROTOCOL.md 3.4`). Between sources of the same
/// weight the failure wins, and [`is_contested`](Self::is_contested) is true.
///
/// ```
/// use suno_types::{Callback, CallbackType, Code, Stage, TaskId, TaskProgress};
///
/// let task = TaskId::new("5c79000000000000000000000000be8e")?;
/// let mut progress = TaskProgress::new();
/// for word in [CallbackType::COMPLETE, CallbackType::TEXT] {
///     let mut callback = Callback::new(task.clone(), Code::SUCCESS);
///     callback.callback_type = Some(word);
///     progress.absorb_callback(&callback);
/// }
/// assert_eq!(progress.stage(), Some(Stage::Complete));
/// assert!(progress.is_terminal());
/// # Ok::<(), suno_types::InvalidId>(())
/// ```
#[derive(Debug, Clone, PartialEq, Default)]
pub struct TaskProgress {
    reached: Option<Reached>,
    completed: Option<Weight>,
    failed: Option<(Weight, Failure)>,
    tracks: BTreeMap<usize, Known>,
}

/// The failure of a task.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub struct Failure {
    /// The code that was sent.
    pub code: Code,
}

/// The weight of a source. A record outweighs a callback.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Weight {
    Callback,
    Record,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Reached {
    Text,
    First,
}

/// A track with the quality of its source. A later stage knows more, and a record is more reliable.
#[derive(Debug, Clone, PartialEq)]
struct Known {
    rank: u8,
    weight: Weight,
    track: Track,
}

impl Known {
    /// Returns whether this track replaces `other`. It is a total order, so the result does not
    /// depend on the order of arrival.
    fn beats(&self, other: &Self) -> bool {
        let key = |known: &Self| (known.track.is_ready(), known.rank, known.weight);
        match key(self).cmp(&key(other)) {
            std::cmp::Ordering::Equal => self.track.sort_text() > other.track.sort_text(),
            order => order.is_gt(),
        }
    }
}

impl TaskProgress {
    /// Creates the state of a task about which nothing is known yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Merges a callback into the state.
    pub fn absorb_callback(&mut self, callback: &Callback) {
        let stage = callback.stage();
        self.absorb(&stage, callback.code, &callback.tracks, Weight::Callback);
    }

    /// Merges a record into the state.
    pub fn absorb_record(&mut self, record: &TaskRecord) {
        let Some(stage) = record.stage() else {
            return;
        };
        self.absorb(&stage, record.code(&stage), &record.tracks, Weight::Record);
    }

    fn absorb(&mut self, stage: &Stage, code: Code, tracks: &[Track], weight: Weight) {
        match stage {
            Stage::Text => self.reached = self.reached.max(Some(Reached::Text)),
            Stage::First => self.reached = self.reached.max(Some(Reached::First)),
            Stage::Complete => self.completed = self.completed.max(Some(weight)),
            Stage::Failed => {
                let failed = Some((weight, Failure { code }));
                self.failed = self.failed.take().max(failed);
            }
            Stage::Other(_) => {}
        }
        for track in tracks {
            let known = Known {
                rank: stage.rank().unwrap_or(0),
                weight,
                track: track.clone(),
            };
            match self.tracks.get(&track.position) {
                Some(other) if !known.beats(other) => {}
                _ => {
                    self.tracks.insert(track.position, known);
                }
            }
        }
    }

    /// The latest stage of the task; `None` if no source had a known stage.
    #[must_use]
    pub fn stage(&self) -> Option<Stage> {
        match (&self.failed, self.completed) {
            (Some((failed, _)), Some(completed)) if completed > *failed => Some(Stage::Complete),
            (Some(_), _) => Some(Stage::Failed),
            (None, Some(_)) => Some(Stage::Complete),
            (None, None) => self.reached.map(|reached| match reached {
                Reached::Text => Stage::Text,
                Reached::First => Stage::First,
            }),
        }
    }

    /// The failure of the task, if it failed.
    #[must_use]
    pub fn failure(&self) -> Option<&Failure> {
        match (self.stage(), &self.failed) {
            (Some(Stage::Failed), Some((_, failure))) => Some(failure),
            _ => None,
        }
    }

    /// Returns whether the sources of the highest weight disagree: some say complete and some say
    /// failed. Ask the provider for the task's record.
    #[must_use]
    pub fn is_contested(&self) -> bool {
        match (&self.failed, self.completed) {
            (Some((failed, _)), Some(completed)) => *failed == completed,
            _ => false,
        }
    }

    /// Returns whether the task has ended.
    #[must_use]
    pub fn is_terminal(&self) -> bool {
        self.failed.is_some() || self.completed.is_some()
    }

    /// The best known version of each track, in order of their positions.
    pub fn tracks(&self) -> impl Iterator<Item = &Track> {
        self.tracks.values().map(|known| &known.track)
    }
}
