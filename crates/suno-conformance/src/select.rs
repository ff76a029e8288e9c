//! Selects the cases to run.

use std::convert::Infallible;
use std::str::FromStr;

/// A pattern for ids: `*` matches any characters including slashes, and `?` matches one.
#[derive(Debug, Clone)]
pub struct Pattern(String);

impl FromStr for Pattern {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(Self(text.to_owned()))
    }
}

impl Pattern {
    /// Whether the pattern matches the whole of `id`.
    #[must_use]
    pub fn fits(&self, id: &str) -> bool {
        fits(self.0.as_bytes(), id.as_bytes())
    }
}

/// After a mismatch, goes back to the last `*`, so that the time is at most quadratic.
fn fits(pattern: &[u8], text: &[u8]) -> bool {
    let (mut at, mut seen) = (0, 0);
    let mut star = None;
    while seen < text.len() {
        match pattern.get(at) {
            Some(b'*') => {
                star = Some((at, seen));
                at += 1;
            }
            Some(byte) if *byte == b'?' || *byte == text[seen] => {
                at += 1;
                seen += 1;
            }
            _ => match star {
                Some((place, start)) => {
                    at = place + 1;
                    seen = start + 1;
                    star = Some((place, start + 1));
                }
                None => return false,
            },
        }
    }
    pattern[at..].iter().all(|byte| *byte == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_and_question_marks_fit_and_everything_else_is_literal() {
        let fitting = [
            ("receiver/*", "receiver/unsigned"),
            ("*duplicate*", "receiver/duplicate-refund"),
            ("decode/*/duplicate-*", "decode/callback/duplicate-code"),
            ("verify/past-30?", "verify/past-301"),
            ("*", "anything"),
            ("a*b*c", "a-b-b-c"),
            ("verify/past-301", "verify/past-301"),
        ];
        for (pattern, id) in fitting {
            assert!(Pattern(pattern.to_owned()).fits(id), "{pattern} {id}");
        }
        let others = [
            ("receiver", "receiver/unsigned"),
            ("verify/past-30?", "verify/past-30"),
            ("a*b*c", "a-b-b-d"),
            ("", "a"),
            ("[a]", "a"),
        ];
        for (pattern, id) in others {
            assert!(!Pattern(pattern.to_owned()).fits(id), "{pattern} {id}");
        }
    }
}
