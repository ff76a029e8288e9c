//! The results of a task: songs, lyrics, files, stems, notes, images, or a step of a voice.

use std::borrow::Cow;
use std::fmt;

use crate::midi::Midi;
use crate::{Extra, Product, Track};

/// The result of a task, as a callback or a record reports it, from
/// [`Callback::output`](crate::Callback::output) and
/// [`TaskRecord::output`](crate::TaskRecord::output).
///
/// ```
/// use suno_types::{Callback, Output, Product};
///
/// let body = br#"{"code":200,"msg":"success","data":{"task_id":"5c79be8e",
///     "audioWavUrl":"https://media.example.com/a.wav"}}"#;
/// let callback = Callback::decode(body)?;
/// assert_eq!(callback.product(), Product::WAV);
/// match callback.output() {
///     Output::Wav(file) => assert_eq!(file.url, "https://media.example.com/a.wav"),
///     other => panic!("not a WAV file: {other:?}"),
/// }
/// # Ok::<(), suno_types::DecodeError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub enum Output<'a> {
    /// Songs, finished or not. Empty if the task makes songs and none was sent.
    Songs(&'a [Track]),
    /// Lyrics without music (`PROTOCOL.md 2.35`).
    Lyrics(&'a [Lyrics]),
    /// The WAV file of a song (`PROTOCOL.md 2.36`).
    Wav(&'a MediaFile),
    /// The music video of a song (`PROTOCOL.md 2.37`).
    Mp4(&'a MediaFile),
    /// The stems of a song (`PROTOCOL.md 2.38`).
    Stems(&'a Stems),
    /// The notes of a song (`PROTOCOL.md 2.40`).
    Midi(&'a Midi),
    /// Cover images of a song (`PROTOCOL.md 2.42`).
    Covers(&'a [MediaFile]),
    /// A step on the way to a voice that can sing (`PROTOCOL.md 2.43`).
    Voice(&'a Voice),
    /// Nothing that this version understands: the members of `data` as they were sent. If `data` is
    /// not an object, it is the member `data` among the members of the body.
    Other(&'a Extra),
}

/// One file of an [`Output`] that is not a song.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct OutputFile<'a> {
    /// The role of the file: `wav`, `video`, `cover`, or the name of a stem, with `without-` before it if
    /// the audio is the song without the stem.
    pub role: Cow<'a, str>,
    /// The URL of the file.
    pub url: &'a str,
}

/// Without the URL, which gives access to the file.
impl fmt::Debug for OutputFile<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OutputFile")
            .field("role", &self.role)
            .finish_non_exhaustive()
    }
}

impl<'a> Output<'a> {
    /// The files in the order in which they were sent. Songs give none: they are tracks, which have
    /// several URLs each.
    #[must_use]
    pub fn files(&self) -> Vec<OutputFile<'a>> {
        let file = |role: &'static str, file: &'a MediaFile| OutputFile {
            role: role.into(),
            url: &file.url,
        };
        match self {
            Self::Wav(wav) => vec![file("wav", wav)],
            Self::Mp4(video) => vec![file("video", video)],
            Self::Covers(covers) => covers.iter().map(|cover| file("cover", cover)).collect(),
            Self::Stems(stems) => {
                let file = |stem: &'a Stem| OutputFile {
                    role: match stem.is_removed {
                        true => format!("without-{}", stem.name).into(),
                        false => stem.name.as_str().into(),
                    },
                    url: &stem.url,
                };
                stems.parts.iter().map(file).collect()
            }
            _ => Vec::new(),
        }
    }
}

/// Lyrics without music.
#[derive(Clone, PartialEq, Default)]
#[non_exhaustive]
pub struct Lyrics {
    /// The words. Empty or absent if they could not be written.
    pub text: Option<String>,
    /// The title.
    pub title: Option<String>,
    /// The provider's word for the state of these lyrics, such as `complete`: an open set.
    pub status: Option<String>,
    /// The reason why these lyrics could not be written; empty if they could.
    pub error_message: Option<String>,
    /// Members that this version does not know.
    pub extra: Extra,
}

impl Lyrics {
    /// Returns whether there are words.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.text.as_deref().is_some_and(|text| !text.is_empty())
    }
}

/// A file that the provider has made.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct MediaFile {
    /// The URL of the file, not empty, as it was sent.
    pub url: String,
}

impl MediaFile {
    pub(crate) fn new(url: String) -> Self {
        Self { url }
    }
}

/// The stems of a song.
#[derive(Clone, PartialEq, Default)]
#[non_exhaustive]
pub struct Stems {
    /// The URL of the song that was separated; often empty.
    pub origin_url: Option<String>,
    /// The stems that were sent with a URL.
    pub parts: Vec<Stem>,
    /// Members that this version does not know.
    pub extra: Extra,
}

/// One stem of a song.
#[derive(Clone, PartialEq, Default)]
#[non_exhaustive]
pub struct Stem {
    /// The name of the stem, such as `vocal`, `backing_vocals` or `Lead Vocal`: an open set. Empty
    /// if none was sent.
    pub name: String,
    /// The URL of the stem's audio, as it was sent: it can contain a blank (`PROTOCOL.md 2.39`).
    pub url: String,
    /// Whether the audio is the song without this stem, instead of the stem alone.
    pub is_removed: bool,
    /// The length in seconds.
    pub duration: Option<f64>,
    /// The id of the audio.
    pub id: Option<String>,
    /// Members that this version does not know.
    pub extra: Extra,
}

/// A step on the way to a voice that can sing: a phrase to record, or the voice.
#[derive(Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Voice {
    /// The phrase that the owner of the voice has to record.
    pub phrase: Option<String>,
    /// The id of the finished voice.
    pub voice_id: Option<String>,
    /// The provider's word for the step, such as `wait_validating`: an open set.
    pub status: Option<String>,
}

