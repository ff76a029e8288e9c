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
