//! Objects with known members and any number of unknown ones.

use std::borrow::Cow;

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, Visitor};

use serde_json::value::RawValue;

use super::member::Shape;
use crate::DecodeError;
use crate::error::DecodeErrorKind;
use crate::extra::ExtraRef;

/// The maximum number of members that this version knows in any one object, with room to spare.
const KNOWN_MEMBERS_MAX: usize = 64;

/// The number of unknown members that a text may still have. All objects of the text share one
/// count.
#[derive(Debug, Clone)]
pub(crate) struct UnknownLeft(usize);

impl UnknownLeft {
    pub(crate) fn new() -> Self {
        Self(DecodeError::UNKNOWN_MEMBERS_MAX)
    }

    pub(crate) fn take(&mut self, count: usize) -> Result<(), DecodeError> {
        let left = self.0.checked_sub(count);
        self.0 = left.ok_or_else(|| DecodeError::new(DecodeErrorKind::TooManyMembers, ""))?;
        Ok(())
    }
}

/// The unknown members of an object, and its duplicates.
#[derive(Debug, Default)]
pub(crate) struct Rest<'de> {
    /// The unknown members in the order in which they were sent, at most some more than allowed.
    /// Duplicates are searched later, when the number is known to be small.
    unknown: Vec<(Cow<'de, str>, &'de RawValue)>,
    /// The known members that occur twice, each once.
    duplicates: Vec<Box<str>>,
}

impl<'de> Rest<'de> {
    pub(crate) fn note_duplicate(&mut self, name: &str) {
        if !self.duplicates.iter().any(|known| **known == *name) {
            self.duplicates.push(name.into());
        }
    }

    /// Returns the unknown members, if there are not too many and no key occurs twice.
    pub(crate) fn check(self, left: &mut UnknownLeft) -> Result<ExtraRef<'de>, DecodeError> {
        left.take(self.unknown.len())?;
        self.into_members()
    }

    /// Returns the unknown members, if no key occurs twice, without counting them: some of them are
    /// still to be taken.
    pub(crate) fn into_members(self) -> Result<ExtraRef<'de>, DecodeError> {
        self.check_known()?;
        ExtraRef::new(self.unknown).map_err(|name| duplicate_key(&name))
    }

    /// Fails if a known member occurs twice.
    fn check_known(&self) -> Result<(), DecodeError> {
        self.duplicates
            .first()
            .map_or(Ok(()), |name| Err(duplicate_key(name)))
    }

    /// Fails if one of these members occurs twice.
    pub(crate) fn check_once(&self, names: &[&str]) -> Result<(), DecodeError> {
        let mut duplicates = self.duplicates.iter();
        let duplicate = duplicates.find(|name| names.contains(&&***name));
        duplicate.map_or(Ok(()), |name| Err(duplicate_key(name)))
    }

    /// Returns whether a known member occurs twice.
    pub(crate) fn has_duplicates(&self) -> bool {
        !self.duplicates.is_empty()
    }
}

fn duplicate_key(name: &str) -> DecodeError {
    DecodeError::new(DecodeErrorKind::DuplicateKey, crate::extra::shown(name))
}

/// A key. It is borrowed if it has no escapes.
pub(crate) struct Key<'de>(pub(crate) Cow<'de, str>);

impl<'de> Deserialize<'de> for Key<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct KeyVisitor;

        impl<'de> Visitor<'de> for KeyVisitor {
            type Value = Key<'de>;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a key")
            }

            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Key<'de>, E> {
                Ok(Key(Cow::Borrowed(text)))
            }

            fn visit_str<E>(self, text: &str) -> Result<Key<'de>, E> {
                Ok(Key(Cow::Owned(text.to_owned())))
            }
        }

        deserializer.deserialize_str(KeyVisitor)
    }
}

/// Skips the value of an unknown member.
pub(crate) fn skip<'de, A: MapAccess<'de>>(
    _: &mut Rest<'de>,
    _: Cow<'de, str>,
    map: &mut A,
) -> Result<(), A::Error> {
    map.next_value::<IgnoredAny>().map(|_| ())
}

/// Keeps the value of an unknown member, or skips it if there are too many.
pub(crate) fn keep<'de, A: MapAccess<'de>>(
    rest: &mut Rest<'de>,
    name: Cow<'de, str>,
    map: &mut A,
) -> Result<(), A::Error> {
    if rest.unknown.len() > DecodeError::UNKNOWN_MEMBERS_MAX + KNOWN_MEMBERS_MAX {
        return skip(rest, name, map);
    }
    rest.unknown.push((name, map.next_value()?));
    Ok(())
}

/// Declares the mirror of an object: each member with its key on the wire. Unknown members are kept
/// (`object!`) or skipped (`head!`).
macro_rules! object {
    ($(#[$meta:meta])* $name:ident<'de> { $($field:ident: $type:ty = $key:literal,)* }) => {
        crate::wire::object::mirror! {
            keep, $(#[$meta])* $name<'de> { $($field: $type = $key,)* }
        }
    };
}

/// Declares the mirror of an object whose unknown members are skipped; see [`object!`].
macro_rules! head {
    ($(#[$meta:meta])* $name:ident<'de> { $($field:ident: $type:ty = $key:literal,)* }) => {
        crate::wire::object::mirror! {
            skip, $(#[$meta])* $name<'de> { $($field: $type = $key,)* }
        }
    };
}

/// An object with all its members, all of them unknown so far.
#[derive(Debug)]
pub(crate) struct Open<'de>(pub(crate) Rest<'de>);

impl<'de> Shape<'de> for Open<'de> {
    fn from_map<A: MapAccess<'de>>(mut map: A) -> Result<Option<Self>, A::Error> {
        let mut rest = Rest::default();
        while let Some(Key(key)) = map.next_key()? {
            keep(&mut rest, key, &mut map)?;
        }
        Ok(Some(Self(rest)))
    }
}

macro_rules! mirror {
    (
        $unknown:ident,
        $(#[$meta:meta])* $name:ident<'de> { $($field:ident: $type:ty = $key:literal,)* }
    ) => {
        $(#[$meta])*
        #[derive(Debug, Default)]
        pub(crate) struct $name<'de> {
            $(pub(crate) $field: crate::wire::Member<$type>,)*
            pub(crate) rest: crate::wire::object::Rest<'de>,
        }

        impl<'de> crate::wire::member::Shape<'de> for $name<'de> {
            fn from_map<A: serde::de::MapAccess<'de>>(
                mut map: A,
            ) -> Result<Option<Self>, A::Error> {
                let mut object = Self::default();
                while let Some(crate::wire::object::Key(key)) = map.next_key()? {
                    match &*key {
                        $($key => {
                            if !matches!(object.$field, crate::wire::Member::Absent) {
                                object.rest.note_duplicate(&key);
                            }
                            object.$field = map.next_value()?;
                        })*
                        _ => crate::wire::object::$unknown(&mut object.rest, key, &mut map)?,
                    }
                }
                Ok(Some(object))
            }
        }
    };
}

pub(crate) use {head, mirror, object};
