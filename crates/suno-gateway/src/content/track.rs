//! A track as JSON.

use serde::Serialize;
use suno_types::Track;

use super::members::MembersContent;

/// A track. Unknown values are `null`, and so is an empty URL.
#[derive(Debug, Serialize)]
pub struct TrackContent<'a> {
    id: Option<&'a str>,
    title: Option<&'a str>,
    tags: Option<&'a str>,
    prompt: Option<&'a str>,
    duration: Option<f64>,
    audio_url: Option<&'a str>,
    source_audio_url: Option<&'a str>,
    stream_audio_url: Option<&'a str>,
    source_stream_audio_url: Option<&'a str>,
    image_url: Option<&'a str>,
    source_image_url: Option<&'a str>,
    model_name: Option<&'a str>,
    created_at: Option<String>,
    extra: MembersContent<'a>,
}

impl<'a> TrackContent<'a> {
    /// Returns the tracks in the order of their positions.
    #[must_use]
    pub fn all(tracks: &'a [Track]) -> Vec<Self> {
        tracks.iter().map(Self::from).collect()
    }
}

impl<'a> From<&'a Track> for TrackContent<'a> {
    fn from(track: &'a Track) -> Self {
        let url = |url: &'a Option<String>| url.as_deref().filter(|url| !url.is_empty());
        Self {
            id: track.id.as_ref().map(|id| id.as_str()),
            title: track.title.as_deref(),
            tags: track.tags.as_deref(),
            prompt: track.prompt.as_deref(),
            duration: track.duration,
            audio_url: track.ready_url(),
            source_audio_url: url(&track.source_audio_url),
            stream_audio_url: url(&track.stream_audio_url),
            source_stream_audio_url: url(&track.source_stream_audio_url),
            image_url: url(&track.image_url),
            source_image_url: url(&track.source_image_url),
            model_name: track.model_name.as_deref(),
            created_at: track.created_at.as_ref().map(|at| at.to_string()),
            extra: MembersContent(&track.extra),
        }
    }
}
