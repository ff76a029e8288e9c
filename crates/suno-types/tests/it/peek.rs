//! What is found in a body without decoding it.

use suno_types::{DecodeErrorKind, Peek, Stage};

fn stage(body: &str) -> Option<Stage> {
    Peek::callback(body.as_bytes()).unwrap().stage()
}

#[test]
fn the_stage_is_derived_as_decoding_does() {
    let cases = [
        (
            r#"{"code":200,"data":{"task_id":"t","callbackType":"first"}}"#,
            "first",
        ),
        (
            r#"{"code":531,"data":{"task_id":"t","callbackType":"complete"}}"#,
            "failed",
        ),
        (r#"{"code":"501","task_id":"t","data":[]}"#, "failed"),
    ];
    for (body, expected) in cases {
        assert_eq!(stage(body), Some(Stage::from(expected)), "{body}");
    }
}

#[test]
fn without_a_word_that_says_it_all_no_stage_is_told() {
    for body in [
        r#"{"data":{"task_id":"t","callbackType":"first"}}"#,
        r#"{"code":"OK","data":{"task_id":"t"}}"#,
        r#"{"code":200,"data":{"task_id":"t","callbackType":7}}"#,
        r#"{"code":200,"data":{"task_id":"t","state":{}}}"#,
        r#"{"code":"200","taskId":"t","data":null}"#,
        r#"{"code":200,"data":{"taskId":"t","state":"success"}}"#,
    ] {
        assert_eq!(stage(body), None, "{body}");
    }
}

#[test]
fn a_key_that_stands_twice_is_found_where_a_peek_looks() {
    for (body, path) in [
        (r#"{"taskId":"t","taskId":"t"}"#, "taskId"),
        (r#"{"data":{"task_id":"t","task_id":"u"}}"#, "data.task_id"),
    ] {
        let err = Peek::callback(body.as_bytes()).unwrap_err();
        assert_eq!(
            (err.kind(), err.path()),
            (DecodeErrorKind::DuplicateKey, path)
        );
    }
}
