//! The products of operations.

use crate::profile::Profile;

/// The product of an operation. It decides the shapes of callbacks and records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Product {
    Song,
    Lyrics,
    Wav,
    Video,
    Stems,
    Midi,
    /// Cover images.
    Cover,
    /// The phrase that the owner of a voice has to record.
    VoicePhrase,
    /// A voice that can sing.
    Voice,
    /// Whether a voice can be used.
    VoiceCheck,
    /// Fresh URLs for the songs of an earlier task.
    Recovery,
    /// The words of a song with the times at which they are sung.
    TimedLyrics,
    Persona,
    /// A longer description of a style.
    Style,
}

impl Product {
    /// Every path of polls on the direct route, with a product that is found there.
    pub(crate) const RECORDS: [Self; 10] = [
        Self::Song,
        Self::Lyrics,
        Self::Wav,
        Self::Video,
        Self::Stems,
        Self::Midi,
        Self::Cover,
        Self::VoicePhrase,
        Self::Voice,
        Self::Recovery,
    ];

    /// Returns the path of polls on the direct route. `None` if the submit is answered with the
    /// result.
    pub(crate) fn record_path(self) -> Option<&'static str> {
        Some(match self {
            Self::Song => "/api/v1/generate/record-info",
            Self::Lyrics => "/api/v1/lyrics/record-info",
            Self::Wav => "/api/v1/wav/record-info",
            Self::Video => "/api/v1/mp4/record-info",
            Self::Stems => "/api/v1/vocal-removal/record-info",
            Self::Midi => "/api/v1/midi/record-info",
            Self::Cover => "/api/v1/suno/cover/record-info",
            Self::VoicePhrase => "/api/v1/voice/validate-info",
            Self::Voice => "/api/v1/voice/record-info",
            Self::Recovery => "/api/v1/suno/recovery/record-info",
            Self::VoiceCheck | Self::TimedLyrics | Self::Persona | Self::Style => return None,
        })
    }

    /// Returns the member with the task id in the answer to a submit on the direct route, which is
    /// also the parameter of polls.
    pub(crate) fn task_id_name(self) -> &'static str {
        match self {
            Self::Recovery => "task_id",
            _ => "taskId",
        }
    }

    /// Whether a submit on the direct route is answered with the result, without a task to poll.
    pub(crate) fn is_immediate(self) -> bool {
        self.record_path().is_none()
    }

    pub(crate) fn is_song(self) -> bool {
        self == Self::Song
    }

    /// Returns the number of files of a task that is not a song.
    pub(crate) fn file_count(self) -> usize {
        match self {
            Self::Cover | Self::Recovery | Self::Lyrics => 2,
            _ => 1,
        }
    }

    /// Returns the usual code of a failure callback on the direct route.
    pub(crate) fn failure_code(self, profile: Profile) -> u16 {
        match self {
            Self::Song => profile.failure_code(),
            Self::Cover => 501,
            Self::Lyrics | Self::VoicePhrase | Self::Voice => 400,
            Self::Recovery | Self::Midi => 500,
            _ => match profile {
                Profile::Kie => 500,
                Profile::SunoApi => 400,
            },
        }
    }

    /// Returns the word for the product in documents and summaries.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Song => "song",
            Self::Lyrics => "lyrics",
            Self::Wav => "wav",
            Self::Video => "mp4",
            Self::Stems => "stems",
            Self::Midi => "midi",
            Self::Cover => "cover",
            Self::VoicePhrase => "voice phrase",
            Self::Voice => "voice",
            Self::VoiceCheck => "voice check",
            Self::Recovery => "recovery",
            Self::TimedLyrics => "timed lyrics",
            Self::Persona => "persona",
            Self::Style => "style",
        }
    }
}
