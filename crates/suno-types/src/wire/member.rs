//! The members of an object: absent, null, of the expected shape, or of another type.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use crate::error::DecodeErrorKind;
use crate::{Code, DecodeError};

/// One member of an object.
#[derive(Debug, Default)]
pub(crate) enum Member<T> {
    /// The object has no such key.
    #[default]
    Absent,
    /// The value is `null`.
    Null,
    /// The value has the expected shape.
    Is(T),
    /// The value is of another type.
    Wrong,
}

impl<T> Member<T> {
    /// The value; `None` if it is absent or null.
    pub(crate) fn optional(self, path: &str) -> Result<Option<T>, DecodeError> {
        match self {
            Self::Is(value) => Ok(Some(value)),
            Self::Absent | Self::Null => Ok(None),
            Self::Wrong => Err(DecodeError::new(DecodeErrorKind::WrongType, path)),
        }
    }

    /// The value. It is an error if it is absent or null.
    pub(crate) fn required(self, path: &str) -> Result<T, DecodeError> {
        self.optional(path)?
            .ok_or_else(|| DecodeError::new(DecodeErrorKind::Missing, path))
    }
}

/// A shape that a member can have. Each shape accepts one kind of JSON value.
pub(crate) trait Shape<'de>: Sized {
    /// Reads a string; `None` if this shape is not a string.
    fn from_text(_: Cow<'de, str>) -> Option<Self> {
        None
    }

    /// Reads an object; `None` if this shape is not an object.
    fn from_map<A: MapAccess<'de>>(mut map: A) -> Result<Option<Self>, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(None)
    }

    /// Reads an array; `None` if this shape is not an array.
    fn from_seq<A: SeqAccess<'de>>(mut seq: A) -> Result<Option<Self>, A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(None)
    }
}

impl<'de, T: Shape<'de>> Deserialize<'de> for Member<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(MemberVisitor(PhantomData))
    }
}

struct MemberVisitor<T>(PhantomData<T>);

impl<T> MemberVisitor<T> {
    fn member(value: Option<T>) -> Member<T> {
        value.map_or(Member::Wrong, Member::Is)
    }
}

impl<'de, T: Shape<'de>> Visitor<'de> for MemberVisitor<T> {
    type Value = Member<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(Member::Null)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
        Ok(Member::Wrong)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Self::Value, E> {
        Ok(Member::Wrong)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Self::Value, E> {
        Ok(Member::Wrong)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Self::Value, E> {
        Ok(Member::Wrong)
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Self::member(T::from_text(Cow::Owned(text.to_owned()))))
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Self::member(T::from_text(Cow::Borrowed(text))))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
        T::from_map(map).map(Self::member)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<Self::Value, A::Error> {
        T::from_seq(seq).map(Self::member)
    }
}

/// A string. It is borrowed if it has no escapes.
#[derive(Debug)]
pub(crate) struct Text<'de>(pub(crate) Cow<'de, str>);

impl<'de> Shape<'de> for Text<'de> {
    fn from_text(text: Cow<'de, str>) -> Option<Self> {
        Some(Self(text))
    }
}

impl<'de> Member<Text<'de>> {
    pub(crate) fn text(self, path: &str) -> Result<Option<Cow<'de, str>>, DecodeError> {
        Ok(self.optional(path)?.map(|Text(text)| text))
    }

    pub(crate) fn string(self, path: &str) -> Result<Option<String>, DecodeError> {
        Ok(self.text(path)?.map(Cow::into_owned))
    }
}

/// An array. At most `MAX + 1` of its elements are kept, enough to report too many.
#[derive(Debug)]
pub(crate) struct Items<T, const MAX: usize>(pub(crate) Vec<T>);

impl<'de, T: Deserialize<'de>, const MAX: usize> Shape<'de> for Items<T, MAX> {
    fn from_seq<A: SeqAccess<'de>>(mut seq: A) -> Result<Option<Self>, A::Error> {
        let mut items = Vec::new();
        while items.len() <= MAX {
            match seq.next_element()? {
                Some(item) => items.push(item),
                None => return Ok(Some(Self(items))),
            }
        }
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Some(Self(items)))
    }
}

/// The JSON text of a member that should be a number, or a string that contains one.
#[derive(Debug)]
pub(crate) struct Num<'de>(&'de RawValue);

impl<'de> Deserialize<'de> for Member<Num<'de>> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = <&RawValue>::deserialize(deserializer)?;
        Ok(match raw.get().as_bytes().first() {
            Some(b'n') => Self::Null,
            Some(b'-' | b'0'..=b'9' | b'"') => Self::Is(Num(raw)),
            _ => Self::Wrong,
        })
    }
}

impl Num<'_> {
    /// The digits in a JSON text, without the quotes of a numeric string.
    fn digits_of(json: &str) -> &str {
        json.strip_prefix('"')
            .and_then(|text| text.strip_suffix('"'))
            .unwrap_or(json)
    }

    /// The whole number in a JSON text.
    pub(crate) fn integer_of(json: &str) -> Result<i64, DecodeErrorKind> {
        let digits = Self::digits_of(json);
        let unsigned = digits.strip_prefix('-').unwrap_or(digits);
        if unsigned.is_empty() || !unsigned.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(DecodeErrorKind::WrongType);
        }
        digits.parse().map_err(|_| DecodeErrorKind::OutOfRange)
    }

    fn integer(&self) -> Result<i64, DecodeErrorKind> {
        Self::integer_of(self.0.get())
    }

    fn float(&self) -> Result<f64, DecodeErrorKind> {
        let digits = Self::digits_of(self.0.get());
        let numeric = digits.starts_with(|c: char| c == '-' || c.is_ascii_digit());
        match digits.parse::<f64>() {
            Ok(number) if numeric && number.is_finite() => Ok(number),
            Ok(_) if numeric => Err(DecodeErrorKind::OutOfRange),
            _ => Err(DecodeErrorKind::WrongType),
        }
    }
}

impl<'de> Member<Num<'de>> {
    pub(crate) fn integer(self, path: &str) -> Result<Option<i64>, DecodeError> {
        self.optional(path)?
            .map(|number| number.integer())
            .transpose()
            .map_err(|kind| DecodeError::new(kind, path))
    }

    pub(crate) fn code(self, path: &str) -> Result<Option<Code>, DecodeError> {
        Ok(self.integer(path)?.map(Code))
    }

    pub(crate) fn float(self, path: &str) -> Result<Option<f64>, DecodeError> {
        self.optional(path)?
            .map(|number| number.float())
            .transpose()
            .map_err(|kind| DecodeError::new(kind, path))
    }

    /// The JSON text of the number or string, as it was sent.
    pub(crate) fn json(self, path: &str) -> Result<Option<&'de str>, DecodeError> {
        Ok(self.optional(path)?.map(|Num(raw)| raw.get()))
    }
}

/// The JSON text of a member of any type.
#[derive(Debug)]
pub(crate) struct Raw<'de>(pub(crate) &'de RawValue);

impl<'de> Deserialize<'de> for Member<Raw<'de>> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = <&RawValue>::deserialize(deserializer)?;
        Ok(match raw.get() {
            "null" => Self::Null,
            _ => Self::Is(Raw(raw)),
        })
    }
}
