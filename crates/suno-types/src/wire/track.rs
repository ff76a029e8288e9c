//! Tracks: snake_case in callbacks, camelCase in records.

use std::borrow::Cow;

use serde::Serialize;
use serde::ser::{SerializeMap, Serializer};

use serde::Deserialize;
use serde_json::value::RawValue;

use super::member::{Items, Member, Num, Text};
use super::members::{self, Members};
use super::object::{UnknownLeft, object};
use crate::error::DecodeErrorKind;
use crate::extra::ExtraRef;
use crate::track::ready_url;
use crate::{CreatedAt, DecodeError, Extra, Track, TrackId, TrackRef};

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

        /// A track with checked members that are borrowed from the body.
        #[derive(Debug, Default)]
        pub(crate) struct TrackParts<'de> {
            $($field: Option<<$kind as Kind<'de>>::Checked>,)*
            extra: ExtraRef<'de>,
        }

        impl TrackParts<'_> {
            /// Returns whether it has a member that records spell in another way.
            fn is_snake(&self) -> bool {
                $(($snake != $camel && self.$field.is_some()))||*
            }

            fn into_track(self, position: usize) -> Track {
                Track {
                    position,
                    $($field: self.$field.map(<$kind as Kind<'_>>::own),)*
                    extra: self.extra.into(),
                }
            }
        }

        impl<'de> SnakeTrack<'de> {
            fn check(self, left: &mut UnknownLeft) -> Result<TrackParts<'de>, DecodeError> {
                Ok(TrackParts {
                    $($field: <$kind as Kind<'de>>::check(self.$field, $snake)?,)*
                    extra: self.rest.check(left)?,
                })
            }
        }

        /// Takes the members of a track out of an object, in either spelling.
        fn take_track(members: &mut Members<'_>, position: usize, spelled: &mut Spelled) -> Track {
            Track {
                position,
                $($field: spelled.take::<$kind>(members, $snake, $camel),)*
                extra: Extra::default(),
            }
        }

        /// The keys of records that callbacks spell in another way.
        const KEYS_OF_RECORDS: &[(&str, &str)] = &[$(($snake, $camel),)*];

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
    /// Returns whether this is a track without doubt, with nothing in it that is spelled as in a
    /// record.
    pub(crate) fn is_plain(&self) -> bool {
        let is_track = self.id.is_some() || self.audio_url.is_some();
        let mut respelled = KEYS_OF_RECORDS
            .iter()
            .filter(|(snake, camel)| snake != camel);
        is_track && (self.extra.is_empty() || !respelled.any(|(_, camel)| self.extra.has(camel)))
    }

    pub(crate) fn view(&self) -> TrackRef<'_> {
        TrackRef {
            id: self.id.as_deref(),
            duration: self.duration,
            is_ready: ready_url(self.audio_url.as_deref()).is_some(),
            title: self.title.as_deref(),
            tags: self.tags.as_deref(),
            prompt: self.prompt.as_deref(),
            audio_url: self.audio_url.as_deref(),
        }
    }
}

/// An array of tracks with the keys of callbacks.
pub(crate) type SnakeTracks<'de> = Items<Member<SnakeTrack<'de>>, { DecodeError::TRACKS_MAX }>;

/// Checks the tracks of the array at `path`. A null in the array is an unknown track, which keeps
/// the positions of the tracks after it.
pub(crate) fn checked_tracks<'de>(
    array: Member<SnakeTracks<'de>>,
    path: &str,
    left: &mut UnknownLeft,
) -> Result<Vec<TrackParts<'de>>, DecodeError> {
    let array = array.optional(path)?.map(|Items(items)| items);
    let array = array.unwrap_or_default();
    if array.len() > DecodeError::TRACKS_MAX {
        return Err(DecodeError::new(DecodeErrorKind::OutOfRange, path));
    }
    let mut tracks = Vec::with_capacity(array.len());
    for member in array {
        tracks.push(match member.optional(path)? {
            Some(mirror) => mirror.check(left)?,
            None => TrackParts::default(),
        });
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

/// The spellings in which the keys of tracks were found.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Spelled {
    snake: bool,
    camel: bool,
}

