//! The body of a callback, in both dialects.

use std::borrow::Cow;

use super::callback_ref::{CallbackRef, DataRef, JobRef, JobTracks};
use super::member::{Member, Num, Raw, Text};
use super::object::{UnknownLeft, head, object};
use super::one_task_id;
use super::track::{SnakeTrack, SpelledTrack, Spelling, checked_tracks, entry, extra, tracks};
use crate::callback::job_stage_word;
use crate::error::DecodeErrorKind;
use crate::{Callback, CallbackType, DecodeError, Extra, Peek, Stage, Track};
use serde::Serialize;
use serde::ser::{SerializeMap, Serializer};

impl Callback {
    /// Reads a body.
    ///
    /// # Errors
    ///
    /// [`DecodeError`] if the body is not JSON, does not name exactly one task, has no code, or has
    /// a member of an unexpected type. Unknown members and words are not errors.
    pub fn decode(body: &[u8]) -> Result<Self, DecodeError> {
        CallbackRef::decode(body).map(CallbackRef::into_owned)
    }

    /// Writes the body, in the dialect that was read.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        super::write(&CallbackOut(self))
    }
}

impl<'a> CallbackRef<'a> {
    /// Reads a body.
    ///
    /// # Errors
    ///
    /// [`DecodeError`] for the same bodies as [`Callback::decode`].
    pub fn decode(body: &'a [u8]) -> Result<Self, DecodeError> {
        super::parse::<Member<CallbackBody<'_>>>(body)?.check()
    }
}

impl<'a> Peek<'a> {
    /// Finds the task id in a callback body (`PROTOCOL.md 7.8` to `7.11`).
    ///
    /// The whole body is checked to be JSON, but tracks and unknown members are skipped: a body
    /// that can be peeked at may still fail to decode.
    ///
    /// # Errors
    ///
    /// [`DecodeError`] if the body is not JSON, or does not name exactly one task.
    pub fn callback(body: &'a [u8]) -> Result<Self, DecodeError> {
        super::parse_head::<Member<CallbackHead<'_>>>(body)?.into_peek()
    }
}

object! {
    /// A callback.
    CallbackBody<'de> {
        code: Num<'de> = "code",
        msg: Text<'de> = "msg",
        task_id: Text<'de> = "taskId",
        data: CallbackData<'de> = "data",
    }
}

object! {
    /// The object `data` of a callback.
    CallbackData<'de> {
        callback_type: Text<'de> = "callbackType",
        snake_task_id: Text<'de> = "task_id",
        camel_task_id: Text<'de> = "taskId",
        tracks: Vec<Member<SnakeTrack<'de>>> = "data",
        error: Text<'de> = "error",
        state: Text<'de> = "state",
        result_json: Text<'de> = "resultJson",
        fail_msg: Text<'de> = "failMsg",
    }
}

object! {
    /// The object in the JSON text `resultJson` of the jobs dialect.
    JobResult<'de> {
        tracks: Vec<Member<SnakeTrack<'de>>> = "data",
    }
}

head! {
    /// The members of a callback that give the task and the stage.
    CallbackHead<'de> {
        code: Num<'de> = "code",
        task_id: Text<'de> = "taskId",
        data: CallbackDataHead<'de> = "data",
    }
}

head! {
    /// The object `data` of a [`CallbackHead`].
    CallbackDataHead<'de> {
        callback_type: Text<'de> = "callbackType",
        snake_task_id: Text<'de> = "task_id",
        camel_task_id: Text<'de> = "taskId",
        tracks: Raw<'de> = "data",
        state: Text<'de> = "state",
    }
}

/// The task id of a callback, which can be in three places.
fn task_id<'de>(
    root: Member<Text<'de>>,
    camel: Member<Text<'de>>,
    snake: Member<Text<'de>>,
) -> Result<Cow<'de, str>, DecodeError> {
    one_task_id(
        ("data.task_id", snake),
        [("taskId", root), ("data.taskId", camel)],
    )
}

