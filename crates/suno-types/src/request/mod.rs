//! The requests that create tasks: what each operation asks for, and by which route it is sent.
//!
//! The files `songs.rs`, `files.rs` and `voices.rs` have one table for each operation. The types,
//! the checks, the bodies of both routes, and the descriptions for commands come from it.

#[macro_use]
mod define;
mod dynamic;
mod field;
mod files;
mod members;
mod songs;
mod url;
mod voices;

use std::fmt;
use std::str::FromStr;

use serde::Serialize;

pub use self::dynamic::{DynamicRequest, RequestBuilder};
pub(crate) use self::field::Value;
pub use self::field::{Field, FieldKind, InvalidField, OptionalText};
pub use self::files::{
    ConvertToWav, ConvertToWavBuilder, CreateVideo, CreateVideoBuilder, GenerateCover,
    GenerateCoverBuilder, GenerateLyrics, GenerateLyricsBuilder, GenerateMidi, GenerateMidiBuilder,
    RecoverSongs, RecoverSongsBuilder, SeparateStems, SeparateStemsBuilder,
};
pub(crate) use self::members::Members;
pub use self::songs::{
    AddInstrumental, AddInstrumentalBuilder, AddVocals, AddVocalsBuilder, ExtendSong,
    ExtendSongBuilder, GenerateSong, GenerateSongBuilder, GenerateSound, GenerateSoundBuilder,
    Mashup, MashupBuilder, ReplaceSection, ReplaceSectionBuilder, UploadCover, UploadCoverBuilder,
    UploadExtend, UploadExtendBuilder,
};
pub use self::voices::{
    GenerateVoice, GenerateVoiceBuilder, RegenerateVoice, RegenerateVoiceBuilder, ValidateVoice,
    ValidateVoiceBuilder,
};
use crate::word::open_word;
use crate::{Product, Route, TaskKind};

open_word! {
    /// The name of a model. The provider adds several a year.
    ///
    /// ```
    /// use suno_types::Model;
    ///
    /// assert_eq!(Model::from("V5"), Model::V5);
    /// assert_eq!(Model::from("V9_WILD").as_str(), "V9_WILD");
    /// ```
    Model {
        /// `V4`
        V4 = "V4",
        /// `V4_5`
        V4_5 = "V4_5",
        /// `V4_5PLUS`
        V4_5PLUS = "V4_5PLUS",
        /// `V4_5ALL`
        V4_5ALL = "V4_5ALL",
        /// `V5`
        V5 = "V5",
        /// `V5_5`
        V5_5 = "V5_5",
        /// `V6`
        V6 = "V6",
        /// `V6_MINI`
        V6_MINI = "V6_MINI",
        /// `V6_WILD`
        V6_WILD = "V6_WILD",
    }
}

/// The voice of sung parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[non_exhaustive]
pub enum VocalGender {
    /// `m`
    #[serde(rename = "m")]
    Male,
    /// `f`
    #[serde(rename = "f")]
    Female,
}

impl VocalGender {
    /// The provider's word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Male => "m",
            Self::Female => "f",
        }
    }
}

/// A rule between the fields of one operation.
type Check = fn(&Members) -> Result<(), InvalidField>;

/// One row of the table of operations.
struct Row {
    operation: Operation,
    word: &'static str,
    about: &'static str,
    path: &'static str,
    jobs_model: &'static str,
    product: Product,
    /// Whether the direct route needs a callback URL.
    needs_callback_url: bool,
    fields: &'static [Field],
    rules: Check,
}

