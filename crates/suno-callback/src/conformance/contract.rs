//! The sentences of the contract, read from their source.

/// The source file that contains the contract.
const SOURCE: &str = include_str!("../store/mod.rs");

/// A numbered sentence of the contract.
#[derive(Debug)]
pub(super) struct Sentence {
    pub(super) id: &'static str,
    /// The sentence as plain text in one line.
    pub(super) text: String,
}

/// Returns the sentences in the order of the contract.
pub(super) fn sentences() -> Vec<Sentence> {
    let mut sentences: Vec<Sentence> = Vec::new();
    let mut is_inside = false;
    for line in SOURCE.lines() {
        let Some(line) = line.strip_prefix("/// ") else {
            is_inside = false;
            continue;
        };
        if let Some((id, text)) = numbered(line) {
            let text = plain(text);
            sentences.push(Sentence { id, text });
            is_inside = true;
        } else if let Some(more) = line.strip_prefix("  ")
            && is_inside
            && let Some(last) = sentences.last_mut()
        {
            last.text.push(' ');
            last.text.push_str(&plain(more));
        }
    }
    sentences
}

/// Returns the number and the beginning of a sentence, if the line starts one.
fn numbered(line: &'static str) -> Option<(&'static str, &'static str)> {
    line.strip_prefix("* **")?.split_once("** ")
}

/// Removes the targets of links and the backticks from a line.
fn plain(line: &str) -> String {
    let mut text = String::new();
    let mut rest = line;
    while let Some((before, link)) = rest.split_once("](") {
        text.push_str(before);
        rest = link.split_once(')').map_or("", |(_, after)| after);
    }
    text.push_str(rest);
    text.replace(['[', '`'], "")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn each_case_cites_a_sentence_and_each_sentence_has_a_case() {
        let sentences: BTreeSet<_> = sentences().iter().map(|sentence| sentence.id).collect();
        let cases = super::super::FILES.iter().copied().flatten();
        let cited: BTreeSet<_> = cases.map(|case| case.sentence).collect();
        assert_eq!(cited, sentences);
        assert!(sentences.len() > 40, "{sentences:?}");
    }

    #[test]
    fn each_number_is_given_once_and_each_case_has_a_name_of_its_own() {
        let sentences = sentences();
        let ids: BTreeSet<_> = sentences.iter().map(|sentence| sentence.id).collect();
        assert_eq!(ids.len(), sentences.len());
        let cases = super::super::FILES.iter().copied().flatten();
        let names: BTreeSet<_> = cases.clone().map(|case| case.name).collect();
        assert_eq!(names.len(), cases.count());
    }

    #[test]
    fn a_sentence_is_plain_text_in_one_line() {
        let sentences = sentences();
        let text = |id: &str| {
            let found = sentences.iter().find(|sentence| sentence.id == id);
            found.map(|sentence| sentence.text.as_str()).unwrap()
        };
        let whole = "The deliveries of one slice are accepted in their order, and the answers have the \
                     same order.";
        assert_eq!(text("A1"), whole);
        assert!(
            text("A3").starts_with("A delivery of a known stage is a Duplicate if an event of the")
        );
        assert!(text("A3").ends_with("its strict or its semantic fingerprint."));
    }
}