/// The results that were read from a body besides its tracks. Their JSON is kept beside them, and is what
/// is encoded.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Reading {
    pub(crate) found: Found,
    /// The product that the members name, whether or not a result was found.
    pub(crate) hint: Option<Product>,
    /// The word for the stage in a body without `callbackType`.
    pub(crate) word: Option<Box<str>>,
}

/// A result other than tracks.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) enum Found {
    #[default]
    Nothing,
    Lyrics(Vec<Lyrics>),
    Wav(MediaFile),
    Mp4(MediaFile),
    Stems(Stems),
    Midi(Midi),
    Covers(Vec<MediaFile>),
    Voice(Voice),
}

/// How many results there are, and how many of them are ready.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ready {
    pub(crate) ready: usize,
    pub(crate) total: usize,
}

impl Found {
    fn product(&self) -> Option<Product> {
        Some(match self {
            Self::Nothing => return None,
            Self::Lyrics(_) => Product::LYRICS,
            Self::Wav(_) => Product::WAV,
            Self::Mp4(_) => Product::MP4,
            Self::Stems(_) => Product::STEMS,
            Self::Midi(_) => Product::MIDI,
            Self::Covers(_) => Product::COVER,
            Self::Voice(_) => Product::VOICE,
        })
    }

    /// A text for each result that is ready.
    fn results(&self) -> Vec<Cow<'_, str>> {
        let files = |files: &mut dyn Iterator<Item = &'_ str>| -> Vec<Cow<'_, str>> {
            files
                .map(|url| Cow::Owned(without_query(url).to_owned()))
                .collect()
        };
        match self {
            Self::Nothing => Vec::new(),
            Self::Lyrics(all) => {
                let texts = all.iter().filter(|lyrics| lyrics.is_ready());
                texts
                    .filter_map(|lyrics| lyrics.text.as_deref().map(Cow::Borrowed))
                    .collect()
            }
            Self::Wav(file) | Self::Mp4(file) => vec![Cow::Borrowed(without_query(&file.url))],
            Self::Stems(stems) => files(&mut stems.parts.iter().map(|part| part.url.as_str())),
            Self::Covers(covers) => files(&mut covers.iter().map(|file| file.url.as_str())),
            Self::Midi(midi) => {
                let instruments = midi.instruments.iter();
                let filled = instruments.filter(|instrument| !instrument.notes.is_empty());
                filled
                    .map(|instrument| Cow::Owned(instrument.result()))
                    .collect()
            }
            Self::Voice(voice) => {
                let texts = [&voice.phrase, &voice.voice_id].into_iter().flatten();
                let texts = texts.filter(|text| !text.is_empty());
                texts.map(|text| Cow::Borrowed(text.as_str())).collect()
            }
        }
    }

    fn total(&self) -> usize {
        match self {
            Self::Lyrics(all) => all.len(),
            _ => self.results().len(),
        }
    }
}

