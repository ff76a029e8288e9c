//! Checks that decoding and encoding loses nothing of the original body.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::value::RawValue;

/// The places of a task id; it may move from one to another.
const ID_PLACES: [&str; 5] = [
    "/taskId",
    "/task_id",
    "/data/taskId",
    "/data/task_id",
    "/data/response/taskId",
];
/// Members in which an empty text counts as absent.
const NO_VALUE: [&str; 3] = ["/errorCode", "/failCode", "/id"];
/// The member whose text contains JSON.
const RESULT_JSON: &str = "/data/resultJson";

/// Returns the values of the original body that are missing or different after encoding.
/// `pointers` name values that must be kept exactly.
pub(crate) fn lost(sent: &[u8], encoded: &[u8], pointers: &[String]) -> Vec<String> {
    let (Some(sent), Some(encoded)) = (Tree::parse(sent), Tree::parse(encoded)) else {
        return vec!["the original or encoded body is not valid JSON".to_owned()];
    };
    let mut found = Vec::new();
    compare("", &sent, Some(&encoded), &mut found);
    for pointer in pointers {
        match (sent.at(pointer), encoded.at(pointer)) {
            (None, _) => found.push(format!(
                "the case is wrong: the original body has no value at {pointer}"
            )),
            (sent, encoded) if sent != encoded => {
                found.push(format!("{pointer} was not kept unchanged"));
            }
            _ => {}
        }
    }
    found
}

fn compare(path: &str, sent: &Tree, encoded: Option<&Tree>, found: &mut Vec<String>) {
    match (sent, encoded) {
        _ if ID_PLACES.contains(&path) && encoded.is_none() => {}
        (Tree::Text(text), _) if ID_PLACES.contains(&path) && text.is_empty() => {}
        (Tree::Null, _) => {}
        (Tree::Text(text), None)
            if text.is_empty() && NO_VALUE.iter().any(|member| path.ends_with(member)) => {}
        (Tree::Object(sent), Some(Tree::Object(encoded))) => {
            for (name, value) in sent {
                compare(&format!("{path}/{name}"), value, encoded.get(name), found);
            }
        }
        (Tree::Array(sent), Some(Tree::Array(encoded))) if sent.len() == encoded.len() => {
            for (place, (sent, encoded)) in sent.iter().zip(encoded).enumerate() {
                compare(&format!("{path}/{place}"), sent, Some(encoded), found);
            }
        }
        (sent, Some(encoded)) if sent == encoded => {}
        (Tree::Text(sent), Some(Tree::Text(encoded))) if path == RESULT_JSON => {
            compare_result(path, sent, encoded, found);
        }
        (Tree::Text(sent), Some(Tree::Number(number))) if Number::parse(sent) == *number => {}
        (_, Some(_)) => found.push(format!("{path} has another value after encoding")),
        (_, None) => found.push(format!("{path} is missing after encoding")),
    }
}

fn compare_result(path: &str, sent: &str, encoded: &str, found: &mut Vec<String>) {
    match (
        Tree::parse(sent.as_bytes()),
        Tree::parse(encoded.as_bytes()),
    ) {
        // Nothing was made yet.
        (None, Some(_)) if sent.is_empty() => {}
        (Some(sent), Some(encoded)) => compare(path, &sent, Some(&encoded), found),
        _ => found.push(format!("{path} does not contain JSON text")),
    }
}

/// JSON with every digit of its numbers.
#[derive(Debug, PartialEq)]
enum Tree {
    Null,
    Bool(bool),
    Number(Number),
    Text(String),
    Array(Vec<Tree>),
    Object(BTreeMap<String, Tree>),
}

impl Tree {
    fn parse(json: &[u8]) -> Option<Self> {
        Self::read(serde_json::from_slice(json).ok()?)
    }

