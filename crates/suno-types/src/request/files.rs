//! The requests for lyrics, and for what is made from a song: files, stems, notes and images.

use std::fmt;

use super::field::{Field, FieldKind, InvalidField, OptionalText, Value, kebab};
use super::members::Members;
use super::sealed::Sealed;
use super::{Check, Operation, Request};
use crate::Route;

/// The maximum number of words in the description of lyrics (`PROTOCOL.md 1.48`).
const LYRICS_WORDS_MAX: usize = 200;

/// The ways to separate a song.
const SEPARATIONS: &[&str] = &["separate_vocal", "split_stem", "split_stem_advanced"];

request! {
    /// A valid request for lyrics without music (`PROTOCOL.md 1.48`).
    GenerateLyrics, GenerateLyricsBuilder = Lyrics, words;
    /// The description of the lyrics, of at most 200 words.
    prompt = "prompt": required text(3_000),
}

request! {
    /// A valid request to convert a song to WAV (`PROTOCOL.md 1.48`).
    ConvertToWav, ConvertToWavBuilder = Wav, |_| Ok(());
    /// The task of the song.
    task_id = "taskId": required id,
    /// The track to convert.
    audio_id = "audioId": required id,
}

request! {
    /// A valid request for the music video of a song (`PROTOCOL.md 1.48`).
    CreateVideo, CreateVideoBuilder = Mp4, |_| Ok(());
    /// The task of the song.
    task_id = "taskId": required id,
    /// The track to show.
    audio_id = "audioId": required id,
    /// The name of the artist that the video shows.
    author = "author": optional text(50),
    /// The website or brand that the video shows.
    domain_name = "domainName": optional text(50),
}

request! {
    /// A valid request to separate a song into stems (`PROTOCOL.md 1.48`).
    SeparateStems, SeparateStemsBuilder = Stems, stems;
    /// The task of the song.
    task_id = "taskId": optional id,
    /// The track to separate.
    audio_id = "audioId": optional id,
    /// The URL of other audio to separate; used by the jobs route of kie.ai only.
    audio_url = "audioUrl": optional url,
    /// The way to separate: separate_vocal, split_stem, or split_stem_advanced.
    separation("type") = "type": optional choice(SEPARATIONS),
    /// The stem that is wanted, for split_stem_advanced.
    stem_name = "stemName": optional text(100),
}

request! {
    /// A valid request for the notes of separated stems (`PROTOCOL.md 1.48`).
    GenerateMidi, GenerateMidiBuilder = Midi, |_| Ok(());
    /// The task that separated the stems.
    task_id = "taskId": required id,
    /// The stem; all stems if it is not set.
    audio_id = "audioId": optional id,
}

request! {
    /// A valid request for cover images of a song (`PROTOCOL.md 1.48`).
    GenerateCover, GenerateCoverBuilder = Cover, |_| Ok(());
    /// The task of the song.
    task_id = "taskId": required id,
}

request! {
    /// A valid request to fetch the songs of an earlier task again (`PROTOCOL.md 1.48`).
    RecoverSongs, RecoverSongsBuilder = Recovery, |_| Ok(());
    /// The task whose songs are wanted.
    task_id = "sunoTaskId": required id,
}

fn words(lyrics: &Members) -> Result<(), InvalidField> {
    let words = lyrics.text("prompt").unwrap_or_default().split_whitespace();
    match words.count() <= LYRICS_WORDS_MAX {
        true => Ok(()),
        false => Err(lyrics.invalid("prompt", "at most 200 words long")),
    }
}

/// A separation is of a track or of other audio.
fn stems(stems: &Members) -> Result<(), InvalidField> {
    if !stems.has("audio_url") {
        stems.needs("task_id", "set unless audioUrl is")?;
        stems.needs("audio_id", "set unless audioUrl is")?;
    }
    match stems.text("type") == Some("split_stem_advanced") {
        true => stems.needs("stem_name", "set if type is split_stem_advanced"),
        false => Ok(()),
    }
}
