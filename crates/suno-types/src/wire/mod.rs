//! Private mirrors of what goes over the wire.
//!
//! Reading never fails on a member of an unexpected type: each member is read into a [`Member`],
//! and the conversion into domain values, which knows the path, decides. So there is one pass over
//! the bytes, every error is typed, and no error text of another crate is interpreted.

mod callback;
mod depth;
mod member;
mod object;
mod record;
mod track;

use std::borrow::Cow;

use serde::Deserialize;

pub(crate) use callback::{CallbackBody, CallbackHead, CallbackOut, Said};
pub(crate) use member::{Member, Num, Text};
pub(crate) use record::{EnvelopeBody, EnvelopeOut, RecordData, SubmittedData};
pub(crate) use track::{SpelledTrack, Spelling};

use crate::DecodeError;
use crate::error::DecodeErrorKind;

/// Parses a whole body into a mirror.
pub(crate) fn parse<'de, T: Deserialize<'de>>(body: &'de [u8]) -> Result<T, DecodeError> {
    parse_text(text(body)?)
}

/// Parses the head of a body, of which what is nested too deeply is passed over.
pub(crate) fn parse_head<'de, T: Deserialize<'de>>(body: &'de [u8]) -> Result<T, DecodeError> {
    parse_any_depth(text(body)?)
}

/// Parses the text of a body, or one that stands in a body.
pub(crate) fn parse_text<'de, T: Deserialize<'de>>(json: &'de str) -> Result<T, DecodeError> {
    depth::check(json)?;
    parse_any_depth(json)
}

fn text(body: &[u8]) -> Result<&str, DecodeError> {
    std::str::from_utf8(body).map_err(|_| DecodeError::new(DecodeErrorKind::NotUtf8, ""))
}

fn parse_any_depth<'de, T: Deserialize<'de>>(json: &'de str) -> Result<T, DecodeError> {
    serde_json::from_str(json).map_err(|_| DecodeError::new(DecodeErrorKind::Syntax, ""))
}

/// Writes a whole body.
pub(crate) fn write<T: serde::Serialize>(value: &T) -> Vec<u8> {
    // Writing to memory cannot fail, and every key of these objects is a string.
    serde_json::to_vec(value).unwrap_or_default()
}

/// The one task id of a body that can name it in several places; `places` in the order in which a
/// missing id is looked for, the last one being where it belongs.
pub(crate) fn one_task_id<'de>(
    places: [(&'static str, Member<Text<'de>>); 3],
) -> Result<Cow<'de, str>, DecodeError> {
    let belongs = places[2].0;
    let mut found: Option<Cow<'de, str>> = None;
    for (path, member) in places {
        let Some(text) = member.text(path)? else {
            continue;
        };
        crate::id::check_id(&text)
            .map_err(|_| DecodeError::new(DecodeErrorKind::InvalidId, path))?;
        match &found {
            Some(other) if *other != text => {
                return Err(DecodeError::new(DecodeErrorKind::IdsDisagree, ""));
            }
            _ => found = Some(text),
        }
    }
    found.ok_or_else(|| DecodeError::new(DecodeErrorKind::Missing, belongs))
}
