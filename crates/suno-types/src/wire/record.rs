//! A task's record, in both dialects.

use std::borrow::Cow;

use serde::Serialize;
use serde::ser::{SerializeMap, Serializer};
use serde_json::value::{RawValue, to_raw_value};

use super::callback::{JobResult, TracksOut, job_result};
use super::member::{Member, Num, Text};
use super::object::{UnknownLeft, object};
use super::one_task_id;
use super::track::{CamelTrack, Spelling, created_at, entry, extra, tracks};
use crate::envelope::sealed::Sealed;
use crate::error::DecodeErrorKind;
use crate::{DecodeError, Envelope, Extra, Payload, TaskId, TaskRecord, TaskStatus};

impl TaskRecord {
    /// Reads the answer to a poll. `data` is `None` while the task is not visible.
    ///
    /// # Errors
    ///
    /// [`DecodeError`] if the body is not an envelope, or its data is not a record.
    pub fn decode(body: &[u8]) -> Result<Envelope<Self>, DecodeError> {
        Envelope::decode(body)
    }
}

impl Sealed for TaskRecord {}

impl Payload for TaskRecord {
    fn read(data: &str) -> Result<Self, DecodeError> {
        super::parse_text::<Member<RecordData<'_>>>(data)?.into_record()
    }
}

object! {
    /// A task's record.
    RecordData<'de> {
        task_id: Text<'de> = "taskId",
        status: Text<'de> = "status",
        kind: Text<'de> = "type",
        operation_type: Text<'de> = "operationType",
        response: RecordResponse<'de> = "response",
        error_code: Num<'de> = "errorCode",
        error_message: Text<'de> = "errorMessage",
        created_at: Num<'de> = "createTime",
        state: Text<'de> = "state",
        result_json: Text<'de> = "resultJson",
        fail_code: Num<'de> = "failCode",
        fail_msg: Text<'de> = "failMsg",
    }
}

object! {
    /// The object `response` of a record.
    RecordResponse<'de> {
        task_id: Text<'de> = "taskId",
        tracks: Vec<Member<CamelTrack<'de>>> = "sunoData",
    }
}

impl Member<RecordData<'_>> {
    fn into_record(self) -> Result<TaskRecord, DecodeError> {
        let mut data = self.required("")?;
        let has_response = matches!(data.response, Member::Is(_));
        let mut response = std::mem::take(&mut data.response)
            .optional("response")?
            .unwrap_or_default();
        let id = one_task_id(
            ("taskId", std::mem::take(&mut data.task_id)),
            [("response.taskId", std::mem::take(&mut response.task_id))],
        )?;
        let mut left = UnknownLeft::new();
        let mut record = TaskRecord::new(TaskId::checked(id), TaskStatus::PENDING);
        record.kind = std::mem::take(&mut data.kind).string("type")?;
        record.operation_type = std::mem::take(&mut data.operation_type).string("operationType")?;
        record.created_at = created_at(std::mem::take(&mut data.created_at), "createTime")?;
        match (&data.state, &data.status) {
            (Member::Is(_), Member::Absent | Member::Null) => {
                data.read_job(&mut record, &mut left)?;
                if has_response {
                    record.keep_response(response, &mut left)?;
                }
            }
            _ => data.read_generation(response, &mut record, &mut left)?,
        }
        Ok(record)
    }
}

/// An error code, or the JSON text of a word that was sent instead of one.
enum ErrorCode<'de> {
    None,
    Number(crate::Code),
    Word(&'de str),
}

fn error_code<'de>(member: Member<Num<'de>>, path: &str) -> Result<ErrorCode<'de>, DecodeError> {
    let Some(json) = member.json(path)? else {
        return Ok(ErrorCode::None);
    };
    match Num::integer_of(json) {
        Ok(code) => Ok(ErrorCode::Number(crate::Code(code))),
        Err(_) if json == "\"\"" => Ok(ErrorCode::None),
        // The set of codes is open: a word is a failure, too.
        Err(DecodeErrorKind::WrongType) if json.starts_with('"') => Ok(ErrorCode::Word(json)),
        Err(kind) => Err(DecodeError::new(kind, path)),
    }
}

impl TaskRecord {
    fn take_error_code(&mut self, name: &str, code: ErrorCode<'_>) {
        match code {
            ErrorCode::None => {}
            ErrorCode::Number(code) => self.error_code = Some(code),
            ErrorCode::Word(json) => {
                self.has_error_word = true;
                self.keep_json(name, json);
            }
        }
    }
}

