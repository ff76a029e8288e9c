//! A callback that borrows its texts from the body.

use std::borrow::Cow;
use std::fmt;

use super::track::{TrackParts, owned_tracks};
use crate::extra::ExtraRef;
use crate::track::result;
use crate::{Callback, CallbackType, Code, Product, Stage, TaskId, TrackRef};

/// A callback that borrows its texts from the body, if it is of the usual shape. It gives access to
/// what distinguishes one delivery from another.
///
/// A body decodes to this type exactly if it decodes to a [`Callback`], with the same errors.
///
/// ```
/// use suno_types::{CallbackRef, Stage};
///
/// let body = br#"{"code":501,"msg":"failed","data":{"task_id":"5c79be8e"}}"#;
/// let callback = CallbackRef::decode(body)?;
/// assert_eq!(callback.stage(), Stage::Failed);
/// assert_eq!(callback.into_owned().msg, "failed");
/// # Ok::<(), suno_types::DecodeError>(())
/// ```
pub struct CallbackRef<'a>(Shape<'a>);

/// The shape of a body.
enum Shape<'a> {
    Plain(PlainCallback<'a>),
    Unusual(Box<Callback>),
}

/// A callback of the usual shape: songs, with `callbackType`, spelled as callbacks are.
pub(super) struct PlainCallback<'a> {
    /// Checked to be an id.
    pub(super) task_id: Cow<'a, str>,
    pub(super) code: Code,
    pub(super) msg: Cow<'a, str>,
    pub(super) extra: ExtraRef<'a>,
    pub(super) callback_type: Cow<'a, str>,
    pub(super) tracks: Vec<TrackParts<'a>>,
    pub(super) error: Option<Cow<'a, str>>,
}

impl<'a> CallbackRef<'a> {
    pub(super) fn plain(plain: PlainCallback<'a>) -> Self {
        Self(Shape::Plain(plain))
    }

    pub(super) fn unusual(callback: Callback) -> Self {
        Self(Shape::Unusual(Box::new(callback)))
    }

    fn as_plain(&self) -> Option<&PlainCallback<'a>> {
        match &self.0 {
            Shape::Plain(plain) => Some(plain),
            Shape::Unusual(_) => None,
        }
    }

    fn as_unusual(&self) -> Option<&Callback> {
        match &self.0 {
            Shape::Plain(_) => None,
            Shape::Unusual(callback) => Some(callback),
        }
    }

    /// The id of the task: 1 to 128 visible ASCII characters.
    #[must_use]
    pub fn task_id(&self) -> &str {
        match &self.0 {
            Shape::Plain(plain) => &plain.task_id,
            Shape::Unusual(callback) => callback.task_id.as_str(),
        }
    }

    /// Copies the id of the task.
    #[must_use]
    pub fn to_task_id(&self) -> TaskId {
        TaskId::checked(self.task_id())
    }

    /// The code of the outcome. Any code but 200 is a failure.
    #[must_use]
    pub fn code(&self) -> Code {
        match &self.0 {
            Shape::Plain(plain) => plain.code,
            Shape::Unusual(callback) => callback.code,
        }
    }

    /// The stage that the callback reports, as in [`Callback::stage`].
    #[must_use]
    pub fn stage(&self) -> Stage {
        match &self.0 {
            Shape::Plain(plain) => Stage::derive(plain.code, Some(&plain.callback_type)),
            Shape::Unusual(callback) => callback.stage(),
        }
    }

    /// Returns whether a word for the stage was sent, as in [`Callback::has_stage_word`].
    #[must_use]
    pub fn has_stage_word(&self) -> bool {
        self.as_unusual().is_none_or(Callback::has_stage_word)
    }

    /// The kind of result that the task makes, as in [`Callback::product`].
    #[must_use]
    pub fn product(&self) -> Product {
        self.as_unusual().map_or(Product::SONG, Callback::product)
    }

    /// The reason for a failure, as in [`Callback::error`].
    #[must_use]
    pub fn error(&self) -> Option<&str> {
        match &self.0 {
            Shape::Plain(plain) => plain.error.as_deref(),
            Shape::Unusual(callback) => callback.error.as_deref(),
        }
    }

    /// The tracks in the order in which they were sent.
    pub fn tracks(&self) -> impl Iterator<Item = TrackRef<'_>> {
        let plain = self.as_plain().into_iter().flat_map(|plain| &plain.tracks);
        let unusual = self.as_unusual().into_iter();
        let unusual = unusual.flat_map(|callback| &callback.tracks);
        plain
            .map(TrackParts::view)
            .chain(unusual.map(TrackRef::from))
    }

    /// A text for each result that is ready, as in [`Callback::results`].
    pub fn results(&self) -> impl Iterator<Item = Cow<'_, str>> {
        let plain = self.as_plain().into_iter();
        let plain = plain.flat_map(|plain| plain.tracks.iter().map(TrackParts::view).enumerate());
        let plain = plain.filter(|(_, track)| track.is_ready);
        let unusual = self.as_unusual().into_iter();
        plain
            .map(|(position, track)| result(position, track.id))
            .chain(unusual.flat_map(Callback::results))
    }

    /// The number of results that are ready.
    #[must_use]
    pub fn result_count(&self) -> usize {
        match &self.0 {
            Shape::Plain(plain) => {
                let tracks = plain.tracks.iter().map(TrackParts::view);
                tracks.filter(|track| track.is_ready).count()
            }
            Shape::Unusual(callback) => callback.result_count(),
        }
    }

    /// Copies the texts into a [`Callback`].
    #[must_use]
    pub fn into_owned(self) -> Callback {
        match self.0 {
            Shape::Plain(plain) => plain.into_owned(),
            Shape::Unusual(callback) => *callback,
        }
    }
}

impl PlainCallback<'_> {
    fn into_owned(self) -> Callback {
        let mut callback = Callback::new(TaskId::checked(self.task_id), self.code);
        callback.msg = self.msg.into_owned();
        callback.callback_type = Some(CallbackType::from(&*self.callback_type));
        callback.error = self.error.map(Cow::into_owned);
        callback.tracks = owned_tracks(self.tracks);
        callback.extra = self.extra.into();
        callback
    }
}

/// Without texts, which can contain a URL with a secret.
impl fmt::Debug for CallbackRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CallbackRef")
            .field("task_id", &self.task_id())
            .field("code", &self.code())
            .field("stage", &self.stage())
            .finish_non_exhaustive()
    }
}
