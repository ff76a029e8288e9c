//! The requests for songs.

use std::fmt;

use super::field::{Field, FieldKind, InvalidField, OptionalText, SECONDS_MAX, Value, kebab};
use super::members::Members;
use super::sealed::Sealed;
use super::{Check, Model, Operation, Request, VocalGender};
use crate::Route;

/// The kinds of personas that a song can be sung by.
const PERSONA_MODELS: &[&str] = &["style_persona", "voice_persona"];

/// The keys of a sound.
const SOUND_KEYS: &[&str] = &[
    "Any", "Cm", "C#m", "Dm", "D#m", "Em", "Fm", "F#m", "Gm", "G#m", "Am", "A#m", "Bm", "C", "C#",
    "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B",
];

request! {
    /// A valid request for songs from a description or from lyrics (`PROTOCOL.md 1.47`).
    ///
    /// In the simple mode a prompt describes the song. In the custom mode there are a title, a style
    /// and lyrics.
    ///
    /// ```
    /// use suno_types::{GenerateSong, Model};
    ///
    /// let request = GenerateSong::builder()
    ///     .custom_mode(true)
    ///     .title("Harbour lights")
    ///     .style("warm, acoustic")
    ///     .lyrics("[Verse]\nThe lights come on")
    ///     .model(Model::V6)
    ///     .callback_url("https://app.example.com/suno/callback")
    ///     .build()?;
    /// # let _ = request;
    /// # Ok::<(), suno_types::InvalidField>(())
    /// ```
    GenerateSong, GenerateSongBuilder = Generate, |song| modes(song, &["image_urls", "audio_urls", "video_urls"]);
    /// The description of the song, or in the custom mode its lyrics.
    prompt = "prompt": optional text(5_000),
    /// The lyrics, which are sung as they are.
    lyrics = "lyrics": optional text(5_000),
    /// The title.
    title = "title": optional text(100),
    /// The styles to follow.
    style = "style": optional text(1_000),
    /// The styles to avoid.
    negative_tags = "negativeTags": optional text(1_000),
    /// Give a title, a style and lyrics instead of a description.
    custom_mode = "customMode": required flag,
    /// Make a song without vocals.
    instrumental = "instrumental": required flag,
    /// The model, such as V6.
    model = "model": required model,
    /// The voice of sung parts.
    vocal_gender = "vocalGender": optional gender,
    /// How closely the styles are followed.
    style_weight = "styleWeight": optional weight,
    /// How unusual the result may be.
    weirdness_constraint = "weirdnessConstraint": optional weight,
    /// How closely reference audio is followed.
    audio_weight = "audioWeight": optional weight,
    /// How much the tracks of the task differ.
    variety = "variety": optional integer(u8, 0, 4),
    /// The length of the song in seconds.
    duration = "duration": optional seconds(10.0, 360.0),
    /// The persona or voice that sings.
    persona_id = "personaId": optional id,
    /// The kind of the persona: style_persona or voice_persona.
    persona_model = "personaModel": optional choice(PERSONA_MODELS),
    /// Images that the song is about, in the simple mode.
    image_urls = "imageUrls": optional urls(1, 5),
    /// Audio that the song refers to, in the simple mode.
    audio_urls = "audioUrls": optional urls(1, 5),
    /// A video that the song is about, in the simple mode.
    video_urls = "videoUrls": optional urls(1, 1),
}

request! {
    /// A valid request to continue a song of an earlier task (`PROTOCOL.md 1.47`).
    ExtendSong, ExtendSongBuilder = Extend, own_parameters;
    /// The track to continue.
    audio_id = "audioId": required id,
    /// The task of the track.
    task_id = "taskId": optional id,
    /// Use the parameters of this request instead of those of the song.
    default_param_flag = "defaultParamFlag": required flag,
    /// The time in the song from which it is continued.
    continue_at = "continueAt": optional seconds(0.0, SECONDS_MAX),
    /// The description or lyrics of the new part.
    prompt = "prompt": optional text(5_000),
    /// The lyrics of the new part, which are sung as they are.
    lyrics = "lyrics": optional text(5_000),
    /// The title.
    title = "title": optional text(100),
    /// The styles to follow.
    style = "style": optional text(1_000),
    /// The styles to avoid.
    negative_tags = "negativeTags": optional text(1_000),
    /// Make a new part without vocals.
    instrumental = "instrumental": optional flag,
    /// The model, such as V6.
    model = "model": required model,
    /// The voice of sung parts.
    vocal_gender = "vocalGender": optional gender,
    /// How closely the styles are followed.
    style_weight = "styleWeight": optional weight,
    /// How unusual the result may be.
    weirdness_constraint = "weirdnessConstraint": optional weight,
    /// How closely the song is followed.
    audio_weight = "audioWeight": optional weight,
    /// How much the tracks of the task differ.
    variety = "variety": optional integer(u8, 0, 4),
    /// The persona or voice that sings.
    persona_id = "personaId": optional id,
    /// The kind of the persona: style_persona or voice_persona.
    persona_model = "personaModel": optional choice(PERSONA_MODELS),
}

