//! Bodies that somebody made to do harm: a mebibyte of them costs about what a mebibyte costs.

use std::time::{Duration, Instant};

use suno_types::{Callback, DecodeError, DecodeErrorKind, Envelope, Peek, Stage, TaskRecord};

use crate::laws;

/// The largest body that a receiver takes unless set otherwise.
const BYTES: usize = 1 << 20;
/// Far more than a debug build needs on a busy machine, and far less than quadratic work takes.
const TIME_MAX: Duration = Duration::from_secs(10);

/// A good body with something large in it.
fn with(member: &str) -> String {
    format!(r#"{{"code":200,"data":{{"task_id":"t",{member}}},"msg":""}}"#)
}

fn many(count: usize, item: impl Fn(usize) -> String) -> String {
    (0..count).map(item).collect::<Vec<_>>().join(",")
}

#[test]
fn a_large_body_of_any_kind_is_judged_in_linear_time() {
    let third = BYTES / 3;
    let bodies = [
        "[".repeat(BYTES),
        "{\"a\":".repeat(BYTES / 5),
        format!("{}{}", "[".repeat(BYTES / 2), "]".repeat(BYTES / 2)),
        with(&format!("\"x\":{}{}", "[".repeat(third), "]".repeat(third))),
        with(&format!(
            "\"data\":{}{}",
            "[".repeat(third),
            "]".repeat(third)
        )),
        with(&format!(
            "\"error\":{}{}",
            "[".repeat(third),
            "]".repeat(third)
        )),
        with(&many(BYTES / 12, |n| format!("\"x{n}\":{n}"))),
        with(&many(BYTES / 6, |_| "\"x\":1".to_owned())),
        with(&many(BYTES / 14, |_| "\"task_id\":\"t\"".to_owned())),
        with(&format!(
            "\"data\":[{}]",
            many(BYTES / 3, |_| "{}".to_owned())
        )),
        with(&format!(
            "\"data\":[{}]",
            many(BYTES / 5, |_| "null".to_owned())
        )),
        with(&format!("\"x\":{}", "9".repeat(BYTES))),
        with(&format!("\"x\":1e{}", "9".repeat(BYTES))),
        with(&format!("\"x\":\"{}\"", "\\u0000".repeat(BYTES / 6))),
        with(&format!(
            "\"resultJson\":\"{}\",\"state\":\"\"",
            "[".repeat(BYTES)
        )),
        format!("{}{}", with("\"x\":1"), " ".repeat(BYTES)),
        format!("{}{}", with("\"x\":1"), "x".repeat(BYTES)),
    ];
    for (place, body) in bodies.iter().enumerate() {
        let start = Instant::now();
        laws::check_decode(body.as_bytes());
        let elapsed = start.elapsed();
        assert!(elapsed < TIME_MAX, "{place}: {elapsed:?}");
    }
}

#[test]
fn no_more_tracks_are_kept_than_may_be_there() {
    for (count, fits) in [(256, true), (257, false), (200_000, false)] {
        let body = with(&format!("\"data\":[{}]", many(count, |_| "{}".to_owned())));
        let decoded = Callback::decode(body.as_bytes());
        match decoded {
            Ok(callback) => assert!(fits && callback.tracks.len() == count),
            Err(err) => {
                assert!(!fits);
                let told = (err.kind(), err.path());
                assert_eq!(told, (DecodeErrorKind::OutOfRange, "data.data"));
            }
        }
    }
}

/// This many unknown members, with names that are nowhere else.
fn unknown(count: usize, prefix: &str) -> String {
    many(count, |n| format!("\"{prefix}{n}\":{n}"))
}

/// A callback with unknown members at the root, in `data` and in its tracks, in both dialects.
fn with_unknown(each: usize, at_the_root: usize) -> [String; 2] {
    let track = format!("{{{}}}", unknown(each, "t"));
    let rest = format!("{},\"msg\":\"\"", unknown(at_the_root, "r"));
    let data = format!("\"task_id\":\"t\",{}", unknown(each, "d"));
    // The members `state` and `resultJson` are kept, too.
    let large = format!("{{{}}}", unknown(2 * each - 2, "t"));
    let result = format!("{{\"data\":[{large}]}}").replace('"', "\\\"");
    [
        format!(r#"{{"code":200,"data":{{{data},"data":[{track},{track}]}},{rest}}}"#),
        format!(r#"{{"code":200,"data":{{{data},"state":"x","resultJson":"{result}"}},{rest}}}"#),
    ]
}

#[test]
fn no_more_unknown_members_are_kept_than_may_be_there_in_all_objects_together() {
    const QUARTER: usize = DecodeError::UNKNOWN_MEMBERS_MAX / 4;
    for body in with_unknown(QUARTER, QUARTER) {
        let callback = Callback::decode(body.as_bytes()).unwrap();
        let of_tracks = callback.tracks.iter().map(|track| track.extra.len());
        let kept = callback.extra.len() + callback.data_extra.len() + of_tracks.sum::<usize>();
        assert_eq!(kept, 4 * QUARTER);
    }
    let inside = "\"x\":{\"in\":1,\"side\":2}";
    for body in with_unknown(QUARTER, QUARTER + 1) {
        let err = Callback::decode(body.as_bytes()).unwrap_err();
        assert_eq!(err.kind(), DecodeErrorKind::TooManyMembers);
        assert_eq!(Peek::callback(body.as_bytes()).unwrap().task_id, "t");
    }
    let fits = with(&format!("{inside},{}", unknown(4 * QUARTER - 1, "d")));
    assert!(Callback::decode(fits.as_bytes()).is_ok(), "objects in them");
    let large = with(&unknown(4 * QUARTER + 1, "d"));
    let err = Callback::decode(large.as_bytes()).unwrap_err();
    let told = (err.kind(), err.path());
    assert_eq!(told, (DecodeErrorKind::TooManyMembers, "data"));
}

#[test]
fn a_record_has_no_more_unknown_members_than_a_callback() {
    const HALF: usize = DecodeError::UNKNOWN_MEMBERS_MAX / 2;
    for (at_the_root, fits) in [(HALF, true), (HALF + 1, false)] {
        let track = format!("{{{}}}", unknown(HALF, "t"));
        let body = format!(
            r#"{{"code":200,"data":{{"taskId":"t","status":"SUCCESS",{},
                "response":{{"sunoData":[{track}]}}}}}}"#,
            unknown(at_the_root, "d")
        );
        let decoded = Envelope::<TaskRecord>::decode(body.as_bytes());
        assert_eq!(decoded.map_err(|err| err.kind()).is_ok(), fits);
    }
}

