//! The requests on the way to a voice that can sing: a phrase to record, and the voice.

use std::fmt;

use super::field::{Field, FieldKind, InvalidField, OptionalText, Value, kebab};
use super::members::Members;
use super::sealed::Sealed;
use super::{Check, Operation, Request};
use crate::Route;

/// The languages of a phrase.
const LANGUAGES: &[&str] = &["en", "zh", "es", "fr", "pt", "de", "ja", "ko", "hi", "ru"];

/// How well the owner of a voice sings.
const SKILLS: &[&str] = &["beginner", "intermediate", "advanced", "professional"];

request! {
    /// A valid request for the phrase that proves a voice (`PROTOCOL.md 1.49`).
    ValidateVoice, ValidateVoiceBuilder = VoiceValidate, part;
    /// The URL of a recording of the voice.
    voice_url = "voiceUrl": required url,
    /// The start of the part to use, in seconds.
    vocal_start_s = "vocalStartS": required integer(u32, 0, 3_600),
    /// The end of the part to use, in seconds.
    vocal_end_s = "vocalEndS": required integer(u32, 0, 3_600),
    /// The language of the phrase, such as en.
    language = "language": optional choice(LANGUAGES),
}

request! {
    /// A valid request for another phrase that proves a voice (`PROTOCOL.md 1.49`).
    RegenerateVoice, RegenerateVoiceBuilder = VoiceRegenerate, |_| Ok(());
    /// The task that gave the first phrase.
    task_id = "taskId": required id,
}

request! {
    /// A valid request to create a voice from the recorded phrase (`PROTOCOL.md 1.49`).
    GenerateVoice, GenerateVoiceBuilder = VoiceGenerate, |_| Ok(());
    /// The task that gave the phrase.
    task_id = "taskId": required id,
    /// The URL of a recording of the phrase, sung by the same voice.
    verify_url = "verifyUrl": required url,
    /// The name of the voice.
    voice_name = "voiceName": optional text(100),
    /// The description of the voice.
    description = "description": optional text(1_000),
    /// The style of the voice.
    style = "style": optional text(1_000),
    /// How well the voice sings: beginner, intermediate, advanced, or professional.
    singer_skill_level = "singerSkillLevel": optional choice(SKILLS),
}

fn part(voice: &Members) -> Result<(), InvalidField> {
    match voice.number("vocal_start_s") < voice.number("vocal_end_s") {
        true => Ok(()),
        false => Err(voice.invalid("vocal_end_s", "greater than vocalStartS")),
    }
}
