//! Writing a callback: its fields, and beside them the members that were kept as they were sent.

use serde::Serialize;
use serde::ser::{SerializeMap, Serializer};

use super::derive::Derived;
use super::track::{Spelling, TracksOut};
use crate::{Callback, CallbackType, Extra};

impl Callback {
    /// Writes the body, in the shape that was read: members from which something was derived are
    /// written as they were sent. A field that was changed since is written in addition, in the usual
    /// shape, and decoding prefers it.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        super::write(&CallbackOut(self))
    }
}

/// The places of a task id in an object, the usual one first.
const ID_NAMES: [&str; 2] = ["task_id", "taskId"];

/// The name under which an id is written: one that no member has that was kept.
fn id_name(kept: &Extra) -> Option<&'static str> {
    let mut names = ID_NAMES.into_iter();
    names.find(|name| kept.json(name).is_none())
}

/// An object that is written from fields and from members that were kept. A field precedes.
pub(super) struct Object<'a, M> {
    map: M,
    kept: &'a Extra,
    written: Vec<&'static str>,
}

impl<'a, M: SerializeMap> Object<'a, M> {
    pub(super) fn new(map: M, kept: &'a Extra) -> Self {
        Self {
            map,
            kept,
            written: Vec::new(),
        }
    }

    pub(super) fn field<T: Serialize>(
        &mut self,
        name: &'static str,
        value: &T,
    ) -> Result<(), M::Error> {
        self.written.push(name);
        self.map.serialize_entry(name, value)
    }

    /// Writes a field, if it has a value.
    pub(super) fn optional<T: Serialize>(
        &mut self,
        name: &'static str,
        value: Option<&T>,
    ) -> Result<(), M::Error> {
        value.map_or(Ok(()), |value| self.field(name, value))
    }

    pub(super) fn end(mut self) -> Result<M::Ok, M::Error> {
        for (name, value) in self.kept.raw() {
            if !self.written.iter().any(|written| *written == name) {
                self.map.serialize_entry(name, value)?;
            }
        }
        self.map.end()
    }
}

/// A callback to encode.
struct CallbackOut<'a>(&'a Callback);

impl Serialize for CallbackOut<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self(callback) = self;
        let mut object = Object::new(serializer.serialize_map(None)?, &callback.extra);
        object.field("code", &callback.code.0)?;
        let has_data = callback.extra.json("data").is_some();
        if has_data || id_name(&callback.data_extra).is_none() {
            let name = id_name(&callback.extra).unwrap_or("taskId");
            object.field(name, &callback.task_id.as_str())?;
        }
        if !has_data {
            object.field("data", &DataOut(callback))?;
        }
        let is_kept = callback.msg.is_empty() && callback.extra.json("msg").is_some();
        object.optional("msg", Some(&callback.msg).filter(|_| !is_kept))?;
        object.end()
    }
}

struct DataOut<'a>(&'a Callback);

impl Serialize for DataOut<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self(callback) = self;
        let said = Derived::again(&callback.extra, &callback.data_extra);
        let mut object = Object::new(serializer.serialize_map(None)?, &callback.data_extra);
        let word = callback.callback_type.as_ref().map(CallbackType::as_str);
        object.optional("callbackType", word.as_ref())?;
        if let Some(name) = id_name(&callback.data_extra) {
            object.field(name, &callback.task_id.as_str())?;
        }
        let is_said = callback.tracks == said.tracks;
        let is_usual =
            callback.callback_type.is_some() && callback.data_extra.json("data").is_none();
        if !is_said || (callback.tracks.is_empty() && is_usual) {
            object.field("data", &TracksOut(&callback.tracks, Spelling::Snake))?;
        }
        let error = callback
            .error
            .as_ref()
            .filter(|_| callback.error != said.error);
        object.optional("error", error)?;
        let code = callback.fail_code.as_ref();
        object.optional(
            "failCode",
            code.filter(|_| callback.fail_code != said.fail_code),
        )?;
        object.end()
    }
}