macro_rules! operations {
    ($(
        #[doc = $about:literal]
        $name:ident = $word:literal: $path:literal, $model:literal, $product:ident, $callback:ident,
            $request:ident;
    )*) => {
        /// One kind of task that the provider can be asked for (`PROTOCOL.md 1.45`).
        ///
        /// ```
        /// use suno_types::Operation;
        ///
        /// let operation: Operation = "add-vocals".parse()?;
        /// assert_eq!(operation.path(), "/api/v1/generate/add-vocals");
        /// assert_eq!(operation.fields()[0].option(), "upload-url");
        /// # Ok::<(), suno_types::InvalidOperation>(())
        /// ```
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum Operation {
            $(#[doc = $about] $name,)*
        }

        /// One for each operation, in the order of their declaration.
        static ROWS: &[Row] = &[$(Row {
            operation: Operation::$name,
            word: $word,
            about: $about,
            path: concat!("/api/v1", $path),
            jobs_model: concat!("ai-music-api/", $model),
            product: Product::$product,
            needs_callback_url: is_required!($callback),
            fields: $request::FIELDS,
            rules: $request::RULES,
        },)*];
    };
}

operations! {
    /// Generate songs from a description or from lyrics.
    Generate = "generate": "/generate", "generate", SONG, required, GenerateSong;
    /// Continue a song of an earlier task.
    Extend = "extend": "/generate/extend", "extend", SONG, required, ExtendSong;
    /// Sing uploaded audio in another style.
    UploadCover = "upload-cover": "/generate/upload-cover", "upload-and-cover-audio", SONG, required,
        UploadCover;
    /// Continue uploaded audio.
    UploadExtend = "upload-extend": "/generate/upload-extend", "upload-and-extend-audio", SONG,
        required, UploadExtend;
    /// Add an instrumental to uploaded audio.
    AddInstrumental = "add-instrumental": "/generate/add-instrumental", "add-instrumental", SONG,
        required, AddInstrumental;
    /// Add vocals to uploaded audio.
    AddVocals = "add-vocals": "/generate/add-vocals", "add-vocals", SONG, required, AddVocals;
    /// Replace a section of a song.
    ReplaceSection = "replace-section": "/generate/replace-section", "replace-section", SONG,
        required, ReplaceSection;
    /// Blend two uploaded songs.
    Mashup = "mashup": "/generate/mashup", "mashup", SONG, required, Mashup;
    /// Generate a sound effect or a loop.
    Sounds = "sounds": "/generate/sounds", "sounds", SONG, required, GenerateSound;
    /// Generate lyrics without music.
    Lyrics = "lyrics": "/lyrics", "generate-lyrics", LYRICS, required, GenerateLyrics;
    /// Convert a song to WAV.
    Wav = "wav": "/wav/generate", "convert-to-wav-format", WAV, required, ConvertToWav;
    /// Create the music video of a song.
    Mp4 = "mp4": "/mp4/generate", "create-music-video", MP4, required, CreateVideo;
    /// Separate a song into stems, such as vocals and drums.
    Stems = "stems": "/vocal-removal/generate", "separate-vocals", STEMS, required, SeparateStems;
    /// Write down the notes of separated stems.
    Midi = "midi": "/midi/generate", "generate-midi-from-audio", MIDI, required, GenerateMidi;
    /// Create cover images for a song.
    Cover = "cover": "/suno/cover/generate", "cover-generate", COVER, required, GenerateCover;
    /// Get the phrase that proves a voice.
    VoiceValidate = "voice-validate": "/voice/validate", "validation-phrase", VOICE_PHRASE, optional,
        ValidateVoice;
    /// Get another phrase that proves a voice.
    VoiceRegenerate = "voice-regenerate": "/voice/regenerate", "regenerate-phrase", VOICE_PHRASE,
        required, RegenerateVoice;
    /// Create a voice from the recorded phrase.
    VoiceGenerate = "voice-generate": "/voice/generate", "create-voice", VOICE, optional,
        GenerateVoice;
    /// Fetch the songs of an earlier task again.
    Recovery = "recovery": "/suno/recovery", "suno-recovery-audio", RECOVERY, required, RecoverSongs;
}

impl Operation {
    fn row(self) -> &'static Row {
        // The rows are in the order of the variants, which a test checks.
        &ROWS[self as usize]
    }

    /// All operations that this version knows.
    pub fn all() -> impl Iterator<Item = Self> {
        ROWS.iter().map(|row| row.operation)
    }

    /// The operation as one stable word, such as `add-instrumental`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.row().word
    }

    /// The path of the direct route (`PROTOCOL.md 1.45`).
    #[must_use]
    pub fn path(self) -> &'static str {
        self.row().path
    }

    /// The name of the operation on the jobs route, such as `ai-music-api/add-instrumental`
    /// (`PROTOCOL.md 1.46`).
    #[must_use]
    pub fn jobs_model(self) -> &'static str {
        self.row().jobs_model
    }

    /// The product of a task of this operation.
    #[must_use]
    pub fn product(self) -> Product {
        self.row().product.clone()
    }

    /// The product and the route that are needed to poll a task of this operation.
    #[must_use]
    pub fn kind(self, route: Route) -> TaskKind {
        TaskKind::new(route, self.product())
    }

    /// Returns whether the provider refuses a request without a callback URL on this route.
    #[must_use]
    pub fn needs_callback_url(self, route: Route) -> bool {
        route == Route::Direct && self.row().needs_callback_url
    }

    /// The fields of a request, without the callback URL, which every operation has.
    #[must_use]
    pub fn fields(self) -> &'static [Field] {
        self.row().fields
    }

    /// The member of the direct route for the callback URL. One operation spells it without an `l`
    /// (`PROTOCOL.md 1.49`).
    pub(crate) fn callback_member(self) -> &'static str {
        match self {
            Self::VoiceRegenerate => "calBackUrl",
            _ => "callBackUrl",
        }
    }

    fn rules(self) -> Check {
        self.row().rules
    }
}

