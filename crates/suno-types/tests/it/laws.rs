//! What holds for any bytes whatever. The fuzz targets check the same.

use std::time::Duration;

use suno_types::signature::{SignatureHeaders, WebhookKey, verify};
use suno_types::{
    Callback, CallbackRef, Code, Credits, Envelope, Json, Outcome, Output, Payload, Peek, Product,
    Stage, SubmittedTask, TaskId, TaskRecord, TrackRef,
};

/// Decoding never panics, and what was decoded comes back from what it encodes to.
pub(crate) fn check_decode(body: &[u8]) {
    check_callback(body);
    check_record(body);
    check_envelope::<TaskRecord>(body);
    check_envelope::<SubmittedTask>(body);
    check_envelope::<Credits>(body);
    check_envelope::<Json>(body);
}

fn check_callback(body: &[u8]) {
    let peek = Peek::callback(body);
    let Ok(callback) = Callback::decode(body) else {
        return;
    };
    let peek = peek.unwrap();
    assert_eq!(peek.task_id, callback.task_id.as_str());
    assert!(peek.stage().is_none_or(|stage| stage == callback.stage()));
    let reading = CallbackRef::decode(body).unwrap();
    assert_eq!(reading.to_task_id(), callback.task_id);
    assert_eq!(reading.code(), callback.code);
    assert_eq!(reading.stage(), callback.stage());
    let tracks: Vec<TrackRef<'_>> = callback.tracks.iter().map(TrackRef::from).collect();
    assert!(reading.tracks().eq(tracks));
    assert_eq!(reading.product(), callback.product());
    assert_eq!(reading.has_stage_word(), callback.has_stage_word());
    assert!(reading.results().eq(callback.results()));
    assert_eq!(reading.result_count(), callback.results().count());
    assert_eq!(callback.result_count(), callback.results().count());
    check_stage(&callback);
    let encoded = callback.encode();
    let again = Callback::decode(&encoded).unwrap();
    assert_eq!(again, callback);
    assert_eq!(again.stage(), callback.stage());
    assert_eq!(again.encode(), encoded);
    assert_eq!(
        Peek::callback(&encoded).unwrap().task_id,
        callback.task_id.as_str()
    );
}

/// The stage by its rules, as far as they can be said in a line each.
fn check_stage(callback: &Callback) {
    let stage = callback.stage();
    if callback.code != Code::SUCCESS {
        assert_eq!(stage, Stage::Failed);
    } else if !callback.has_stage_word() && callback.result_count() > 0 {
        assert_eq!(stage, Stage::Complete);
    } else if !callback.has_stage_word() && callback.fail_code.is_none() {
        assert_eq!(stage.as_str(), "unspecified");
    }
}

fn check_record(body: &[u8]) {
    let Some(record) = TaskRecord::decode(body).ok().and_then(|answer| answer.data) else {
        return;
    };
    assert_eq!(record.is_terminal(), record.outcome() != Outcome::Running);
    let Some(callback) = record.to_callback() else {
        assert_eq!(record.stage(), None);
        return;
    };
    assert_eq!(Some(callback.stage()), record.stage());
    if record.product() != Product::OTHER {
        assert_eq!(callback.product(), record.product());
    }
    assert_eq!(callback.tracks, record.tracks);
    match (callback.output(), record.output()) {
        (Output::Other(_) | Output::Songs(&[]), Output::Other(_)) => {}
        (output, recorded) => assert_eq!(output, recorded),
    }
    assert!(callback.results().eq(record.results()));
    let encoded = callback.encode();
    let again = Callback::decode(&encoded).unwrap();
    assert_eq!(again.data_extra.json("param"), None);
    assert_eq!(again, callback);
}

fn check_envelope<T: Payload + PartialEq + std::fmt::Debug>(body: &[u8]) {
    let Ok(envelope) = Envelope::<T>::decode(body) else {
        return;
    };
    let encoded = envelope.encode();
    let again = Envelope::<T>::decode(&encoded).unwrap();
    assert_eq!(again, envelope);
    assert_eq!(again.encode(), encoded);
}

/// Verifying accepts nothing but what a key signs. The bytes are lines: key, task id, timestamp,
/// signature, and what the clock says.
pub(crate) fn check_verify(bytes: &[u8]) {
    let mut lines = bytes.splitn(5, |byte| *byte == b'\n');
    let mut line = || lines.next().unwrap_or_default();
    let (key, task_id, timestamp, signature, now) = (line(), line(), line(), line(), line());
    let Ok(task_id) = std::str::from_utf8(task_id) else {
        return;
    };
    let now = std::str::from_utf8(now)
        .ok()
        .and_then(|now| now.parse().ok())
        .unwrap_or(0);
    // Whoever knows nothing knows the empty key, and HMAC fills keys up with zeros.
    let is_empty = key.trim_ascii().iter().all(|byte| *byte == 0);
    let key = WebhookKey::new(key);
    let headers = SignatureHeaders::find([
        ("x-webhook-timestamp", timestamp),
        ("x-webhook-signature", signature),
    ]);
    let window = Duration::from_secs(300);
    let verified = verify(
        std::slice::from_ref(&key),
        task_id,
        headers.unwrap(),
        now,
        window,
    );
    let sent = std::str::from_utf8(timestamp)
        .ok()
        .and_then(|text| text.parse::<u64>().ok());
    let (Ok(task_id), Some(sent)) = (TaskId::new(task_id), sent) else {
        return;
    };
    if sent.to_string().as_bytes() == timestamp {
        let signed = key.sign(&task_id, sent).as_bytes() == signature;
        assert_eq!(
            verified.is_ok(),
            signed && !is_empty && now.abs_diff(sent) <= 300
        );
    }
}
