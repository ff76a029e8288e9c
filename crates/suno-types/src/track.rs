//! One track of a task.

use std::borrow::Cow;
use std::fmt;

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use serde::ser::Error;
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;

use crate::{Extra, TrackId};

/// One track of a task.
///
/// Any member can be absent, and strings can be empty: an unfinished track has an `audio_url` of
/// `""` (`PROTOCOL.md 2.19`), and any other member may be missing (`PROTOCOL.md 2.20`).
#[derive(Clone, PartialEq, Default)]
#[non_exhaustive]
pub struct Track {
    /// The position in the provider's list, from 0. Tracks are never renumbered, so the second
    /// track stays the second one while the first is not ready.
    pub position: usize,
    /// The id of the track.
    pub id: Option<TrackId>,
    /// The title.
    pub title: Option<String>,
    /// The styles, separated by commas.
    pub tags: Option<String>,
    /// The lyrics or the description; can be empty.
    pub prompt: Option<String>,
    /// The code name of the engine, such as `chirp-v4-5`: an open set.
    pub model_name: Option<String>,
    /// The length in seconds.
    pub duration: Option<f64>,
    /// The time at which the provider created the track.
    pub created_at: Option<CreatedAt>,
    /// The URL of the finished audio, to download and archive; empty while the audio is not
    /// finished. [`ready_url`](Self::ready_url) is easier to use.
    pub audio_url: Option<String>,
    /// The engine's own URL of the audio.
    pub source_audio_url: Option<String>,
    /// The URL of a stream of the audio while it is being generated. It expires within hours.
    pub stream_audio_url: Option<String>,
    /// The engine's own URL of the stream.
    pub source_stream_audio_url: Option<String>,
    /// The URL of the cover picture.
    pub image_url: Option<String>,
    /// The engine's own URL of the cover picture.
    pub source_image_url: Option<String>,
    /// Members that this version does not know.
    pub extra: Extra,
}

impl Track {
    /// Creates a track with a position and no other member.
    #[must_use]
    pub fn new(position: usize) -> Self {
        Self {
            position,
            ..Self::default()
        }
    }

    /// The URL of the finished audio; `None` while it is not finished.
    ///
    /// ```
    /// use suno_types::Track;
    ///
    /// let mut track = Track::new(0);
    /// track.audio_url = Some(String::new());
    /// assert_eq!(track.ready_url(), None);
    ///
    /// track.audio_url = Some("https://media.example.com/a.mp3".to_owned());
    /// assert_eq!(track.ready_url(), Some("https://media.example.com/a.mp3"));
    /// ```
    #[must_use]
    pub fn ready_url(&self) -> Option<&str> {
        ready_url(self.audio_url.as_deref())
    }

    /// Returns whether the finished audio can be downloaded, from [`ready_url`](Self::ready_url).
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.ready_url().is_some()
    }

    /// The provider's word for the state of a recovered track, such as `failed`: an open set
    /// (`PROTOCOL.md 2.45`). It is read from [`extra`](Self::extra), because other tracks have none.
    #[must_use]
    pub fn status(&self) -> Option<String> {
        self.extra.text("status")
    }

    /// The reason why a track could not be recovered, if [`extra`](Self::extra) says so and it is not empty.
    #[must_use]
    pub fn error(&self) -> Option<String> {
        self.extra.text("error").filter(|error| !error.is_empty())
    }

    /// The text that identifies the track as a result: its id, or its position.
    pub(crate) fn result(&self) -> Cow<'_, str> {
        result(self.position, self.id.as_ref().map(TrackId::as_str))
    }
}

/// The text that identifies a track as a result.
pub(crate) fn result(position: usize, id: Option<&str>) -> Cow<'_, str> {
    id.map_or_else(|| position.to_string().into(), Cow::Borrowed)
}

/// The URL of finished audio: one that is not empty.
pub(crate) fn ready_url(audio_url: Option<&str>) -> Option<&str> {
    audio_url.filter(|url| !url.is_empty())
}

/// The members of a track that distinguish one delivery of a callback from another.
#[derive(Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct TrackRef<'a> {
    /// The id of the track: 1 to 128 visible ASCII characters.
    pub id: Option<&'a str>,
    /// The length in seconds.
    pub duration: Option<f64>,
    /// Whether the finished audio can be downloaded, as in [`Track::is_ready`].
    pub is_ready: bool,
    /// The title.
    pub title: Option<&'a str>,
    /// The styles, separated by commas.
    pub tags: Option<&'a str>,
    /// The lyrics or the description.
    pub prompt: Option<&'a str>,
    /// The URL of the audio; empty while it is not finished.
    pub audio_url: Option<&'a str>,
}