impl<'de> Member<CallbackHead<'de>> {
    /// Returns the id of the task, if the body has exactly one, and its stage. If another member
    /// occurs twice, the stage is unknown, but the task is not.
    pub(crate) fn into_peek(self) -> Result<Peek<'de>, DecodeError> {
        let body = self.required("")?;
        body.rest.check_once(&["taskId", "data"])?;
        let mut data = body.data.optional("data")?.unwrap_or_default();
        let id_members = data.rest.check_once(&["task_id", "taskId"]);
        id_members.map_err(|err| err.inside("data"))?;
        let is_ambiguous = body.rest.has_duplicates() || data.rest.has_duplicates();
        let task_id = task_id(
            body.task_id,
            std::mem::take(&mut data.camel_task_id),
            std::mem::take(&mut data.snake_task_id),
        )?;
        let code = body.code.code("code").ok().flatten();
        let said = code.zip(data.word()).filter(|_| !is_ambiguous);
        Ok(Peek::new(task_id, said))
    }
}

impl<'de> Member<CallbackBody<'de>> {
    pub(crate) fn check(self) -> Result<CallbackRef<'de>, DecodeError> {
        let body = self.required("")?;
        let mut data = body.data.optional("data")?.unwrap_or_default();
        let task_id = task_id(
            body.task_id,
            std::mem::take(&mut data.camel_task_id),
            std::mem::take(&mut data.snake_task_id),
        )?;
        let code = body.code.code("code")?;
        let code = code.ok_or_else(|| DecodeError::new(DecodeErrorKind::Missing, "code"))?;
        let msg = body.msg.text("msg")?.unwrap_or_default();
        let mut left = UnknownLeft::new();
        let extra = body.rest.check(&mut left)?;
        let data = data.check(&mut left).map_err(|err| err.inside("data"))?;
        Ok(CallbackRef {
            task_id,
            code,
            msg,
            extra,
            data,
        })
    }
}

impl<'de> CallbackDataHead<'de> {
    /// The word for the stage in either dialect. The outer `None` means that it is not a string.
    fn word(self) -> Option<Option<Cow<'de, str>>> {
        let is_job = is_job(&self.state, &self.callback_type, &self.tracks);
        let state = self.state.text("state").ok()?;
        let word = self.callback_type.text("callbackType").ok()?;
        let said = if is_job { &state } else { &word };
        check_word(said, "").ok()?;
        let state_word = |state: Cow<'de, str>| match job_stage_word(&state) {
            Some(word) => Cow::Borrowed(word),
            None => state,
        };
        Some(if is_job { state.map(state_word) } else { word })
    }
}

/// Returns whether these members are those of the jobs dialect, which has `state` instead of
/// `callbackType` and `data`.
fn is_job<A, B, C>(state: &Member<A>, callback_type: &Member<B>, tracks: &Member<C>) -> bool {
    matches!(
        (state, callback_type, tracks),
        (
            Member::Is(_),
            Member::Absent | Member::Null,
            Member::Absent | Member::Null
        )
    )
}

/// Rejects a word for a stage that is too long.
fn check_word(word: &Option<Cow<'_, str>>, path: &str) -> Result<(), DecodeError> {
    match word {
        Some(word) if word.len() > Stage::WORD_BYTES_MAX => {
            Err(DecodeError::new(DecodeErrorKind::OutOfRange, path))
        }
        _ => Ok(()),
    }
}

impl<'de> CallbackData<'de> {
    fn check(self, left: &mut UnknownLeft) -> Result<DataRef<'de>, DecodeError> {
        let is_job = is_job(&self.state, &self.callback_type, &self.tracks);
        let extra = self.rest.check(left)?;
        let state = self.state.text("state")?;
        let result_json = self.result_json.text("resultJson")?;
        let fail_msg = self.fail_msg.text("failMsg")?;
        let error = self.error.text("error")?;
        Ok(if is_job {
            check_word(&state, "state")?;
            let result = JobResult::read(result_json.as_deref(), left)?;
            DataRef {
                callback_type: None,
                tracks: Vec::new(),
                error: fail_msg,
                extra,
                job: Some(JobRef {
                    state: state.unwrap_or_default(),
                    result,
                }),
                unused: present([("error", error)]),
            }
        } else {
            let callback_type = self.callback_type.text("callbackType")?;
            check_word(&callback_type, "callbackType")?;
            DataRef {
                callback_type,
                tracks: checked_tracks(self.tracks, "data", left)?,
                error,
                extra,
                job: None,
                unused: present([
                    ("state", state),
                    ("resultJson", result_json),
                    ("failMsg", fail_msg),
                ]),
            }
        })
    }
}

