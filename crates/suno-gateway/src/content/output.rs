//! The products that are not songs, as JSON.

use serde::Serialize;
use suno_types::{Instrument, Lyrics, MediaFile, Output, Stem};

/// A product that is not a song.
#[derive(Debug, Serialize)]
#[serde(transparent)]
pub struct OutputContent<'a>(Kind<'a>);

/// The members, which tell the kinds apart.
#[derive(Debug, Serialize)]
#[serde(untagged)]
enum Kind<'a> {
    Lyrics {
        lyrics: Vec<LyricsContent<'a>>,
    },
    File {
        url: &'a str,
    },
    Stems {
        origin_url: Option<&'a str>,
        stems: Vec<StemContent<'a>>,
    },
    Midi {
        instruments: Vec<InstrumentContent<'a>>,
    },
    Covers {
        images: Vec<&'a str>,
    },
    Voice {
        status: Option<&'a str>,
        phrase: Option<&'a str>,
        voice_id: Option<&'a str>,
    },
}

#[derive(Debug, Serialize)]
struct LyricsContent<'a> {
    title: Option<&'a str>,
    text: Option<&'a str>,
    status: Option<&'a str>,
    error_message: Option<&'a str>,
}

#[derive(Debug, Serialize)]
struct StemContent<'a> {
    name: &'a str,
    url: &'a str,
    is_removed: bool,
    duration: Option<f64>,
    id: Option<&'a str>,
}

#[derive(Debug, Serialize)]
struct InstrumentContent<'a> {
    name: Option<&'a str>,
    notes: Vec<NoteContent>,
}

#[derive(Debug, Serialize)]
struct NoteContent {
    pitch: Option<f64>,
    start: Option<f64>,
    end: Option<f64>,
    velocity: Option<f64>,
}

impl<'a> OutputContent<'a> {
    /// Returns `None` for songs, which are tracks, and for what is not understood, which is in
    /// `data`.
    #[must_use]
    pub fn of(output: Output<'a>) -> Option<Self> {
        Some(Self(match output {
            Output::Lyrics(all) => Kind::Lyrics {
                lyrics: all.iter().map(LyricsContent::from).collect(),
            },
            Output::Wav(file) | Output::Mp4(file) => Kind::File { url: &file.url },
            Output::Stems(stems) => Kind::Stems {
                origin_url: stems.origin_url.as_deref().filter(|url| !url.is_empty()),
                stems: stems.parts.iter().map(StemContent::from).collect(),
            },
            Output::Midi(midi) => Kind::Midi {
                instruments: midi
                    .instruments
                    .iter()
                    .map(InstrumentContent::from)
                    .collect(),
            },
            Output::Covers(images) => Kind::Covers {
                images: images.iter().map(|file: &MediaFile| &*file.url).collect(),
            },
            Output::Voice(voice) => Kind::Voice {
                status: voice.status.as_deref(),
                phrase: voice.phrase.as_deref(),
                voice_id: voice.voice_id.as_deref(),
            },
            _ => return None,
        }))
    }
}

impl<'a> From<&'a Lyrics> for LyricsContent<'a> {
    fn from(lyrics: &'a Lyrics) -> Self {
        Self {
            title: lyrics.title.as_deref(),
            text: lyrics.text.as_deref(),
            status: lyrics.status.as_deref(),
            error_message: lyrics.error_message.as_deref(),
        }
    }
}

impl<'a> From<&'a Stem> for StemContent<'a> {
    fn from(stem: &'a Stem) -> Self {
        Self {
            name: &stem.name,
            url: &stem.url,
            is_removed: stem.is_removed,
            duration: stem.duration,
            id: stem.id.as_deref(),
        }
    }
}

impl<'a> From<&'a Instrument> for InstrumentContent<'a> {
    fn from(instrument: &'a Instrument) -> Self {
        let notes = instrument.notes.iter().map(|note| NoteContent {
            pitch: note.pitch,
            start: note.start,
            end: note.end,
            velocity: note.velocity,
        });
        Self {
            name: instrument.name.as_deref(),
            notes: notes.collect(),
        }
    }
}
