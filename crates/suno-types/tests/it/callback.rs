//! Callbacks of every shape decode to one type.

use suno_types::{Callback, Code, DecodeErrorKind, Stage};

const DOCUMENTED: &[u8] = br#"{
  "code": 200,
  "msg": "All generated successfully.",
  "data": {
    "callbackType": "complete",
    "task_id": "5c79000000000000000000000000be8e",
    "data": [
      {
        "id": "1b9d6bcd-bbfd-4b2d-9b5d-ab8dfbbd4bed",
        "audio_url": "https://media.example.com/1b9d.mp3",
        "stream_audio_url": "https://media.example.com/1b9d",
        "image_url": "https://media.example.com/1b9d.jpeg",
        "prompt": "[Verse] Rain on the harbour",
        "model_name": "chirp-v4-5",
        "title": "Harbour Lights",
        "tags": "warm, acoustic",
        "createTime": "2025-01-01 00:00:00",
        "duration": 198.44,
        "new_member": 123456789012345678901234567890
      }
    ]
  }
}"#;

#[test]
fn the_documented_complete_callback_decodes() {
    let callback = Callback::decode(DOCUMENTED).unwrap();
    assert_eq!(callback.stage(), Stage::Complete);
    assert_eq!(callback.code, Code::SUCCESS);
    assert_eq!(
        callback.task_id.as_str(),
        "5c79000000000000000000000000be8e"
    );
    let track = &callback.tracks[0];
    assert!(track.is_ready());
    assert_eq!(track.duration, Some(198.44));
    let created = track.created_at.as_ref().unwrap().timestamp().unwrap();
    assert_eq!(created.to_string(), "2025-01-01T00:00:00Z");
}

#[test]
fn an_unknown_member_keeps_every_digit() {
    let encoded = Callback::decode(DOCUMENTED).unwrap().encode();
    let again = Callback::decode(&encoded).unwrap();
    assert_eq!(again, Callback::decode(DOCUMENTED).unwrap());
    let extra = &again.tracks[0].extra;
    assert_eq!(
        extra.json("new_member"),
        Some("123456789012345678901234567890")
    );
}

#[test]
fn a_code_other_than_200_is_a_failure_whatever_the_word_says() {
    let body = br#"{"code":"531","data":{"callbackType":"complete","task_id":"t","data":null}}"#;
    assert_eq!(Callback::decode(body).unwrap().stage(), Stage::Failed);
}

#[test]
fn the_jobs_dialect_decodes_to_the_same_and_encodes_to_itself() {
    let body = br#"{"code":200,"msg":"ok","data":{"taskId":"t","state":"success","failMsg":null,
        "resultJson":"{\"data\":[{\"id\":\"a\",\"audio_url\":\"https://m.example.com/a.mp3\"}],\"x\":1}",
        "consumed":1.50}}"#;
    let callback = Callback::decode(body).unwrap();
    assert_eq!(callback.stage(), Stage::Complete);
    assert!(callback.tracks[0].is_ready());
    let encoded = String::from_utf8(callback.encode()).unwrap();
    assert!(encoded.contains(r#""consumed":1.50"#), "{encoded}");
    assert!(encoded.contains(r#"\"x\":1"#), "{encoded}");
    assert_eq!(Callback::decode(encoded.as_bytes()).unwrap(), callback);
}

#[test]
fn errors_name_the_place_and_never_the_value() {
    let deep = format!(
        r#"{{"code":200,"data":{{"task_id":"t","x":{}1{}}}}}"#,
        "[".repeat(200),
        "]".repeat(200)
    );
    let name = "x".repeat(65);
    let long = format!(r#"{{"code":200,"data":{{"task_id":"t","{name}":1,"{name}":1}}}}"#);
    let cases: &[(&[u8], DecodeErrorKind, &str)] = &[
        (b"\xff", DecodeErrorKind::NotUtf8, ""),
        (b"\xef\xbb\xbf{}", DecodeErrorKind::Syntax, ""),
        (b"{} x", DecodeErrorKind::Syntax, ""),
        (b"[]", DecodeErrorKind::WrongType, ""),
        (b"{}", DecodeErrorKind::Missing, "data.task_id"),
        (
            br#"{"data":{"task_id":"t"}}"#,
            DecodeErrorKind::Missing,
            "code",
        ),
        (
            br#"{"code":200,"code":200,"data":{"task_id":"t"}}"#,
            DecodeErrorKind::DuplicateKey,
            "code",
        ),
        (
            br#"{"code":99999999999999999999,"data":{"task_id":"t"}}"#,
            DecodeErrorKind::OutOfRange,
            "code",
        ),
        (
            br#"{"code":200,"taskId":"u","data":{"task_id":"t"}}"#,
            DecodeErrorKind::IdsDisagree,
            "",
        ),
        (
            br#"{"code":200,"data":{"task_id":"t","data":[{"a":1,"a":1}]}}"#,
            DecodeErrorKind::DuplicateKey,
            "data.data[0].a",
        ),
        (
            b"{\"code\":200,\"data\":{\"task_id\":\"t\",\"x\\n ERROR forged\":1,\"x\\n ERROR forged\":1}}",
            DecodeErrorKind::DuplicateKey,
            "data.?",
        ),
        (
            br#"{"code":200,"data":{"taskId":"t","resultJson":"{\"data\":[{},{\"a\":1,\"a\":1}]}"}}"#,
            DecodeErrorKind::DuplicateKey,
            "data.resultJson.data[1].a",
        ),
        (long.as_bytes(), DecodeErrorKind::DuplicateKey, "data.?"),
        (deep.as_bytes(), DecodeErrorKind::TooDeep, ""),
    ];
    for (body, kind, path) in cases {
        let err = Callback::decode(body).unwrap_err();
        assert_eq!((err.kind(), err.path()), (*kind, *path));
    }
}
