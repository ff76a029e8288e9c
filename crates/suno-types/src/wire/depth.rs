//! How deep a text of JSON is nested. Values that are kept or passed over are read without
//! recursion, but whoever parses them later may not be as careful.

use crate::DecodeError;
use crate::error::DecodeErrorKind;

/// Refuses a text in which objects and arrays are nested deeper than [`DecodeError::DEPTH_MAX`],
/// whatever else is wrong with it.
pub(super) fn check(json: &str) -> Result<(), DecodeError> {
    // Nearly every text has fewer brackets than that, and counting them is much cheaper.
    let opening = |byte: &u8| matches!(byte, b'[' | b'{');
    let brackets = json.as_bytes().iter().copied().filter(opening).count();
    if brackets > DecodeError::DEPTH_MAX && depth(json) > DecodeError::DEPTH_MAX {
        return Err(DecodeError::new(DecodeErrorKind::TooDeep, ""));
    }
    Ok(())
}

/// How many objects and arrays are open at the same time at most.
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
