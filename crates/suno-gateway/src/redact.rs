//! Makes what somebody else wrote safe to keep: without the secrets of this program, and without
//! URLs behind their host.

/// The length from which on a secret is looked for. A shorter one is no secret, and would be found
/// everywhere.
const SECRET_BYTES_MIN: usize = 4;
/// What a secret becomes.
const REDACTED: &str = "<redacted>";
/// The maximum number of texts that are looked for.
const SECRETS_MAX: usize = 256;

/// The texts that are taken out.
#[derive(Clone, Default)]
pub(crate) struct Redactor {
    /// The longest first, so that a secret inside another does not leave a part of it.
    secrets: Vec<String>,
}

impl Redactor {
    /// Looks for this text, also as it is written in JSON and in a URL.
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

    /// Looks for the query of a URL, and for each of its values.
    pub(crate) fn add_query(&mut self, query: &str) {
        self.add(query);
        for pair in query.split('&') {
            self.add(pair.split_once('=').map_or(pair, |(_, value)| value));
        }
    }

    /// Returns the text without secrets. `is_cut` says that it ends in the middle: the beginning of a
    /// secret at its end is taken out as well.
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
        without_credentials(&without_paths(&clean))
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

/// Cuts off every URL after its host, and removes the user before the host.
fn without_paths(text: &str) -> String {
    const ENDS_URL: [char; 9] = ['"', '\'', '<', '>', '(', ')', '[', ']', ','];
    let mut shown = String::with_capacity(text.len());
    let mut rest = text;
    // In JSON, a slash may be escaped.
    while let Some((at, mark)) = ["://", ":\\/\\/"]
        .iter()
        .filter_map(|mark| Some((rest.find(mark)?, *mark)))
        .min()
    {
        let (before, url) = (&rest[..at], &rest[at + mark.len()..]);
        let end = |c: char| c.is_whitespace() || ENDS_URL.contains(&c);
        let (url, after) = url.split_at(url.find(end).unwrap_or(url.len()));
        let authority = url.split(['/', '?', '#', '\\']).next().unwrap_or_default();
        let host = authority.rsplit('@').next().unwrap_or_default();
        shown.push_str(before);
        shown.push_str("://");
        shown.push_str(host);
        if authority.len() < url.len() {
            shown.push_str("/…");
        }
        rest = after;
    }
    shown + rest
}

/// Takes out the word after `Bearer` and `Basic`.
fn without_credentials(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut rest = text;
    // Of one length in both spellings, as they are ASCII.
    let mut lower = text.to_ascii_lowercase();
    while let Some(end) = ["bearer ", "basic "]
        .iter()
        .filter_map(|word| Some(lower.find(word)? + word.len()))
        .min()
    {
        let after = &rest[end..];
        let is_part = |c: char| c.is_ascii_alphanumeric() || "-._~+/=".contains(c);
        let length = after.find(|c| !is_part(c)).unwrap_or(after.len());
        shown.push_str(&rest[..end]);
        shown.push_str(if length > 0 { REDACTED } else { "" });
        rest = &after[length..];
        lower = rest.to_ascii_lowercase();
    }
    shown + rest
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

    #[test]
    fn urls_and_credentials_are_taken_out() {
        let redactor = Redactor::default();
        for (text, shown) in [
            (
                "POST https://u:p@a.example:8080/hook?x=1 failed",
                "POST https://a.example:8080/… failed",
            ),
            (
                r#"{"url":"https:\/\/a.example\/s3"}"#,
                r#"{"url":"https://a.example/…"}"#,
            ),
            ("http://a,http://b/c", "http://a,http://b/…"),
            (
                "Authorization: Bearer abc.d-e_f==",
                "Authorization: Bearer <redacted>",
            ),
            ("BASIC dTpw, basic ", "BASIC <redacted>, basic "),
            ("nothing of it", "nothing of it"),
        ] {
            assert_eq!(redactor.redact(text, false), shown);
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
