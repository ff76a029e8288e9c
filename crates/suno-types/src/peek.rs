//! The task a body is about and how far it has come, without decoding the rest.

use std::borrow::Cow;

use crate::{Code, Stage};

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
