//! Bodies that somebody made to do harm: a mebibyte of them costs about what a mebibyte costs.

use std::time::{Duration, Instant};

use suno_types::{Callback, DecodeErrorKind, Peek};

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

#[test]
fn numbers_that_no_machine_type_holds_are_typed_errors() {
    let huge = "9".repeat(400);
    for (member, path) in [
        (
            format!("\"data\":[{{\"duration\":{huge}}}]"),
            "data.data[0].duration",
        ),
        (
            format!("\"data\":[{{\"createTime\":{huge}}}]"),
            "data.data[0].createTime",
        ),
    ] {
        let err = Callback::decode(with(&member).as_bytes()).unwrap_err();
        assert_eq!(
            (err.kind(), err.path()),
            (DecodeErrorKind::OutOfRange, path)
        );
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