#[test]
fn a_word_that_is_too_long_is_no_stage() {
    const FITS: usize = Stage::WORD_BYTES_MAX;
    for (bytes, fits) in [(FITS, true), (FITS + 1, false), (BYTES, false)] {
        let word = "x".repeat(bytes);
        for (member, path) in [
            (format!("\"callbackType\":\"{word}\""), "data.callbackType"),
            (format!("\"state\":\"{word}\""), "data.state"),
        ] {
            let body = with(&member);
            let peek = Peek::callback(body.as_bytes()).unwrap();
            match Callback::decode(body.as_bytes()) {
                Ok(callback) => {
                    assert!(fits, "{bytes}");
                    assert_eq!(callback.stage().as_str(), word);
                }
                Err(err) => {
                    assert!(!fits, "{bytes}");
                    let told = (err.kind(), err.path());
                    assert_eq!(told, (DecodeErrorKind::OutOfRange, path));
                    assert_eq!(peek.stage(), None);
                }
            }
        }
    }
}

#[test]
fn numbers_that_no_machine_type_holds_are_kept_and_count_as_absent() {
    let huge = "9".repeat(400);
    for name in ["duration", "createTime"] {
        let body = with(&format!("\"data\":[{{\"{name}\":{huge}}}]"));
        let callback = Callback::decode(body.as_bytes()).unwrap();
        let track = &callback.tracks[0];
        assert_eq!((track.duration, &track.created_at), (None, &None));
        assert_eq!(track.extra.json(name), Some(&*huge));
    }
}

#[test]
fn what_is_too_deep_to_decode_still_names_its_task() {
    let body = with(&format!(
        "\"x\":{}{},\"y\":[]",
        "[".repeat(200),
        "]".repeat(200)
    ));
    assert_eq!(Peek::callback(body.as_bytes()).unwrap().task_id, "t");
    let err = Callback::decode(body.as_bytes()).unwrap_err();
    assert_eq!(err.kind(), DecodeErrorKind::TooDeep);
}