request! {
    /// A valid request to sing uploaded audio in another style (`PROTOCOL.md 1.47`).
    UploadCover, UploadCoverBuilder = UploadCover, |song| modes(song, &["lyrics", "style", "image_urls"]);
    /// The URL of the audio.
    upload_url = "uploadUrl": required url,
    /// The description of the song, or in the custom mode its lyrics.
    prompt = "prompt": optional text(5_000),
    /// The lyrics, which are sung as they are.
    lyrics = "lyrics": optional text(5_000),
    /// The title.
    title = "title": optional text(100),
    /// The styles to follow.
    style = "style": optional text(1_000),
    /// The styles to avoid.
    negative_tags = "negativeTags": optional text(1_000),
    /// Give a title, a style and lyrics instead of a description.
    custom_mode = "customMode": required flag,
    /// Make a song without vocals.
    instrumental = "instrumental": required flag,
    /// The model, such as V6.
    model = "model": required model,
    /// The voice of sung parts.
    vocal_gender = "vocalGender": optional gender,
    /// How closely the styles are followed.
    style_weight = "styleWeight": optional weight,
    /// How unusual the result may be.
    weirdness_constraint = "weirdnessConstraint": optional weight,
    /// How closely the uploaded audio is followed.
    audio_weight = "audioWeight": optional weight,
    /// How much the tracks of the task differ.
    variety = "variety": optional integer(u8, 0, 4),
    /// The length of the song in seconds.
    duration = "duration": optional seconds(10.0, 360.0),
    /// The persona or voice that sings.
    persona_id = "personaId": optional id,
    /// The kind of the persona: style_persona or voice_persona.
    persona_model = "personaModel": optional choice(PERSONA_MODELS),
    /// Images that the song is about, in the simple mode.
    image_urls = "imageUrls": optional urls(1, 5),
}

request! {
    /// A valid request to continue uploaded audio (`PROTOCOL.md 1.47`).
    UploadExtend, UploadExtendBuilder = UploadExtend, own_parameters;
    /// The URL of the audio.
    upload_url = "uploadUrl": required url,
    /// Use the parameters of this request instead of those of the audio.
    default_param_flag = "defaultParamFlag": required flag,
    /// The time in the audio from which it is continued.
    continue_at = "continueAt": optional seconds(0.0, SECONDS_MAX),
    /// The description or lyrics of the new part.
    prompt = "prompt": optional text(5_000),
    /// The lyrics of the new part, which are sung as they are.
    lyrics = "lyrics": optional text(5_000),
    /// The title.
    title = "title": optional text(100),
    /// The styles to follow.
    style = "style": optional text(1_000),
    /// The styles to avoid.
    negative_tags = "negativeTags": optional text(1_000),
    /// Make a new part without vocals.
    instrumental = "instrumental": required flag,
    /// The model, such as V6.
    model = "model": required model,
    /// The voice of sung parts.
    vocal_gender = "vocalGender": optional gender,
    /// How closely the styles are followed.
    style_weight = "styleWeight": optional weight,
    /// How unusual the result may be.
    weirdness_constraint = "weirdnessConstraint": optional weight,
    /// How closely the uploaded audio is followed.
    audio_weight = "audioWeight": optional weight,
    /// How much the tracks of the task differ.
    variety = "variety": optional integer(u8, 0, 4),
    /// The persona or voice that sings.
    persona_id = "personaId": optional id,
    /// The kind of the persona: style_persona or voice_persona.
    persona_model = "personaModel": optional choice(PERSONA_MODELS),
}

