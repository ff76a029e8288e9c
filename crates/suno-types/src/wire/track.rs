//! Tracks: snake_case in callbacks, camelCase in records.

use std::borrow::Cow;

use serde::Serialize;
use serde::ser::{SerializeMap, Serializer};

use super::member::{Member, Num, Text};
use super::object::{UnknownLeft, object};
use crate::error::DecodeErrorKind;
use crate::extra::ExtraRef;
use crate::track::is_ready;
use crate::{CreatedAt, DecodeError, Track, TrackId, TrackRef};

object! {
    /// A track as a callback spells it.
    SnakeTrack<'de> {
        id: Text<'de> = "id",
        title: Text<'de> = "title",
        tags: Text<'de> = "tags",
        prompt: Text<'de> = "prompt",
        model_name: Text<'de> = "model_name",
        duration: Num<'de> = "duration",
        created_at: Num<'de> = "createTime",
        audio_url: Text<'de> = "audio_url",
        source_audio_url: Text<'de> = "source_audio_url",
        stream_audio_url: Text<'de> = "stream_audio_url",
        source_stream_audio_url: Text<'de> = "source_stream_audio_url",
        image_url: Text<'de> = "image_url",
        source_image_url: Text<'de> = "source_image_url",
    }
}

object! {
    /// A track as a record spells it.
    CamelTrack<'de> {
        id: Text<'de> = "id",
        title: Text<'de> = "title",
        tags: Text<'de> = "tags",
        prompt: Text<'de> = "prompt",
        model_name: Text<'de> = "modelName",
        duration: Num<'de> = "duration",
        created_at: Num<'de> = "createTime",
        audio_url: Text<'de> = "audioUrl",
        source_audio_url: Text<'de> = "sourceAudioUrl",
        stream_audio_url: Text<'de> = "streamAudioUrl",
        source_stream_audio_url: Text<'de> = "sourceStreamAudioUrl",
        image_url: Text<'de> = "imageUrl",
        source_image_url: Text<'de> = "sourceImageUrl",
    }
}

/// The keys that differ between the two spellings.
struct Keys {
    model_name: &'static str,
    audio_url: &'static str,
    source_audio_url: &'static str,
    stream_audio_url: &'static str,
    source_stream_audio_url: &'static str,
    image_url: &'static str,
    source_image_url: &'static str,
}

const SNAKE: Keys = Keys {
    model_name: "model_name",
    audio_url: "audio_url",
    source_audio_url: "source_audio_url",
    stream_audio_url: "stream_audio_url",
    source_stream_audio_url: "source_stream_audio_url",
    image_url: "image_url",
    source_image_url: "source_image_url",
};

const CAMEL: Keys = Keys {
    model_name: "modelName",
    audio_url: "audioUrl",
    source_audio_url: "sourceAudioUrl",
    stream_audio_url: "streamAudioUrl",
    source_stream_audio_url: "sourceStreamAudioUrl",
    image_url: "imageUrl",
    source_image_url: "sourceImageUrl",
};

/// A track whose members were checked, borrowed from the body.
#[derive(Debug, Default)]
pub(crate) struct TrackParts<'de> {
    /// Checked to be an id.
    id: Option<Cow<'de, str>>,
    title: Option<Cow<'de, str>>,
    tags: Option<Cow<'de, str>>,
    prompt: Option<Cow<'de, str>>,
    model_name: Option<Cow<'de, str>>,
    duration: Option<f64>,
    created_at: Option<CreatedAt>,
    audio_url: Option<Cow<'de, str>>,
    source_audio_url: Option<Cow<'de, str>>,
    stream_audio_url: Option<Cow<'de, str>>,
    source_stream_audio_url: Option<Cow<'de, str>>,
    image_url: Option<Cow<'de, str>>,
    source_image_url: Option<Cow<'de, str>>,
    extra: ExtraRef<'de>,
}

impl TrackParts<'_> {
    pub(crate) fn view(&self) -> TrackRef<'_> {
        TrackRef {
            id: self.id.as_deref(),
            duration: self.duration,
            is_ready: is_ready(self.audio_url.as_deref()),
        }
    }

    fn into_track(self, position: usize) -> Track {
        let owned = |text: Option<Cow<'_, str>>| text.map(Cow::into_owned);
        Track {
            position,
            id: self.id.map(TrackId::checked),
            title: owned(self.title),
            tags: owned(self.tags),
            prompt: owned(self.prompt),
            model_name: owned(self.model_name),
            duration: self.duration,
            created_at: self.created_at,
            audio_url: owned(self.audio_url),
            source_audio_url: owned(self.source_audio_url),
            stream_audio_url: owned(self.stream_audio_url),
            source_stream_audio_url: owned(self.source_stream_audio_url),
            image_url: owned(self.image_url),
            source_image_url: owned(self.source_image_url),
            extra: self.extra.into(),
        }
    }
}

