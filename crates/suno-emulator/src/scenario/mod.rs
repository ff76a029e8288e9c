//! What a task is asked to go through: its course, the faults on its way back, and the faults of
//! the exchanges about it.
//!
//! A scenario is written as words, such as `fail=531, duplicate-error`; [`words`] is the list of
//! them. It is chosen for one task by a header or the title of its submit, or for all.

use crate::fault::delivery::DeliveryFaults;
use crate::fault::exchange::ExchangeFaults;

pub(crate) mod course;
pub(crate) mod script;
mod table;
mod word;
pub(crate) mod words;

use course::Course;

/// What happens to one task.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Scenario {
    pub(crate) course: Course,
    pub(crate) delivery: DeliveryFaults,
    pub(crate) exchange: ExchangeFaults,
    /// A name that stands for a scripted course.
    pub(crate) script: Option<String>,
    /// Some of the other words, drawn by the seed.
    pub(crate) is_random: bool,
}
