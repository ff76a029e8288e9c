//! The fields of a request: their names, their kinds, and the bounds that a value must keep.

use std::borrow::Cow;
use std::fmt;

use super::url::is_web_url;

/// The longest time in seconds that a field can name, such as the start of a section: an hour.
pub(super) const SECONDS_MAX: f64 = 3_600.0;

/// The maximum number of characters in an id.
const ID_CHARS_MAX: usize = 128;

/// The error for a field that the provider would refuse, found before any byte is sent.
///
/// `Display` shows the field as it is spelled on the wire, and its bound.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field} must be {bound}")]
pub struct InvalidField {
    field: Cow<'static, str>,
    bound: Cow<'static, str>,
}

impl InvalidField {
    pub(super) fn new(
        field: impl Into<Cow<'static, str>>,
        bound: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self {
            field: field.into(),
            bound: bound.into(),
        }
    }

    /// The field as it is spelled on the wire.
    #[must_use]
    pub fn field(&self) -> &str {
        &self.field
    }

    /// The bound that the field must keep.
    #[must_use]
    pub fn bound(&self) -> &str {
        &self.bound
    }
}

/// One field of an [`Operation`](crate::Operation), for programs that make options or forms of it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Field {
    pub(super) name: &'static str,
    pub(super) option: &'static str,
    pub(super) member: &'static str,
    pub(super) help: &'static str,
    pub(super) is_required: bool,
    pub(super) kind: FieldKind,
}

impl Field {
    /// The name in snake_case, as the jobs route spells it: `negative_tags`.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// The name in kebab-case, for the option of a command: `negative-tags`.
    #[must_use]
    pub fn option(&self) -> &'static str {
        self.option
    }

    /// The name of the member in the body of the direct route: `negativeTags`.
    #[must_use]
    pub fn member(&self) -> &'static str {
        self.member
    }

    /// What the field says, as one phrase without its bound.
    #[must_use]
    pub fn help(&self) -> &'static str {
        self.help.trim_ascii()
    }

    /// Returns whether every request must set the field. A [flag](FieldKind::Flag) that is required
    /// counts as `false` if it is not set. Other fields can be required together with others: the
    /// request says so when it is built.
    #[must_use]
    pub fn is_required(&self) -> bool {
        self.is_required
    }

    /// The kind of the value, with its bounds.
    #[must_use]
    pub fn kind(&self) -> FieldKind {
        self.kind
    }

    pub(super) fn invalid(&self) -> InvalidField {
        InvalidField::new(self.member, self.kind.bound())
    }
}

/// The kind of a field's value, with its bounds.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub enum FieldKind {
    /// Text that is not blank, of at most this many characters.
    #[non_exhaustive]
    Text {
        /// The maximum number of characters.
        chars_max: usize,
    },
    /// The id of a task, a track, or a persona: 1 to 128 visible ASCII characters.
    Id,
    /// An absolute `http` or `https` URL without user name and password.
    Url,
    /// A number of such URLs.
    #[non_exhaustive]
    Urls {
        /// The minimum number of URLs.
        min: usize,
        /// The maximum number of URLs.
        max: usize,
    },
    /// The name of a model: 1 to 128 visible ASCII characters. The set is open.
    Model,
    /// One of these words.
    #[non_exhaustive]
    Choice {
        /// The words.
        words: &'static [&'static str],
    },
    /// A number from 0 to 1 in steps of 0.01. It is never rounded.
    Weight,
    /// A whole number.
    #[non_exhaustive]
    Integer {
        /// The least value.
        min: u32,
        /// The greatest value.
        max: u32,
    },
    /// A number of seconds, which can have a fraction.
    #[non_exhaustive]
    Seconds {
        /// The least value.
        min: f64,
        /// The greatest value.
        max: f64,
    },
    /// Yes or no.
    Flag,
}

