//! What is decoded comes back from what it encodes to, and values that are built do, too.

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use suno_types::{
    Callback, CallbackType, Code, CreatedAt, DecodeErrorKind, Envelope, TaskId, TaskRecord,
    TaskStatus, Track, TrackId,
};

use crate::loss::lost;
use crate::{bodies, laws};

fn task_id() -> impl Strategy<Value = TaskId> {
    bodies::id().prop_map(|id| TaskId::new(id).unwrap())
}

fn created_at() -> impl Strategy<Value = CreatedAt> {
    prop_oneof![
        any::<i64>().prop_map(CreatedAt::from_millis),
        any::<String>().prop_map(CreatedAt::from_text),
    ]
}

fn track() -> impl Strategy<Value = Track> {
    let text = || option::of(any::<String>());
    let about = (text(), text(), text(), text());
    let urls = (text(), text(), text(), text(), text(), text());
    let duration = option::of(proptest::num::f64::NORMAL | proptest::num::f64::ZERO);
    (
        option::of(bodies::id()),
        about,
        urls,
        duration,
        option::of(created_at()),
    )
        .prop_map(|(id, about, urls, duration, created_at)| {
            let mut track = Track::new(0);
            track.id = id.map(|id| TrackId::new(id).unwrap());
            (track.title, track.tags, track.prompt, track.model_name) = about;
            (
                track.audio_url,
                track.source_audio_url,
                track.stream_audio_url,
                ..,
            ) = urls.clone();
            (
                ..,
                track.source_stream_audio_url,
                track.image_url,
                track.source_image_url,
            ) = urls;
            track.duration = duration;
            track.created_at = created_at;
            track
        })
}

fn tracks() -> impl Strategy<Value = Vec<Track>> {
    vec(track(), 0..4).prop_map(|mut tracks| {
        for (position, track) in tracks.iter_mut().enumerate() {
            track.position = position;
        }
        tracks
    })
}

/// What is generated can name a key twice in a value of any JSON, and have a long word for the stage.
fn may_be_generated(error: DecodeErrorKind) -> bool {
    matches!(
        error,
        DecodeErrorKind::DuplicateKey | DecodeErrorKind::OutOfRange
    )
}

proptest! {
    #[test]
    fn a_callback_that_is_built_comes_back(
        task_id in task_id(), code: i64, msg: String,
        word in option::of(bodies::word().prop_filter("not empty", |word| !word.is_empty())),
        error: Option<String>, tracks in tracks(),
    ) {
        let mut callback = Callback::new(task_id, Code(code));
        callback.msg = msg;
        callback.callback_type = word.as_deref().map(CallbackType::from);
        callback.error = error;
        callback.tracks = tracks;
        let decoded = Callback::decode(&callback.encode());
        prop_assert_eq!(decoded.unwrap(), callback);
    }

    #[test]
    fn a_record_that_is_built_comes_back(
        task_id in task_id(), status: String, kind: Option<String>, operation: Option<String>,
        code: Option<i64>, message: Option<String>, created_at in option::of(created_at()),
        tracks in tracks(),
    ) {
        let mut record = TaskRecord::new(task_id, TaskStatus::from(&*status));
        record.kind = kind;
        record.operation_type = operation;
        record.error_code = code.map(Code);
        record.error_message = message;
        record.created_at = created_at;
        record.tracks = tracks;
        let envelope = Envelope::success(Some(record));
        let decoded = TaskRecord::decode(&envelope.encode());
        prop_assert_eq!(decoded.unwrap(), envelope);
    }

    #[test]
    fn a_callback_of_any_shape_decodes_and_loses_nothing(body in bodies::callback()) {
        let decoded = Callback::decode(body.as_bytes());
        prop_assert!(decoded.is_ok(), "{:?}", decoded);
        prop_assert_eq!(lost(body.as_bytes(), &decoded.unwrap().encode()), None);
        laws::check_decode(body.as_bytes());
    }

    #[test]
    fn a_record_of_any_shape_decodes_and_loses_nothing(body in bodies::record()) {
        let decoded = TaskRecord::decode(body.as_bytes());
        prop_assert!(decoded.is_ok(), "{:?}", decoded);
        prop_assert_eq!(lost(body.as_bytes(), &decoded.unwrap().encode()), None);
        laws::check_decode(body.as_bytes());
    }

    #[test]
    fn a_callback_of_any_product_is_read_and_loses_nothing(body in bodies::any_callback()) {
        match Callback::decode(body.as_bytes()) {
            Ok(callback) => prop_assert_eq!(lost(body.as_bytes(), &callback.encode()), None),
            Err(err) => prop_assert!(may_be_generated(err.kind()), "{}", err),
        }
        laws::check_decode(body.as_bytes());
    }

    #[test]
    fn a_record_of_any_product_is_read_and_loses_nothing(body in bodies::any_record()) {
        match TaskRecord::decode(body.as_bytes()) {
            Ok(answer) => {
                prop_assert!(answer.data.is_some());
                prop_assert_eq!(lost(body.as_bytes(), &answer.encode()), None);
            }
            Err(err) => prop_assert!(may_be_generated(err.kind()), "{}", err),
        }
        laws::check_decode(body.as_bytes());
    }
}

/// What encoding leaves out (a null, an empty id) and what another member says too must not change
/// how the rest is read.
#[test]
fn what_was_read_as_tracks_is_read_as_tracks_again() {
    let song = r#"{"id":"5c79be8e","title":"Harbour Lights"}"#;
    for data in [
        r#""type":"LYRICS","data":[{"id":null,"title":"Harbour Lights"}]"#.to_owned(),
        r#""type":"LYRICS","data":[{"id":"","title":"Harbour Lights"}]"#.to_owned(),
        r#""type":"LYRICS","data":[{"audio_url":null,"prompt":"words"}]"#.to_owned(),
        format!(r#""type":"LYRICS","status":"SUCCESS","response":{{"sunoData":[{song}]}}"#),
        r#""type":"LYRICS","status":"SUCCESS","response":{"sunoData":[{"id":""}]}"#.to_owned(),
        r#""data":[null],"resultJson":"{\"data\":[null]}""#.to_owned(),
        format!(r#""data":[{song}],"response":{{"data":[{song}]}}"#),
        format!(
            r#""status":"SUCCESS","response":{{"sunoData":[{song}]}},"resultJson":{{"data":[{song}]}}"#
        ),
    ] {
        let body = format!(r#"{{"code":200,"msg":"","data":{{"taskId":"7d1e5c2a",{data}}}}}"#);
        let callback = Callback::decode(body.as_bytes()).unwrap();
        assert_eq!(lost(body.as_bytes(), &callback.encode()), None);
        let record = TaskRecord::decode(body.as_bytes()).unwrap();
        assert_eq!(lost(body.as_bytes(), &record.encode()), None);
        laws::check_decode(body.as_bytes());
    }
}