/// A mirror of a track.
pub(crate) trait TrackMirror<'de> {
    fn check(self, left: &mut UnknownLeft) -> Result<TrackParts<'de>, DecodeError>;
}

/// Both mirrors have the same fields; only the keys in errors differ.
macro_rules! track_mirror {
    ($mirror:ident, $keys:expr) => {
        impl<'de> TrackMirror<'de> for $mirror<'de> {
            fn check(self, left: &mut UnknownLeft) -> Result<TrackParts<'de>, DecodeError> {
                Ok(TrackParts {
                    id: track_id(self.id)?,
                    title: self.title.text("title")?,
                    tags: self.tags.text("tags")?,
                    prompt: self.prompt.text("prompt")?,
                    model_name: self.model_name.text($keys.model_name)?,
                    duration: self.duration.float("duration")?,
                    created_at: created_at(self.created_at, "createTime")?,
                    audio_url: self.audio_url.text($keys.audio_url)?,
                    source_audio_url: self.source_audio_url.text($keys.source_audio_url)?,
                    stream_audio_url: self.stream_audio_url.text($keys.stream_audio_url)?,
                    source_stream_audio_url: self
                        .source_stream_audio_url
                        .text($keys.source_stream_audio_url)?,
                    image_url: self.image_url.text($keys.image_url)?,
                    source_image_url: self.source_image_url.text($keys.source_image_url)?,
                    extra: self.rest.check(left)?,
                })
            }
        }
    };
}

track_mirror!(SnakeTrack, SNAKE);
track_mirror!(CamelTrack, CAMEL);

/// The tracks of an array that stood at `path`. A null in the array is a track of which nothing is
/// known yet: it keeps its place, so that the next track keeps its own.
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

/// Tracks that were checked, copied out of the body.
pub(crate) fn owned_tracks(parts: Vec<TrackParts<'_>>) -> Vec<Track> {
    let tracks = parts.into_iter().enumerate();
    tracks
        .map(|(position, parts)| parts.into_track(position))
        .collect()
}

/// See [`checked_tracks`].
pub(crate) fn tracks<'de, T: TrackMirror<'de>>(
    array: Member<Vec<Member<T>>>,
    path: &str,
    left: &mut UnknownLeft,
) -> Result<Vec<Track>, DecodeError> {
    checked_tracks(array, path, left).map(owned_tracks)
}

fn track_id<'de>(member: Member<Text<'de>>) -> Result<Option<Cow<'de, str>>, DecodeError> {
    let Some(text) = member.text("id")?.filter(|text| !text.is_empty()) else {
        return Ok(None);
    };
    crate::id::check_id(&text).map_err(|_| DecodeError::new(DecodeErrorKind::InvalidId, "id"))?;
    Ok(Some(text))
}

/// A time in either form: a number of milliseconds, or text (`PROTOCOL.md 7.19`).
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

/// How the members of a track are to be spelled.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Spelling {
    Snake,
    Camel,
}

/// A track on its way to the wire.
pub(crate) struct SpelledTrack<'a>(pub(crate) &'a Track, pub(crate) Spelling);

impl Serialize for SpelledTrack<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self(track, spelling) = self;
        let keys = match spelling {
            Spelling::Snake => SNAKE,
            Spelling::Camel => CAMEL,
        };
        let mut map = serializer.serialize_map(None)?;
        entry(&mut map, "id", &track.id)?;
        entry(&mut map, "title", &track.title)?;
        entry(&mut map, "tags", &track.tags)?;
        entry(&mut map, "prompt", &track.prompt)?;
        entry(&mut map, keys.model_name, &track.model_name)?;
        entry(&mut map, "duration", &track.duration)?;
        entry(&mut map, "createTime", &track.created_at)?;
        entry(&mut map, keys.audio_url, &track.audio_url)?;
        entry(&mut map, keys.source_audio_url, &track.source_audio_url)?;
        entry(&mut map, keys.stream_audio_url, &track.stream_audio_url)?;
        entry(
            &mut map,
            keys.source_stream_audio_url,
            &track.source_stream_audio_url,
        )?;
        entry(&mut map, keys.image_url, &track.image_url)?;
        entry(&mut map, keys.source_image_url, &track.source_image_url)?;
        extra(&mut map, &track.extra)?;
        map.end()
    }
}

/// Writes a member that is there.
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

/// Writes back what was not known.
pub(crate) fn extra<M: SerializeMap>(map: &mut M, extra: &crate::Extra) -> Result<(), M::Error> {
    for (name, value) in extra.raw() {
        map.serialize_entry(name, value)?;
    }
    Ok(())
}
