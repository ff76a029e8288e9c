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
}
