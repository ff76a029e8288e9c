//! The task and the stage of a callback, without decoding the rest.

use std::borrow::Cow;

use crate::{Code, Stage};

/// The task and the stage of a callback, borrowed from its body. Verification and routing need no
/// more.
///
/// ```
/// use suno_types::{Peek, Stage};
///
/// let body = br#"{"code":200,"data":{"callbackType":"text","task_id":"5c79be8e","data":[]}}"#;
/// let peek = Peek::callback(body)?;
/// assert_eq!(peek.task_id, "5c79be8e");
/// assert_eq!(peek.stage(), Some(Stage::Text));
/// # Ok::<(), suno_types::DecodeError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Peek<'a> {
    /// The id of the task: 1 to 128 visible ASCII characters.
    pub task_id: Cow<'a, str>,
    /// The code and the word for the stage; `None` if they cannot be read.
    said: Option<(Code, Option<Cow<'a, str>>)>,
}

impl<'a> Peek<'a> {
    pub(crate) fn new(task_id: Cow<'a, str>, said: Option<(Code, Option<Cow<'a, str>>)>) -> Self {
        Self { task_id, said }
    }

    /// A peek that borrows nothing.
    pub(crate) fn into_owned<'b>(self) -> Peek<'b> {
        let owned = |text: Cow<'_, str>| Cow::Owned(text.into_owned());
        Peek {
            task_id: owned(self.task_id),
            said: self.said.map(|(code, word)| (code, word.map(owned))),
        }
    }

    /// The stage that the callback reports, as in [`Callback::stage`](crate::Callback::stage).
    ///
    /// `None` if a peek cannot tell: the code is 200 and there is no `callbackType`, so that the stage
    /// depends on the result; or the body does not decode, because the code is missing or a member
    /// occurs twice.
    #[must_use]
    pub fn stage(&self) -> Option<Stage> {
        let (code, word) = self.said.as_ref()?;
        match word {
            None if *code == Code::SUCCESS => None,
            word => Some(Stage::derive(*code, word.as_deref())),
        }
    }
}
