//! The depth of nested objects and arrays in a JSON text. Values that are kept or skipped are read
//! without recursion, but a program that parses them later may recurse.

use crate::DecodeError;
use crate::error::DecodeErrorKind;

/// Rejects a text with objects and arrays nested deeper than [`DecodeError::DEPTH_MAX`], whatever
/// else is wrong with it.
pub(super) fn check(json: &str) -> Result<(), DecodeError> {
    // Nearly every text has fewer brackets than the limit, and counting them is much cheaper.
    if opening_brackets(json) > DecodeError::DEPTH_MAX && depth(json) > DecodeError::DEPTH_MAX {
        return Err(DecodeError::new(DecodeErrorKind::TooDeep, ""));
    }
    Ok(())
}

/// The number of opening brackets, including those in strings. They are counted in bytes, a few at
/// a time, so that the compiler can vectorise.
fn opening_brackets(json: &str) -> usize {
    const AT_ONCE: usize = u8::MAX as usize;
    // '[' and '{' differ in one bit.
    let opening = |byte: &u8| u8::from(byte | 0x20 == b'{');
    let parts = json.as_bytes().chunks(AT_ONCE);
    parts
        .map(|part| usize::from(part.iter().map(opening).sum::<u8>()))
        .sum()
}

/// The maximum number of objects and arrays that are open at the same time.
fn depth(json: &str) -> usize {
    let (mut depth, mut deepest) = (0_usize, 0);
    let (mut in_text, mut escaped) = (false, false);
    for byte in json.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_text => escaped = true,
            b'"' => in_text = !in_text,
            b'[' | b'{' if !in_text => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b']' | b'}' if !in_text => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn opening_brackets_are_counted_and_no_others() {
        let all: String = (0..=127_u8).map(char::from).collect();
        assert_eq!(opening_brackets(&all), 2);
        assert_eq!(opening_brackets(&"[{".repeat(1_000)), 2_000);
        assert_eq!(opening_brackets(&"[".repeat(255)), 255);
        assert_eq!(opening_brackets(""), 0);
    }
}
