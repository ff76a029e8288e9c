//! Rewrites a JSON text so that every parser reads it without loss.

use serde_json::Value;

/// The largest integer that JavaScript and other languages read exactly: 2^53 - 1.
pub const INTEGER_MAX: u64 = (1 << 53) - 1;

/// The maximum depth of nested objects and arrays in a member. With what is around the member it is
/// below 64, which is the limit of .NET and the smallest that is known.
const DEPTH_MAX: usize = 56;

/// The replacement of half a surrogate pair: the escape of U+FFFD.
const REPLACEMENT: &str = "\\ufffd";

/// Returns the same JSON value as a text without white space between its parts, with two changes.
///
/// A number that a double cannot hold becomes a string of the digits that were sent: an integer
/// beyond [`INTEGER_MAX`], or a number that would be infinite. An escape of half a surrogate pair
/// becomes U+FFFD, because some parsers refuse the whole text for it. A value that is nested more
/// than 56 deep becomes a string of its JSON text.
///
/// `json` must be valid JSON.
pub(super) fn portable(json: &str) -> String {
    let mut out = String::with_capacity(json.len());
    let (mut depth, mut deepest) = (0_usize, 0);
    let mut rest = json;
    while let Some(first) = rest.chars().next() {
        let length = match first {
            '"' => text(rest, &mut out),
            '-' | '0'..='9' => number(rest, &mut out),
            _ if first.is_ascii_whitespace() => 1,
            _ => {
                match first {
                    '[' | '{' => depth += 1,
                    ']' | '}' => depth = depth.saturating_sub(1),
                    _ => {}
                }
                deepest = deepest.max(depth);
                out.push(first);
                first.len_utf8()
            }
        };
        rest = rest.get(length..).unwrap_or_default();
    }
    if deepest > DEPTH_MAX {
        return Value::from(out).to_string();
    }
    out
}

/// Copies the number at the start of `rest` and returns its length.
fn number(rest: &str, out: &mut String) -> usize {
    let is_part = |c: char| matches!(c, '0'..='9' | '+' | '-' | '.' | 'e' | 'E');
    let length = rest.find(|c| !is_part(c)).unwrap_or(rest.len());
    let digits = &rest[..length];
    let is_integer = !digits.contains(['.', 'e', 'E']);
    let is_held = if is_integer {
        let absolute = digits.trim_start_matches('-').parse::<u64>();
        absolute.is_ok_and(|absolute| absolute <= INTEGER_MAX)
    } else {
        digits.parse::<f64>().is_ok_and(f64::is_finite)
    };
    if is_held {
        out.push_str(digits);
    } else {
        out.extend(["\"", digits, "\""]);
    }
    length
}

/// Copies the string at the start of `rest` with its quotes and returns its length.
fn text(rest: &str, out: &mut String) -> usize {
    let bytes = rest.as_bytes();
    let (mut at, mut copied) = (1, 0);
    while at < bytes.len() && bytes[at] != b'"' {
        if bytes[at] != b'\\' {
            at += 1;
            continue;
        }
        let (first, second) = (unit(rest, at), unit(rest, at + 6));
        at += match (first, second) {
            (Some(0xD800..=0xDBFF), Some(0xDC00..=0xDFFF)) => 12,
            (Some(0xD800..=0xDFFF), _) => {
                out.push_str(&rest[copied..at]);
                out.push_str(REPLACEMENT);
                copied = at + 6;
                6
            }
            (Some(_), _) => 6,
            (None, _) => 2,
        };
    }
    let length = (at + 1).min(rest.len());
    out.push_str(&rest[copied..length]);
    length
}

/// The code unit of the escape `\uXXXX` at this place.
fn unit(text: &str, at: usize) -> Option<u16> {
    let digits = text.get(at..at + 6)?.strip_prefix("\\u")?;
    u16::from_str_radix(digits, 16).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn text_and_small_numbers_stay_as_they_were_sent() {
        let sent = "{\n \"a b\" : [ 1.50 , \"x \\\" \\\\\" ],\r\n\t\"c\":null, \"d\":-0, \"ü\":\"\\ud83d\\ude00 😀\" }";
        let expected = r#"{"a b":[1.50,"x \" \\"],"c":null,"d":-0,"ü":"\ud83d\ude00 😀"}"#;
        assert_eq!(portable(sent), expected);
    }

    #[test]
    fn numbers_that_a_double_cannot_hold_become_text() {
        for (sent, expected) in [
            ("9007199254740991", "9007199254740991"),
            ("-9007199254740991", "-9007199254740991"),
            ("[9007199254740992]", r#"["9007199254740992"]"#),
            ("-9007199254740992", r#""-9007199254740992""#),
            (
                "123456789012345678901234567890",
                r#""123456789012345678901234567890""#,
            ),
            ("1e308", "1e308"),
            ("-1E+999", r#""-1E+999""#),
            ("0.1e-999", "0.1e-999"),
            (
                r#"{"1e999":"9007199254740992"}"#,
                r#"{"1e999":"9007199254740992"}"#,
            ),
        ] {
            assert_eq!(portable(sent), expected);
        }
    }

    #[test]
    fn half_a_surrogate_pair_is_replaced() {
        for (sent, expected) in [
            (r#""\ud83d""#, r#""\ufffd""#),
            (r#""a\ude00b""#, r#""a\ufffdb""#),
            (r#""\ud83d\ud83d\ude00""#, r#""\ufffd\ud83d\ude00""#),
            (r#""\ud83dx\ude00""#, r#""\ufffdx\ufffd""#),
            (r#""\\ud83d""#, r#""\\ud83d""#),
            (r#""\ud83d\n""#, r#""\ufffd\n""#),
            (r#"{"\uDFFF":1}"#, r#"{"\ufffd":1}"#),
        ] {
            assert_eq!(portable(sent), expected);
        }
    }

    #[test]
    fn a_value_that_some_parsers_refuse_for_its_depth_is_text() {
        let nested = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
        assert_eq!(portable(&nested(DEPTH_MAX)), nested(DEPTH_MAX));
        let beside = format!("[{0},{0}]", nested(DEPTH_MAX - 1));
        assert_eq!(portable(&beside), beside);
        let deep = nested(DEPTH_MAX + 1);
        assert_eq!(portable(&deep), format!("\"{deep}\""));
    }

    fn any_json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i32>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            any::<String>().prop_map(Value::from),
        ];
        leaf.prop_recursive(3, 16, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::hash_map(any::<String>(), inner, 0..4)
                    .prop_map(|members| Value::Object(members.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn what_every_parser_can_read_stays_the_same_value(value in any_json()) {
            let pretty = serde_json::to_string_pretty(&value).unwrap();
            let found: Value = serde_json::from_str(&portable(&pretty)).unwrap();
            let expected: Value = serde_json::from_str(&pretty).unwrap();
            prop_assert_eq!(found, expected);
        }

        #[test]
        fn no_text_is_a_panic(text in any::<String>()) {
            portable(&text);
        }

        #[test]
        fn quotes_and_escapes_in_any_order_are_no_panic(text in r#"["\\ud0-9aü ]{0,24}"#) {
            portable(&text);
        }
    }
}
