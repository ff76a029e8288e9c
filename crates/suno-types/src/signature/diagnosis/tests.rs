//! Each mistake is found, alone and beside others, and nothing shows what was expected.

use super::*;

const KEY: &str = "whk-amber-otter";
const TASK: &str = "5c79be8e";
const NOW: u64 = 1_780_000_000;
const WINDOW: Duration = Duration::from_secs(300);
const BODY: &[u8] =
    br#"{"code":200,"data":{"callbackType":"text","task_id":"5c79be8e","data":[]}}"#;

fn mac(key: &[u8], text: &str) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).unwrap();
    mac.update(text.as_bytes());
    mac.finalize().into_bytes().to_vec()
}

fn right() -> Vec<u8> {
    mac(KEY.as_bytes(), &format!("{TASK}.{NOW}"))
}

/// The result for one timestamp and one signature.
fn examine(keys: &[&str], timestamp: &str, signature: &str, body: Option<&[u8]>) -> Diagnosis {
    let (timestamps, signatures) = ([timestamp.as_bytes()], [signature.as_bytes()]);
    let mut evidence = Evidence::new(&timestamps, &signatures).with_task_id(TASK);
    evidence.body = body;
    diagnose(keys, &evidence, NOW, WINDOW)
}

fn words(diagnosis: &Diagnosis) -> Vec<&'static str> {
    diagnosis.mistakes.iter().map(Mistake::as_str).collect()
}

#[test]
fn a_right_signature_has_no_mistake_and_names_its_key() {
    let signature = BASE64_STANDARD.encode(right());
    for keys in [&[KEY][..], &[" whk-amber-otter\n"]] {
        let diagnosis = examine(keys, &NOW.to_string(), &signature, Some(BODY));
        assert!(diagnosis.is_valid(), "{diagnosis:?}");
    }
    let diagnosis = examine(&["whk-other", KEY], &NOW.to_string(), &signature, None);
    assert_eq!((diagnosis.key, diagnosis.is_valid()), (Some(1), true));
}

#[test]
fn a_wrong_time_is_named_with_its_seconds_and_beside_a_right_key() {
    for (sent, expected) in [
        (NOW - 300, None),
        (NOW + 300, None),
        (NOW - 342, Some(Mistake::TooOld(Duration::from_secs(42)))),
        (NOW + 301, Some(Mistake::TooNew(Duration::from_secs(1)))),
        (NOW * 1_000, Some(Mistake::TimestampInMilliseconds)),
    ] {
        let signature = BASE64_STANDARD.encode(mac(KEY.as_bytes(), &format!("{TASK}.{sent}")));
        let diagnosis = examine(&[KEY], &sent.to_string(), &signature, None);
        assert_eq!(diagnosis.mistakes, Vec::from_iter(expected), "{sent}");
        assert_eq!(diagnosis.key, Some(0));
    }
    let diagnosis = examine(&[KEY], "1.5e9", "x", None);
    assert_eq!(words(&diagnosis), ["timestamp_form", "signature_form"]);
}

#[test]
fn a_signature_that_is_written_differently_is_read_all_the_same() {
    let base64 = BASE64_STANDARD.encode(right());
    let hex: String = right().iter().map(|byte| format!("{byte:02X}")).collect();
    for written in [
        hex.clone(),
        format!("sha256={hex}"),
        format!("v1,{base64}"),
        format!("\"{base64}\""),
        format!(" {base64}\r"),
        base64.trim_end_matches('=').to_owned(),
    ] {
        let diagnosis = examine(&[KEY], &NOW.to_string(), &written, None);
        assert_eq!(
            words(&diagnosis),
            ["signature_written_differently"],
            "{written}"
        );
        assert_eq!(diagnosis.key, Some(0));
        assert!(!diagnosis.is_valid());
    }
}

#[test]
fn a_signer_that_signs_something_else_is_told_what() {
    let body = std::str::from_utf8(BODY).unwrap();
    for (text, expected) in [
        (
            format!("{NOW}.{TASK}"),
            "the timestamp, a dot and the task id",
        ),
        (format!("{TASK}{NOW}"), "without a dot"),
        (TASK.to_owned(), "the task id alone"),
        (body.to_owned(), "the body alone"),
        (format!("{NOW}.{body}"), "a dot and the body"),
    ] {
        let signature = BASE64_STANDARD.encode(mac(KEY.as_bytes(), &text));
        let diagnosis = examine(&[KEY], &NOW.to_string(), &signature, Some(BODY));
        assert_eq!(words(&diagnosis), ["other_text_signed"], "{text}");
        let said = diagnosis.mistakes[0].to_string();
        assert!(said.contains(expected), "{said}");
    }
}

