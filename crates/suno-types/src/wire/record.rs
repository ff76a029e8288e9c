//! A task's record, of every product and in both dialects.

use serde::Serialize;
use serde::ser::{SerializeMap, Serializer};
use serde_json::value::{RawValue, to_raw_value};

use super::derive::{Derived, Place, is_list, take_error, word_name};
use super::encode::Object;
use super::members::{Ids, Members, is_object, open};
use super::object::UnknownLeft;
use super::track::{Moment, Spelling, TracksOut, take_kind};
use crate::callback::Callback;
use crate::envelope::sealed::{Answer, Sealed};
use crate::error::DecodeErrorKind;
use crate::record::Form;
use crate::{CallbackType, Code, DecodeError, Envelope, Extra, Payload, Stage, TaskId, TaskRecord};
use crate::{Product, TaskStatus, Track};

impl TaskRecord {
    /// Reads the answer to a poll of any product. `data` is `None` while the task is not visible, and
    /// while a recovery is running ([`Envelope::is_running`]).
    ///
    /// # Errors
    ///
    /// [`DecodeError`] if the body is not an envelope, or its data is not a record of one task.
    pub fn decode(body: &[u8]) -> Result<Envelope<Self>, DecodeError> {
        Envelope::decode(body)
    }

    /// Converts the record to the callback with the same content, so that polls and callbacks can
    /// be handled alike; `None` if the record reports no stage yet.
    ///
    /// A failure without a code gets [`Code::GENERATION_FAILED`]. All members are kept but those with
    /// the callback URL, `param` among them, because the URL can contain a token.
    #[must_use]
    pub fn to_callback(&self) -> Option<Callback> {
        Some(self.as_callback(&self.stage()?))
    }

    /// Converts a record that [has no result](Self::is_without_result) although the task succeeded to
    /// a complete callback with all that it says; `None` for any other record.
    #[must_use]
    pub fn to_callback_without_result(&self) -> Option<Callback> {
        self.is_without_result()
            .then(|| self.as_callback(&Stage::Complete))
    }

    fn as_callback(&self, stage: &Stage) -> Callback {
        let mut callback = Callback::new(self.task_id.clone(), self.code(stage));
        if *stage == Stage::Failed {
            callback.msg = self.error_message.clone().unwrap_or_default();
        }
        // The members are those that encoding writes, so that neither knows more than the other.
        match self.list() {
            Some(list) => callback.extra.keep("data".into(), list.to_owned()),
            None => {
                callback.callback_type = Some(CallbackType::from(match stage {
                    Stage::Failed => "error",
                    stage => stage.as_str(),
                }));
                callback.data_extra = self.members().unwrap_or_default();
                callback.data_extra.remove(&["taskId"]);
                callback.data_extra.remove(&["param"]);
                callback.data_extra.remove(&Extra::CALLBACK_URLS);
            }
        }
        // What was kept has what else the callback says.
        callback.tracks.clone_from(&self.tracks);
        Callback::decode(&callback.encode()).unwrap_or(callback)
    }

    /// The members as they are encoded.
    fn members(&self) -> Option<Extra> {
        let json = serde_json::to_string(self).ok()?;
        Some(open(&json).ok()?.into())
    }

    /// What the members that were kept say, read as they were with the fields that were not.
    fn said(&self) -> Derived {
        let kind = self.kind.as_ref().and_then(|kind| to_raw_value(kind).ok());
        let status = to_raw_value(self.status.as_str()).ok();
        let status_name = match self.form {
            Form::Status => Some("status"),
            Form::State => Some("state"),
            Form::Kept | Form::List => None,
        };
        let mut members = Members::from(&self.extra);
        if let Some(kind) = &kind {
            members.add("type", kind);
        }
        if let (Some(name), Some(status)) = (status_name, &status) {
            members.add(name, status);
        }
        Derived::of_members(&members, &mut UnknownLeft::new()).unwrap_or_default()
    }

    /// The array of tracks that is the whole record of a recovery.
    fn list(&self) -> Option<&RawValue> {
        let mut members = self.extra.raw().filter(|_| self.form == Form::List);
        members.find_map(|(name, raw)| (name == "data").then_some(raw))
    }
}

impl Sealed for TaskRecord {}

impl Payload for TaskRecord {
    fn read(answer: &Answer<'_>) -> Result<Option<Self>, DecodeError> {
        match answer.data {
            Some(raw) if is_list(raw) => read_list(answer, raw),
            Some(raw) if answer.is_success() => {
                super::depth::check(raw.get())?;
                read(open(raw.get())?).map(Some)
            }
            _ => Ok(None),
        }
    }
}

