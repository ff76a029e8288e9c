//! Tracks: snake_case in callbacks, camelCase in records.

use std::borrow::Cow;

use serde::Serialize;
use serde::ser::{SerializeMap, Serializer};

use super::member::{Member, Num, Text};
use super::object::{UnknownLeft, object};
use crate::error::DecodeErrorKind;
use crate::extra::ExtraRef;
use crate::track::ready_url;
use crate::{CreatedAt, DecodeError, Track, TrackId, TrackRef};

/// A kind of member, with the types and functions to read, check and own it.
pub(crate) trait Kind<'de> {
    type Mirror;
    type Checked;
    type Owned;

    fn check(member: Member<Self::Mirror>, key: &str)
    -> Result<Option<Self::Checked>, DecodeError>;
    fn own(checked: Self::Checked) -> Self::Owned;
}

pub(crate) struct Id;
pub(crate) struct Words;
pub(crate) struct Seconds;
pub(crate) struct Moment;

impl<'de> Kind<'de> for Id {
    type Mirror = Text<'de>;
    type Checked = Cow<'de, str>;
    type Owned = TrackId;

    fn check(member: Member<Text<'de>>, key: &str) -> Result<Option<Cow<'de, str>>, DecodeError> {
        let Some(text) = member.text(key)?.filter(|text| !text.is_empty()) else {
            return Ok(None);
        };
        crate::id::check_id(&text)
            .map_err(|_| DecodeError::new(DecodeErrorKind::InvalidId, key))?;
        Ok(Some(text))
    }

    fn own(checked: Cow<'de, str>) -> TrackId {
        TrackId::checked(checked)
    }
}

impl<'de> Kind<'de> for Words {
    type Mirror = Text<'de>;
    type Checked = Cow<'de, str>;
    type Owned = String;

    fn check(member: Member<Text<'de>>, key: &str) -> Result<Option<Cow<'de, str>>, DecodeError> {
        member.text(key)
    }

    fn own(checked: Cow<'de, str>) -> String {
        checked.into_owned()
    }
}

impl<'de> Kind<'de> for Seconds {
    type Mirror = Num<'de>;
    type Checked = f64;
    type Owned = f64;

    fn check(member: Member<Num<'de>>, key: &str) -> Result<Option<f64>, DecodeError> {
        member.float(key)
    }

    fn own(checked: f64) -> f64 {
        checked
    }
}

impl<'de> Kind<'de> for Moment {
    type Mirror = Num<'de>;
    type Checked = CreatedAt;
    type Owned = CreatedAt;

    fn check(member: Member<Num<'de>>, key: &str) -> Result<Option<CreatedAt>, DecodeError> {
        created_at(member, key)
    }

    fn own(checked: CreatedAt) -> CreatedAt {
        checked
    }
}

/// Declares the members of a track once: the field, its kind, and the keys of both spellings.
macro_rules! track_members {
    ($($field:ident: $kind:ident = $snake:literal, $camel:literal;)*) => {
        object! {
            /// A track with the keys of callbacks.
            SnakeTrack<'de> { $($field: <$kind as Kind<'de>>::Mirror = $snake,)* }
        }

        object! {
            /// A track with the keys of records.
            CamelTrack<'de> { $($field: <$kind as Kind<'de>>::Mirror = $camel,)* }
        }

        /// A track with checked members that are borrowed from the body.
        #[derive(Debug, Default)]
        pub(crate) struct TrackParts<'de> {
            $($field: Option<<$kind as Kind<'de>>::Checked>,)*
            extra: ExtraRef<'de>,
        }

        impl TrackParts<'_> {
            fn into_track(self, position: usize) -> Track {
                Track {
                    position,
                    $($field: self.$field.map(<$kind as Kind<'_>>::own),)*
                    extra: self.extra.into(),
                }
            }
        }

        impl<'de> TrackMirror<'de> for SnakeTrack<'de> {
            fn check(self, left: &mut UnknownLeft) -> Result<TrackParts<'de>, DecodeError> {
                Ok(TrackParts {
                    $($field: <$kind as Kind<'de>>::check(self.$field, $snake)?,)*
                    extra: self.rest.check(left)?,
                })
            }
        }

        impl<'de> TrackMirror<'de> for CamelTrack<'de> {
            fn check(self, left: &mut UnknownLeft) -> Result<TrackParts<'de>, DecodeError> {
                Ok(TrackParts {
                    $($field: <$kind as Kind<'de>>::check(self.$field, $camel)?,)*
                    extra: self.rest.check(left)?,
                })
            }
        }

        impl Serialize for SpelledTrack<'_> {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                let Self(track, spelling) = self;
                let mut map = serializer.serialize_map(None)?;
                $(
                    let key = match spelling {
                        Spelling::Snake => $snake,
                        Spelling::Camel => $camel,
                    };
                    entry(&mut map, key, &track.$field)?;
                )*
                extra(&mut map, &track.extra)?;
                map.end()
            }
        }
    };
}