impl FieldKind {
    /// The bound as prose, as it follows "must be": `1 to 100 characters long`.
    #[must_use]
    pub fn bound(&self) -> Cow<'static, str> {
        match *self {
            Self::Text { chars_max } => format!("1 to {chars_max} characters long").into(),
            Self::Id | Self::Model => "1 to 128 visible ASCII characters".into(),
            Self::Url => "an absolute http or https URL without user name and password".into(),
            Self::Urls { min, max } if min == max => {
                format!("{max} absolute http or https URLs without user name and password").into()
            }
            Self::Urls { min, max } => {
                format!("{min} to {max} absolute http or https URLs without user name and password")
                    .into()
            }
            Self::Choice { words } => format!("one of {}", words.join(", ")).into(),
            Self::Weight => "between 0 and 1 in steps of 0.01".into(),
            Self::Integer { min, max } => format!("a whole number from {min} to {max}").into(),
            Self::Seconds { min, max } => format!("a number of seconds from {min} to {max}").into(),
            Self::Flag => "true or false".into(),
        }
    }

    /// Reads a value from text; `None` if the text is not of this kind. Bounds are checked later.
    pub(super) fn parse(self, text: &str) -> Option<Value> {
        Some(match self {
            Self::Text { .. } | Self::Id | Self::Url | Self::Model | Self::Choice { .. } => {
                Value::Text(text.to_owned())
            }
            Self::Urls { .. } => Value::List(vec![text.to_owned()]),
            Self::Weight | Self::Seconds { .. } => Value::Number(text.parse().ok()?),
            Self::Integer { .. } => Value::Integer(text.parse().ok()?),
            Self::Flag => Value::Flag(text.parse().ok()?),
        })
    }

    /// Returns whether a value is of this kind and within its bounds.
    pub(super) fn allows(self, value: &Value) -> bool {
        match (self, value) {
            (Self::Text { chars_max }, Value::Text(text)) => {
                !text.trim().is_empty() && text.chars().count() <= chars_max
            }
            (Self::Id | Self::Model, Value::Text(text)) => {
                (1..=ID_CHARS_MAX).contains(&text.len())
                    && text.bytes().all(|byte| byte.is_ascii_graphic())
            }
            (Self::Url, Value::Text(url)) => is_web_url(url),
            (Self::Urls { min, max }, Value::List(urls)) => {
                (min..=max).contains(&urls.len()) && urls.iter().all(|url| is_web_url(url))
            }
            (Self::Choice { words }, Value::Text(word)) => words.contains(&&**word),
            (Self::Weight, Value::Number(weight)) => {
                (0..=100_u8).any(|step| f64::from(step) / 100.0 == *weight)
            }
            (Self::Integer { min, max }, Value::Integer(number)) => (min..=max).contains(number),
            (Self::Seconds { min, max }, Value::Number(seconds)) => (min..=max).contains(seconds),
            (Self::Flag, Value::Flag(_)) => true,
            _ => false,
        }
    }

    /// Returns whether a value can be shown: it is neither prose nor a URL, which can hold a token.
    pub(super) fn is_plain(self) -> bool {
        !matches!(self, Self::Text { .. } | Self::Url | Self::Urls { .. })
    }
}

/// The value of a field.
#[derive(Clone, PartialEq)]
pub(crate) enum Value {
    Text(String),
    List(Vec<String>),
    Number(f64),
    Integer(u32),
    Flag(bool),
}

impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => text.fmt(f),
            Self::List(texts) => texts.fmt(f),
            Self::Number(number) => number.fmt(f),
            Self::Integer(number) => number.fmt(f),
            Self::Flag(flag) => flag.fmt(f),
        }
    }
}

/// Writes a name in kebab-case. Names are ASCII.
pub(super) const fn kebab<const N: usize>(name: &str) -> [u8; N] {
    let name = name.as_bytes();
    let mut kebab = [b'-'; N];
    let mut at = 0;
    while at < N {
        if name[at] != b'_' {
            kebab[at] = name[at];
        }
        at += 1;
    }
    kebab
}

/// A text for a field that can be left out: `&str`, `String`, or an `Option` of either.
pub trait OptionalText: sealed::Sealed {
    #[doc(hidden)]
    fn into_text(self) -> Option<String>;
}

mod sealed {
    pub trait Sealed {}
}

macro_rules! optional_text {
    ($($kind:ty: $text:ident => $owned:expr,)*) => {$(
        impl sealed::Sealed for $kind {}

        impl OptionalText for $kind {
            fn into_text(self) -> Option<String> {
                let $text = self;
                $owned
            }
        }
    )*};
}

optional_text! {
    &str: text => Some(text.to_owned()),
    String: text => Some(text),
    &String: text => Some(text.clone()),
    Option<&str>: text => text.map(str::to_owned),
    Option<String>: text => text,
}