/// Reads an array of tracks, which is the record of a recovery if the envelope names its task.
fn read_list(answer: &Answer<'_>, raw: &RawValue) -> Result<Option<TaskRecord>, DecodeError> {
    let Some(task_id) = answer.task_id() else {
        let is_wrong = answer.is_success();
        let wrong = DecodeError::new(DecodeErrorKind::WrongType, "");
        return if is_wrong { Err(wrong) } else { Ok(None) };
    };
    let mut record = TaskRecord::new(task_id, TaskStatus::UNSPECIFIED);
    record.form = Form::List;
    if !answer.is_success() {
        record.error_code = Some(answer.code);
    }
    let derived = Derived::of_list(raw, "", &mut UnknownLeft::new())?;
    record.tracks = derived.tracks;
    record.reading = derived.reading;
    record.extra.keep("data".into(), raw.to_owned());
    Ok(Some(record))
}

fn read(mut data: Members<'_>) -> Result<TaskRecord, DecodeError> {
    let mut ids = Ids::default();
    let mut response = match data.get("response").filter(|raw| is_object(raw)) {
        Some(raw) => Some(open(raw.get()).map_err(|err| err.inside("response"))?),
        None => None,
    };
    if let Some(response) = &mut response {
        ids.take(response, &["taskId"], "response.")?;
    }
    ids.take(&mut data, &["taskId", "task_id"], "")?;
    let mut record = TaskRecord::new(ids.one("taskId")?, TaskStatus::UNSPECIFIED);
    let mut left = UnknownLeft::new();
    let derived = Derived::of_members(&data, &mut left)?;
    let name = word_name(&data);
    if let Some(word) = &derived.reading.word {
        record.status = TaskStatus::from(&**word);
    }
    record.form = match name {
        Some("status") => Form::Status,
        Some("state") => Form::State,
        _ => Form::Kept,
    };
    if record.form != Form::Kept {
        data.remove(name.unwrap_or_default());
    }
    record.kind = data.take_string("type");
    record.operation_type = data.take_string("operationType");
    record.created_at = take_kind::<Moment>(&mut data, "createTime");
    record.error_code = data.take_integer(record.form.fail_code()).map(Code);
    record.error_message = take_error(&mut data, record.form.fail_msg());
    let is_consumed = response.is_some_and(|rest| is_only_tracks(&rest, &derived));
    if is_consumed && record.form == Form::Status {
        derived.take_written(&mut data, "response");
    }
    record.tracks = derived.tracks;
    record.reading = derived.reading;
    // The status says it already, and songs need not be named.
    record.reading.word = None;
    let is_song = record.form == Form::Status && record.reading.hint == Some(Product::SONG);
    record.reading.hint = record.reading.hint.filter(|_| !is_song);
    left.take(data.len())?;
    record.extra = data.into();
    Ok(record)
}

/// Returns whether the object `response` has nothing but tracks, spelled as records are.
fn is_only_tracks(response: &Members<'_>, derived: &Derived) -> bool {
    derived.place == Place::Response
        && derived.spelled.is_only(Spelling::Camel)
        && response.has("sunoData")
        && response.len() == 1
}

impl Form {
    fn fail_code(self) -> &'static str {
        match self {
            Self::State => "failCode",
            _ => "errorCode",
        }
    }

    fn fail_msg(self) -> &'static str {
        match self {
            Self::State => "failMsg",
            _ => "errorMessage",
        }
    }
}

impl Serialize for TaskRecord {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if let Some(list) = self.list() {
            return list.serialize(serializer);
        }
        let said = self.said();
        let mut object = Object::new(serializer.serialize_map(None)?, &self.extra);
        object.field("taskId", &self.task_id.as_str())?;
        object.optional("type", self.kind.as_ref())?;
        object.optional("operationType", self.operation_type.as_ref())?;
        object.optional("createTime", self.created_at.as_ref())?;
        let status = self.status.as_str();
        match self.form {
            Form::State => object.field("state", &status)?,
            Form::Status => object.field("status", &status)?,
            // The kept members have it already.
            _ if said.reading.word.as_deref() == Some(status) => {}
            _ if self.status == TaskStatus::UNSPECIFIED => {}
            _ => object.field("status", &status)?,
        }
        if self.tracks != said.tracks {
            object.field("response", &ResponseOut(self.task_id.clone(), &self.tracks))?;
        }
        let code = self.error_code.map(|code| code.0);
        object.optional(self.form.fail_code(), code.as_ref())?;
        let message = self.error_message.as_ref();
        let message = message.filter(|_| self.error_message != said.error);
        object.optional(self.form.fail_msg(), message)?;
        object.end()
    }
}

/// The object `response` of a record of songs.
struct ResponseOut<'a>(TaskId, &'a [Track]);

impl Serialize for ResponseOut<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("taskId", self.0.as_str())?;
        map.serialize_entry("sunoData", &TracksOut(self.1, Spelling::Camel))?;
        map.end()
    }
}