/// Returns the members that have a value, with their names. It allocates nothing if none has.
fn present<'de, const N: usize>(
    members: [(&'static str, Option<Cow<'de, str>>); N],
) -> Vec<(&'static str, Cow<'de, str>)> {
    let members = members.into_iter();
    members
        .filter_map(|(name, text)| Some((name, text?)))
        .collect()
}

impl JobResult<'_> {
    /// Reads the JSON text in `resultJson`. If it is absent or empty, there are no tracks yet.
    pub(super) fn read(
        json: Option<&str>,
        left: &mut UnknownLeft,
    ) -> Result<JobTracks, DecodeError> {
        let member: Member<JobResult<'_>> = match json {
            None | Some("") => Member::Absent,
            Some(json) => super::parse_text(json).map_err(|err| err.inside("resultJson"))?,
        };
        let result = member.optional("resultJson")?.unwrap_or_default();
        let mut read = |result: JobResult<'_>| {
            Ok(JobTracks {
                tracks: tracks(result.tracks, "data", left)?,
                extra: result.rest.check(left)?.into(),
            })
        };
        read(result).map_err(|err: DecodeError| err.inside("resultJson"))
    }
}

/// A callback to encode.
pub(crate) struct CallbackOut<'a>(pub(crate) &'a Callback);

impl Serialize for CallbackOut<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("code", &self.0.code.0)?;
        map.serialize_entry("data", &DataOut(self.0))?;
        map.serialize_entry("msg", &self.0.msg)?;
        extra(&mut map, &self.0.extra)?;
        map.end()
    }
}

struct DataOut<'a>(&'a Callback);

impl Serialize for DataOut<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let callback = self.0;
        let mut map = serializer.serialize_map(None)?;
        match &callback.job {
            Some(job) => {
                map.serialize_entry("taskId", callback.task_id.as_str())?;
                map.serialize_entry("state", &job.state)?;
                map.serialize_entry(
                    "resultJson",
                    &job_result(&callback.tracks, &job.result_extra)?,
                )?;
                entry(&mut map, "failMsg", &callback.error)?;
            }
            None => {
                let word = callback.callback_type.as_ref().map(CallbackType::as_str);
                entry(&mut map, "callbackType", &word)?;
                map.serialize_entry("task_id", callback.task_id.as_str())?;
                map.serialize_entry("data", &TracksOut(&callback.tracks, Spelling::Snake))?;
                entry(&mut map, "error", &callback.error)?;
            }
        }
        extra(&mut map, &callback.data_extra)?;
        map.end()
    }
}

/// The JSON text of `resultJson`.
pub(super) fn job_result<E: serde::ser::Error>(
    tracks: &[Track],
    rest: &Extra,
) -> Result<String, E> {
    struct Result<'a>(&'a [Track], &'a Extra);

    impl Serialize for Result<'_> {
        fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
            let mut map = serializer.serialize_map(None)?;
            map.serialize_entry("data", &TracksOut(self.0, Spelling::Snake))?;
            extra(&mut map, self.1)?;
            map.end()
        }
    }

    serde_json::to_string(&Result(tracks, rest)).map_err(E::custom)
}

/// Tracks to encode.
pub(super) struct TracksOut<'a>(pub(super) &'a [Track], pub(super) Spelling);

impl Serialize for TracksOut<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.iter().map(|track| SpelledTrack(track, self.1)))
    }
}
