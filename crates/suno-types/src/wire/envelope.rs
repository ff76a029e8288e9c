//! Answers to requests: the envelope, and the data that is not a task's record.

use serde::Serialize;
use serde::ser::{SerializeMap, Serializer};
use serde_json::value::RawValue;

use super::member::{Member, Num, Raw, Text};
use super::object::{UnknownLeft, object};
use super::one_task_id;
use super::track::extra;
use crate::envelope::sealed::{Answer, Sealed};
use crate::error::DecodeErrorKind;
use crate::{Credits, DecodeError, Envelope, Json, Payload, SubmittedTask, TaskId};

impl<T: Payload> Envelope<T> {
    /// Reads an answer.
    ///
    /// # Errors
    ///
    /// [`DecodeError`] if the body is not an envelope, or if the code is 200 and the data is not of
    /// the type `T`. With another code, data of any type is accepted and kept in `extra`.
    pub fn decode(body: &[u8]) -> Result<Self, DecodeError> {
        let json = super::text(body)?;
        let envelope = super::parse_text::<Member<EnvelopeBody<'_>>>(&json)?.into_envelope()?;
        let mut extra = envelope.extra;
        let answer = Answer {
            code: envelope.code,
            data: envelope.data,
            extra: &extra,
        };
        let data = T::read(&answer).map_err(|err| err.inside("data"))?;
        if let (None, Some(raw)) = (&data, envelope.data) {
            extra.keep("data".into(), raw.to_owned());
        }
        Ok(Self {
            code: envelope.code,
            msg: envelope.msg,
            data,
            extra,
        })
    }

    /// Writes an answer.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        super::write(&EnvelopeOut(self))
    }
}

impl Sealed for SubmittedTask {}

impl Payload for SubmittedTask {
    fn read(answer: &Answer<'_>) -> Result<Option<Self>, DecodeError> {
        let read = |data: &RawValue| {
            super::parse_text::<Member<SubmittedTaskData<'_>>>(data.get())?.into_submitted()
        };
        answer.success().map(read).transpose()
    }
}

impl Sealed for Credits {}

impl Payload for Credits {
    fn read(answer: &Answer<'_>) -> Result<Option<Self>, DecodeError> {
        let read = |data: &RawValue| {
            let credits = super::parse_text::<Member<Num<'_>>>(data.get())?.float("")?;
            let missing = || DecodeError::new(DecodeErrorKind::Missing, "");
            credits.map(Self).ok_or_else(missing)
        };
        answer.success().map(read).transpose()
    }
}

impl Sealed for Json {}

impl Payload for Json {
    fn read(answer: &Answer<'_>) -> Result<Option<Self>, DecodeError> {
        Ok(answer.success().map(|data| Self(data.to_owned())))
    }
}

object! {
    /// The answer to any request.
    EnvelopeBody<'de> {
        code: Num<'de> = "code",
        msg: Text<'de> = "msg",
        data: Raw<'de> = "data",
    }
}

impl<'de> Member<EnvelopeBody<'de>> {
    /// Converts the mirror to an envelope, with the data still as JSON.
    fn into_envelope(self) -> Result<Envelope<&'de RawValue>, DecodeError> {
        let body = self.required("")?;
        let code = body.code.code("code")?;
        Ok(Envelope {
            code: code.ok_or_else(|| DecodeError::new(DecodeErrorKind::Missing, "code"))?,
            msg: body.msg.string("msg")?.unwrap_or_default(),
            data: body.data.optional("data")?.map(|Raw(raw)| raw),
            extra: body.rest.check(&mut UnknownLeft::new())?.into(),
        })
    }
}

object! {
    /// The answer to a submit.
    SubmittedTaskData<'de> {
        camel_task_id: Text<'de> = "taskId",
        snake_task_id: Text<'de> = "task_id",
    }
}

impl Member<SubmittedTaskData<'_>> {
    fn into_submitted(self) -> Result<SubmittedTask, DecodeError> {
        let data = self.required("")?;
        let id = one_task_id(
            ("taskId", data.camel_task_id),
            [("task_id", data.snake_task_id)],
        )?;
        Ok(SubmittedTask {
            task_id: TaskId::checked(id),
            extra: data.rest.check(&mut UnknownLeft::new())?.into(),
        })
    }
}

/// An envelope to encode.
struct EnvelopeOut<'a, T>(&'a Envelope<T>);

impl<T: Serialize> Serialize for EnvelopeOut<'_, T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("code", &self.0.code.0)?;
        if !self.0.has_undecoded_data() {
            map.serialize_entry("data", &self.0.data)?;
        }
        map.serialize_entry("msg", &self.0.msg)?;
        extra(&mut map, &self.0.extra)?;
        map.end()
    }
}

impl Serialize for SubmittedTask {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("taskId", self.task_id.as_str())?;
        extra(&mut map, &self.extra)?;
        map.end()
    }
}
