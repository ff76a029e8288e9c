//! Removes the secrets of a destination from its answers, because some answers repeat the request.

use crate::redact::{REDACTED, without_addresses};

/// The minimum length of a secret that is searched for. Shorter text occurs by chance.
const SECRET_BYTES_MIN: usize = 4;
/// The maximum number of texts to remove.
const SECRETS_MAX: usize = 256;

/// The texts to remove.
#[derive(Clone, Default)]
pub(crate) struct Redactor {
    /// The longest first, so that a secret inside another does not leave a part of it.
    secrets: Vec<String>,
}

impl Redactor {
    /// Adds a text to remove, also in the form that it has in JSON and in a URL.
    pub(crate) fn add(&mut self, secret: &str) {
        if secret.len() < SECRET_BYTES_MIN {
            return;
        }
        let quoted = serde_json::Value::from(secret).to_string();
        let in_json = quoted[1..quoted.len() - 1].to_owned();
        for form in [secret.to_owned(), in_json, percent_encoded(secret)] {
            if !self.secrets.contains(&form) && self.secrets.len() < SECRETS_MAX {
                self.secrets.push(form);
            }
        }
        self.secrets
            .sort_by_key(|form| std::cmp::Reverse(form.len()));
    }

    /// Adds the query of a URL and each of its values.
    pub(crate) fn add_query(&mut self, query: &str) {
        self.add(query);
        for pair in query.split('&') {
            self.add(pair.split_once('=').map_or(pair, |(_, value)| value));
        }
    }

    /// Returns the text without secrets. If `is_cut`, the beginning of a secret at the end of the
    /// text is removed as well.
    pub(crate) fn redact(&self, text: &str, is_cut: bool) -> String {
        let mut clean = text.to_owned();
        for secret in &self.secrets {
            if clean.contains(secret.as_str()) {
                clean = clean.replace(secret.as_str(), REDACTED);
            }
        }
        if is_cut {
            let begun = self.secrets.iter().filter_map(|secret| {
                let ends = (1..secret.len()).filter(|end| secret.is_char_boundary(*end));
                ends.rev().find(|end| clean.ends_with(&secret[..*end]))
            });
            let kept = clean.len() - begun.max().unwrap_or(0);
            clean.truncate(kept);
        }
        without_addresses(&clean)
    }
}

/// Shows how many secrets there are, and none of them.
impl std::fmt::Debug for Redactor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Redactor")
            .field("secrets", &self.secrets.len())
            .finish()
    }
}

/// Every byte that is not unreserved in a URL as `%XX`.
fn percent_encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                encoded.push(char::from(byte));
            }
            _ => encoded.push_str(&format!("%{byte:02X}")),
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn redactor(secrets: &[&str]) -> Redactor {
        let mut redactor = Redactor::default();
        for secret in secrets {
            redactor.add(secret);
        }
        redactor
    }

    #[test]
    fn a_secret_is_taken_out_in_every_spelling() {
        let redactor = redactor(&["s3/\"cr+t", "s3"]);
        for text in ["s3/\"cr+t", "s3/\\\"cr+t", "s3%2F%22cr%2Bt"] {
            let shown = redactor.redact(&format!("got {text}!"), false);
            assert_eq!(shown, "got <redacted>!", "{text}");
        }
    }

    #[test]
    fn a_secret_within_another_leaves_nothing_of_it() {
        let redactor = redactor(&["canary", "canary-and-more"]);
        assert_eq!(redactor.redact("canary-and-more", false), REDACTED);
    }

    #[test]
    fn the_beginning_of_a_secret_at_the_cut_is_taken_out() {
        let redactor = redactor(&["canary-bird"]);
        assert_eq!(redactor.redact("x canary-b", true), "x ");
        assert_eq!(redactor.redact("x canary-b", false), "x canary-b");
    }

    #[test]
    fn a_query_is_taken_out_with_each_of_its_values() {
        let mut redactor = Redactor::default();
        redactor.add_query("user=7&token=canary&flag-of-mine");
        for text in [
            "/hook?user=7&token=canary&flag-of-mine",
            "canary",
            "flag-of-mine",
        ] {
            let shown = redactor.redact(text, false);
            assert!(
                !shown.contains("canary") && !shown.contains("mine"),
                "{shown}"
            );
        }
    }

    proptest! {
        #[test]
        fn no_text_is_a_panic_and_no_secret_is_left(
            text in r#"([a-cü/:@ "\\]|basic |s3cr3t){0,30}"#, is_cut: bool,
        ) {
            let shown = redactor(&["s3cr3t", "ü\"\\ü"]).redact(&text, is_cut);
            prop_assert!(!shown.contains("s3cr3t"), "{}", shown);
        }
    }
}
