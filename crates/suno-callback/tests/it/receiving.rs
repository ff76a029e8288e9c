//! The answers to deliveries, without any server: who is trusted, and what is kept.

use std::sync::Arc;

use bytes::Bytes;
use http::Request;
use suno_callback::{Acceptance, Inbox, Receiver, Token, Verification};
use suno_types::TaskId;
use suno_types::signature::WebhookKey;

use crate::scene::{HandClock, KEY, NOW, TASK, WatchedStore, body, post, signed, signed_at};

pub(crate) const TOKEN: &str = "aWs83_kd02-LmQzX71";

pub(crate) fn receiver(verification: Verification) -> (Receiver, Arc<WatchedStore>) {
    let store = Arc::new(WatchedStore::default());
    let inbox = Inbox::start(store.clone());
    let receiver = Receiver::new(inbox, verification).with_clock(HandClock::new());
    (receiver, store)
}

pub(crate) async fn answers<const N: usize>(
    receiver: &Receiver,
    requests: [Request<Bytes>; N],
) -> [u16; N] {
    let mut statuses = [0; N];
    for (status, request) in statuses.iter_mut().zip(requests) {
        *status = receiver.receive(request).await.status().as_u16();
    }
    statuses
}

#[tokio::test]
async fn new_duplicate_conflicting_and_late_deliveries_are_answered_200() {
    let (receiver, store) = receiver(Verification::webhook_key(KEY));
    let complete = body(TASK, "complete");
    let resigned = complete.replace("a.mp3", "a.mp3?expires=1");
    let changed = complete.replace("12.5", "13.5");
    let requests = [
        signed(TASK, &complete),
        signed(TASK, &complete),
        signed(TASK, &resigned),
        signed(TASK, &changed),
        signed(TASK, &changed),
        signed(TASK, &body(TASK, "first")),
        signed(
            TASK,
            r#"{"code":[],"data":{"task_id":"0f8c1b6de2a94c7f8e5d3b2a1c0f9e8d"}}"#,
        ),
    ];
    assert_eq!(answers(&receiver, requests).await, [200; 7]);
    let expected = [
        Acceptance::New,
        Acceptance::Duplicate,
        Acceptance::Duplicate,
        Acceptance::Conflict,
        Acceptance::Duplicate,
        Acceptance::Late,
        Acceptance::Quarantined,
    ];
    assert_eq!(*store.accepted.lock().unwrap(), expected);
}

