//! Makes text from a destination safe to store: removes credentials, and cuts URLs after their host.

/// The text that replaces a secret.
pub(crate) const REDACTED: &str = "<redacted>";

/// Cuts off every URL after its host, and removes the word after `Bearer` and `Basic`.
pub(crate) fn without_addresses(text: &str) -> String {
    without_credentials(&without_paths(text))
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

/// Removes the word after `Bearer` and `Basic`.
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
    use super::*;

    #[test]
    fn urls_and_credentials_are_taken_out() {
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
            assert_eq!(without_addresses(text), shown);
        }
    }
}
