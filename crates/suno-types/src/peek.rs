//! The task a body is about, without decoding the rest.

use std::borrow::Cow;

use crate::DecodeError;
use crate::wire::{self, CallbackHead, Member};

/// The name of the task in a callback body: what verification needs, borrowed, tracks passed over.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Peek<'a> {
    /// The task id; 1 to 128 visible ASCII characters.
    pub task_id: Cow<'a, str>,
}

impl<'a> Peek<'a> {
    /// Finds the task id in a callback body (`PROTOCOL.md 7.8` to `7.11`).
    ///
    /// The whole body is checked to be JSON, but members other than the ids are not looked at: a
    /// body that can be peeked at may still fail to decode.
    ///
    /// # Errors
    ///
    /// [`DecodeError`] if the body is not JSON, or does not name exactly one task.
    pub fn callback(body: &'a [u8]) -> Result<Self, DecodeError> {
        let task_id = wire::parse::<Member<CallbackHead<'_>>>(body)?.task_id()?;
        Ok(Self { task_id })
    }
}
