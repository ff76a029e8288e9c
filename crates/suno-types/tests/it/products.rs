//! What a program learns of every product, from callbacks and from records.

use suno_types::{
    Callback, CallbackRef, Code, DecodeErrorKind, Midi, Outcome, Output, Peek, Product, Stage,
    TaskRecord,
};

use crate::{fixtures, laws};

fn callback(body: &str) -> Callback {
    let callback = Callback::decode(body.as_bytes()).unwrap();
    laws::check_decode(body.as_bytes());
    callback
}

fn record(data: &str) -> TaskRecord {
    let body = format!(r#"{{"code":200,"msg":"success","data":{data}}}"#);
    laws::check_decode(body.as_bytes());
    TaskRecord::decode(body.as_bytes()).unwrap().data.unwrap()
}

fn results(callback: &Callback) -> Vec<String> {
    callback.results().map(|text| text.into_owned()).collect()
}

#[test]
fn results_are_what_stays_the_same_when_a_url_is_signed_anew() {
    let cases = [
        (
            r#""audioWavUrl":"https://m.example.com/a.wav?sign=1#t""#,
            vec!["https://m.example.com/a.wav"],
        ),
        (
            r#""images":["https://m.example.com/a.png?x",""]"#,
            vec!["https://m.example.com/a.png"],
        ),
        (
            r#""vocal_removal_info":{"vocal_url":"https://m.example.com/Lead Vocal.mp3?x"}"#,
            vec!["https://m.example.com/Lead Vocal.mp3"],
        ),
        (
            r#""callbackType":"complete","data":[{"text":"","title":"a"},{"text":"Rain","title":"b"}]"#,
            vec!["Rain"],
        ),
        (
            r#""instruments":[{"name":"Drums","notes":[{},{}]},{"name":"Bass","notes":[]}]"#,
            vec!["Drums:2"],
        ),
        (
            r#""status":"wait_validating","validateInfo":"Sing""#,
            vec!["Sing"],
        ),
        (
            r#""callbackType":"first","data":[{"id":"a","audio_url":"u"},{"id":"b","audio_url":""},{"audio_url":"u"}]"#,
            vec!["a", "2"],
        ),
        (r#""note":1"#, vec![]),
    ];
    for (members, expected) in cases {
        let body = format!(r#"{{"code":200,"data":{{"task_id":"t",{members}}}}}"#);
        assert_eq!(results(&callback(&body)), expected, "{members}");
    }
}

#[test]
fn a_word_for_the_stage_is_told_from_a_stage_that_was_derived() {
    for (members, has_word, stage) in [
        (r#""callbackType":"complete","data":[]"#, true, "complete"),
        (r#""state":"success""#, true, "complete"),
        (r#""successFlag":0"#, true, "0"),
        (r#""video_url":"u""#, false, "complete"),
        (r#""note":1"#, false, "unspecified"),
        (r#""errorCode":500"#, false, "failed"),
    ] {
        let body = format!(r#"{{"code":200,"data":{{"task_id":"t",{members}}}}}"#);
        let callback = callback(&body);
        assert_eq!(callback.has_stage_word(), has_word, "{members}");
        assert_eq!(callback.stage().as_str(), stage, "{members}");
        let reading = CallbackRef::decode(body.as_bytes()).unwrap();
        assert_eq!(reading.has_stage_word(), has_word, "{members}");
    }
}

#[test]
fn a_success_that_is_not_understood_shows_its_json() {
    let body = r#"{"code":200,"data":{"taskId":"t","state":"success",
        "model":"ai-music-api/boost-music-style","resultJson":"{\"something\":\"else\"}"}}"#;
    let callback = callback(body);
    assert_eq!(
        (callback.stage(), callback.result_count()),
        (Stage::Complete, 0)
    );
    let Output::Other(members) = callback.output() else {
        panic!("{:?}", callback.output());
    };
    assert_eq!(
        members.json("resultJson"),
        Some(r#""{\"something\":\"else\"}""#)
    );
}

#[test]
fn a_recovered_track_says_why_another_one_is_missing() {
    let body = r#"{"code":200,"task_id":"t","msg":"success","data":[
        {"id":"a","audio_url":"https://m.example.com/a.m4a","status":"success","error":""},
        {"id":"b","audio_url":"","status":"failed","error":"clip_error"}]}"#;
    let callback = callback(body);
    assert_eq!(callback.product(), Product::RECOVERY);
    let told: Vec<_> = callback
        .tracks
        .iter()
        .map(|track| (track.status(), track.error()))
        .collect();
    let text = |text: &str| Some(text.to_owned());
    assert_eq!(
        told,
        [
            (text("success"), None),
            (text("failed"), text("clip_error"))
        ]
    );
}

#[test]
fn a_polled_result_becomes_a_callback_without_the_callback_url() {
    let token = "q7Zr0x4b9c2d8e1f";
    let datas = [
        r#""response":{"audioWavUrl":"https://m.example.com/a.wav"},"successFlag":"SUCCESS""#,
        r#""response":{"lyricsData":[{"text":"Rain"}]},"status":"SUCCESS","type":"LYRICS""#,
        r#""response":{"vocalUrl":"https://m.example.com/v.mp3"},"successFlag":"SUCCESS""#,
        r#""midiData":{"instruments":[{"notes":[{"pitch":"7"}]}]},"successFlag":1"#,
        r#""response":{"sunoData":[{"id":"a","audioUrl":"u"}]},"status":"SUCCESS","mood":1.50"#,
        r#""resultJson":"{\"resultUrls\":[\"u\"]}","state":"success""#,
        r#""validateInfo":"Sing","status":"wait_validating""#,
        r#""voiceId":"","status":"fail","errorCode":500,"errorMessage":"no""#,
    ];
    for data in datas {
        let url = format!("https://app.example.com/{token}");
        let record = record(&format!(
            r#"{{"taskId":"t","param":"{{\"callBackUrl\":\"{url}\"}}","callbackUrl":"{url}",{data}}}"#
        ));
        let callback = record.to_callback().unwrap();
        assert_eq!(Some(callback.stage()), record.stage(), "{data}");
        assert_eq!(callback.product(), record.product(), "{data}");
        assert!(callback.results().eq(record.results()), "{data}");
        let encoded = String::from_utf8(callback.encode()).unwrap();
        assert!(!encoded.contains(token), "{encoded}");
        let again = Callback::decode(encoded.as_bytes()).unwrap();
        assert_eq!(again, callback, "{data}");
    }
}

#[test]
fn a_recovery_that_is_running_is_told_from_a_task_that_is_unknown() {
    let answer = |code: i64, data: &str| {
        let body = format!(r#"{{"code":{code},"task_id":"t","msg":"","data":{data}}}"#);
        TaskRecord::decode(body.as_bytes()).unwrap()
    };
    let running = answer(201, "null");
    assert!(running.is_running() && running.data.is_none());
    let unknown = answer(200, "null");
    assert!(!unknown.is_running() && unknown.data.is_none());
    let refused = answer(500, "null");
    assert!(!refused.is_running() && refused.data.is_none());
    let failed = answer(
        500,
        r#"[{"id":"a","status":"failed","error":"feed_failed"}]"#,
    );
    let record = failed.data.as_ref().unwrap();
    assert_eq!(
        (record.outcome(), record.error_code),
        (Outcome::Failed, Some(Code(500)))
    );
    assert_eq!(TaskRecord::decode(&failed.encode()).unwrap(), failed);
}

#[test]
fn a_field_that_was_changed_is_written_and_read_again() {
    let body = r#"{"code":200,"data":{"taskId":"t","state":"fail","failCode":"1","failMsg":"a",
        "resultJson":"{\"resultUrls\":[\"u\"]}"}}"#;
    let mut changed = callback(body);
    changed.error = Some("b".to_owned());
    changed.fail_code = Some("2".to_owned());
    changed.msg = "c".to_owned();
    changed.tracks[0].title = Some("d".to_owned());
    let again = Callback::decode(&changed.encode()).unwrap();
    assert_eq!(again.error, changed.error);
    assert_eq!(again.fail_code, changed.fail_code);
    assert_eq!((again.msg, again.tracks), (changed.msg, changed.tracks));
}

#[test]
fn no_more_notes_are_kept_than_may_be_there() {
    let notes = |count: usize| vec!["{}"; count].join(",");
    for (first, second, fits) in [
        (Midi::NOTES_MAX, 0, true),
        (Midi::NOTES_MAX + 1, 0, false),
        (Midi::NOTES_MAX / 2, Midi::NOTES_MAX / 2 + 1, false),
    ] {
        let body = format!(
            r#"{{"code":200,"data":{{"taskId":"t","instruments":[{{"notes":[{}]}},{{"notes":[{}]}}]}}}}"#,
            notes(first),
            notes(second)
        );
        let decoded = Callback::decode(body.as_bytes());
        match decoded {
            Ok(_) => assert!(fits, "{first} {second}"),
            Err(err) => assert!(!fits && err.kind() == DecodeErrorKind::OutOfRange, "{err}"),
        }
    }
}

#[test]
fn no_debug_output_shows_what_was_made() {
    let bodies = [
        r#"{"code":200,"data":{"task_id":"t","audioWavUrl":"secret","images":["secret"]}}"#,
        r#"{"code":200,"data":{"task_id":"t","data":[{"text":"secret","title":"secret"}]}}"#,
        r#"{"code":200,"data":{"task_id":"t","voiceId":"secret","status":"success"}}"#,
        r#"{"code":200,"data":{"task_id":"t","vocal_removal_info":{"origin_url":"secret","vocal_url":"secret"}}}"#,
        r#"{"code":501,"data":{"task_id":"t","failMsg":"secret"},"msg":"secret"}"#,
    ];
    for body in bodies {
        let callback = callback(body);
        let shown = format!("{callback:?} {:?}", callback.output());
        assert!(!shown.contains("secret"), "{shown}");
    }
}

#[test]
fn a_peek_finds_the_task_of_every_case_that_decodes() {
    let mut decoded = 0;
    for body in fixtures::bodies(&["decode/callback", "decode/record"]) {
        laws::check_decode(&body);
        if let Ok(callback) = Callback::decode(&body) {
            decoded += 1;
            assert_eq!(
                Peek::callback(&body).unwrap().task_id,
                callback.task_id.as_str()
            );
        }
    }
    assert!(decoded > 150, "{decoded}");
}
