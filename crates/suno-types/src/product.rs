//! The kind of result that a task makes, and the route by which it is submitted and polled.

use std::fmt;
use std::str::FromStr;

use crate::word::open_word;

open_word! {
    /// The kind of result that a task makes. The provider adds products, so the set is open.
    Product {
        /// Songs: generated, extended, covered, mashed up, or made from an upload.
        SONG = "song",
        /// Lyrics without music.
        LYRICS = "lyrics",
        /// The WAV file of a song.
        WAV = "wav",
        /// The music video of a song.
        MP4 = "mp4",
        /// The stems of a song, such as vocals and drums.
        STEMS = "stems",
        /// The notes of a song.
        MIDI = "midi",
        /// Cover images of a song.
        COVER = "cover",
        /// A step on the way to a voice that can sing.
        VOICE = "voice",
        /// The phrase that is recorded to prove a voice. Its callbacks are those of a
        /// [`VOICE`](Self::VOICE), but it is polled elsewhere (`PROTOCOL.md 1.50`).
        VOICE_PHRASE = "voice-phrase",
        /// Songs of an earlier task that are fetched again.
        RECOVERY = "recovery",
        /// A product that this version cannot name.
        OTHER = "other",
    }
}

/// The route by which a task is submitted and polled (`PROTOCOL.md 5`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Route {
    /// A path for each operation, such as `/api/v1/generate/extend`. Both providers have it.
    #[default]
    Direct,
    /// `/api/v1/jobs/createTask` for all operations; kie.ai only.
    Jobs,
}

/// The product and the route of a task, which are needed to poll it.
///
/// As text, for stores: `song`, or `jobs/song` for the jobs route.
///
/// ```
/// use suno_types::{Product, Route, TaskKind};
///
/// let kind: TaskKind = "jobs/lyrics".parse()?;
/// assert_eq!((kind.route, kind.product), (Route::Jobs, Product::LYRICS));
/// assert_eq!(TaskKind::default().to_string(), "song");
/// # Ok::<(), suno_types::InvalidTaskKind>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct TaskKind {
    /// The route.
    pub route: Route,
    /// The product.
    pub product: Product,
}

impl TaskKind {
    /// The maximum number of bytes of a kind as text.
    pub const BYTES_MAX: usize = 64;

    /// Creates a kind.
    #[must_use]
    pub fn new(route: Route, product: Product) -> Self {
        Self { route, product }
    }
}

/// A song by the direct route.
impl Default for TaskKind {
    fn default() -> Self {
        Self::new(Route::Direct, Product::SONG)
    }
}

impl fmt::Display for TaskKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.route {
            Route::Direct => self.product.fmt(f),
            Route::Jobs => write!(f, "jobs/{}", self.product),
        }
    }
}

/// The error for a text that is not a [`TaskKind`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a kind of task is a product such as song, or jobs/ and a product")]
#[non_exhaustive]
pub struct InvalidTaskKind;

impl FromStr for TaskKind {
    type Err = InvalidTaskKind;

    fn from_str(text: &str) -> Result<Self, InvalidTaskKind> {
        let (route, product) = match text.strip_prefix("jobs/") {
            Some(product) => (Route::Jobs, product),
            None => (Route::Direct, text),
        };
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        if product.is_empty() || text.len() > Self::BYTES_MAX || !product.bytes().all(plain) {
            return Err(InvalidTaskKind);
        }
        Ok(Self::new(route, Product::from(product)))
    }
}
