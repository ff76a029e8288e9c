//! Verifying accepts what a key signed, within the window, and nothing else.

use std::time::Duration;

use proptest::prelude::*;
use proptest::sample::Index;
use suno_types::TaskId;
use suno_types::signature::{SignatureError, SignatureHeaders, WebhookKey, verify};

use crate::{bodies, laws};

fn timestamp() -> impl Strategy<Value = u64> {
    prop_oneof![
        Just(0),
        Just(u64::MAX),
        1_700_000_000..1_900_000_000_u64,
        any::<u64>()
    ]
}

fn window() -> impl Strategy<Value = u64> {
    prop_oneof![Just(0), Just(300), Just(u64::MAX), any::<u64>()]
}

/// Keys that are not empty, without white space around them.
fn key() -> impl Strategy<Value = Vec<u8>> {
    any::<Vec<u8>>().prop_filter("a key is needed", |key| {
        key.trim_ascii() == key && key.iter().any(|byte| *byte != 0)
    })
}

fn two_ids() -> impl Strategy<Value = (String, String)> {
    (bodies::id(), bodies::id()).prop_filter("two ids are needed", |(one, other)| one != other)
}

fn check(
    keys: &[WebhookKey],
    task_id: &str,
    timestamp: &str,
    signature: &str,
    now: u64,
    window: u64,
) -> Result<usize, SignatureError> {
    let headers = SignatureHeaders::find([
        ("X-Webhook-Signature", signature.as_bytes()),
        ("x-webhook-timestamp", timestamp.as_bytes()),
    ])?;
    verify(keys, task_id, headers, now, Duration::from_secs(window))
}

/// HMAC fills keys up with zeros, so that these are one key.
fn same_key(one: &[u8], other: &[u8]) -> bool {
    let trim = |key: &[u8]| {
        let end = key
            .iter()
            .rposition(|byte| *byte != 0)
            .map_or(0, |last| last + 1);
        key[..end].to_vec()
    };
    trim(one) == trim(other)
}

proptest! {
    #[test]
    fn what_a_key_signed_is_accepted_exactly_within_the_window(
        key in key(), id in bodies::id(), sent in timestamp(), now in timestamp(),
        window in window(),
    ) {
        let key = WebhookKey::new(key);
        let signature = key.sign(&TaskId::new(&*id).unwrap(), sent);
        let expected = match now.abs_diff(sent) {
            distance if distance <= window => Ok(0),
            _ => Err(SignatureError::OutsideWindow),
        };
        let verified = check(&[key], &id, &sent.to_string(), &signature, now, window);
        prop_assert_eq!(verified, expected);
    }

    #[test]
    fn the_place_of_the_key_is_told_and_another_key_does_not_fit(
        keys in proptest::collection::vec(key(), 1..5), place: Index,
        id in bodies::id(), sent in timestamp(),
    ) {
        let signing = place.get(&keys);
        let all: Vec<_> = keys.iter().map(WebhookKey::new).collect();
        let signature = WebhookKey::new(signing).sign(&TaskId::new(&*id).unwrap(), sent);
        let first = keys.iter().position(|key| same_key(key, signing)).unwrap();
        let verified = check(&all, &id, &sent.to_string(), &signature, sent, 0);
        prop_assert_eq!(verified, Ok(first));
        let others: Vec<_> = keys.iter().filter(|key| !same_key(key, signing)).collect();
        let others: Vec<_> = others.into_iter().map(WebhookKey::new).collect();
        let refused = check(&others, &id, &sent.to_string(), &signature, sent, 0);
        prop_assert_eq!(refused, Err(SignatureError::BadSignature));
    }

    #[test]
    fn another_task_moment_or_signature_is_refused(
        key in key(), (id, other) in two_ids(), sent in timestamp(), difference in 1..=u64::MAX,
        at: Index, bit in 0..8_u8,
    ) {
        let later = sent ^ difference;
        let key = [WebhookKey::new(key)];
        let signature = key[0].sign(&TaskId::new(&*id).unwrap(), sent);
        let bad = Err(SignatureError::BadSignature);
        let (sent, later) = (sent.to_string(), later.to_string());
        let any_time = u64::MAX;
        prop_assert_eq!(check(&key, &other, &sent, &signature, 0, any_time), bad);
        prop_assert_eq!(check(&key, &id, &later, &signature, 0, any_time), bad);
        let mut flipped = signature.clone().into_bytes();
        let at = at.index(flipped.len());
        flipped[at] ^= 1 << bit;
        let flipped = String::from_utf8_lossy(&flipped).into_owned();
        prop_assert_eq!(check(&key, &id, &sent, &flipped, 0, any_time), bad);
        prop_assert_eq!(check(&key, &id, &sent, &signature[..at], 0, any_time), bad);
    }

    #[test]
    fn only_plain_digits_are_a_timestamp(
        text in "[0-9]{0,30}|0{10,19}[0-9]{0,10}|[0-9+. eE_-]{0,22}",
    ) {
        let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        // As many as the greatest number has; leading zeros count.
        let number = digits && text.len() <= 20 && text.parse::<u64>().is_ok();
        let err = check(&[], "t", &text, "", 0, u64::MAX).unwrap_err();
        prop_assert_eq!(err == SignatureError::BadTimestamp, !number);
    }

    #[test]
    fn the_law_of_verifying_holds_for_lines_that_nearly_fit(
        key in "[a-z]{1,8}", id in bodies::id(), sent in timestamp(), ahead in -400..400_i64,
    ) {
        let signature = WebhookKey::new(&key).sign(&TaskId::new(&*id).unwrap(), sent);
        let now = sent.saturating_add_signed(ahead);
        laws::check_verify(format!("{key}\n{id}\n{sent}\n{signature}\n{now}").as_bytes());
    }
}
