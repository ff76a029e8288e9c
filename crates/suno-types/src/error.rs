//! The error of decoding: a kind and a path, never the value.

use std::fmt;

/// The error for bytes that cannot be decoded.
///
/// `Display` shows the kind and the path, such as `data.data[1].duration`. It never shows the
/// value, because a body can contain secrets.
///
/// ```
/// use suno_types::{Callback, DecodeErrorKind};
///
/// let err = Callback::decode(br#"{"code":200,"data":{}}"#).unwrap_err();
/// assert_eq!(err.kind(), DecodeErrorKind::Missing);
/// assert_eq!(err.to_string(), "missing member at data.task_id");
/// ```
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{kind} at {}", place(.path))]
pub struct DecodeError {
    kind: DecodeErrorKind,
    path: String,
}

fn place(path: &str) -> &str {
    if path.is_empty() { "the root" } else { path }
}

/// The kind of a decoding error, from [`DecodeError::kind`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum DecodeErrorKind {
    /// The bytes are not UTF-8.
    NotUtf8,
    /// The bytes are not JSON: truncated, with a byte-order mark, with trailing characters, or
    /// malformed.
    Syntax,
    /// Objects and arrays are nested deeper than [`DecodeError::DEPTH_MAX`].
    TooDeep,
    /// A required member is absent or null.
    Missing,
    /// The body is not an object, or its code is not a whole number. A known member of another type
    /// is no error: it counts as absent.
    WrongType,
    /// An object has the same key twice, so two readers could see different values.
    DuplicateKey,
    /// The code does not fit 64 bits, there are more than [`DecodeError::TRACKS_MAX`] tracks or other
    /// results, more than [`Midi::NOTES_MAX`](crate::Midi::NOTES_MAX) notes, or the word for the stage
    /// is longer than [`Stage::WORD_BYTES_MAX`](crate::Stage::WORD_BYTES_MAX).
    OutOfRange,
    /// There are more than [`DecodeError::UNKNOWN_MEMBERS_MAX`] unknown members.
    TooManyMembers,
    /// The task ids in the body are not the same.
    IdsDisagree,
    /// An id is empty, too long, or has characters other than visible ASCII.
    InvalidId,
}

impl DecodeErrorKind {
    /// The kind as one stable word, which the fixtures and JSON output use.
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
    /// The maximum depth of nested objects and arrays.
    pub const DEPTH_MAX: usize = 127;
    /// The maximum number of tracks in a body, and of results of any other kind. It is far more than any task has, and few enough
    /// that a body of tracks alone does not fill the memory.
    pub const TRACKS_MAX: usize = 256;
    /// The maximum number of members that are kept because no field has them, in a callback or a
    /// record, in all its objects together: four for each of [`TRACKS_MAX`](Self::TRACKS_MAX) tracks. Keeping a
    /// member costs far more than reading it, so a body of unknown members alone could keep a
    /// thread busy.
    pub const UNKNOWN_MEMBERS_MAX: usize = 1_024;

    pub(crate) fn new(kind: DecodeErrorKind, path: impl Into<String>) -> Self {
        Self {
            kind,
            path: path.into(),
        }
    }

    /// Adds an outer level to the path.
    pub(crate) fn inside(mut self, outer: &str) -> Self {
        self.path = match self.path.as_str() {
            "" => outer.to_owned(),
            inner => format!("{outer}.{inner}"),
        };
        self
    }

    /// The kind of the error.
    #[must_use]
    pub fn kind(&self) -> DecodeErrorKind {
        self.kind
    }

    /// The path of the value that was wrong, such as `data.data[1].duration`; empty for the whole
    /// body.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }
}
