//! Makes the provider's message safe to show: without URLs, without the key, on one line.

use crate::ApiKey;

/// The maximum number of characters that are kept of the provider's message.
const MSG_CHARS_MAX: usize = 300;

/// Replaces every word that looks like an address or contains the key, and cuts a long message.
///
/// A callback URL can contain a token, and the provider repeats URLs (`PROTOCOL.md 1.22`).
pub(crate) fn redact(msg: &str, key: &ApiKey) -> Box<str> {
    let mut safe = String::new();
    for word in msg.split(|c: char| c.is_whitespace() || c.is_control()) {
        if word.is_empty() {
            continue;
        }
        if !safe.is_empty() {
            safe.push(' ');
        }
        safe.push_str(match word {
            word if key.is_in(word) => "<key>",
            word if is_address(word) => "<url>",
            word => word,
        });
    }
    match safe.char_indices().nth(MSG_CHARS_MAX) {
        Some((end, _)) => safe[..end].into(),
        None => safe.into(),
    }
}

/// Returns whether a word is a URL, also one that is percent-encoded, JSON-escaped or without a
/// scheme, or a path with a query.
fn is_address(word: &str) -> bool {
    let lower = word.to_ascii_lowercase();
    let has_scheme = ["://", ":\\/\\/", "%3a%2f%2f", "www."]
        .iter()
        .any(|mark| lower.contains(mark));
    let has_query = lower.contains('?') && lower.contains('=');
    let has_path = lower
        .split_once('/')
        .is_some_and(|(host, _)| host.contains('.') && !host.ends_with('.'));
    has_scheme || has_query || has_path
}

#[cfg(test)]
mod tests {
    use super::*;

    fn redacted(msg: &str) -> String {
        let key = ApiKey::new("sk-canary").expect("a key");
        redact(msg, &key).into()
    }

    #[test]
    fn addresses_are_taken_out_in_every_spelling() {
        for url in [
            "https://app.example.com/cb?token=s3cret",
            "(HTTPS://app.example.com/s3cret)",
            "https:\\/\\/app.example.com\\/s3cret",
            "https%3A%2F%2Fapp.example.com%2Fs3cret",
            "app.example.com/s3cret",
            "www.example.com",
            "/cb?token=s3cret",
        ] {
            let msg = redacted(&format!("cannot reach {url} now"));
            assert_eq!(msg, "cannot reach <url> now", "{url}");
        }
    }

    #[test]
    fn ordinary_words_stay() {
        let msg = "Please enter callBackUrl. and/or 1/2, wait...";
        assert_eq!(redacted(msg), msg);
    }

    #[test]
    fn the_key_and_line_ends_are_taken_out() {
        assert_eq!(
            redacted("bad\nkey: 'sk-canary'\x1b[2J"),
            "bad key: <key> [2J"
        );
    }

    #[test]
    fn long_words_are_cut_between_characters() {
        assert_eq!(redacted(&"ü".repeat(1000)).chars().count(), MSG_CHARS_MAX);
    }
}
