//! The answer to a request: code, message and data.

use std::fmt;

use serde::Serialize;
use serde_json::value::RawValue;

use crate::{Code, DecodeError, Extra, TaskId};

/// The answer to a request. HTTP 200 says nothing: the outcome is [`code`](Self::code).
#[derive(Clone, PartialEq)]
#[non_exhaustive]
pub struct Envelope<T> {
    /// The outcome.
    pub code: Code,
    /// The provider's words, for people. They can echo a URL with a secret in it: do not log them.
    pub msg: String,
    /// What was asked for; `None` if it was null or absent, or if the code is not 200.
    pub data: Option<T>,
    /// Members that this version does not know, and `data` beside a code other than 200.
    pub extra: Extra,
}

/// What an envelope can hold. Implemented by this crate's types only.
pub trait Payload: Sized + Serialize + sealed::Sealed {
    #[doc(hidden)]
    fn read(data: &str) -> Result<Self, DecodeError>;
}

pub(crate) mod sealed {
    pub trait Sealed {}
}

impl<T> Envelope<T> {
    /// An answer that says success.
    #[must_use]
    pub fn success(data: Option<T>) -> Self {
        Self {
            code: Code::SUCCESS,
            msg: "success".to_owned(),
            data,
            extra: Extra::default(),
        }
    }

    pub(crate) fn has_undecoded_data(&self) -> bool {
        self.extra.json("data").is_some()
    }
}

/// Without `msg`, which can echo a URL with a secret in it.
impl<T: fmt::Debug> fmt::Debug for Envelope<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Envelope")
            .field("code", &self.code)
            .field("data", &self.data)
            .field("extra", &self.extra)
            .finish_non_exhaustive()
    }
}

/// The answer to a submit that was taken.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct SubmittedTask {
    /// The name of the new task.
    pub task_id: TaskId,
    /// Members that this version does not know.
    pub extra: Extra,
}

/// How many credits the account has left; can be fractional.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd, Serialize)]
#[serde(transparent)]
pub struct Credits(pub f64);

/// Any JSON value, as it was sent: the data of answers that this crate has no type for.
#[derive(Clone, Serialize)]
#[serde(transparent)]
pub struct Json(pub(crate) Box<RawValue>);

impl Json {
    /// The JSON text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.get()
    }
}

impl PartialEq for Json {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

/// Without the value, which can hold a secret.
impl fmt::Debug for Json {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Json(…)")
    }
}