#[test]
fn a_key_that_was_copied_wrongly_is_recognised() {
    let text = format!("{TASK}.{NOW}");
    let key = [7; 24];
    for (pasted, used, expected) in [
        ("\"whk-amber-otter\"", KEY.as_bytes(), "quotes"),
        (" whk-amber-otter", b" whk-amber-otter", "white space"),
        ("whk-amber-otter", b"whk-amber-otter\n", "line break"),
        (&BASE64_STANDARD.encode(key), &key, "base64"),
        (&"07".repeat(24), &key, "hexadecimal"),
    ] {
        let signature = BASE64_STANDARD.encode(mac(used, &text));
        let diagnosis = examine(&[pasted], &NOW.to_string(), &signature, None);
        assert_eq!(words(&diagnosis), ["other_form_of_key"], "{expected}");
        let said = diagnosis.mistakes[0].to_string();
        assert!(said.contains(expected), "{said}");
    }
    let diagnosis = examine(
        &["", KEY],
        &NOW.to_string(),
        &BASE64_STANDARD.encode(right()),
        None,
    );
    assert_eq!(
        (words(&diagnosis), diagnosis.key),
        (vec!["blank_key"], Some(1))
    );
}

#[test]
fn a_blank_key_verifies_nothing_although_anyone_can_sign_with_it() {
    let signature = BASE64_STANDARD.encode(mac(b"", &format!("{TASK}.{NOW}")));
    let diagnosis = examine(&[" \n"], &NOW.to_string(), &signature, None);
    assert_eq!(words(&diagnosis), ["blank_key", "no_key_fits"]);
    assert_eq!((diagnosis.key, diagnosis.is_valid()), (None, false));
}

#[test]
fn the_task_in_the_body_counts() {
    let other = br#"{"code":200,"data":{"callbackType":"text","task_id":"other","data":[]}}"#;
    let signature = BASE64_STANDARD.encode(right());
    let diagnosis = examine(&[KEY], &NOW.to_string(), &signature, Some(other));
    assert_eq!(words(&diagnosis), ["other_task", "no_key_fits"]);
    let diagnosis = examine(&[KEY], &NOW.to_string(), &signature, Some(b"{"));
    assert_eq!(
        (words(&diagnosis), diagnosis.key),
        (vec!["body_without_task"], Some(0))
    );
    let (timestamps, signatures) = ([NOW.to_string()], [signature]);
    let timestamps = timestamps.each_ref().map(String::as_bytes);
    let signatures = signatures.each_ref().map(String::as_bytes);
    let evidence = Evidence::new(&timestamps, &signatures);
    assert_eq!(
        words(&diagnose(&[KEY], &evidence, NOW, WINDOW)),
        ["no_task"]
    );
}

#[test]
fn headers_that_are_missing_or_differ_are_named() {
    let none = Evidence::new(&[], &[]).with_task_id(TASK);
    let expected = [
        Mistake::Missing(TIMESTAMP_HEADER),
        Mistake::Missing(SIGNATURE_HEADER),
    ];
    assert_eq!(diagnose(&[KEY], &none, NOW, WINDOW).mistakes, expected);
    let twice: [&[u8]; 2] = [b"1", b"2"];
    let both = Evidence::new(&twice, &twice).with_task_id(TASK);
    let expected = [
        Mistake::Ambiguous(TIMESTAMP_HEADER),
        Mistake::Ambiguous(SIGNATURE_HEADER),
    ];
    assert_eq!(diagnose(&[KEY], &both, NOW, WINDOW).mistakes, expected);
}

#[test]
fn what_was_expected_is_never_shown() {
    let diagnosis = examine(
        &[KEY, "whk-other"],
        &NOW.to_string(),
        &"A".repeat(43),
        Some(BODY),
    );
    let said = diagnosis
        .mistakes
        .iter()
        .map(ToString::to_string)
        .collect::<String>();
    let shown = format!("{diagnosis:?} {said}");
    let base64 = BASE64_STANDARD.encode(right());
    assert!(
        !shown.contains(&base64[..8]) && !shown.contains("amber"),
        "{shown}"
    );
}
