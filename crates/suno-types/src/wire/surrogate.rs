//! Halves of surrogate pairs in the escapes of a JSON text. A text that is cut within an emoji ends
//! in one, and many writers of JSON let it pass; strict readers refuse the whole body for it.

use std::borrow::Cow;
use std::ops::Range;

/// An escape of a code unit: `\uXXXX`.
const ESCAPE_BYTES: usize = 6;
const REPLACEMENT: &str = "\\ufffd";

/// Writes U+FFFD for every escape that is half of a surrogate pair (`PROTOCOL.md 7.1`).
pub(super) fn repair(json: Cow<'_, str>) -> Cow<'_, str> {
    // Nearly every text has no such escape at all, and looking for one is much cheaper.
    if !has_code_units(json.as_bytes()) {
        return json;
    }
    let halves = halves(json.as_bytes());
    if halves.is_empty() {
        return json;
    }
    let mut repaired = json.into_owned();
    for half in halves {
        // An escape is as long as its replacement, so that no other place moves.
        repaired.replace_range(half, REPLACEMENT);
    }
    Cow::Owned(repaired)
}

/// Returns whether `\u` occurs.
fn has_code_units(json: &[u8]) -> bool {
    memchr::memchr_iter(b'\\', json).any(|at| json.get(at + 1) == Some(&b'u'))
}

/// The places of the escapes that are half of a pair.
fn halves(json: &[u8]) -> Vec<Range<usize>> {
    let mut halves = Vec::new();
    let mut at = 0;
    while let Some(found) = json.get(at..).and_then(|rest| memchr::memchr(b'\\', rest)) {
        at += found;
        let next = at + ESCAPE_BYTES;
        match code_unit(json, at) {
            Some(0xD800..=0xDBFF) if matches!(code_unit(json, next), Some(0xDC00..=0xDFFF)) => {
                at = next + ESCAPE_BYTES;
            }
            Some(0xD800..=0xDFFF) => {
                halves.push(at..next);
                at = next;
            }
            // The byte behind a backslash can be a backslash too: it begins no escape.
            _ => at += 2,
        }
    }
    halves
}

/// The code unit of the escape at a place; `None` if there is none.
fn code_unit(json: &[u8], at: usize) -> Option<u16> {
    let digits = json.get(at..at + ESCAPE_BYTES)?.strip_prefix(b"\\u")?;
    let is_hex = digits.iter().all(u8::is_ascii_hexdigit);
    let digits = std::str::from_utf8(digits).ok().filter(|_| is_hex)?;
    u16::from_str_radix(digits, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn repaired(json: &str) -> String {
        repair(Cow::Borrowed(json)).into_owned()
    }

    #[test]
    fn halves_are_replaced_wherever_they_stand() {
        for (sent, read) in [
            (r#"["\ud83c"]"#, r#"["\ufffd"]"#),
            (r#"["\uDFB5x"]"#, r#"["\ufffdx"]"#),
            (r#"["\ud83c\ud83c\udfb5"]"#, r#"["\ufffd\ud83c\udfb5"]"#),
            (r#"["\udfb5\ud83c"]"#, r#"["\ufffd\ufffd"]"#),
            (r#"["\ud83c\n"]"#, r#"["\ufffd\n"]"#),
            (r#"["\\\ud83c"]"#, r#"["\\\ufffd"]"#),
            (r#"{"\ud83c":"\udfb5"}"#, r#"{"\ufffd":"\ufffd"}"#),
            (r#""\ud83c"#, r#""\ufffd"#),
        ] {
            assert_eq!(repaired(sent), read);
        }
    }

    #[test]
    fn all_else_is_left_as_it_is() {
        for json in [
            "",
            "\\",
            r#"["\ud83c\udfb5 \u00fc \uD83C\uDFB5"]"#,
            r#"["\\ud83c"]"#,
            r#"["\ud8"]"#,
            r#"["\ud83g"]"#,
            r#"["\u+83c"]"#,
            "\\ud83\u{20ac}",
            "[\"\u{fffd}\\n\"]",
        ] {
            assert_eq!(repaired(json), json);
            assert!(matches!(repair(Cow::Borrowed(json)), Cow::Borrowed(_)));
        }
    }

    #[test]
    fn every_code_unit_makes_a_text_that_can_be_read() {
        for unit in 0..=u16::MAX {
            let json = repaired(&format!("\"\\u{unit:04x}\""));
            let text: String = serde_json::from_str(&json).unwrap();
            let expected = char::from_u32(unit.into()).unwrap_or(char::REPLACEMENT_CHARACTER);
            assert_eq!(text, expected.to_string());
        }
    }
}
