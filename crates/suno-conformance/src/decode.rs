//! Runs the cases of `decode/`: bytes to a normalised form or an error, and back.

use serde::Deserialize;
use serde_json::{Value, json};
use suno_types::{
    Callback, Credits, DecodeError, DecodeErrorKind, Envelope, Json, Payload, SubmittedTask,
};

use crate::compare::differences;
use crate::parts::{Body, Parts};
use crate::{kept, normal};

/// A case of `decode/callback/`.
#[derive(Debug, Deserialize)]
#[serde(transparent)]
pub(crate) struct Callbacks(Input);

pub(crate) type CallbackCase = Parts<Callbacks, Expect>;

/// A case of `decode/record/`.
#[derive(Debug, Deserialize)]
#[serde(transparent)]
pub(crate) struct Records(Input);

pub(crate) type RecordCase = Parts<Records, Expect>;

/// A case of `decode/envelope/`.
pub(crate) type EnvelopeCase = Parts<EnvelopeInput, Expect>;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Input {
    body: Body,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct EnvelopeInput {
    #[serde(rename = "as")]
    asked: Option<Asked>,
    body: Body,
}

/// The kind of request that was made.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Asked {
    Submit,
    Credits,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(crate) enum Expect {
    Good(Good),
    Bad(Bad),
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Good {
    ok: Value,
    #[serde(default)]
    kept: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Bad {
    error: Problem,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Problem {
    kind: String,
    path: String,
}

/// A decoded body: its normalised form, its encoding, and the meaning of that.
struct Decoded {
    normal: Value,
    encoded: Vec<u8>,
    again: Result<Value, DecodeError>,
}

impl CallbackCase {
    /// Returns the differences from what was expected.
    pub(crate) fn run(&self) -> Vec<String> {
        let Body(body) = &self.input.0.body;
        self.expect.check(body, decode_callback(body))
    }
}

fn decode_callback(body: &[u8]) -> Result<Decoded, DecodeError> {
    let callback = Callback::decode(body)?;
    let encoded = callback.encode();
    Ok(Decoded {
        normal: normal::callback(&callback),
        again: Callback::decode(&encoded).map(|callback| normal::callback(&callback)),
        encoded,
    })
}

impl RecordCase {
    /// Returns the differences from what was expected.
    pub(crate) fn run(&self) -> Vec<String> {
        let Body(body) = &self.input.0.body;
        self.expect.check(body, envelope(body, normal::record))
    }
}

impl EnvelopeCase {
    /// Returns the differences from what was expected.
    pub(crate) fn run(&self) -> Vec<String> {
        let Body(body) = &self.input.body;
        let decoded = match &self.input.asked {
            None => envelope(body, any),
            Some(Asked::Submit) => envelope(body, submitted),
            Some(Asked::Credits) => envelope(body, credits),
        };
        self.expect.check(body, decoded)
    }
}

fn envelope<T: Payload>(
    body: &[u8],
    normal: impl Fn(&Envelope<T>) -> Value,
) -> Result<Decoded, DecodeError> {
    let envelope = Envelope::decode(body)?;
    let encoded = envelope.encode();
    Ok(Decoded {
        normal: normal(&envelope),
        again: Envelope::decode(&encoded).map(|envelope| normal(&envelope)),
        encoded,
    })
}

fn any(envelope: &Envelope<Json>) -> Value {
    let data = envelope.data.as_ref().map(Json::as_str);
    let data = data.or(envelope.extra.json("data")).unwrap_or("null");
    json!({
        "code": envelope.code.0,
        "msg": envelope.msg,
        "data": serde_json::from_str::<Value>(data).unwrap_or(Value::Null),
    })
}

fn submitted(envelope: &Envelope<SubmittedTask>) -> Value {
    match &envelope.data {
        Some(submitted) => json!({"task_id": submitted.task_id.as_str()}),
        None => json!({"refused": {"code": envelope.code.0}}),
    }
}

fn credits(envelope: &Envelope<Credits>) -> Value {
    match envelope.data {
        Some(Credits(credits)) => json!({"credits": credits}),
        None => json!({"refused": {"code": envelope.code.0}}),
    }
}

impl Expect {
    fn check(&self, body: &[u8], decoded: Result<Decoded, DecodeError>) -> Vec<String> {
        match (self, decoded) {
            (Self::Good(good), Ok(decoded)) => good.check(body, &decoded),
            (Self::Good(good), Err(err)) => differences(
                &json!({"ok": good.ok}),
                &json!({"error": normal::error(&err)}),
            ),
            (Self::Bad(bad), Ok(decoded)) => {
                differences(&bad.normal(), &json!({"ok": decoded.normal}))
            }
            (Self::Bad(bad), Err(err)) => {
                let mut found = differences(&bad.normal(), &json!({"error": normal::error(&err)}));
                if bad.is_unknown() {
                    found.push(format!("{:?} is not a kind of error", bad.error.kind));
                }
                found
            }
        }
    }
}

impl Good {
    fn check(&self, body: &[u8], decoded: &Decoded) -> Vec<String> {
        let mut found = differences(&self.ok, &decoded.normal);
        match &decoded.again {
            Ok(again) => {
                let changed = differences(&decoded.normal, again);
                found.extend(
                    changed
                        .iter()
                        .map(|change| format!("after encoding: {change}")),
                );
            }
            Err(err) => found.push(format!("after encoding: {err}")),
        }
        found.extend(kept::lost(body, &decoded.encoded, &self.kept));
        found
    }
}

impl Bad {
    fn normal(&self) -> Value {
        let Problem { kind, path } = &self.error;
        json!({"error": {"kind": kind, "path": normal::path(kind, path)}})
    }

    fn is_unknown(&self) -> bool {
        let kinds = [
            DecodeErrorKind::NotUtf8,
            DecodeErrorKind::Syntax,
            DecodeErrorKind::TooDeep,
            DecodeErrorKind::Missing,
            DecodeErrorKind::WrongType,
            DecodeErrorKind::DuplicateKey,
            DecodeErrorKind::OutOfRange,
            DecodeErrorKind::TooManyMembers,
            DecodeErrorKind::IdsDisagree,
            DecodeErrorKind::InvalidId,
        ];
        kinds.iter().all(|kind| kind.as_str() != self.error.kind)
    }
}
