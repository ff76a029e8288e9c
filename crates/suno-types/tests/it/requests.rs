//! Requests: what the fixtures do not say of them.

use proptest::prelude::*;
use serde_json::Value;
use suno_types::{
    ConvertToWav, CreateVideo, ExtendSong, FieldKind, GenerateCover, GenerateLyrics, GenerateMidi,
    GenerateSong, GenerateSound, GenerateVoice, Mashup, Model, Operation, Product, RecoverSongs,
    RegenerateVoice, ReplaceSection, Request, RequestBuilder, Route, SeparateStems, TaskKind,
    UploadCover, UploadExtend, ValidateVoice, VocalGender,
};

const URL: &str = "https://files.example.com/hum.mp3";
const CALLBACK: &str = "https://app.example.com/hooks?token=canary";

/// The same request, from fields as text.
fn from_text(operation: &str, fields: &[(&str, &str)]) -> impl Request {
    let operation = operation.parse().unwrap();
    let builder = RequestBuilder::from_fields(operation, fields.iter().copied()).unwrap();
    builder.callback_url(CALLBACK).build().unwrap()
}

fn is_same(typed: &impl Request, fields: &[(&str, &str)]) {
    let other = from_text(typed.operation().as_str(), fields);
    for route in [Route::Direct, Route::Jobs] {
        let (typed, other) = (typed.encode(route).unwrap(), other.encode(route).unwrap());
        assert_eq!(String::from_utf8(typed), String::from_utf8(other));
    }
}

#[test]
fn a_typed_song_and_one_from_text_are_the_same() {
    let song = GenerateSong::builder()
        .custom_mode(true)
        .title("Harbour")
        .style("ambient")
        .lyrics(Some("[Verse]"))
        .negative_tags(None::<&str>)
        .model(Model::V6)
        .vocal_gender(VocalGender::Female)
        .style_weight(0.57)
        .variety(2)
        .duration(120.0)
        .persona_model("voice_persona")
        .callback_url(CALLBACK);
    let fields = [
        ("custom_mode", "true"),
        ("title", "Harbour"),
        ("style", "ambient"),
        ("lyrics", "[Verse]"),
        ("model", "V6"),
        ("vocal_gender", "f"),
        ("style_weight", "0.57"),
        ("variety", "2"),
        ("duration", "120"),
        ("persona_model", "voice_persona"),
    ];
    is_same(&song.build().unwrap(), &fields);
}

#[test]
fn other_typed_songs_and_those_from_text_are_the_same() {
    let extend = ExtendSong::builder().audio_id("a1").model(Model::V6);
    let extend = extend.continue_at(2.5).callback_url(CALLBACK).build();
    is_same(
        &extend.unwrap(),
        &[("audio_id", "a1"), ("model", "V6"), ("continue_at", "2.5")],
    );
    let cover = UploadCover::builder()
        .upload_url(URL)
        .prompt("x")
        .model(Model::V6);
    let cover = cover.instrumental(true).callback_url(CALLBACK).build();
    let fields = [
        ("upload_url", URL),
        ("prompt", "x"),
        ("model", "V6"),
        ("instrumental", "true"),
    ];
    is_same(&cover.unwrap(), &fields);
    let longer = UploadExtend::builder().upload_url(URL).model(Model::V6);
    let longer = longer.callback_url(CALLBACK).build().unwrap();
    is_same(&longer, &[("upload_url", URL), ("model", "V6")]);
    let mashup = Mashup::builder()
        .upload_url_list([URL, URL])
        .prompt("x")
        .model(Model::V6);
    let mashup = mashup.callback_url(CALLBACK).build().unwrap();
    let fields = [
        ("upload_url_list", URL),
        ("upload_url_list", URL),
        ("prompt", "x"),
        ("model", "V6"),
    ];
    is_same(&mashup, &fields);
    let section = ReplaceSection::builder()
        .upload_url(URL)
        .model(Model::V6)
        .prompt("p");
    let section = section
        .full_lyrics("f")
        .tags("t")
        .title("t")
        .infill_start_s(1.0);
    let section = section.infill_end_s(9.5).callback_url(CALLBACK).build();
    let fields = [
        ("upload_url", URL),
        ("model", "V6"),
        ("prompt", "p"),
        ("full_lyrics", "f"),
        ("tags", "t"),
        ("title", "t"),
        ("infill_start_s", "1"),
        ("infill_end_s", "9.5"),
    ];
    is_same(&section.unwrap(), &fields);
    let sound = GenerateSound::builder()
        .prompt("rain")
        .model(Model::V5)
        .sound_tempo(90);
    let sound = sound
        .sound_loop(true)
        .sound_key("Am")
        .callback_url(CALLBACK)
        .build();
    let fields = [
        ("prompt", "rain"),
        ("model", "V5"),
        ("sound_tempo", "90"),
        ("sound_loop", "true"),
        ("sound_key", "Am"),
    ];
    is_same(&sound.unwrap(), &fields);
}

