//! A callback that borrows its texts from the body.

use std::borrow::Cow;
use std::fmt;

use serde_json::value::to_raw_value;

use super::track::{TrackParts, owned_tracks};
use crate::callback::{Job, stage};
use crate::extra::ExtraRef;
use crate::{Callback, CallbackType, Code, Extra, Stage, TaskId, Track, TrackRef};

/// A callback that borrows its texts from the body. It gives access to the members that distinguish
/// one delivery from another.
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
pub struct CallbackRef<'a> {
    /// Checked to be an id.
    pub(super) task_id: Cow<'a, str>,
    pub(super) code: Code,
    pub(super) msg: Cow<'a, str>,
    pub(super) extra: ExtraRef<'a>,
    pub(super) data: DataRef<'a>,
}

impl CallbackRef<'_> {
    /// The id of the task: 1 to 128 visible ASCII characters.
    #[must_use]
    pub fn task_id(&self) -> &str {
        &self.task_id
    }

    /// Copies the id of the task.
    #[must_use]
    pub fn to_task_id(&self) -> TaskId {
        TaskId::checked(&*self.task_id)
    }

    /// The code of the outcome. Any code but 200 is a failure.
    #[must_use]
    pub fn code(&self) -> Code {
        self.code
    }

    /// The stage that the callback reports.
    #[must_use]
    pub fn stage(&self) -> Stage {
        let state = self.data.job.as_ref().map(|job| &*job.state);
        stage(self.code, state, self.data.callback_type.as_deref())
    }

    /// The tracks in the order in which they were sent.
    pub fn tracks(&self) -> impl Iterator<Item = TrackRef<'_>> {
        let of_job = self.data.job.iter().flat_map(|job| &job.result.tracks);
        let tracks = self.data.tracks.iter().map(|track| track.view());
        tracks.chain(of_job.map(TrackRef::from))
    }

    /// Copies the texts into a [`Callback`].
    #[must_use]
    pub fn into_owned(self) -> Callback {
        let mut callback = Callback::new(TaskId::checked(self.task_id), self.code);
        callback.msg = self.msg.into_owned();
        callback.extra = self.extra.into();
        self.data.write_into(&mut callback);
        callback
    }
}

/// Without texts, which can contain a URL with a secret.
impl fmt::Debug for CallbackRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CallbackRef")
            .field("task_id", &self.task_id)
            .field("code", &self.code)
            .field("stage", &self.stage())
            .finish_non_exhaustive()
    }
}

/// The object `data` of a callback, borrowed from the body.
#[derive(Debug)]
pub(super) struct DataRef<'de> {
    pub(super) callback_type: Option<Cow<'de, str>>,
    pub(super) tracks: Vec<TrackParts<'de>>,
    pub(super) error: Option<Cow<'de, str>>,
    pub(super) extra: ExtraRef<'de>,
    pub(super) job: Option<JobRef<'de>>,
    /// The members that only the other dialect uses, with their names.
    pub(super) unused: Vec<(&'static str, Cow<'de, str>)>,
}

/// The members that only the jobs dialect has. Its tracks are JSON inside a JSON string, so that
/// they cannot be borrowed.
#[derive(Debug)]
pub(super) struct JobRef<'de> {
    pub(super) state: Cow<'de, str>,
    pub(super) result: JobTracks,
}

impl DataRef<'_> {
    /// Copies the members into a callback.
    pub(super) fn write_into(self, callback: &mut Callback) {
        callback.callback_type = self.callback_type.map(|word| CallbackType::from(&*word));
        callback.tracks = owned_tracks(self.tracks);
        callback.error = self.error.map(Cow::into_owned);
        callback.data_extra = self.extra.into();
        if let Some(job) = self.job {
            callback.tracks = job.result.tracks;
            callback.job = Some(Job {
                state: job.state.into(),
                result_extra: job.result.extra,
            });
        }
        for (name, text) in self.unused {
            if let Ok(raw) = to_raw_value(&text) {
                callback.data_extra.keep(name.into(), raw);
            }
        }
    }
}

/// The content of `resultJson`.
#[derive(Debug)]
pub(super) struct JobTracks {
    pub(super) tracks: Vec<Track>,
    pub(super) extra: Extra,
}