/// A URL without what a provider may sign anew for each delivery.
fn without_query(url: &str) -> &str {
    url.split(['?', '#']).next().unwrap_or(url)
}

/// What a callback or a record has made, with the members that are needed to say so.
#[derive(Debug, Clone)]
pub(crate) struct Made<'a> {
    pub(crate) tracks: &'a [Track],
    pub(crate) reading: &'a Reading,
    /// The members to show for an unknown product.
    pub(crate) members: &'a Extra,
    /// The product if neither a result nor a member names one.
    pub(crate) otherwise: Product,
}

impl<'a> Made<'a> {
    pub(crate) fn product(&self) -> Product {
        let hint = &self.reading.hint;
        match self.reading.found.product() {
            Some(product) => product,
            None if self.tracks.is_empty() => hint.clone().unwrap_or(self.otherwise.clone()),
            None if *hint == Some(Product::RECOVERY) => Product::RECOVERY,
            None => Product::SONG,
        }
    }

    pub(crate) fn output(&self) -> Output<'a> {
        match &self.reading.found {
            Found::Lyrics(all) => Output::Lyrics(all),
            Found::Wav(file) => Output::Wav(file),
            Found::Mp4(file) => Output::Mp4(file),
            Found::Stems(stems) => Output::Stems(stems),
            Found::Midi(midi) => Output::Midi(midi),
            Found::Covers(covers) => Output::Covers(covers),
            Found::Voice(voice) => Output::Voice(voice),
            Found::Nothing => {
                let product = self.product();
                if product == Product::SONG || product == Product::RECOVERY {
                    Output::Songs(self.tracks)
                } else {
                    Output::Other(self.members)
                }
            }
        }
    }

    pub(crate) fn results(&self) -> impl Iterator<Item = Cow<'a, str>> + use<'a> {
        let songs = self.tracks.iter().filter(|track| track.is_ready());
        songs.map(Track::result).chain(self.reading.found.results())
    }

    pub(crate) fn ready(&self) -> Ready {
        let songs = self.tracks.iter().filter(|track| track.is_ready()).count();
        Ready {
            ready: songs + self.reading.found.results().len(),
            total: self.tracks.len() + self.reading.found.total(),
        }
    }
}

/// Without the words.
impl fmt::Debug for Lyrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lyrics")
            .field("status", &self.status)
            .field("is_ready", &self.is_ready())
            .field("extra", &self.extra)
            .finish_non_exhaustive()
    }
}

/// Without the URL, which gives access to the file.
impl fmt::Debug for MediaFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MediaFile(…)")
    }
}

/// Without the URL.
impl fmt::Debug for Stems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stems")
            .field("parts", &self.parts)
            .field("extra", &self.extra)
            .finish_non_exhaustive()
    }
}

/// Without the URL.
impl fmt::Debug for Stem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stem")
            .field("name", &self.name)
            .field("is_removed", &self.is_removed)
            .field("duration", &self.duration)
            .finish_non_exhaustive()
    }
}

/// Without the phrase and the id, with which anyone could use the voice.
impl fmt::Debug for Voice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Voice")
            .field("status", &self.status)
            .finish_non_exhaustive()
    }
}