request! {
    /// A valid request to generate an instrumental for uploaded audio (`PROTOCOL.md 1.2` to `1.12`),
    /// within the bounds of `PROTOCOL.md 7.40`.
    ///
    /// ```
    /// use suno_types::{AddInstrumental, Model};
    ///
    /// let request = AddInstrumental::builder()
    ///     .upload_url("https://media.example.com/voice.mp3")
    ///     .title("Harbour lights")
    ///     .tags("warm, acoustic")
    ///     .negative_tags("heavy drums")
    ///     .callback_url("https://app.example.com/suno/callback")
    ///     .model(Model::V5)
    ///     .style_weight(0.65)
    ///     .build()?;
    /// # let _ = request;
    ///
    /// let err = AddInstrumental::builder().title("Harbour lights").build().unwrap_err();
    /// assert_eq!(err.field(), "uploadUrl");
    /// # Ok::<(), suno_types::InvalidField>(())
    /// ```
    AddInstrumental, AddInstrumentalBuilder = AddInstrumental, |_| Ok(());
    /// The URL of the audio to accompany.
    upload_url = "uploadUrl": required url,
    /// The title.
    title = "title": required text(100),
    /// The styles to follow.
    tags = "tags": required text(1_000),
    /// The styles to avoid.
    negative_tags = "negativeTags": required text(1_000),
    /// The model, such as V6; the provider chooses if it is not set.
    model = "model": optional model,
    /// The voice of sung parts.
    vocal_gender = "vocalGender": optional gender,
    /// How closely the styles are followed.
    style_weight = "styleWeight": optional weight,
    /// How unusual the result may be.
    weirdness_constraint = "weirdnessConstraint": optional weight,
    /// How closely the uploaded audio is followed.
    audio_weight = "audioWeight": optional weight,
    /// The lyrics; used by sunoapi.org, ignored by kie.ai.
    lyrics = "lyrics": optional text(5_000),
    /// How much the tracks of the task differ; used by sunoapi.org, ignored by kie.ai.
    variety = "variety": optional integer(u8, 0, 4),
}

request! {
    /// A valid request to generate vocals for an uploaded instrumental (`PROTOCOL.md 1.47`).
    AddVocals, AddVocalsBuilder = AddVocals, |song| match song.has("lyrics") {
        true => Ok(()),
        false => song.needs("prompt", "set unless lyrics is"),
    };
    /// The URL of the audio to sing to.
    upload_url = "uploadUrl": required url,
    /// The title.
    title = "title": required text(100),
    /// The styles to follow.
    style = "style": required text(1_000),
    /// The styles to avoid.
    negative_tags = "negativeTags": required text(1_000),
    /// The description of the vocals, or their lyrics.
    prompt = "prompt": optional text(5_000),
    /// The lyrics, which are sung as they are.
    lyrics = "lyrics": optional text(5_000),
    /// The model, such as V6; the provider chooses if it is not set.
    model = "model": optional model,
    /// The voice of sung parts.
    vocal_gender = "vocalGender": optional gender,
    /// How closely the styles are followed.
    style_weight = "styleWeight": optional weight,
    /// How unusual the result may be.
    weirdness_constraint = "weirdnessConstraint": optional weight,
    /// How closely the uploaded audio is followed.
    audio_weight = "audioWeight": optional weight,
    /// How much the tracks of the task differ.
    variety = "variety": optional integer(u8, 0, 4),
}

request! {
    /// A valid request to replace a section of a song (`PROTOCOL.md 1.47`).
    ReplaceSection, ReplaceSectionBuilder = ReplaceSection, section;
    /// The task of the song.
    task_id = "taskId": optional id,
    /// The track in which the section is replaced.
    audio_id = "audioId": optional id,
    /// The URL of other audio in which the section is replaced.
    upload_url = "uploadUrl": optional url,
    /// The lyrics or description of the new section.
    prompt = "prompt": required text(5_000),
    /// The lyrics of the whole song, with those of the new section.
    full_lyrics = "fullLyrics": required text(5_000),
    /// The styles to follow.
    tags = "tags": required text(1_000),
    /// The title.
    title = "title": required text(100),
    /// The styles to avoid.
    negative_tags = "negativeTags": optional text(1_000),
    /// The start of the section.
    infill_start_s = "infillStartS": required seconds(0.0, SECONDS_MAX),
    /// The end of the section.
    infill_end_s = "infillEndS": required seconds(0.0, SECONDS_MAX),
    /// The model, such as V6, for other audio.
    model = "model": optional model,
}

