//! Scenarios: the course of a task, the faults of its callbacks, and the faults of the requests
//! about it.
//!
//! A scenario is written as words, such as `fail=531, duplicate-error`, which are listed in
//! [`words`]. It is chosen for one task by a header or by the title of its submit, or for all
//! tasks.

use crate::fault::delivery::DeliveryFaults;
use crate::fault::exchange::ExchangeFaults;

pub(crate) mod course;
pub(crate) mod script;
mod table;
mod word;
pub(crate) mod words;

use course::Course;

/// The scenario of a task.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Scenario {
    pub(crate) course: Course,
    pub(crate) delivery: DeliveryFaults,
    pub(crate) exchange: ExchangeFaults,
    /// The name of the script that replaces the course.
    pub(crate) script: Option<String>,
    /// Whether further words are drawn by the seed.
    pub(crate) is_random: bool,
    /// The words among those given that make sense only for songs.
    pub(crate) song_words: Vec<&'static str>,
}

impl Scenario {
    /// Returns the scenario for a task that makes no song: what only songs have is left out.
    pub(crate) fn without_song_words(mut self) -> Self {
        self.course.text_tracks = None;
        self.course.first_lasts_ms = 0;
        self.delivery.has_unknown_type = false;
        self.script = None;
        self
    }
}
