//! Members of an object that are taken by name and type. What is not taken stays as it was sent, so
//! that a member of an unexpected type hides no other.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::member::{Items, Member, Num, Text};
use super::object::Open;
use super::{depth, surrogate};
use crate::error::DecodeErrorKind;
use crate::extra::ExtraRef;
use crate::{DecodeError, TaskId};

/// The members of an object, borrowed from the body.
pub(super) type Members<'a> = ExtraRef<'a>;

/// Reads the members of an object. The error is [`DecodeErrorKind::WrongType`] for another value, and
/// [`DecodeErrorKind::DuplicateKey`] for a key that occurs twice.
pub(super) fn open(json: &str) -> Result<Members<'_>, DecodeError> {
    let syntax = |_| DecodeError::new(DecodeErrorKind::Syntax, "");
    let member: Member<Open<'_>> = serde_json::from_str(json).map_err(syntax)?;
    member.required("")?.0.into_members()
}

/// Reads a value of the right type; `None` for another one.
pub(super) fn read<'a, T>(raw: &'a RawValue) -> Option<T>
where
    Member<T>: Deserialize<'a>,
{
    match serde_json::from_str(raw.get()) {
        Ok(Member::Is(value)) => Some(value),
        _ => None,
    }
}

pub(super) fn is_object(raw: &RawValue) -> bool {
    raw.get().starts_with('{')
}

pub(super) fn is_null(raw: &RawValue) -> bool {
    raw.get() == "null"
}

/// The path of a member.
pub(super) fn at(path: &str, name: &str) -> String {
    match path {
        "" => name.to_owned(),
        path => format!("{path}.{name}"),
    }
}

/// Returns whether the value is an empty array.
pub(super) fn is_empty(raw: &RawValue) -> bool {
    results(raw, "").is_ok_and(|items| items.is_some_and(|items| items.is_empty()))
}

/// The string in a value.
pub(super) fn text(raw: &RawValue) -> Option<Cow<'_, str>> {
    read::<Text<'_>>(raw).map(|Text(text)| text)
}

/// The string in a value, if it is not empty.
pub(super) fn filled(raw: &RawValue) -> Option<String> {
    text(raw)
        .filter(|text| !text.is_empty())
        .map(Cow::into_owned)
}

/// The number in a value: a number, or text that contains one.
pub(super) fn number(raw: &RawValue) -> Option<f64> {
    let number: Member<Num<'_>> = serde_json::from_str(raw.get()).ok()?;
    number.float("").ok().flatten()
}

/// The elements of an array; `None` if it is not an array. The error is [`DecodeErrorKind::OutOfRange`] if
/// there are more than `MAX`.
pub(super) fn items<'a, T: Deserialize<'a>, const MAX: usize>(
    raw: &'a RawValue,
    path: &str,
) -> Result<Option<Vec<T>>, DecodeError> {
    match read::<Items<T, MAX>>(raw) {
        Some(Items(items)) if items.len() > MAX => {
            Err(DecodeError::new(DecodeErrorKind::OutOfRange, path))
        }
        items => Ok(items.map(|Items(items)| items)),
    }
}

/// The elements of an array of results; `None` if it is not an array.
pub(super) fn results<'a>(
    raw: &'a RawValue,
    path: &str,
) -> Result<Option<Vec<&'a RawValue>>, DecodeError> {
    items::<_, { DecodeError::TRACKS_MAX }>(raw, path)
}

/// The JSON of an object or an array that is there as itself, as its text, or as the text of its text;
/// `None` if it is neither. The text need not be JSON.
fn json_text<'a>(raw: &'a RawValue, opening: char) -> Option<Cow<'a, str>> {
    if raw.get().starts_with(opening) {
        return Some(Cow::Borrowed(raw.get()));
    }
    let mut json = surrogate::repair(text(raw)?);
    if json.trim_start().starts_with('"') {
        let inner: String = serde_json::from_str(&json).ok()?;
        json = Cow::Owned(surrogate::repair(Cow::Owned(inner)).into_owned());
    }
    let is_meant = json.trim_start().starts_with(opening) && depth::check(&json).is_ok();
    is_meant.then_some(json)
}

