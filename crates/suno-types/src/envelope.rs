//! The envelope of answers, with code, message and data.

use std::fmt;

use serde::Serialize;
use serde_json::value::RawValue;

use crate::{Code, DecodeError, Extra, TaskId};

/// The answer to a request. The outcome is [`code`](Self::code), not the HTTP status.
///
/// ```
/// use suno_types::{Credits, Envelope};
///
/// let answer = Envelope::<Credits>::decode(br#"{"code":200,"msg":"success","data":87.5}"#)?;
/// assert_eq!(answer.data, Some(Credits(87.5)));
/// # Ok::<(), suno_types::DecodeError>(())
/// ```
#[derive(Clone, PartialEq)]
#[non_exhaustive]
pub struct Envelope<T> {
    /// The code of the outcome.
    pub code: Code,
    /// The provider's message, for people. It can repeat a URL that contains a secret: do not log
    /// it.
    pub msg: String,
    /// The requested data; `None` if it was null or absent, or if the code is not 200. Only the tracks
    /// of a recovery are data with any code: they say why each of them failed.
    pub data: Option<T>,
    /// Members that this version does not know, and `data` if the code is not 200.
    pub extra: Extra,
}

/// A type for the data of an envelope. Only types of this crate implement it.
pub trait Payload: Sized + Serialize + sealed::Sealed {
    #[doc(hidden)]
    fn read(answer: &sealed::Answer<'_>) -> Result<Option<Self>, DecodeError>;
}

pub(crate) mod sealed {
    use serde_json::value::RawValue;

    use crate::{Code, Extra, TaskId};

    pub trait Sealed {}

    /// An answer whose data is to be read.
    #[derive(Debug)]
    pub struct Answer<'a> {
        pub(crate) code: Code,
        pub(crate) data: Option<&'a RawValue>,
        /// The other members.
        pub(crate) extra: &'a Extra,
    }

    impl Answer<'_> {
        pub(crate) fn is_success(&self) -> bool {
            self.code == Code::SUCCESS
        }

        /// The data of a success.
        pub(crate) fn success(&self) -> Option<&RawValue> {
            self.data.filter(|_| self.is_success())
        }

        /// The task that the envelope names, as that of a recovery does.
        pub(crate) fn task_id(&self) -> Option<TaskId> {
            let names = ["task_id", "taskId"].into_iter();
            let mut texts = names.filter_map(|name| self.extra.text(name));
            texts.find_map(|text| TaskId::new(text).ok())
        }
    }
}

impl<T> Envelope<T> {
    /// Creates an answer that says success.
    #[must_use]
    pub fn success(data: Option<T>) -> Self {
        Self {
            code: Code::SUCCESS,
            msg: "success".to_owned(),
            data,
            extra: Extra::default(),
        }
    }

    /// Returns whether the code is 201: the task is a recovery that has not ended (`PROTOCOL.md 4.23`).
    /// An unknown task has code 200 and no data instead.
    #[must_use]
    pub fn is_running(&self) -> bool {
        self.code == Code::RUNNING
    }

    pub(crate) fn has_undecoded_data(&self) -> bool {
        self.extra.json("data").is_some()
    }
}

/// Without `msg`, which can repeat a URL that contains a secret.
impl<T: fmt::Debug> fmt::Debug for Envelope<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Envelope")
            .field("code", &self.code)
            .field("data", &self.data)
            .field("extra", &self.extra)
            .finish_non_exhaustive()
    }
}

/// A task that the provider has accepted.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct SubmittedTask {
    /// The id of the new task.
    pub task_id: TaskId,
    /// Members that this version does not know.
    pub extra: Extra,
}

/// The number of credits that the account has left. It can be fractional.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd, Serialize)]
#[serde(transparent)]
pub struct Credits(pub f64);

/// Any JSON value as it was sent, for the data of answers that this crate has no type for.
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

/// Without the value, which can contain a secret.
impl fmt::Debug for Json {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Json(…)")
    }
}
