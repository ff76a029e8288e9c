//! What is known of a task from everything that was heard of it, in whatever order.

use std::collections::BTreeMap;

use crate::{Callback, Code, Stage, TaskRecord, Track};

/// What is known of a task.
///
/// Fold in callbacks and records as they come: [`TaskProgress::absorb_callback`],
/// [`TaskProgress::absorb_record`]. The result does not depend on their order, and hearing something
/// twice changes nothing. A task never goes back: text < first < complete, and a failure is
/// terminal.
///
/// Where one source says complete and another says failed, the record decides over callbacks,
/// because a callback's signature does not cover its body (`PROTOCOL.md 3.4`); between callbacks
/// alone the failure stands, and [`is_contested`](Self::is_contested) says so.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct TaskProgress {
    reached: Option<Reached>,
    completed: Option<Weight>,
    failed: Option<(Weight, Failure)>,
    tracks: BTreeMap<usize, Known>,
}

/// How a task failed.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub struct Failure {
    /// The code that was sent.
    pub code: Code,
}

/// How much a source counts.
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

/// A track and how good the source was: a later stage knows more, and a record is surer.
#[derive(Debug, Clone, PartialEq)]
struct Known {
    rank: u8,
    weight: Weight,
    track: Track,
}

impl Known {
    /// A total order, so that of any two the same one stays whatever came first.
    fn beats(&self, other: &Self) -> bool {
        let key = |known: &Self| (known.track.is_ready(), known.rank, known.weight);
        match key(self).cmp(&key(other)) {
            std::cmp::Ordering::Equal => self.track.sort_text() > other.track.sort_text(),
            order => order.is_gt(),
        }
    }
}

impl TaskProgress {
    /// Nothing is known yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes in a callback.
    pub fn absorb_callback(&mut self, callback: &Callback) {
        let stage = callback.stage();
        self.absorb(&stage, callback.code, &callback.tracks, Weight::Callback);
    }

    /// Takes in a record.
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

    /// How far the task has come; `None` if no known stage was heard of.
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

    /// How the task failed, if it did.
    #[must_use]
    pub fn failure(&self) -> Option<&Failure> {
        match (self.stage(), &self.failed) {
            (Some(Stage::Failed), Some((_, failure))) => Some(failure),
            _ => None,
        }
    }

    /// True if the sources that count most say both complete and failed: ask the provider.
    #[must_use]
    pub fn is_contested(&self) -> bool {
        match (&self.failed, self.completed) {
            (Some((failed, _)), Some(completed)) => *failed == completed,
            _ => false,
        }
    }

    /// True if nothing more is to come.
    #[must_use]
    pub fn is_terminal(&self) -> bool {
        self.failed.is_some() || self.completed.is_some()
    }

    /// The best that is known of each track, in order of their places.
    pub fn tracks(&self) -> impl Iterator<Item = &Track> {
        self.tracks.values().map(|known| &known.track)
    }
}
