//! Members that this version does not know.

use serde::ser::{Error, SerializeMap};
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use suno_types::Extra;

use super::json::portable;

/// Members as they were sent, but for integers that a double cannot hold, which are text, and for
/// the callback URL that some members repeat, which is left out.
#[derive(Debug)]
pub struct MembersContent<'a>(pub(super) &'a Extra);

impl<'a> From<&'a Extra> for MembersContent<'a> {
    fn from(extra: &'a Extra) -> Self {
        Self(extra)
    }
}

impl Serialize for MembersContent<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for (name, json) in self.0.iter() {
            let json = match name {
                name if Extra::CALLBACK_URLS.contains(&name) => continue,
                "param" => portable(&request_without_callback_urls(json).to_string()),
                _ => portable(json),
            };
            let raw = RawValue::from_string(json).map_err(S::Error::custom)?;
            map.serialize_entry(name, &raw)?;
        }
        map.end()
    }
}

/// Returns the request that `param` repeats, as an object or as its text, without its callback URL; null
/// if it cannot be read.
#[must_use]
pub fn request_without_callback_urls(json: &str) -> Value {
    match serde_json::from_str(&portable(json)) {
        Ok(Value::Object(request)) => without_callback_urls(Value::Object(request)),
        Ok(Value::String(text)) => match serde_json::from_str::<Map<String, Value>>(&text) {
            Ok(request) => Value::String(without_callback_urls(Value::Object(request)).to_string()),
            Err(_) => Value::Null,
        },
        _ => Value::Null,
    }
}

/// Removes the callback URLs from a value, at any depth.
#[must_use]
pub fn without_callback_urls(value: Value) -> Value {
    // The value was parsed, so it is not nested deeply.
    match value {
        Value::Object(members) => {
            let kept = members
                .into_iter()
                .filter(|(name, _)| !Extra::CALLBACK_URLS.contains(&&**name));
            kept.map(|(name, value)| (name, without_callback_urls(value)))
                .collect()
        }
        Value::Array(items) => items.into_iter().map(without_callback_urls).collect(),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use suno_types::Callback;

    use super::*;

    #[test]
    fn no_member_repeats_the_callback_url() {
        let body = br#"{"code":200,"data":{"task_id":"t","audioWavUrl":"https://a.example/a.wav",
            "callbackUrl":"https://a.example/cb/TOKEN","calBackUrl":"TOKEN","kept":[1.50],
            "param":"{\"callBackUrl\":\"https://a.example/cb/TOKEN\",\"x\":1}"}}"#;
        let callback = Callback::decode(body).unwrap();
        let shown = serde_json::to_string(&MembersContent(&callback.data_extra)).unwrap();
        assert!(!shown.contains("TOKEN"), "{shown}");
        assert!(
            shown.contains(r#""kept":[1.50]"#) && shown.contains(r#"{\"x\":1}"#),
            "{shown}"
        );
        for (param, expected) in [
            (r#"{"callbackUrl":"TOKEN","x":1}"#, r#"{"x":1}"#),
            (
                r#"{"input":[{"callBackUrl":"TOKEN"}]}"#,
                r#"{"input":[{}]}"#,
            ),
            (
                r#"{"seed":9007199254740993}"#,
                r#"{"seed":"9007199254740993"}"#,
            ),
            ("1", "null"),
            (r#""TOKEN""#, "null"),
            ("{}", "{}"),
        ] {
            assert_eq!(request_without_callback_urls(param).to_string(), expected);
        }
    }
}
