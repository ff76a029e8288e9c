//! Signatures verify against independent vectors, and nothing else does.

use std::time::Duration;

use suno_types::TaskId;
use suno_types::signature::{SignatureError, SignatureHeaders, WebhookKey, verify};

const WINDOW: Duration = Duration::from_secs(300);

/// Key, task, timestamp and signature, computed with another implementation
/// (PROTOCOL.md 3.10 to 3.12).
const VECTORS: [(&str, &str, u64, &str); 3] = [
    (
        "test-webhook-hmac-key",
        "ee9c2715375b7837f8bb51d641ff5863",
        1_769_670_760,
        "xG6/yOyrMyJtUdc1yjmHpKLHSHF3MpzOPa6uxSj3qb4=",
    ),
    (
        "whk_demo_key",
        "2fac0000000000000000000000009f72",
        1_700_000_000,
        "51qBb5pc1un3Y9fC53TzjcvdqxGKmq0vdR2PvnMc32U=",
    ),
    (
        "ключ-ü",
        "5c79000000000000000000000000be8e",
        1_735_689_600,
        "kRPvw70nacqZOWH/48EZUAD6AicWE5EMfqsLG8LvjiA=",
    ),
];

fn check(timestamp: &str, signature: &str, now: u64) -> Result<usize, SignatureError> {
    let (key, task_id, _, _) = VECTORS[1];
    let headers = SignatureHeaders::find([
        ("X-Webhook-Timestamp", timestamp.as_bytes()),
        ("x-WEBHOOK-signature", signature.as_bytes()),
    ])?;
    let keys = [WebhookKey::new("another"), WebhookKey::new(key)];
    verify(&keys, task_id, headers, now, WINDOW)
}

#[test]
fn every_vector_is_signed_alike() {
    for (key, task_id, timestamp, signature) in VECTORS {
        let task_id = TaskId::new(task_id).unwrap();
        assert_eq!(WebhookKey::new(key).sign(&task_id, timestamp), signature);
    }
}

#[test]
fn the_window_includes_both_ends_and_nothing_more() {
    let (_, _, timestamp, signature) = VECTORS[1];
    let sent = timestamp.to_string();
    for now in [timestamp - 300, timestamp, timestamp + 300] {
        assert_eq!(check(&sent, signature, now), Ok(1));
    }
    for now in [0, timestamp - 301, timestamp + 301, u64::MAX] {
        let result = check(&sent, signature, now);
        assert_eq!(result, Err(SignatureError::OutsideWindow));
    }
}

#[test]
fn timestamps_other_than_plain_digits_are_refused() {
    let (_, _, now, signature) = VECTORS[1];
    for timestamp in [
        "",
        "+1700000000",
        " 1700000000",
        "1.7e9",
        "-9223372036854775808",
        "99999999999999999999",
        "000000000001700000000",
        "1700000000\u{661}",
    ] {
        let result = check(timestamp, signature, now);
        assert_eq!(result, Err(SignatureError::BadTimestamp), "{timestamp:?}");
    }
}

#[test]
fn signatures_that_are_not_exactly_the_canonical_base64_are_refused() {
    let (_, _, now, signature) = VECTORS[1];
    let url_safe = signature.replace('+', "-").replace('/', "_");
    let bent = signature.replace("U=", "V=");
    for bad in ["", &signature[..43], &bent, "AAAA", VECTORS[0].3] {
        let result = check("1700000000", bad, now);
        assert_eq!(result, Err(SignatureError::BadSignature), "{bad:?}");
    }
    assert_eq!(
        check("1700000000", &url_safe, now).is_ok(),
        url_safe == signature
    );
}

#[test]
fn a_header_that_is_missing_or_ambiguous_is_refused() {
    let missing = SignatureHeaders::find([("X-Webhook-Timestamp", b"1".as_slice())]);
    assert_eq!(missing.unwrap_err(), SignatureError::MissingHeader);
    let ambiguous = SignatureHeaders::find([
        ("X-Webhook-Timestamp", b"1".as_slice()),
        ("x-webhook-timestamp", b"2".as_slice()),
        ("x-webhook-signature", b"s".as_slice()),
    ]);
    assert_eq!(ambiguous.unwrap_err(), SignatureError::MissingHeader);
}

#[test]
fn an_empty_key_verifies_nothing_and_white_space_around_a_key_does_not_count() {
    let (key, task, now, signature) = VECTORS[1];
    let task_id = TaskId::new(task).unwrap();
    let verify_with = |key: &str, signature: &str| {
        let now_text = now.to_string();
        let headers = SignatureHeaders::find([
            ("x-webhook-timestamp", now_text.as_bytes()),
            ("x-webhook-signature", signature.as_bytes()),
        ])?;
        verify(&[WebhookKey::new(key)], task, headers, now, WINDOW)
    };
    for empty in ["", " \n", "\0\0"] {
        let signature = WebhookKey::new(empty).sign(&task_id, now);
        assert_eq!(
            verify_with(empty, &signature),
            Err(SignatureError::BadSignature)
        );
    }
    assert_eq!(verify_with(&format!("{key}\n"), signature), Ok(0));
}

#[test]
fn headers_are_judged_before_a_key_and_a_task_are_known() {
    let (key, task_id, now, signature) = VECTORS[1];
    let parse = |timestamp: &str, signature: &str| {
        let headers = SignatureHeaders::find([
            ("x-webhook-timestamp", timestamp.as_bytes()),
            ("x-webhook-signature", signature.as_bytes()),
        ])?;
        headers.parse(now, WINDOW)
    };
    let sent = now.to_string();
    let refused = [
        parse("soon", signature),
        parse("1", signature),
        parse(&sent, &signature[1..]),
    ];
    let expected = [
        SignatureError::BadTimestamp,
        SignatureError::OutsideWindow,
        SignatureError::BadSignature,
    ];
    assert_eq!(refused.map(|refused| refused.unwrap_err()), expected);
    let parsed = parse(&sent, signature).unwrap();
    let keys = [WebhookKey::new(key)];
    assert_eq!(parsed.verify(&keys, task_id), Ok(0));
    let other = parsed.verify(&keys, VECTORS[0].1);
    assert_eq!(other, Err(SignatureError::BadSignature));
    assert!(!format!("{parsed:?}").contains(&signature[..8]));
}

#[test]
fn a_timestamp_is_signed_with_the_digits_that_were_sent() {
    let verify_sent = |timestamp: &str| {
        let headers = SignatureHeaders::find([
            ("x-webhook-timestamp", timestamp.as_bytes()),
            (
                "x-webhook-signature",
                b"pjVi5bVdh9l0esf17yQI1ajWr4Clt+4jAJ/nNgiFhoc=".as_slice(),
            ),
        ])?;
        let keys = [WebhookKey::new("whk-amber-otter")];
        let task_id = "d3682caea3936aa13541208f81ba1c6f";
        verify(&keys, task_id, headers, 1_780_000_000, WINDOW)
    };
    assert_eq!(verify_sent("01780000000"), Ok(0));
    let number = verify_sent("1780000000");
    assert_eq!(number, Err(SignatureError::BadSignature));
}

#[test]
fn a_key_is_never_shown() {
    assert_eq!(format!("{:?}", WebhookKey::new("canary")), "WebhookKey(…)");
}
