//! A callback as it stands in its body, checked and not copied.

use std::borrow::Cow;
use std::fmt;

use crate::callback::stage;
use crate::extra::ExtraRef;
use crate::wire::{self, CallbackBody, Member, Said};
use crate::{Callback, Code, DecodeError, Stage, TaskId, TrackRef};

/// A callback borrowed from its body: what tells one delivery from another can be read, and the
/// texts are not copied.
///
/// A body that decodes to this decodes to a [`Callback`], and the other way round: what is wrong
/// with the others is found here.
pub struct CallbackRef<'a> {
    /// Checked to be an id.
    pub(crate) task_id: Cow<'a, str>,
    pub(crate) code: Code,
    pub(crate) msg: Cow<'a, str>,
    pub(crate) extra: ExtraRef<'a>,
    pub(crate) said: Said<'a>,
}

impl<'a> CallbackRef<'a> {
    /// Reads a body.
    ///
    /// # Errors
    ///
    /// [`DecodeError`] if the body is not JSON, names no task or several, has no code, or a member
    /// has a type that is not known for it. Unknown members and words are no errors.
    pub fn decode(body: &'a [u8]) -> Result<Self, DecodeError> {
        wire::parse::<Member<CallbackBody<'_>>>(body)?.check()
    }

    /// The task; 1 to 128 visible ASCII characters.
    #[must_use]
    pub fn task_id(&self) -> &str {
        &self.task_id
    }

    /// The task, copied.
    #[must_use]
    pub fn to_task_id(&self) -> TaskId {
        TaskId::checked(&*self.task_id)
    }

    /// The outcome. Anything but 200 is a failure.
    #[must_use]
    pub fn code(&self) -> Code {
        self.code
    }

    /// The stage that the callback reports.
    #[must_use]
    pub fn stage(&self) -> Stage {
        let state = self.said.job.as_ref().map(|job| &*job.state);
        stage(self.code, state, self.said.callback_type.as_deref())
    }

    /// The tracks in the order in which they were sent.
    pub fn tracks(&self) -> impl Iterator<Item = TrackRef<'_>> {
        let of_job = self.said.job.iter().flat_map(|job| &job.result.tracks);
        let tracks = self.said.tracks.iter().map(|track| track.view());
        tracks.chain(of_job.map(TrackRef::from))
    }

    /// The same with texts of its own.
    #[must_use]
    pub fn into_owned(self) -> Callback {
        let mut callback = Callback::new(TaskId::checked(self.task_id), self.code);
        callback.msg = self.msg.into_owned();
        callback.extra = self.extra.into();
        self.said.write_into(&mut callback);
        callback
    }
}

/// Without texts, which can hold a URL with a secret in it.
impl fmt::Debug for CallbackRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CallbackRef")
            .field("task_id", &self.task_id)
            .field("code", &self.code)
            .field("stage", &self.stage())
            .finish_non_exhaustive()
    }
}