#[tokio::test]
async fn what_is_not_signed_for_this_task_and_moment_is_answered_401() {
    let (receiver, store) = receiver(Verification::webhook_key(KEY));
    let complete = body(TASK, "complete");
    let other = body("ffffffffffffffffffffffffffffffff", "complete");
    let unsigned = post("/suno/callback")
        .body(complete.clone().into())
        .unwrap();
    let mut no_timestamp = signed(TASK, &complete);
    no_timestamp.headers_mut().remove("x-webhook-timestamp");
    let requests = [
        unsigned,
        no_timestamp,
        signed(TASK, &other),
        signed_at(TASK, NOW.unsigned_abs() - 301, &complete),
        signed_at(TASK, NOW.unsigned_abs() + 301, &complete),
    ];
    assert_eq!(answers(&receiver, requests).await, [401; 5]);
    assert!(store.accepted.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_signed_body_that_names_no_single_task_is_answered_400() {
    let (receiver, _) = receiver(Verification::webhook_key(KEY));
    let two = format!(r#"{{"code":200,"taskId":"other","data":{{"task_id":"{TASK}"}}}}"#);
    let requests = [
        signed(TASK, "{"),
        signed(TASK, r#"{"code":200,"data":{}}"#),
        signed(TASK, &two),
    ];
    assert_eq!(answers(&receiver, requests).await, [400; 3]);
}

#[tokio::test]
async fn a_body_whose_sender_is_trusted_is_kept_although_it_names_two_tasks() {
    let two = format!(r#"{{"code":200,"taskId":"other","data":{{"task_id":"{TASK}"}}}}"#);
    let token = Verification::token(Token::new(TOKEN).unwrap());
    for verification in [token, Verification::dangerous_none()] {
        let path = match verification.is_none() {
            true => "/suno/callback".to_owned(),
            false => format!("/suno/callback/{TOKEN}"),
        };
        let (receiver, store) = receiver(verification);
        let request = post(&path).body(two.clone().into()).unwrap();
        assert_eq!(answers(&receiver, [request]).await, [200]);
        assert_eq!(*store.accepted.lock().unwrap(), [Acceptance::Quarantined]);
    }
}

#[tokio::test]
async fn what_is_too_much_to_be_a_callback_is_kept_in_quarantine() {
    let (receiver, store) = receiver(Verification::webhook_key(KEY));
    let unknown: Vec<_> = (0..2_000).map(|n| format!("\"x{n}\":{n}")).collect();
    let unknown = unknown.join(",");
    let members = format!(r#"{{"code":200,"data":{{"task_id":"{TASK}",{unknown}}}}}"#);
    let requests = [
        signed(TASK, &members),
        signed(TASK, &body(TASK, &"x".repeat(65))),
        signed(TASK, &body(TASK, &"x".repeat(900_000))),
    ];
    assert_eq!(answers(&receiver, requests).await, [200; 3]);
    let expected = [Acceptance::Quarantined; 3];
    assert_eq!(*store.accepted.lock().unwrap(), expected);
}

#[tokio::test]
async fn large_bodies_are_judged_as_small_ones() {
    let (receiver, store) = receiver(Verification::webhook_key(KEY));
    let spaces = " ".repeat(100_000);
    let large = |text: String| format!("{text}{spaces}");
    let other = body("ffffffffffffffffffffffffffffffff", "complete");
    let no_code = format!(r#"{{"data":{{"task_id":"{TASK}"}}}}"#);
    let requests = [
        signed(TASK, &large(body(TASK, "complete"))),
        signed(TASK, &large(no_code)),
        signed(TASK, &large(other)),
        signed(TASK, &large("{}".to_owned())),
        signed(TASK, &large("{".to_owned())),
    ];
    let expected = [200, 200, 401, 400, 400];
    assert_eq!(answers(&receiver, requests).await, expected);
    let expected = [Acceptance::New, Acceptance::Quarantined];
    assert_eq!(*store.accepted.lock().unwrap(), expected);
}

#[tokio::test]
async fn with_a_key_and_a_token_both_must_agree() {
    let verification = Verification::webhook_key(KEY).with_token(Token::new(TOKEN).unwrap());
    let (receiver, _) = receiver(verification);
    let at = |path: String, mut request: Request<Bytes>| {
        *request.uri_mut() = path.parse().unwrap();
        request
    };
    let complete = body(TASK, "complete");
    let path = format!("/suno/callback/{TOKEN}");
    let unsigned = post(&path).body(complete.clone().into()).unwrap();
    let requests = [
        at(path, signed(TASK, &complete)),
        signed(TASK, &complete),
        unsigned,
    ];
    assert_eq!(answers(&receiver, requests).await, [200, 401, 401]);
}

#[tokio::test]
async fn while_keys_are_rotated_either_has_signed_and_the_token_is_demanded_all_the_same() {
    let verification = Verification::webhook_key("whk-to-come")
        .with_webhook_key(KEY)
        .with_token(Token::new(TOKEN).unwrap());
    let (receiver, _) = receiver(verification);
    let complete = body(TASK, "complete");
    let by = |key: &str, path: String| {
        let task_id = TaskId::new(TASK).unwrap();
        let signature = WebhookKey::new(key).sign(&task_id, NOW.unsigned_abs());
        post(&path)
            .header("x-webhook-timestamp", NOW)
            .header("x-webhook-signature", signature)
            .body(complete.clone().into())
            .unwrap()
    };
    let path = format!("/suno/callback/{TOKEN}");
    let requests = [
        by("whk-to-come", path.clone()),
        by(KEY, path.clone()),
        by("whk-long-gone", path),
        by(KEY, "/suno/callback".to_owned()),
    ];
    assert_eq!(answers(&receiver, requests).await, [200, 200, 401, 401]);
}
