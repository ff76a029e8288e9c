//! Decoding and encoding: private mirrors of the JSON objects on the wire.
//!
//! A callback of the usual shape is read in one pass by `callback`: each member into a [`Member`],
//! which never fails on a value of an unexpected type. If anything is unusual, `tolerant` reads the
//! body again, member by member, and `derive` looks for results in all the shapes that are known. So
//! every error is typed, and no error text of another crate is interpreted.
//!
//! The functions that decode and encode are here too, so that the public types need nothing of this
//! module.

mod callback;
mod callback_ref;
mod depth;
mod derive;
mod encode;
mod envelope;
mod member;
mod members;
mod midi;
mod object;
mod outputs;
mod record;
mod request;
mod surrogate;
mod tolerant;
mod track;

use std::borrow::Cow;

use serde::Deserialize;

pub use callback_ref::CallbackRef;
use member::{Member, Text};

use crate::DecodeError;
use crate::error::DecodeErrorKind;

/// Parses the text of a body, or a JSON text inside a body.
fn parse_text<'de, T: Deserialize<'de>>(json: &'de str) -> Result<T, DecodeError> {
    depth::check(json)?;
    parse_any_depth(json)
}

/// The text of a body. It is borrowed, unless something had to be repaired.
fn text(body: &[u8]) -> Result<Cow<'_, str>, DecodeError> {
    let text = std::str::from_utf8(body);
    let text = text.map_err(|_| DecodeError::new(DecodeErrorKind::NotUtf8, ""))?;
    Ok(surrogate::repair(Cow::Borrowed(text)))
}

/// Parses a text in which deeply nested values are skipped.
fn parse_any_depth<'de, T: Deserialize<'de>>(json: &'de str) -> Result<T, DecodeError> {
    serde_json::from_str(json).map_err(|_| DecodeError::new(DecodeErrorKind::Syntax, ""))
}

/// Writes a whole body.
fn write<T: serde::Serialize>(value: &T) -> Vec<u8> {
    // Writing to memory cannot fail, and every key of these objects is a string.
    serde_json::to_vec(value).unwrap_or_default()
}

/// The one task id of a body that can name it in several places, each given with its path. An id
/// that is in none of them is reported as missing at the `usual` place; one that is empty or not a
/// string counts as absent.
fn one_task_id<'de, const N: usize>(
    usual: (&'static str, Member<Text<'de>>),
    others: [(&'static str, Member<Text<'de>>); N],
) -> Result<Cow<'de, str>, DecodeError> {
    let usual_path = usual.0;
    let mut found: Option<Cow<'de, str>> = None;
    for (path, member) in others.into_iter().chain([usual]) {
        let Member::Is(Text(text)) = member else {
            continue;
        };
        if text.is_empty() {
            continue;
        }
        crate::id::check_id(&text)
            .map_err(|_| DecodeError::new(DecodeErrorKind::InvalidId, path))?;
        match &found {
            Some(other) if *other != text => {
                return Err(DecodeError::new(DecodeErrorKind::IdsDisagree, ""));
            }
            _ => found = Some(text),
        }
    }
    found.ok_or_else(|| DecodeError::new(DecodeErrorKind::Missing, usual_path))
}