/// The JSON of an object, as [`json_text`].
pub(super) fn object_text(raw: &RawValue) -> Option<Cow<'_, str>> {
    json_text(raw, '{')
}

/// The JSON of an array, as [`json_text`].
pub(super) fn list_text(raw: &RawValue) -> Option<Cow<'_, str>> {
    json_text(raw, '[')
}

/// Reads the members of an object from [`object_text`]; `None` if the text turns out not to be JSON.
pub(super) fn open_text<'a>(
    json: Option<&'a str>,
    path: &str,
) -> Result<Option<Members<'a>>, DecodeError> {
    match json.map(open).transpose() {
        Err(err) if err.kind() == DecodeErrorKind::Syntax => Ok(None),
        members => members.map_err(|err| err.inside(path)),
    }
}

impl<'a> ExtraRef<'a> {
    /// The first of these members that `read` accepts.
    pub(super) fn first<T>(
        &self,
        names: &[&str],
        read: impl Fn(&'a RawValue) -> Option<T>,
    ) -> Option<T> {
        names.iter().find_map(|name| read(self.get(name)?))
    }

    /// The first of these members that is a text.
    pub(super) fn text(&self, names: &[&str]) -> Option<Cow<'a, str>> {
        self.first(names, text)
    }

    /// The first of these members that is a text which is not empty.
    pub(super) fn filled(&self, names: &[&str]) -> Option<String> {
        self.first(names, filled)
    }

    /// Takes a member out, if `read` accepts it. A null is taken too: it is nothing.
    pub(super) fn take<T>(
        &mut self,
        name: &str,
        read: impl Fn(&'a RawValue) -> Option<T>,
    ) -> Option<T> {
        let raw = self.get(name)?;
        let value = read(raw);
        if value.is_some() || is_null(raw) {
            self.remove(name);
        }
        value
    }

    pub(super) fn take_string(&mut self, name: &str) -> Option<String> {
        self.take(name, |raw| text(raw).map(Cow::into_owned))
    }

    /// Takes a whole number out.
    pub(super) fn take_integer(&mut self, name: &str) -> Option<i64> {
        self.take(name, |raw| Num::integer_of(raw.get()).ok())
    }

    /// Returns whether one of these members exists, even if it is null.
    pub(super) fn has_any<'n>(&self, names: impl IntoIterator<Item = &'n &'n str>) -> bool {
        !self.is_empty() && names.into_iter().any(|name| self.has(name))
    }
}

/// The places of a task id that were found to have one.
#[derive(Debug, Default)]
pub(super) struct Ids {
    found: Option<TaskId>,
}

impl Ids {
    /// Takes the ids with these names out of an object. `path` is that of the object, ending in a
    /// full stop unless it is the root.
    pub(super) fn take(
        &mut self,
        members: &mut Members<'_>,
        names: &[&str],
        path: &str,
    ) -> Result<(), DecodeError> {
        for name in names {
            let Some(id) = members.take(name, text).filter(|id| !id.is_empty()) else {
                continue;
            };
            crate::id::check_id(&id).map_err(|_| {
                DecodeError::new(DecodeErrorKind::InvalidId, format!("{path}{name}"))
            })?;
            match &self.found {
                Some(other) if other.as_str() != id => {
                    return Err(DecodeError::new(DecodeErrorKind::IdsDisagree, ""));
                }
                _ => self.found = Some(TaskId::checked(id)),
            }
        }
        Ok(())
    }

    /// The id. If there is none, it is missing at the `usual` place.
    pub(super) fn one(self, usual: &str) -> Result<TaskId, DecodeError> {
        self.found
            .ok_or_else(|| DecodeError::new(DecodeErrorKind::Missing, usual))
    }
}
