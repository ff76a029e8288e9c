//! Runs the cases of `verify/`: keys, headers and a clock, to a verdict.

use std::time::Duration;

use serde::Deserialize;
use serde_json::{Value, json};
use suno_types::Peek;
use suno_types::signature::{SignatureError, SignatureHeaders, WebhookKey, verify};

use crate::compare::differences;
use crate::parts::{Body, Headers, Key, Parts};

pub(crate) type Case = Parts<Input, Expect>;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Input {
    keys: Vec<Key>,
    task_id: Option<String>,
    body: Option<Body>,
    headers: Headers,
    now: u64,
    window_seconds: u64,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(crate) enum Expect {
    Verified(Verified),
    Refused(Refused),
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Verified {
    verified: bool,
    key: usize,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Refused {
    refused: Word,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Word {
    MissingHeader,
    BadTimestamp,
    OutsideWindow,
    BadSignature,
}

impl Word {
    fn as_str(self) -> &'static str {
        match self {
            Self::MissingHeader => "missing_header",
            Self::BadTimestamp => "bad_timestamp",
            Self::OutsideWindow => "outside_window",
            Self::BadSignature => "bad_signature",
        }
    }
}

impl Case {
    /// Returns the differences from what was expected.
    pub(crate) fn run(&self) -> Vec<String> {
        let expected = match &self.expect {
            Expect::Verified(Verified { verified, key }) => {
                json!({"verified": verified, "key": key})
            }
            Expect::Refused(Refused { refused }) => json!({"refused": refused.as_str()}),
        };
        match self.input.task_id() {
            Ok(task_id) => differences(&expected, &self.input.verdict(&task_id)),
            Err(problem) => vec![problem],
        }
    }
}

impl Input {
    fn task_id(&self) -> Result<String, String> {
        match (&self.task_id, &self.body) {
            (Some(task_id), None) => Ok(task_id.clone()),
            (None, Some(Body(body))) => Peek::callback(body)
                .map(|peek| peek.task_id.into_owned())
                .map_err(|err| format!("the task id cannot be read: {err}")),
            _ => Err("the case needs either a task id or a body".to_owned()),
        }
    }

    fn verdict(&self, task_id: &str) -> Value {
        let keys: Vec<_> = self
            .keys
            .iter()
            .map(|key| WebhookKey::new(&key.text))
            .collect();
        let headers = self
            .headers
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_bytes()));
        let window = Duration::from_secs(self.window_seconds);
        let verdict = SignatureHeaders::find(headers)
            .and_then(|headers| verify(&keys, task_id, headers, self.now, window));
        match verdict {
            Ok(key) => json!({"verified": true, "key": key}),
            Err(err) => json!({"refused": word(err)}),
        }
    }
}

fn word(err: SignatureError) -> &'static str {
    match err {
        SignatureError::MissingHeader => "missing_header",
        SignatureError::BadTimestamp => "bad_timestamp",
        SignatureError::OutsideWindow => "outside_window",
        SignatureError::BadSignature => "bad_signature",
        _ => "a rejection that this runner does not know",
    }
}