impl Spelled {
    /// Tracks that are in no spelling: encoding them as tracks would write something else.
    pub(super) fn none() -> Self {
        Self {
            snake: true,
            camel: true,
        }
    }

    /// Returns whether encoding in this spelling writes everything back under the same keys.
    pub(super) fn is_only(self, spelling: Spelling) -> bool {
        match spelling {
            Spelling::Snake => !self.camel,
            Spelling::Camel => !self.snake,
        }
    }

    /// Takes a member that is of the right type in one of its spellings.
    fn take<'a, K: Kind<'a>>(
        &mut self,
        members: &mut Members<'a>,
        snake: &'static str,
        camel: &'static str,
    ) -> Option<K::Owned>
    where
        Member<K::Mirror>: Deserialize<'a>,
    {
        if let Some(value) = take_kind::<K>(members, snake) {
            self.snake |= snake != camel;
            return Some(value);
        }
        let value = take_kind::<K>(members, camel).filter(|_| snake != camel)?;
        self.camel = true;
        Some(value)
    }
}

/// Takes a member out, if it is of the right type. Values that mean the same as null are accepted too.
pub(super) fn take_kind<'a, K: Kind<'a>>(members: &mut Members<'a>, name: &str) -> Option<K::Owned>
where
    Member<K::Mirror>: Deserialize<'a>,
{
    let member = serde_json::from_str(members.get(name)?.get()).ok()?;
    let value = K::check(member, name).ok()?;
    members.remove(name);
    value.map(K::own)
}

/// Reads an array of tracks of the usual spelling in one pass; `None` if it has anything else.
pub(super) fn plain_tracks(
    raw: &RawValue,
    left: &mut UnknownLeft,
) -> Option<(Vec<Track>, Spelled)> {
    let array = Member::Is(members::read::<SnakeTracks<'_>>(raw)?);
    let mut left_then = left.clone();
    let parts = checked_tracks(array, "", &mut left_then).ok()?;
    if parts.is_empty() || !parts.iter().all(TrackParts::is_plain) {
        return None;
    }
    *left = left_then;
    let spelled = Spelled {
        snake: parts.iter().any(TrackParts::is_snake),
        camel: false,
    };
    Some((owned_tracks(parts), spelled))
}

/// Reads the tracks in these elements of the array at `path`, in either spelling. An element that is
/// no object is an unknown track, which keeps the positions of the tracks after it.
pub(super) fn lenient_tracks(
    items: &[&RawValue],
    path: &str,
    left: &mut UnknownLeft,
) -> Result<(Vec<Track>, Spelled), DecodeError> {
    let mut spelled = Spelled::default();
    let mut tracks = Vec::with_capacity(items.len());
    for (position, item) in items.iter().enumerate() {
        if !members::is_object(item) {
            let is_null = members::is_null(item);
            if !is_null {
                spelled = Spelled::none();
            }
            tracks.push(Track::new(position));
            continue;
        }
        let inside = |err: DecodeError| err.inside(&format!("{path}[{position}]"));
        let mut members = members::open(item.get()).map_err(inside)?;
        let mut track = take_track(&mut members, position, &mut spelled);
        left.take(members.len()).map_err(inside)?;
        track.extra = members.into();
        tracks.push(track);
    }
    Ok((tracks, spelled))
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
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Spelling {
    Snake,
    Camel,
}

/// A track to encode.
pub(crate) struct SpelledTrack<'a>(pub(crate) &'a Track, pub(crate) Spelling);

/// Tracks to encode.
pub(super) struct TracksOut<'a>(pub(super) &'a [Track], pub(super) Spelling);

impl Serialize for TracksOut<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.iter().map(|track| SpelledTrack(track, self.1)))
    }
}

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
