//! Tracks: snake_case in callbacks, camelCase in records.

use serde::Serialize;
use serde::ser::{SerializeMap, Serializer};

use super::member::{Member, Num, Text};
use super::object::{Rest, object};
use crate::error::DecodeErrorKind;
use crate::{CreatedAt, DecodeError, Track, TrackId};

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

/// Both mirrors have the same fields; only the keys in errors differ.
macro_rules! into_track {
    ($mirror:ident, $keys:expr) => {
        impl $mirror<'_> {
            fn into_track(self, position: usize) -> Result<Track, DecodeError> {
                Ok(Track {
                    position,
                    id: track_id(self.id)?,
                    title: self.title.string("title")?,
                    tags: self.tags.string("tags")?,
                    prompt: self.prompt.string("prompt")?,
                    model_name: self.model_name.string($keys.model_name)?,
                    duration: self.duration.float("duration")?,
                    created_at: created_at(self.created_at, "createTime")?,
                    audio_url: self.audio_url.string($keys.audio_url)?,
                    source_audio_url: self.source_audio_url.string($keys.source_audio_url)?,
                    stream_audio_url: self.stream_audio_url.string($keys.stream_audio_url)?,
                    source_stream_audio_url: self
                        .source_stream_audio_url
                        .string($keys.source_stream_audio_url)?,
                    image_url: self.image_url.string($keys.image_url)?,
                    source_image_url: self.source_image_url.string($keys.source_image_url)?,
                    extra: Rest::check(self.rest)?,
                })
            }
        }

        impl IntoTrack for $mirror<'_> {
            fn into_track(self, position: usize) -> Result<Track, DecodeError> {
                $mirror::into_track(self, position)
            }
        }
    };
}

/// A mirror of a track.
pub(crate) trait IntoTrack {
    fn into_track(self, position: usize) -> Result<Track, DecodeError>;
}

into_track!(SnakeTrack, SNAKE);
into_track!(CamelTrack, CAMEL);

/// The tracks of an array that stood at `path`. A null in the array is a track of which nothing is
/// known yet: it keeps its place, so that the next track keeps its own.
pub(crate) fn tracks<T: IntoTrack>(
    array: Member<Vec<Member<T>>>,
    path: &str,
) -> Result<Vec<Track>, DecodeError> {
    let array = array.optional(path)?.unwrap_or_default();
    if array.len() > DecodeError::TRACKS_MAX {
        return Err(DecodeError::new(DecodeErrorKind::OutOfRange, path));
    }
    let mut tracks = Vec::with_capacity(array.len());
    for (position, member) in array.into_iter().enumerate() {
        let track = match member.optional("") {
            Ok(Some(mirror)) => mirror.into_track(position),
            Ok(None) => Ok(Track::new(position)),
            Err(err) => Err(err),
        };
        tracks.push(track.map_err(|err| err.inside(&format!("{path}[{position}]")))?);
    }
    Ok(tracks)
}

fn track_id(member: Member<Text<'_>>) -> Result<Option<TrackId>, DecodeError> {
    match member.text("id")? {
        None => Ok(None),
        Some(text) if text.is_empty() => Ok(None),
        Some(text) => TrackId::new(text.into_owned())
            .map(Some)
            .map_err(|_| DecodeError::new(DecodeErrorKind::InvalidId, "id")),
    }
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