#[test]
fn what_is_made_from_a_song_is_the_same_typed_and_from_text() {
    let song = [("task_id", "t1"), ("audio_id", "a1")];
    let wav = ConvertToWav::builder().task_id("t1").audio_id("a1");
    is_same(&wav.callback_url(CALLBACK).build().unwrap(), &song);
    let video = CreateVideo::builder().task_id("t1").audio_id("a1");
    is_same(&video.callback_url(CALLBACK).build().unwrap(), &song);
    let midi = GenerateMidi::builder().task_id("t1").audio_id("a1");
    is_same(&midi.callback_url(CALLBACK).build().unwrap(), &song);
    let stems = SeparateStems::builder().task_id("t1").audio_id("a1");
    let stems = stems
        .separation("split_stem")
        .callback_url(CALLBACK)
        .build();
    let fields = [
        ("task_id", "t1"),
        ("audio_id", "a1"),
        ("type", "split_stem"),
    ];
    is_same(&stems.unwrap(), &fields);
    let cover = GenerateCover::builder()
        .task_id("t1")
        .callback_url(CALLBACK);
    is_same(&cover.build().unwrap(), &[("task_id", "t1")]);
    let again = RecoverSongs::builder().task_id("t1").callback_url(CALLBACK);
    is_same(&again.build().unwrap(), &[("task_id", "t1")]);
    let lyrics = GenerateLyrics::builder().prompt("x").callback_url(CALLBACK);
    is_same(&lyrics.build().unwrap(), &[("prompt", "x")]);
    let phrase = ValidateVoice::builder()
        .voice_url(URL)
        .vocal_start_s(0)
        .vocal_end_s(9);
    let phrase = phrase.callback_url(CALLBACK).build().unwrap();
    let fields = [
        ("voice_url", URL),
        ("vocal_start_s", "0"),
        ("vocal_end_s", "9"),
    ];
    is_same(&phrase, &fields);
    let phrase = RegenerateVoice::builder()
        .task_id("t1")
        .callback_url(CALLBACK);
    is_same(&phrase.build().unwrap(), &[("task_id", "t1")]);
    let voice = GenerateVoice::builder().task_id("t1").verify_url(URL);
    let voice = voice.callback_url(CALLBACK).build().unwrap();
    is_same(&voice, &[("task_id", "t1"), ("verify_url", URL)]);
}

#[test]
fn neither_urls_nor_lyrics_are_shown() {
    let song = GenerateSong::builder()
        .custom_mode(true)
        .title("canary title")
        .lyrics("canary lyrics")
        .image_urls(["https://files.example.com/canary.png"])
        .model(Model::V6)
        .callback_url(CALLBACK);
    assert!(!format!("{song:?}").contains("canary"), "{song:?}");
    let song = song.build().unwrap();
    let shown = format!("{song:?}");
    assert!(!shown.contains("canary") && shown.contains("V6"), "{shown}");
    let err = RequestBuilder::new(Operation::Wav).set("canary?token=1", "x");
    let err = err.unwrap_err();
    assert_eq!(err.to_string(), "? must be a field of this operation");
    let err = RequestBuilder::new(Operation::Sounds).set("sound_tempo", "canary");
    let err = err.unwrap_err().to_string();
    assert_eq!(err, "soundTempo must be a whole number from 1 to 300");
}

