//! What a task is asked to go through: its course, the faults on its way back, and the faults of
//! the exchanges about it.
//!
//! A scenario is written as words, such as `fail=531, duplicate-error`; [`words`] is the list of
//! them. It is chosen for one task by a header or the title of its submit, or for all.

use fastrand::Rng;

use crate::fault::delivery::DeliveryFaults;
use crate::fault::exchange::ExchangeFaults;

pub(crate) mod course;
pub(crate) mod script;
mod table;
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
    pub(crate) random: bool,
}

/// How a title begins that chooses a scenario: `[emulator:WORDS] The title`.
const TITLE_MARK: &str = "[emulator:";
/// How many words a scenario may have.
const WORDS_MAX: usize = 32;
/// How many words are drawn at random for one task.
const RANDOM_WORDS_MAX: usize = 3;

/// The words in a title, if it has any. Where the bracket is not closed all of it is words, so that
/// the slip is noticed.
pub(crate) fn words_in_title(title: &str) -> Option<&str> {
    let rest = title.trim_start().strip_prefix(TITLE_MARK)?;
    Some(rest.split_once(']').map_or(rest, |(words, _)| words))
}

/// A title without the words at its beginning.
pub(crate) fn without_words(title: &str) -> &str {
    let rest = title.trim_start().strip_prefix(TITLE_MARK);
    let rest = rest.and_then(|rest| rest.split_once(']'));
    rest.map_or(title, |(_, rest)| rest.trim_start())
}

impl Scenario {
    /// Reads words that are separated by commas. The error says which word is wrong, for people.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let mut scenario = Self::default();
        let given = text
            .split(',')
            .map(str::trim)
            .filter(|word| !word.is_empty());
        for (index, word) in given.enumerate() {
            if index >= WORDS_MAX {
                return Err(format!("there are more than {WORDS_MAX} scenario words"));
            }
            words::apply(&mut scenario, word)?;
        }
        Ok(scenario)
    }

    /// Draws the words that `random` stands for, and says which.
    pub(crate) fn settled(mut self, rng: &mut Rng) -> (Self, Vec<String>) {
        let mut drawn = Vec::new();
        if self.random {
            for _ in 0..rng.usize(..=RANDOM_WORDS_MAX) {
                let word = words::draw(rng);
                // The table draws only what it can read.
                let _ = words::apply(&mut self, &word);
                drawn.push(word);
            }
        }
        (self, drawn)
    }
}

#[cfg(test)]
mod tests {
    use super::{Scenario, without_words, words, words_in_title};

    #[test]
    fn every_word_that_can_be_drawn_can_be_read() {
        let mut rng = fastrand::Rng::with_seed(1);
        let mut drawn = std::collections::BTreeSet::new();
        for _ in 0..10_000 {
            let word = words::draw(&mut rng);
            assert_ne!(
                Scenario::parse(&word),
                Ok(Scenario::default()),
                "{word} does nothing"
            );
            drawn.insert(word);
        }
        assert!(drawn.len() > 60, "{drawn:?}");
    }

    #[test]
    fn words_stand_at_the_beginning_of_a_title() {
        assert_eq!(
            words_in_title("[emulator:drop, cut] Lantern"),
            Some("drop, cut")
        );
        assert_eq!(words_in_title("[emulator:] Lantern"), Some(""));
        assert_eq!(words_in_title("Lantern [emulator:drop]"), None);
        assert_eq!(
            words_in_title("[emulator:drop Lantern"),
            Some("drop Lantern")
        );
        assert_eq!(without_words("[emulator:drop] Lantern"), "Lantern");
        assert_eq!(without_words(" Lantern"), " Lantern");
    }

    #[test]
    fn a_wrong_word_is_named() {
        let cases = [
            ("drop-frist", "\"drop-frist\" is not known"),
            ("hidden-text", "\"hidden-text\" is not known"),
            ("fail=abc", "\"fail\" is not right: \"abc\" is not a code"),
            ("reorder=1", "\"reorder\" is not right: it takes no value"),
            ("duplicate=17", "not a number from 1 to 16"),
            ("order=", "a value is missing"),
            ("stages=begin", "\"begin\" is not one of"),
            ("http=200", "not an HTTP status"),
        ];
        for (text, expected) in cases {
            let reason = Scenario::parse(text).unwrap_err();
            assert!(reason.contains(expected), "{text}: {reason}");
        }
        assert!(
            Scenario::parse(&"drop,".repeat(33))
                .unwrap_err()
                .contains("more than 32")
        );
        assert_eq!(Scenario::parse(" , ,"), Ok(Scenario::default()));
    }
}