    fn read(raw: &RawValue) -> Option<Self> {
        let json = raw.get();
        Some(match json.as_bytes().first()? {
            b'n' => Self::Null,
            b't' => Self::Bool(true),
            b'f' => Self::Bool(false),
            // What becomes of half a surrogate pair, which is no text, the case itself says.
            b'"' => serde_json::from_str(json).map_or(Self::Null, Self::Text),
            b'[' => {
                let items: Vec<&RawValue> = serde_json::from_str(json).ok()?;
                Self::Array(items.into_iter().map(Self::read).collect::<Option<_>>()?)
            }
            b'{' => {
                #[derive(Deserialize)]
                struct Members<'a>(#[serde(borrow)] BTreeMap<String, &'a RawValue>);

                let Members(members) = serde_json::from_str(json).ok()?;
                let member = |(name, raw)| Some((name, Self::read(raw)?));
                Self::Object(members.into_iter().map(member).collect::<Option<_>>()?)
            }
            _ => Self::Number(Number::parse(json)),
        })
    }

    fn at(&self, pointer: &str) -> Option<&Self> {
        pointer.split('/').skip(1).try_fold(self, |tree, step| {
            let step = step.replace("~1", "/").replace("~0", "~");
            match tree {
                Self::Object(members) => members.get(&step),
                Self::Array(items) => items.get(step.parse::<usize>().ok()?),
                _ => None,
            }
        })
    }
}

/// The value of a decimal number: sign, digits without zeros at either end, power of ten.
#[derive(Debug, PartialEq)]
struct Number {
    negative: bool,
    digits: String,
    exponent: i64,
}

impl Number {
    fn parse(text: &str) -> Self {
        let (negative, text) = match text.strip_prefix('-') {
            Some(text) => (true, text),
            None => (false, text),
        };
        let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let all = format!("{whole}{fraction}");
        let digits = all.trim_start_matches('0').trim_end_matches('0');
        let zeros = all.len() - all.trim_end_matches('0').len();
        if digits.is_empty() {
            return Self {
                negative: false,
                digits: String::new(),
                exponent: 0,
            };
        }
        let exponent: i64 = exponent.parse().unwrap_or(i64::MAX);
        let shift = i64::try_from(zeros).unwrap_or(0) - i64::try_from(fraction.len()).unwrap_or(0);
        Self {
            negative,
            digits: digits.to_owned(),
            exponent: exponent.saturating_add(shift),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_change_is_no_loss() {
        let sent = br#"{"taskId":"t","code":"200","x":1.50,"data":{"data":null,"duration":"1e1",
            "resultJson":"{\"a\": 1}"}}"#;
        let encoded = br#"{"code":200,"x":15e-1,"data":{"task_id":"t","duration":10,
            "resultJson":"{\"a\":1}"}}"#;
        assert_eq!(
            lost(sent, encoded, &["/x".to_owned()]),
            Vec::<String>::new()
        );
    }

    #[test]
    fn every_loss_is_named() {
        let sent = br#"{"a":12345678901234567890,"b":[1,{"c":"x"}],"d":"","e":false,"f":null}"#;
        let encoded = br#"{"a":12345678901234567891,"b":[1,{}],"e":true}"#;
        let pointers = ["/b/1/c", "/f", "/g"].map(str::to_owned);
        let expected = [
            "/a has another value after encoding",
            "/b/1/c is missing after encoding",
            "/d is missing after encoding",
            "/e has another value after encoding",
            "/b/1/c was not kept unchanged",
            "/f was not kept unchanged",
            "the case is wrong: the original body has no value at /g",
        ];
        assert_eq!(lost(sent, encoded, &pointers), expected);
    }

    #[test]
    fn numbers_are_equal_by_value_and_to_the_last_digit() {
        for (one, other) in [
            ("180", "180.0"),
            ("1e2", "100"),
            ("-0", "0.00"),
            ("0.5", "5E-1"),
        ] {
            assert_eq!(Number::parse(one), Number::parse(other), "{one} {other}");
        }
        for (one, other) in [("1", "-1"), ("10", "100"), ("1.00000000000000001", "1")] {
            assert_ne!(Number::parse(one), Number::parse(other), "{one} {other}");
        }
    }
}