#[test]
fn a_callback_url_can_be_replaced_by_another_but_not_by_anything() {
    let lyrics = GenerateLyrics::builder()
        .prompt("x")
        .build_for(Route::Jobs)
        .unwrap();
    assert_eq!(lyrics.callback_url(), None);
    let named = lyrics.clone().with_callback_url(CALLBACK).unwrap();
    assert_eq!(named.callback_url(), Some(CALLBACK));
    for url in ["", "app.example.com", "https://user:word@app.example.com/"] {
        let err = lyrics.clone().with_callback_url(url).unwrap_err();
        assert_eq!(err.field(), "callBackUrl");
    }
    assert!(lyrics.encode(Route::Jobs).is_ok());
    assert_eq!(
        lyrics.encode(Route::Direct).unwrap_err().field(),
        "callBackUrl"
    );
}

#[test]
fn an_operation_says_what_it_makes_and_what_it_does() {
    assert_eq!(Operation::all().count(), 19);
    let kind = Operation::Lyrics.kind(Route::Jobs);
    assert_eq!(kind, TaskKind::new(Route::Jobs, Product::LYRICS));
    assert_eq!(kind.to_string().parse(), Ok(kind));
    let phrase = Operation::VoiceValidate.kind(Route::Direct).to_string();
    assert_eq!(phrase, "voice-phrase");
    assert_eq!(Operation::Wav.to_string(), "Convert a song to WAV");
    assert!("Wav".parse::<Operation>().is_err());
}

/// A text that a field of this kind takes.
fn good(kind: FieldKind) -> &'static str {
    match kind {
        FieldKind::Url | FieldKind::Urls { .. } => URL,
        FieldKind::Choice { words, .. } => words[0],
        FieldKind::Weight => "0.5",
        FieldKind::Integer { .. } => "4",
        FieldKind::Seconds { .. } => "20",
        FieldKind::Flag => "true",
        _ => "word",
    }
}

#[test]
fn the_description_of_an_operation_is_enough_to_build_it() {
    for operation in Operation::all() {
        let mut builder = RequestBuilder::new(operation).callback_url(CALLBACK);
        for field in operation.fields() {
            let text = match field.name() {
                // The end is after the start.
                "infill_start_s" | "vocal_start_s" => "1",
                _ => good(field.kind()),
            };
            builder = builder.set(field.name(), text).unwrap();
            if let FieldKind::Urls { min: 2, .. } = field.kind() {
                builder = builder.set(field.name(), text).unwrap();
            }
        }
        let request = builder.build().unwrap();
        for route in [Route::Direct, Route::Jobs] {
            let body: Value = serde_json::from_slice(&request.encode(route).unwrap()).unwrap();
            let fields = match route {
                Route::Jobs => body["input"].as_object().unwrap().len(),
                _ => body.as_object().unwrap().len() - 1,
            };
            assert_eq!(fields, operation.fields().len(), "{operation:?}");
        }
    }
}

proptest! {
    #[test]
    fn what_is_built_keeps_its_bounds_and_is_json_without_nulls(
        operation in 0..19_usize,
        texts in prop::collection::vec((0..25_usize, "[ -~äλ]{0,12}|[0-9.]{1,5}|true|V6|https://a\\.b/[a-z]{0,3}"), 0..12),
        callback in prop::bool::ANY,
    ) {
        let operation = Operation::all().nth(operation).unwrap();
        let mut builder = RequestBuilder::new(operation);
        for (place, text) in &texts {
            if let Some(field) = operation.fields().get(*place)
                && let Ok(set) = builder.clone().set(field.name(), text)
            {
                builder = set;
            }
        }
        if callback {
            builder = builder.callback_url(CALLBACK);
        }
        if let Ok(request) = builder.build_for(Route::Jobs) {
            let body: Value = serde_json::from_slice(&request.encode(Route::Jobs).unwrap()).unwrap();
            let input = body["input"].as_object().unwrap();
            for field in operation.fields().iter().filter(|field| field.is_required()) {
                prop_assert!(input.contains_key(field.name()), "{}", field.name());
            }
            prop_assert!(input.values().all(|value| !value.is_null()));
            prop_assert!(callback || request.encode(Route::Direct).is_ok() != operation.needs_callback_url(Route::Direct));
        }
    }
}
