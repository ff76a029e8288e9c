//! The body of a callback of any shape, read member by member.

use super::derive::{Derived, Place, is_list, take_error, word_name};
use super::member::Num;
use super::members::{Ids, Members, is_empty, is_null, is_object, open};
use super::object::UnknownLeft;
use super::track::Spelling;
use crate::error::DecodeErrorKind;
use crate::{Callback, CallbackType, Code, DecodeError, Stage, TaskId};

/// Reads a callback. The text is JSON that is not too deep.
pub(super) fn callback(json: &str) -> Result<Callback, DecodeError> {
    let mut root = open(json)?;
    let inside = |err: DecodeError| err.inside("data");
    let mut data = match root.get("data") {
        Some(raw) if is_object(raw) => open(raw.get()).map_err(inside)?,
        _ => Members::default(),
    };
    let task_id = task_id(&mut root, &mut data)?;
    let code = code(&root)?;
    root.remove("code");
    let mut left = UnknownLeft::new();
    let derived = match root.get("data") {
        Some(raw) if is_list(raw) => Derived::of_list(raw, "data", &mut left)?,
        Some(raw) if !is_object(raw) && !is_null(raw) => Derived::default(),
        _ => {
            root.remove("data");
            Derived::of_members(&data, &mut left).map_err(inside)?
        }
    };
    let mut callback = Callback::new(task_id, code);
    callback.msg = root.take_string("msg").unwrap_or_default();
    let word = data.filled(&["callbackType"]);
    if word.is_some() {
        data.remove("callbackType");
    }
    match &word {
        Some(word) if word.len() > Stage::WORD_BYTES_MAX => {
            return Err(out_of_range("data.callbackType"));
        }
        Some(_) => {}
        None => derived.check_word().map_err(|()| {
            out_of_range(&format!("data.{}", word_name(&data).unwrap_or_default()))
        })?,
    }
    callback.callback_type = word.map(CallbackType::from);
    callback.error = take_error(&mut data, "error");
    take_tracks(&mut data, &callback, &derived);
    callback.fail_code = derived.fail_code;
    callback.tracks = derived.tracks;
    callback.reading = derived.reading;
    left.take(root.len())?;
    left.take(data.len()).map_err(inside)?;
    callback.extra = root.into();
    callback.data_extra = data.into();
    Ok(callback)
}

fn out_of_range(path: &str) -> DecodeError {
    DecodeError::new(DecodeErrorKind::OutOfRange, path)
}

/// Takes the member `data` out, if encoding the tracks writes it back as it was sent, so that it need
/// not be kept.
fn take_tracks(data: &mut Members<'_>, callback: &Callback, derived: &Derived) {
    let Some(raw) = data.get("data") else {
        return;
    };
    let has_no_tracks = is_null(raw) || is_empty(raw);
    if has_no_tracks {
        if derived.tracks.is_empty() && callback.callback_type.is_some() {
            data.remove("data");
        }
        return;
    }
    // An array that is not empty is the first place where tracks are looked for.
    let is_first = is_list(raw) && derived.place == Place::Data;
    if is_first && derived.spelled.is_only(Spelling::Snake) {
        derived.take_written(data, "data");
    }
}

/// Takes the task id out of all its places.
fn task_id(root: &mut Members<'_>, data: &mut Members<'_>) -> Result<TaskId, DecodeError> {
    let mut ids = Ids::default();
    ids.take(root, &["task_id", "taskId"], "")?;
    if let Some(response) = data.get("response").filter(|raw| is_object(raw)) {
        let response = open(response.get());
        let mut response = response.map_err(|err| err.inside("data.response"))?;
        ids.take(&mut response, &["taskId"], "data.response.")?;
    }
    ids.take(data, &["taskId", "task_id"], "data.")?;
    ids.one("data.task_id")
}

fn code(root: &Members<'_>) -> Result<Code, DecodeError> {
    let missing = || DecodeError::new(DecodeErrorKind::Missing, "code");
    let raw = root.get("code").filter(|raw| !is_null(raw));
    let code = Num::integer_of(raw.ok_or_else(missing)?.get());
    code.map(Code)
        .map_err(|kind| DecodeError::new(kind, "code"))
}
