//! The answer to a request: code, message and data.

use std::fmt;

use serde::Serialize;
use serde_json::value::RawValue;

use crate::error::DecodeErrorKind;
use crate::wire::{self, EnvelopeBody, EnvelopeOut, Member, RecordData, SubmittedData};
use crate::{Code, DecodeError, Extra, TaskId, TaskRecord};

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

mod sealed {
    pub trait Sealed {}

    impl Sealed for super::Submitted {}
    impl Sealed for super::Credits {}
    impl Sealed for super::Json {}
    impl Sealed for super::TaskRecord {}
}

impl<T: Payload> Envelope<T> {
    /// Reads an answer.
    ///
    /// # Errors
    ///
    /// [`DecodeError`] if the body is not an envelope, or the code is 200 and the data is not what
    /// was asked for. Beside another code, any data is allowed and kept in `extra`.
    pub fn decode(body: &[u8]) -> Result<Self, DecodeError> {
        let envelope = wire::parse::<Member<EnvelopeBody<'_>>>(body)?.into_envelope()?;
        let mut extra = envelope.extra;
        let data = match envelope.data {
            Some(raw) if envelope.code == Code::SUCCESS => {
                Some(T::read(raw.get()).map_err(|err| err.inside("data"))?)
            }
            Some(raw) => {
                extra.keep("data".into(), raw.to_owned());
                None
            }
            None => None,
        };
        Ok(Self {
            code: envelope.code,
            msg: envelope.msg,
            data,
            extra,
        })
    }

    /// Writes an answer.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        wire::write(&EnvelopeOut(self))
    }
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
pub struct Submitted {
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
pub struct Json(Box<RawValue>);

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

impl Payload for Submitted {
    fn read(data: &str) -> Result<Self, DecodeError> {
        wire::parse_text::<Member<SubmittedData<'_>>>(data)?.into_submitted()
    }
}

impl Payload for TaskRecord {
    fn read(data: &str) -> Result<Self, DecodeError> {
        wire::parse_text::<Member<RecordData<'_>>>(data)?.into_record()
    }
}

impl Payload for Credits {
    fn read(data: &str) -> Result<Self, DecodeError> {
        let credits = wire::parse_text::<Member<wire::Num<'_>>>(data)?.float("")?;
        credits
            .map(Self)
            .ok_or_else(|| DecodeError::new(DecodeErrorKind::Missing, ""))
    }
}

impl Payload for Json {
    fn read(data: &str) -> Result<Self, DecodeError> {
        let raw: &RawValue = wire::parse_text(data)?;
        Ok(Self(raw.to_owned()))
    }
}
