//! The body of a request, in the spelling of each route.

use serde::ser::{Serialize, SerializeMap, Serializer};

use crate::Route;
use crate::request::{FieldKind, Members, Value};

impl Members {
    /// Writes the body for a route.
    pub(crate) fn encode(&self, route: Route) -> Vec<u8> {
        match route {
            Route::Direct => super::write(&Body(self, route)),
            Route::Jobs => super::write(&Job(self)),
        }
    }
}

/// The fields of a request as members; on the direct route, the callback URL is one of them.
struct Body<'a>(&'a Members, Route);

impl Serialize for Body<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self(members, route) = self;
        let mut map = serializer.serialize_map(None)?;
        for (field, value) in members.iter() {
            let is_unset_flag = field.is_required() && field.kind() == FieldKind::Flag;
            let value = value.or(is_unset_flag.then_some(&Value::Flag(false)));
            let name = match route {
                Route::Direct => field.member(),
                Route::Jobs => field.name(),
            };
            if let Some(value) = value {
                map.serialize_entry(name, value)?;
            }
        }
        if let (Route::Direct, Some(url)) = (route, members.callback_url()) {
            map.serialize_entry(members.operation().callback_member(), url)?;
        }
        map.end()
    }
}

/// The envelope of the jobs route (`PROTOCOL.md 5.1`).
struct Job<'a>(&'a Members);

impl Serialize for Job<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self(members) = self;
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("model", members.operation().jobs_model())?;
        if let Some(url) = members.callback_url() {
            map.serialize_entry("callBackUrl", url)?;
        }
        map.serialize_entry("input", &Body(members, Route::Jobs))?;
        map.end()
    }
}

impl Serialize for Value {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Text(text) => text.serialize(serializer),
            Self::List(texts) => texts.serialize(serializer),
            Self::Number(number) => number.serialize(serializer),
            Self::Integer(number) => number.serialize(serializer),
            Self::Flag(flag) => flag.serialize(serializer),
        }
    }
}