/// Writes what the operation does, for people.
impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.row().about.trim_ascii().trim_end_matches('.'))
    }
}

/// The error for a word that is not an [`Operation`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an operation is a word such as generate, add-instrumental or lyrics")]
#[non_exhaustive]
pub struct InvalidOperation;

impl FromStr for Operation {
    type Err = InvalidOperation;

    fn from_str(word: &str) -> Result<Self, InvalidOperation> {
        Self::all()
            .find(|operation| operation.as_str() == word)
            .ok_or(InvalidOperation)
    }
}

/// A valid request for a new task. Only types of this crate implement it.
///
/// ```
/// use suno_types::{GenerateLyrics, Operation, Product, Request, Route};
///
/// let request = GenerateLyrics::builder()
///     .prompt("a harbour at night")
///     .callback_url("https://app.example.com/suno/callback")
///     .build()?;
/// assert_eq!(request.operation(), Operation::Lyrics);
/// assert_eq!(request.kind(Route::Direct).product, Product::LYRICS);
///
/// let named = request.with_callback_url("https://app.example.com/suno/callback?order=42")?;
/// let body = named.encode(Route::Jobs)?;
/// # let _ = body;
/// # Ok::<(), suno_types::InvalidField>(())
/// ```
pub trait Request: Sealed + Clone + fmt::Debug + Send + Sync + 'static {
    /// The operation.
    fn operation(&self) -> Operation {
        self.members().operation()
    }

    /// What must be known of the task to poll it, if the request is sent by `route`.
    fn kind(&self, route: Route) -> TaskKind {
        self.operation().kind(route)
    }

    /// The URL to which the provider will POST, if there is one.
    fn callback_url(&self) -> Option<&str> {
        self.members().callback_url()
    }

    /// Replaces the URL to which the provider will POST.
    ///
    /// # Errors
    ///
    /// [`InvalidField`] unless it is an absolute `http` or `https` URL without user name and
    /// password.
    fn with_callback_url(mut self, url: impl Into<String>) -> Result<Self, InvalidField> {
        self.members_mut().replace_callback_url(url.into())?;
        Ok(self)
    }

    /// Writes the body of the request for a route.
    ///
    /// # Errors
    ///
    /// [`InvalidField`] if the route needs a callback URL and the request was built without one.
    fn encode(&self, route: Route) -> Result<Vec<u8>, InvalidField> {
        self.members().check_route(route)?;
        Ok(self.members().encode(route))
    }
}

mod sealed {
    use super::Members;

    pub trait Sealed {
        fn members(&self) -> &Members;
        fn members_mut(&mut self) -> &mut Members;
    }
}

use sealed::Sealed;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_operation_has_its_own_row_word_and_path() {
        for (place, row) in ROWS.iter().enumerate() {
            assert_eq!(row.operation as usize, place);
            assert_eq!(row.word.parse(), Ok(row.operation));
            let same = |other: &&Row| other.path == row.path || other.jobs_model == row.jobs_model;
            assert_eq!(ROWS.iter().filter(same).count(), 1, "{}", row.word);
        }
    }

    #[test]
    fn every_field_is_spelled_in_three_ways_and_explained() {
        for operation in Operation::all() {
            let fields = operation.fields();
            for (place, field) in fields.iter().enumerate() {
                assert_eq!(field.option(), field.name().replace('_', "-"));
                assert!(field.help().ends_with('.'), "{}", field.help());
                let camel = field.member().replace('_', "").to_lowercase();
                let is_renamed = field.member() == "sunoTaskId";
                assert!(is_renamed || camel == field.name().replace('_', ""));
                let same = |other: &&Field| other.name() == field.name();
                assert_eq!(
                    fields[place..].iter().filter(same).count(),
                    1,
                    "{}",
                    field.name()
                );
            }
        }
    }
}
