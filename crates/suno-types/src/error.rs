//! Why bytes could not be decoded: a kind and a path, never the value.

use std::fmt;

/// Bytes that could not be understood.
///
/// `Display` names the kind and the path, such as `data.data[1].duration`; it never shows what
/// stood there, because a body can carry secrets.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{kind} at {}", place(.path))]
pub struct DecodeError {
    kind: DecodeErrorKind,
    path: String,
}

fn place(path: &str) -> &str {
    if path.is_empty() { "the root" } else { path }
}

/// What was wrong, see [`DecodeError::kind`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum DecodeErrorKind {
    /// The bytes are not UTF-8.
    NotUtf8,
    /// Not JSON: cut off, with a byte-order mark, with something behind the end, or malformed.
    Syntax,
    /// Objects and arrays are nested deeper than [`DecodeError::DEPTH_MAX`].
    TooDeep,
    /// A member that must be there is absent or null.
    Missing,
    /// A member has a type that is not known for it.
    WrongType,
    /// An object has the same key twice, so that two readers could see two values.
    DuplicateKey,
    /// A number does not fit, there are more than [`DecodeError::TRACKS_MAX`] tracks, or the word
    /// for the stage is longer than [`Stage::WORD_BYTES_MAX`](crate::Stage::WORD_BYTES_MAX).
    OutOfRange,
    /// There are more than [`DecodeError::UNKNOWN_MEMBERS_MAX`] unknown members.
    TooManyMembers,
    /// The task ids in the body are not the same.
    IdsDisagree,
    /// An id is empty, too long, or has characters other than visible ASCII.
    InvalidId,
}

impl DecodeErrorKind {
    /// The kind as one stable word, as it stands in the fixtures and in JSON output.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NotUtf8 => "not_utf8",
            Self::Syntax => "syntax",
            Self::TooDeep => "too_deep",
            Self::Missing => "missing",
            Self::WrongType => "wrong_type",
            Self::DuplicateKey => "duplicate_key",
            Self::OutOfRange => "out_of_range",
            Self::TooManyMembers => "too_many_members",
            Self::IdsDisagree => "ids_disagree",
            Self::InvalidId => "invalid_id",
        }
    }
}

impl fmt::Display for DecodeErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotUtf8 => "the body is not UTF-8",
            Self::Syntax => "the body is not valid JSON",
            Self::TooDeep => "too deeply nested",
            Self::Missing => "missing member",
            Self::WrongType => "unexpected type",
            Self::DuplicateKey => "duplicate key",
            Self::OutOfRange => "out of range",
            Self::TooManyMembers => "too many unknown members",
            Self::IdsDisagree => "task ids disagree",
            Self::InvalidId => "invalid id",
        })
    }
}

impl DecodeError {
    /// How deep objects and arrays may be nested.
    pub const DEPTH_MAX: usize = 127;
    /// How many tracks a body may have: far more than any task makes, and few enough that a body
    /// of nothing but tracks does not fill the memory.
    pub const TRACKS_MAX: usize = 256;
    /// The most unknown members that a callback or a record may have, in all its objects together: four
    /// for each of the most tracks. To keep an unknown member costs far more than to read it, so that
    /// a body of nothing else could keep a thread busy.
    pub const UNKNOWN_MEMBERS_MAX: usize = 1_024;

    pub(crate) fn new(kind: DecodeErrorKind, path: impl Into<String>) -> Self {
        Self {
            kind,
            path: path.into(),
        }
    }

    /// The same error, one level further out.
    pub(crate) fn inside(mut self, outer: &str) -> Self {
        self.path = match self.path.as_str() {
            "" => outer.to_owned(),
            inner => format!("{outer}.{inner}"),
        };
        self
    }

    /// What was wrong.
    #[must_use]
    pub fn kind(&self) -> DecodeErrorKind {
        self.kind
    }

    /// Where it was wrong, such as `data.data[1].duration`; empty for the whole body.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }
}