/// Without lyrics and URLs, as of a [`Track`].
impl fmt::Debug for TrackRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TrackRef")
            .field("id", &self.id)
            .field("duration", &self.duration)
            .field("is_ready", &self.is_ready)
            .finish_non_exhaustive()
    }
}

impl<'a> From<&'a Track> for TrackRef<'a> {
    fn from(track: &'a Track) -> Self {
        Self {
            id: track.id.as_ref().map(TrackId::as_str),
            duration: track.duration,
            is_ready: track.is_ready(),
            title: track.title.as_deref(),
            tags: track.tags.as_deref(),
            prompt: track.prompt.as_deref(),
            audio_url: track.audio_url.as_deref(),
        }
    }
}

/// Without lyrics and URLs. A URL gives access to the audio.
impl fmt::Debug for Track {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Track")
            .field("position", &self.position)
            .field("id", &self.id)
            .field("duration", &self.duration)
            .field("is_ready", &self.is_ready())
            .finish_non_exhaustive()
    }
}

/// The creation time of a track or a task, in the form in which it was sent.
///
/// Real payloads have milliseconds since 1970 (`PROTOCOL.md 2.16`), samples have text
/// (`PROTOCOL.md 2.17`).
///
/// ```
/// use suno_types::CreatedAt;
///
/// let millis = CreatedAt::from_millis(1_735_689_600_000);
/// let text = CreatedAt::from_text("2025-01-01 00:00:00");
/// assert_eq!(millis.timestamp(), text.timestamp());
/// assert_ne!(millis, text);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CreatedAt(Form);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Form {
    Millis(i64),
    /// The JSON text of milliseconds with a fraction or an exponent.
    Number(Box<str>),
    Text(Box<str>),
}

impl CreatedAt {
    /// Creates a time from milliseconds since 1970.
    #[must_use]
    pub fn from_millis(millis: i64) -> Self {
        Self(Form::Millis(millis))
    }

    /// Creates a time from text, such as `2025-01-01 00:00:00`.
    #[must_use]
    pub fn from_text(text: impl Into<Box<str>>) -> Self {
        Self(Form::Text(text.into()))
    }

    /// Creates a time from the JSON text of a number of milliseconds that is not written as an
    /// integer. `None` if it does not fit 64 bits.
    pub(crate) fn from_number(json: &str) -> Option<Self> {
        whole_millis(json).map(|_| Self(Form::Number(json.into())))
    }

    /// The time as a timestamp. `None` if the number is out of range or the text has an unknown
    /// form.
    ///
    /// The text has no time zone. It is read as UTC, which is an assumption (`PROTOCOL.md 7.19`).
    #[must_use]
    pub fn timestamp(&self) -> Option<Timestamp> {
        match &self.0 {
            Form::Millis(millis) => Timestamp::from_millisecond(*millis).ok(),
            Form::Number(json) => Timestamp::from_millisecond(whole_millis(json)?).ok(),
            Form::Text(text) => match text.parse() {
                Ok(millis) => Timestamp::from_millisecond(millis).ok(),
                Err(_) => {
                    let civil = DateTime::strptime("%Y-%m-%d %H:%M:%S", &**text).ok()?;
                    TimeZone::UTC.to_timestamp(civil).ok()
                }
            },
        }
    }
}

/// Milliseconds without their fraction, if they fit 64 bits.
fn whole_millis(json: &str) -> Option<i64> {
    let millis: f64 = json.parse().ok()?;
    let bound = 2_f64.powi(63);
    (-bound..bound).contains(&millis).then_some(millis as i64)
}

impl Serialize for CreatedAt {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match &self.0 {
            Form::Millis(millis) => serializer.serialize_i64(*millis),
            Form::Number(json) => RawValue::from_string(json.to_string())
                .map_err(S::Error::custom)?
                .serialize(serializer),
            Form::Text(text) => serializer.serialize_str(text),
        }
    }
}

impl fmt::Display for CreatedAt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.0, self.timestamp()) {
            (_, Some(timestamp)) => timestamp.fmt(f),
            (Form::Millis(millis), None) => millis.fmt(f),
            (Form::Number(text) | Form::Text(text), None) => f.write_str(text),
        }
    }
}
