//! Every word of scenarios, in the order of the documentation.

use super::word::Word;

mod course;
mod delivery;
mod exchange;

/// Returns all words.
pub(super) fn words() -> impl Iterator<Item = &'static Word> {
    let tables = [course::WORDS, delivery::WORDS, exchange::WORDS];
    tables.into_iter().flatten()
}

/// Returns the words for the course of a task and for its callbacks.
pub(super) fn of_callbacks() -> impl Iterator<Item = &'static Word> {
    [course::WORDS, delivery::WORDS].into_iter().flatten()
}
