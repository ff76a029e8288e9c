//! The words of a scenario at the beginning of a title.

/// The prefix of a title that chooses a scenario: `[emulator:WORDS] The title`.
const TITLE_MARK: &str = "[emulator:";

/// Returns the words in a title, if it has any. If the bracket is not closed, the whole rest counts
/// as words, so that the mistake is reported.
pub(crate) fn words_in_title(title: &str) -> Option<&str> {
    let rest = title.trim_start().strip_prefix(TITLE_MARK)?;
    Some(rest.split_once(']').map_or(rest, |(words, _)| words))
}

/// Returns a title without the words at its beginning.
pub(crate) fn without_words(title: &str) -> &str {
    let rest = title.trim_start().strip_prefix(TITLE_MARK);
    let rest = rest.and_then(|rest| rest.split_once(']'));
    rest.map_or(title, |(_, rest)| rest.trim_start())
}

#[cfg(test)]
mod tests {
    use super::{without_words, words_in_title};

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
}
