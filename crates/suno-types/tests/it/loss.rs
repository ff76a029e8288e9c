//! What a body loses when it is decoded and encoded again.

use serde_json::Value;

/// Members that name the task: one of them is enough.
const IDS: [&str; 2] = ["taskId", "task_id"];
/// Members in which an empty text stands for nothing.
const NO_VALUE: [&str; 3] = ["errorCode", "failCode", "id"];

/// Where something that was sent is not there any more. Null is nothing, and a numeric string may
/// have become a number (`PROTOCOL.md 7.6`).
pub(crate) fn lost(sent: &[u8], encoded: &[u8]) -> Option<String> {
    let (sent, encoded) = (
        serde_json::from_slice(sent),
        serde_json::from_slice(encoded),
    );
    find("", "", &sent.unwrap(), Some(&encoded.unwrap()))
}

fn find(path: &str, name: &str, sent: &Value, encoded: Option<&Value>) -> Option<String> {
    let here = || Some(path.to_owned());
    match (sent, encoded) {
        (Value::Null, _) => None,
        (_, None) if IDS.contains(&name) => None,
        (Value::String(text), None) if text.is_empty() && NO_VALUE.contains(&name) => None,
        (sent, Some(encoded)) if sent == encoded => None,
        (Value::Object(sent), Some(Value::Object(encoded))) => {
            let mut members = sent.iter();
            members.find_map(|(name, sent)| {
                find(&format!("{path}/{name}"), name, sent, encoded.get(name))
            })
        }
        (Value::Array(sent), Some(Value::Array(encoded))) if sent.len() == encoded.len() => {
            let mut pairs = sent.iter().zip(encoded).enumerate();
            pairs.find_map(|(place, (sent, encoded))| {
                find(&format!("{path}/{place}"), "", sent, Some(encoded))
            })
        }
        (Value::String(sent), Some(Value::String(encoded))) if name == "resultJson" => {
            match (
                serde_json::from_str::<Value>(sent),
                serde_json::from_str(encoded),
            ) {
                (Ok(sent), Ok(encoded)) => find(path, "", &sent, Some(&encoded)),
                _ if sent.is_empty() => None,
                _ => here(),
            }
        }
        (Value::String(text), Some(Value::Number(number)))
            if near(text.parse().ok(), number.as_f64()) =>
        {
            None
        }
        (Value::Number(sent), Some(Value::Number(encoded)))
            if near(sent.as_f64(), encoded.as_f64()) =>
        {
            None
        }
        _ => here(),
    }
}

/// The same number, but for what reading it as a float may cost.
fn near(one: Option<f64>, other: Option<f64>) -> bool {
    match (one, other) {
        (Some(one), Some(other)) => (one - other).abs() <= one.abs() * 1e-12,
        _ => false,
    }
}

#[test]
fn a_loss_is_found_and_what_may_change_is_none() {
    let sent = br#"{"taskId":"t","a":null,"b":[{"c":1}],"code":"200","errorCode":""}"#;
    assert_eq!(lost(sent, br#"{"b":[{"c":1}],"code":200}"#), None);
    assert_eq!(
        lost(sent, br#"{"b":[{"c":2}],"code":200}"#).unwrap(),
        "/b/0/c"
    );
    assert_eq!(lost(sent, br#"{"b":[{"c":1}]}"#).unwrap(), "/code");
    assert_eq!(lost(sent, br#"{"b":[{}],"code":200}"#).unwrap(), "/b/0/c");
}
