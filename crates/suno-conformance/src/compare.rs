//! Compares two JSON values, and describes their differences.

use serde_json::Value;

/// The maximum length of a value in a message.
const SHOWN_CHARS_MAX: usize = 160;

/// Returns the differences between `got` and `expected`: a sentence for each place, such as
/// `tracks[1].title`. Objects are compared without regard to order, numbers by value.
pub(crate) fn differences(expected: &Value, got: &Value) -> Vec<String> {
    let mut found = Vec::new();
    compare("", expected, got, &mut found);
    found
}

fn compare(path: &str, expected: &Value, got: &Value, found: &mut Vec<String>) {
    match (expected, got) {
        (Value::Object(expected), Value::Object(got)) => {
            for (name, value) in expected {
                let path = member(path, name);
                match got.get(name) {
                    Some(got) => compare(&path, value, got, found),
                    None => found.push(format!("{path}: expected {}, got nothing", shown(value))),
                }
            }
            for (name, value) in got.iter().filter(|(name, _)| !expected.contains_key(*name)) {
                let path = member(path, name);
                found.push(format!("{path}: expected nothing, got {}", shown(value)));
            }
        }
        (Value::Array(expected), Value::Array(got)) if expected.len() == got.len() => {
            for (place, (expected, got)) in expected.iter().zip(got).enumerate() {
                compare(&format!("{path}[{place}]"), expected, got, found);
            }
        }
        _ if same(expected, got) => {}
        _ => {
            let place = if path.is_empty() { "result" } else { path };
            found.push(format!(
                "{place}: expected {}, got {}",
                shown(expected),
                shown(got)
            ));
        }
    }
}

fn member(path: &str, name: &str) -> String {
    if path.is_empty() {
        name.to_owned()
    } else {
        format!("{path}.{name}")
    }
}

fn same(expected: &Value, got: &Value) -> bool {
    match (expected, got) {
        (Value::Number(expected), Value::Number(got)) => {
            expected == got
                || (expected.is_f64() || got.is_f64()) && expected.as_f64() == got.as_f64()
        }
        _ => expected == got,
    }
}

/// Formats a value for a message, and cuts it off if it is long.
pub(crate) fn shown(value: &Value) -> String {
    let text = value.to_string();
    match text.char_indices().nth(SHOWN_CHARS_MAX) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn order_of_members_and_spelling_of_numbers_make_no_difference() {
        let expected = json!({"a": 180, "b": [1.0, null, {"c": "x"}]});
        let got = json!({"b": [1, null, {"c": "x"}], "a": 180.0});
        assert_eq!(differences(&expected, &got), Vec::<String>::new());
    }

    #[test]
    fn every_difference_is_named_with_its_place() {
        let sent = json!({"a": 1, "b": [true, {"c": "x"}], "d": [1], "e": null});
        let got = json!({"a": 2, "b": [true, {"c": null, "f": 1}], "d": [], "g": 0});
        let expected = [
            "a: expected 1, got 2",
            "b[1].c: expected \"x\", got null",
            "b[1].f: expected nothing, got 1",
            "d: expected [1], got []",
            "e: expected null, got nothing",
            "g: expected nothing, got 0",
        ];
        assert_eq!(differences(&sent, &got), expected);
    }

    #[test]
    fn large_integers_are_compared_in_full() {
        let expected = json!(9_223_372_036_854_775_807_i64);
        assert_eq!(
            differences(&expected, &json!(9_223_372_036_854_775_806_i64)).len(),
            1
        );
        assert!(differences(&expected, &expected).is_empty());
    }
}