track_members! {
    id: Id = "id", "id";
    title: Words = "title", "title";
    tags: Words = "tags", "tags";
    prompt: Words = "prompt", "prompt";
    model_name: Words = "model_name", "modelName";
    duration: Seconds = "duration", "duration";
    created_at: Moment = "createTime", "createTime";
    audio_url: Words = "audio_url", "audioUrl";
    source_audio_url: Words = "source_audio_url", "sourceAudioUrl";
    stream_audio_url: Words = "stream_audio_url", "streamAudioUrl";
    source_stream_audio_url: Words = "source_stream_audio_url", "sourceStreamAudioUrl";
    image_url: Words = "image_url", "imageUrl";
    source_image_url: Words = "source_image_url", "sourceImageUrl";
}

impl TrackParts<'_> {
    pub(crate) fn view(&self) -> TrackRef<'_> {
        TrackRef {
            id: self.id.as_deref(),
            duration: self.duration,
            is_ready: ready_url(self.audio_url.as_deref()).is_some(),
        }
    }
}

/// A mirror of a track.
pub(crate) trait TrackMirror<'de> {
    fn check(self, left: &mut UnknownLeft) -> Result<TrackParts<'de>, DecodeError>;
}

/// Checks the tracks of the array at `path`. A null in the array is an unknown track, which keeps
/// the positions of the tracks after it.
pub(crate) fn checked_tracks<'de, T: TrackMirror<'de>>(
    array: Member<Vec<Member<T>>>,
    path: &str,
    left: &mut UnknownLeft,
) -> Result<Vec<TrackParts<'de>>, DecodeError> {
    let array = array.optional(path)?.unwrap_or_default();
    if array.len() > DecodeError::TRACKS_MAX {
        return Err(DecodeError::new(DecodeErrorKind::OutOfRange, path));
    }
    let mut tracks = Vec::with_capacity(array.len());
    for (position, member) in array.into_iter().enumerate() {
        let track = match member.optional("") {
            Ok(Some(mirror)) => mirror.check(left),
            Ok(None) => Ok(TrackParts::default()),
            Err(err) => Err(err),
        };
        tracks.push(track.map_err(|err| err.inside(&format!("{path}[{position}]")))?);
    }
    Ok(tracks)
}

/// Copies checked tracks out of the body.
pub(crate) fn owned_tracks(parts: Vec<TrackParts<'_>>) -> Vec<Track> {
    let tracks = parts.into_iter().enumerate();
    tracks
        .map(|(position, parts)| parts.into_track(position))
        .collect()
}

/// Checks the tracks of the array at `path`, as [`checked_tracks`] does, and copies them.
pub(crate) fn tracks<'de, T: TrackMirror<'de>>(
    array: Member<Vec<Member<T>>>,
    path: &str,
    left: &mut UnknownLeft,
) -> Result<Vec<Track>, DecodeError> {
    checked_tracks(array, path, left).map(owned_tracks)
}

/// Reads a time in either form: a number of milliseconds, or text (`PROTOCOL.md 7.19`).
pub(crate) fn created_at(
    member: Member<Num<'_>>,
    path: &str,
) -> Result<Option<CreatedAt>, DecodeError> {
    let Some(json) = member.json(path)? else {
        return Ok(None);
    };
    if json.starts_with('"') {
        let text: String = serde_json::from_str(json)
            .map_err(|_| DecodeError::new(DecodeErrorKind::Syntax, path))?;
        return Ok(Some(CreatedAt::from_text(text)));
    }
    let whole = json.parse().ok().map(CreatedAt::from_millis);
    let created_at = whole.or_else(|| CreatedAt::from_number(json));
    match created_at {
        Some(_) => Ok(created_at),
        None => Err(DecodeError::new(DecodeErrorKind::OutOfRange, path)),
    }
}

impl Track {
    /// The track as one line of JSON, spelled as in a callback.
    pub(crate) fn sort_text(&self) -> String {
        serde_json::to_string(&SpelledTrack(self, Spelling::Snake)).unwrap_or_default()
    }
}

/// The spelling of a track's keys.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Spelling {
    Snake,
    Camel,
}

/// A track to encode.
pub(crate) struct SpelledTrack<'a>(pub(crate) &'a Track, pub(crate) Spelling);

/// Writes a member, if it has a value.
pub(crate) fn entry<M: SerializeMap, T: Serialize>(
    map: &mut M,
    key: &str,
    value: &Option<T>,
) -> Result<(), M::Error> {
    match value {
        Some(value) => map.serialize_entry(key, value),
        None => Ok(()),
    }
}

/// Writes back the unknown members.
pub(crate) fn extra<M: SerializeMap>(map: &mut M, extra: &crate::Extra) -> Result<(), M::Error> {
    for (name, value) in extra.raw() {
        map.serialize_entry(name, value)?;
    }
    Ok(())
}