impl RecordData<'_> {
    fn read_generation(
        self,
        response: RecordResponse<'_>,
        record: &mut TaskRecord,
        left: &mut UnknownLeft,
    ) -> Result<(), DecodeError> {
        record.extra = self.rest.check(left)?.into();
        let status = self.status.text("status")?;
        let status = status.ok_or_else(|| DecodeError::new(DecodeErrorKind::Missing, "status"))?;
        record.status = TaskStatus::from(&*status);
        record.take_error_code("errorCode", error_code(self.error_code, "errorCode")?);
        record.error_message = self.error_message.string("errorMessage")?;
        record.tracks = tracks(response.tracks, "response.sunoData", left)?;
        let rest = response.rest.check(left);
        record.response_extra = rest.map_err(|err| err.inside("response"))?.into();
        record.keep_text("state", self.state.text("state")?);
        record.keep_text("resultJson", self.result_json.text("resultJson")?);
        record.keep_text("failMsg", self.fail_msg.text("failMsg")?);
        if let Some(json) = self.fail_code.json("failCode")? {
            record.keep_json("failCode", json);
        }
        Ok(())
    }

    fn read_job(self, record: &mut TaskRecord, left: &mut UnknownLeft) -> Result<(), DecodeError> {
        record.extra = self.rest.check(left)?.into();
        let state = self.state.text("state")?.unwrap_or_default();
        record.status = TaskStatus::from(&*state);
        record.is_job = true;
        record.take_error_code("failCode", error_code(self.fail_code, "failCode")?);
        record.error_message = self.fail_msg.string("failMsg")?;
        let result = JobResult::read(self.result_json.text("resultJson")?.as_deref(), left)?;
        record.tracks = result.tracks;
        record.response_extra = result.extra;
        record.keep_text("errorMessage", self.error_message.text("errorMessage")?);
        if let Some(json) = self.error_code.json("errorCode")? {
            record.keep_json("errorCode", json);
        }
        Ok(())
    }
}

impl TaskRecord {
    fn keep_text(&mut self, name: &str, text: Option<Cow<'_, str>>) {
        if let Some(raw) = text.and_then(|text| to_raw_value(&text).ok()) {
            self.extra.keep(name.into(), raw);
        }
    }

    /// Keeps the object `response`, which a record of the jobs dialect usually does not have.
    fn keep_response(
        &mut self,
        response: RecordResponse<'_>,
        left: &mut UnknownLeft,
    ) -> Result<(), DecodeError> {
        let mut kept = Self::new(self.task_id.clone(), TaskStatus::PENDING);
        kept.tracks = tracks(response.tracks, "response.sunoData", left)?;
        let rest = response.rest.check(left);
        kept.response_extra = rest.map_err(|err| err.inside("response"))?.into();
        if let Ok(raw) = to_raw_value(&ResponseOut(&kept)) {
            self.extra.keep("response".into(), raw);
        }
        Ok(())
    }

    fn keep_json(&mut self, name: &str, json: &str) {
        if let Ok(raw) = RawValue::from_string(json.to_owned()) {
            self.extra.keep(name.into(), raw);
        }
    }
}

impl Serialize for TaskRecord {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("taskId", self.task_id.as_str())?;
        entry(&mut map, "type", &self.kind)?;
        entry(&mut map, "operationType", &self.operation_type)?;
        entry(&mut map, "createTime", &self.created_at)?;
        let code = self.error_code.map(|code| code.0);
        if self.is_job {
            let result = job_result(&self.tracks, &self.response_extra)?;
            map.serialize_entry("state", self.status.as_str())?;
            map.serialize_entry("resultJson", &result)?;
            entry(&mut map, "failCode", &code)?;
            entry(&mut map, "failMsg", &self.error_message)?;
        } else {
            map.serialize_entry("status", self.status.as_str())?;
            map.serialize_entry("response", &ResponseOut(self))?;
            entry(&mut map, "errorCode", &code)?;
            entry(&mut map, "errorMessage", &self.error_message)?;
        }
        extra(&mut map, &self.extra)?;
        map.end()
    }
}

struct ResponseOut<'a>(&'a TaskRecord);

impl Serialize for ResponseOut<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self(record) = self;
        let rest: &Extra = &record.response_extra;
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("taskId", record.task_id.as_str())?;
        map.serialize_entry("sunoData", &TracksOut(&record.tracks, Spelling::Camel))?;
        extra(&mut map, rest)?;
        map.end()
    }
}
