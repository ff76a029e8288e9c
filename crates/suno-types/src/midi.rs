//! The notes of a song.

/// The notes of a song, by instrument (`PROTOCOL.md 2.40`).
#[derive(Debug, Clone, PartialEq, Default)]
#[non_exhaustive]
pub struct Midi {
    /// The provider's word for the state, such as `complete`: an open set.
    pub state: Option<String>,
    /// The instruments in the order in which they were sent.
    pub instruments: Vec<Instrument>,
}

/// The notes of one instrument.
#[derive(Debug, Clone, PartialEq, Default)]
#[non_exhaustive]
pub struct Instrument {
    /// The name, such as `Drums`: an open set.
    pub name: Option<String>,
    /// The notes in the order in which they were sent.
    pub notes: Vec<Note>,
}

/// One note. Numbers are sent as numbers or as text; one that is neither is absent.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
#[non_exhaustive]
pub struct Note {
    /// The MIDI number of the pitch; 60 is middle C.
    pub pitch: Option<f64>,
    /// The start, in seconds from the start of the song.
    pub start: Option<f64>,
    /// The end, in seconds from the start of the song.
    pub end: Option<f64>,
    /// The loudness, in the scale of the provider.
    pub velocity: Option<f64>,
}

impl Midi {
    /// The maximum number of notes in a body, of all instruments together. It is several times as
    /// many as a song has, and few enough that a body of notes alone does not fill the memory.
    pub const NOTES_MAX: usize = 131_072;
}

impl Instrument {
    /// A text that tells this result from another one: its name, and how many notes it has.
    pub(crate) fn result(&self) -> String {
        let name = self.name.as_deref().unwrap_or_default();
        format!("{name}:{}", self.notes.len())
    }
}
