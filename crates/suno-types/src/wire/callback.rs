//! The body of a callback of the usual shape, read in one pass; and the task id of any callback.

use std::borrow::Cow;

use serde::de::IgnoredAny;

use super::callback_ref::{CallbackRef, PlainCallback};
use super::member::{Member, Num, Text};
use super::object::{UnknownLeft, head, object};
use super::track::{SnakeTracks, checked_tracks};
use super::{one_task_id, tolerant};
use crate::error::DecodeErrorKind;
use crate::{Callback, Code, DecodeError, Peek, Stage};

impl Callback {
    /// Reads a body.
    ///
    /// # Errors
    ///
    /// [`DecodeError`] if the body is not a JSON object, does not name exactly one task, has no code,
    /// has a key twice, or is out of the bounds of [`DecodeError`] and
    /// [`Stage::WORD_BYTES_MAX`](crate::Stage::WORD_BYTES_MAX). Unknown members and words are not
    /// errors, and neither is a known member of an unexpected type: it is kept as it was sent, and
    /// counts as absent.
    pub fn decode(body: &[u8]) -> Result<Self, DecodeError> {
        CallbackRef::decode(body).map(CallbackRef::into_owned)
    }
}

impl<'a> CallbackRef<'a> {
    /// Reads a body.
    ///
    /// # Errors
    ///
    /// [`DecodeError`] for the same bodies as [`Callback::decode`].
    pub fn decode(body: &'a [u8]) -> Result<Self, DecodeError> {
        match super::text(body)? {
            Cow::Borrowed(json) => {
                let usual = super::parse_text::<Member<CallbackBody<'_>>>(json)?;
                match usual.check() {
                    Ok(Some(plain)) => Ok(Self::plain(plain)),
                    // The second reader finds the same errors, and says where they are.
                    Ok(None) | Err(_) => tolerant::callback(json).map(Self::unusual),
                }
            }
            Cow::Owned(json) => {
                super::parse_text::<IgnoredAny>(&json)?;
                tolerant::callback(&json).map(Self::unusual)
            }
        }
    }
}

impl<'a> Peek<'a> {
    /// Finds the task id in a callback body (`PROTOCOL.md 7.8` to `7.11`).
    ///
    /// The whole body is checked to be JSON, but tracks and unknown members are skipped: a body
    /// that can be peeked at may still fail to decode. If it decodes, it has the same task id.
    ///
    /// # Errors
    ///
    /// [`DecodeError`] if the body is not JSON, or does not name exactly one task.
    pub fn callback(body: &'a [u8]) -> Result<Self, DecodeError> {
        fn peek(json: &str) -> Result<Peek<'_>, DecodeError> {
            super::parse_any_depth::<Member<CallbackHead<'_>>>(json)?.into_peek()
        }
        match super::text(body)? {
            Cow::Borrowed(json) => peek(json),
            Cow::Owned(json) => peek(&json).map(Peek::into_owned),
        }
    }
}

object! {
    /// A callback.
    CallbackBody<'de> {
        code: Num<'de> = "code",
        msg: Text<'de> = "msg",
        camel_task_id: Text<'de> = "taskId",
        snake_task_id: Text<'de> = "task_id",
        data: CallbackData<'de> = "data",
    }
}

object! {
    /// The object `data` of a callback of the usual shape.
    CallbackData<'de> {
        callback_type: Text<'de> = "callbackType",
        snake_task_id: Text<'de> = "task_id",
        camel_task_id: Text<'de> = "taskId",
        tracks: SnakeTracks<'de> = "data",
        error: Text<'de> = "error",
    }
}

head! {
    /// The members of a callback that give the task and the stage.
    CallbackHead<'de> {
        code: Num<'de> = "code",
        camel_task_id: Text<'de> = "taskId",
        snake_task_id: Text<'de> = "task_id",
        data: CallbackDataHead<'de> = "data",
    }
}

head! {
    /// The object `data` of a [`CallbackHead`].
    CallbackDataHead<'de> {
        callback_type: Text<'de> = "callbackType",
        snake_task_id: Text<'de> = "task_id",
        camel_task_id: Text<'de> = "taskId",
        response: ResponseHead<'de> = "response",
    }
}

head! {
    /// The object `response` of a [`CallbackDataHead`].
    ResponseHead<'de> {
        task_id: Text<'de> = "taskId",
    }
}

/// The value, if it has the right type.
fn known<T: Default>(member: Member<T>) -> T {
    match member {
        Member::Is(value) => value,
        _ => T::default(),
    }
}

impl<'de> Member<CallbackHead<'de>> {
    /// Returns the id of the task, if the body has exactly one, and its stage. If another member
    /// occurs twice, the stage is unknown, but the task is not.
    pub(crate) fn into_peek(self) -> Result<Peek<'de>, DecodeError> {
        let body = self.required("")?;
        body.rest.check_once(&["taskId", "task_id", "data"])?;
        let data = known(body.data);
        let id_members = data.rest.check_once(&["task_id", "taskId", "response"]);
        id_members.map_err(|err| err.inside("data"))?;
        let is_ambiguous = body.rest.has_duplicates() || data.rest.has_duplicates();
        let response = known(data.response);
        let response_id = response.rest.check_once(&["taskId"]);
        response_id.map_err(|err| err.inside("data.response"))?;
        let task_id = one_task_id(
            ("data.task_id", data.snake_task_id),
            [
                ("task_id", body.snake_task_id),
                ("taskId", body.camel_task_id),
                ("data.taskId", data.camel_task_id),
                ("data.response.taskId", response.task_id),
            ],
        )?;
        let code = body.code.code("code").ok().flatten();
        let word = match data.callback_type {
            Member::Is(Text(word)) if !word.is_empty() => Some(word),
            _ => None,
        };
        let is_short = |word: &Cow<'_, str>| word.len() <= Stage::WORD_BYTES_MAX;
        let said = code.filter(|_| !is_ambiguous && word.as_ref().is_none_or(is_short));
        Ok(Peek::new(task_id, said.map(|code| (code, word))))
    }
}

impl<'de> Member<CallbackBody<'de>> {
    /// Returns the callback, if it is of the usual shape without doubt.
    fn check(self) -> Result<Option<PlainCallback<'de>>, DecodeError> {
        let body = self.required("")?;
        let data = body.data.required("data")?;
        let Some(callback_type) = data.callback_type.text("callbackType")? else {
            return Ok(None);
        };
        if callback_type.is_empty() || callback_type.len() > Stage::WORD_BYTES_MAX {
            return Ok(None);
        }
        let mut left = UnknownLeft::new();
        if !data.rest.check(&mut left)?.is_empty() {
            return Ok(None);
        }
        let code = body.code.code("code")?;
        let code = code.ok_or_else(|| DecodeError::new(DecodeErrorKind::Missing, "code"))?;
        let tracks = checked_tracks(data.tracks, "data", &mut left)?;
        let has_no_tracks = tracks.is_empty();
        if has_no_tracks && code == Code::SUCCESS && callback_type != "text" {
            return Ok(None);
        }
        if !tracks.iter().all(super::track::TrackParts::is_plain) {
            return Ok(None);
        }
        let task_id = one_task_id(
            ("data.task_id", data.snake_task_id),
            [
                ("task_id", body.snake_task_id),
                ("taskId", body.camel_task_id),
                ("data.taskId", data.camel_task_id),
            ],
        )?;
        Ok(Some(PlainCallback {
            task_id,
            code,
            msg: body.msg.text("msg")?.unwrap_or_default(),
            extra: body.rest.check(&mut left)?,
            callback_type,
            tracks,
            error: data.error.text("error")?,
        }))
    }
}