request! {
    /// A valid request to blend two uploaded songs (`PROTOCOL.md 1.47`).
    Mashup, MashupBuilder = Mashup, |song| modes(song, &[]);
    /// The URLs of the two songs.
    upload_url_list = "uploadUrlList": required urls(2, 2),
    /// The description of the song, or in the custom mode its lyrics.
    prompt = "prompt": optional text(5_000),
    /// The lyrics, which are sung as they are.
    lyrics = "lyrics": optional text(5_000),
    /// The title.
    title = "title": optional text(100),
    /// The styles to follow.
    style = "style": optional text(1_000),
    /// Give a title, a style and lyrics instead of a description.
    custom_mode = "customMode": required flag,
    /// Make a song without vocals.
    instrumental = "instrumental": required flag,
    /// The model, such as V6.
    model = "model": required model,
    /// The voice of sung parts.
    vocal_gender = "vocalGender": optional gender,
    /// How closely the styles are followed.
    style_weight = "styleWeight": optional weight,
    /// How unusual the result may be.
    weirdness_constraint = "weirdnessConstraint": optional weight,
    /// How closely the uploaded audio is followed.
    audio_weight = "audioWeight": optional weight,
    /// How much the tracks of the task differ.
    variety = "variety": optional integer(u8, 0, 4),
    /// The length of the song in seconds.
    duration = "duration": optional seconds(10.0, 360.0),
}

request! {
    /// A valid request for a sound effect or a loop (`PROTOCOL.md 1.47`).
    GenerateSound, GenerateSoundBuilder = Sounds, |_| Ok(());
    /// The description of the sound.
    prompt = "prompt": required text(500),
    /// The model, such as V6.
    model = "model": required model,
    /// Make a sound that can be repeated without a break.
    sound_loop = "soundLoop": optional flag,
    /// The tempo in beats per minute.
    sound_tempo = "soundTempo": optional integer(u32, 1, 300),
    /// The musical key, such as Am, or Any.
    sound_key = "soundKey": optional choice(SOUND_KEYS),
    /// Write down the lyrics.
    grab_lyrics = "grabLyrics": optional flag,
}

/// In the custom mode, a song needs a title and a style, lyrics or styles to avoid; otherwise a
/// prompt, or one of the fields `instead` of it.
fn modes(song: &Members, instead: &[&str]) -> Result<(), InvalidField> {
    if !song.flag("custom_mode") {
        let is_described = song.has("prompt") || instead.iter().any(|name| song.has(name));
        return match is_described {
            true => Ok(()),
            false => Err(song.invalid("prompt", "set unless customMode is true")),
        };
    }
    song.needs("title", "set if customMode is true")?;
    let describe = ["style", "lyrics", "negative_tags"];
    if !describe.iter().any(|name| song.has(name)) {
        return Err(song.invalid("style", "set if customMode is true and there are no lyrics"));
    }
    of_model(song)
}

/// With its own parameters, a continuation needs a time, a title and a style, and if it is sung,
/// something to sing.
fn own_parameters(song: &Members) -> Result<(), InvalidField> {
    if song.number("continue_at").is_some_and(|time| time <= 0.0) {
        return Err(song.invalid("continue_at", "greater than 0"));
    }
    if !song.flag("default_param_flag") {
        return Ok(());
    }
    for name in ["continue_at", "title", "style"] {
        song.needs(name, "set if defaultParamFlag is true")?;
    }
    if !song.flag("instrumental") && !song.has("lyrics") {
        song.needs(
            "prompt",
            "set if defaultParamFlag is true and instrumental is not",
        )?;
    }
    of_model(song)
}

/// The oldest models take less text.
fn of_model(song: &Members) -> Result<(), InvalidField> {
    let model = song.text("model").unwrap_or_default();
    let bounds: &[(&str, usize, &str)] = match model {
        "V4" => &[
            ("title", 80, "1 to 80 characters long for the model V4"),
            ("style", 200, "1 to 200 characters long for the model V4"),
            (
                "prompt",
                3_000,
                "1 to 3000 characters long for the model V4",
            ),
        ],
        "V4_5ALL" => &[("title", 80, "1 to 80 characters long for the model V4_5ALL")],
        _ => &[],
    };
    for (name, chars_max, bound) in bounds {
        if song
            .text(name)
            .is_some_and(|text| text.chars().count() > *chars_max)
        {
            return Err(song.invalid(name, bound));
        }
    }
    Ok(())
}

/// A section belongs to a track or to uploaded audio, and ends after its start.
fn section(song: &Members) -> Result<(), InvalidField> {
    if !song.has("upload_url") {
        song.needs("task_id", "set unless uploadUrl is")?;
        song.needs("audio_id", "set unless uploadUrl is")?;
    } else {
        song.needs("model", "set if uploadUrl is")?;
    }
    match song.number("infill_start_s") < song.number("infill_end_s") {
        true => Ok(()),
        false => Err(song.invalid("infill_end_s", "greater than infillStartS")),
    }
}
