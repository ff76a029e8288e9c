//! The task a body is about and how far it has come, without decoding the rest.

use std::borrow::Cow;

use crate::wire::{self, CallbackHead, Member};
use crate::{Code, DecodeError, Stage};

/// What verification and routing need of a callback body: borrowed, tracks passed over.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Peek<'a> {
    /// The task id; 1 to 128 visible ASCII characters.
    pub task_id: Cow<'a, str>,
    /// The code and the word for the stage; none if they cannot be read.
    said: Option<(Code, Option<Cow<'a, str>>)>,
}

impl<'a> Peek<'a> {
    /// Finds the task id in a callback body (`PROTOCOL.md 7.8` to `7.11`).
    ///
    /// The whole body is checked to be JSON, but tracks and unknown members are not looked at: a
    /// body that can be peeked at may still fail to decode.
    ///
    /// # Errors
    ///
    /// [`DecodeError`] if the body is not JSON, or does not name exactly one task.
    pub fn callback(body: &'a [u8]) -> Result<Self, DecodeError> {
        wire::parse_head::<Member<CallbackHead<'_>>>(body)?.into_peek()
    }

    pub(crate) fn new(task_id: Cow<'a, str>, said: Option<(Code, Option<Cow<'a, str>>)>) -> Self {
        Self { task_id, said }
    }

    /// The stage that the callback reports, as [`Callback::stage`](crate::Callback::stage) says
    /// it. `None` if there is no code, what says the stage is no text, or one of them or the tracks
    /// are there twice: such a body does not decode.
    #[must_use]
    pub fn stage(&self) -> Option<Stage> {
        let (code, word) = self.said.as_ref()?;
        Some(Stage::derive(*code, word.as_deref()))
    }
}
