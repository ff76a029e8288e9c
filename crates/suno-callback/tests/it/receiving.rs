//! The answer table, without any server.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use http::{Request, StatusCode};
use suno_callback::{Acceptance, Inbox, Receiver, Token, TokenPlace, Verification};
use suno_types::TaskId;
use suno_types::signature::WebhookKey;

use crate::logs::Logs;
use crate::scene::{HandClock, KEY, NOW, TASK, WatchedStore, body, post, signed, signed_at};

const TOKEN: &str = "aWs83_kd02-LmQzX71";

fn receiver(verification: Verification) -> (Receiver, Arc<WatchedStore>) {
    let store = Arc::new(WatchedStore::default());
    let inbox = Inbox::start(store.clone());
    let receiver = Receiver::new(inbox, verification).with_clock(HandClock::new());
    (receiver, store)
}

async fn answers<const N: usize>(receiver: &Receiver, requests: [Request<Bytes>; N]) -> [u16; N] {
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
async fn a_head_with_two_hosts_is_answered_400() {
    let (receiver, store) = receiver(Verification::webhook_key(KEY));
    let complete = body(TASK, "complete");
    let mut request = signed(TASK, &complete);
    for host in ["one.example.com", "two.example.com"] {
        request.headers_mut().append("host", host.parse().unwrap());
    }
    assert_eq!(answers(&receiver, [request]).await, [400]);
    assert!(store.accepted.lock().unwrap().is_empty());
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
async fn the_token_stands_behind_the_path_and_nowhere_else() {
    let (receiver, _) = receiver(Verification::token(Token::new(TOKEN).unwrap()));
    let complete = body(TASK, "complete");
    let request = |path: &str| post(path).body(complete.clone().into()).unwrap();
    let requests = [
        request(&format!("/suno/callback/{TOKEN}")),
        request("/suno/callback"),
        request("/suno/callback/aWs83_kd02-LmQzX7"),
        request(&format!("/suno/callback/{TOKEN}/more")),
        request(&format!("/{TOKEN}")),
        request(&format!("/suno/callback?token={TOKEN}")),
    ];
    assert_eq!(
        answers(&receiver, requests).await,
        [200, 401, 401, 200, 404, 401]
    );
}

#[tokio::test]
async fn a_token_in_a_query_parameter_is_as_good_and_one_elsewhere_is_not() {
    let place = TokenPlace::query("secret").unwrap();
    let other = "bXt94_le13-MnRzY82";
    let verification = Verification::token(Token::new(TOKEN).unwrap())
        .with_token(Token::new(other).unwrap())
        .with_token_in(place);
    let (receiver, _) = receiver(verification);
    let complete = body(TASK, "complete");
    let request = |path: &str| post(path).body(complete.clone().into()).unwrap();
    let requests = [
        request(&format!("/suno/callback?secret={TOKEN}")),
        request(&format!("/suno/callback/orders?a=1&secret={other}&b=2")),
        request("/suno/callback"),
        request("/suno/callback?secret="),
        request("/suno/callback?secret=aWs83_kd02-LmQzX7"),
        request(&format!("/suno/callback?Secret={TOKEN}")),
        request(&format!("/suno/callback/{TOKEN}")),
        request(&format!("/suno/callback?secret=x&secret={TOKEN}")),
    ];
    assert_eq!(
        answers(&receiver, requests).await,
        [200, 200, 401, 401, 401, 401, 401, 401]
    );
}

#[tokio::test]
async fn what_the_application_added_to_the_url_is_part_of_the_delivery_without_the_token() {
    let place = TokenPlace::query("secret").unwrap();
    for (verification, path, suffix) in [
        (
            Verification::webhook_key(KEY),
            "/suno/callback?order=42&user=7",
            "?order=42&user=7",
        ),
        (
            Verification::webhook_key(KEY),
            "/suno/callback/orders/42/?x",
            "orders/42?x",
        ),
        (Verification::webhook_key(KEY), "/suno/callback/", ""),
        (
            Verification::webhook_key(KEY).with_token(Token::new(TOKEN).unwrap()),
            &format!("/suno/callback/{TOKEN}/orders/42?user=7"),
            "orders/42?user=7",
        ),
        (
            Verification::webhook_key(KEY)
                .with_token(Token::new(TOKEN).unwrap())
                .with_token_in(place),
            &format!("/suno/callback/o?secret={TOKEN}&user=7"),
            "o?user=7",
        ),
    ] {
        let (receiver, _) = receiver(verification);
        let mut request = signed(TASK, &body(TASK, "complete"));
        *request.uri_mut() = path.parse().unwrap();
        let (head, body) = request.into_parts();
        let admitted = receiver.admit(&head).unwrap();
        let delivery = receiver.verify(&admitted, body).unwrap();
        let kept = delivery.suffix.map(|suffix| suffix.to_string());
        assert_eq!(kept.unwrap_or_default(), suffix, "{path}");
    }
}

#[tokio::test]
async fn a_url_that_is_too_long_to_be_kept_is_answered_414() {
    let (receiver, store) = receiver(Verification::webhook_key(KEY));
    let mut request = signed(TASK, &body(TASK, "complete"));
    let long = "x".repeat(suno_callback::UrlSuffix::BYTES_MAX + 1);
    *request.uri_mut() = format!("/suno/callback?{long}").parse().unwrap();
    assert_eq!(answers(&receiver, [request]).await, [414]);
    assert!(store.accepted.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_person_with_a_browser_is_told_what_the_url_is_for() {
    let (receiver, _) = receiver(Verification::webhook_key(KEY));
    let get = Request::get("/suno/callback").body(Bytes::new()).unwrap();
    let response = receiver.receive(get).await;
    assert_eq!(response.status(), 405);
    assert_eq!(response.headers()["allow"], "POST");
    assert_eq!(
        response.headers()["content-type"],
        "text/plain; charset=utf-8"
    );
    let text = std::str::from_utf8(response.body()).unwrap();
    assert!(text.contains("POST") && text.ends_with('\n'), "{text}");
    let put = Request::put("/suno/callback").body(Bytes::new()).unwrap();
    let response = receiver.receive(put).await;
    assert_eq!(response.headers()["content-type"], "application/json");
}

#[tokio::test]
async fn the_health_path_answers_whatever_the_verification() {
    let (receiver, _) = receiver(Verification::webhook_key(KEY));
    let ask = |method: &str, path: &str| {
        let request = Request::builder().method(method).uri(path);
        request.body(Bytes::new()).unwrap()
    };
    let requests = [
        ask("GET", "/healthz"),
        ask("HEAD", "/healthz?x=1"),
        ask("POST", "/healthz"),
        ask("GET", "/healthz/x"),
    ];
    assert_eq!(answers(&receiver, requests).await, [200, 200, 404, 404]);
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

#[tokio::test]
async fn path_method_size_and_type_are_checked_before_the_sender() {
    let (receiver, store) = receiver(Verification::webhook_key(KEY));
    let receiver = receiver.with_body_bytes_max(64);
    let request = |builder: http::request::Builder, body: &'static str| {
        builder.body(Bytes::from_static(body.as_bytes())).unwrap()
    };
    let requests = [
        request(post("/suno/other"), "{}"),
        request(Request::get("/suno/callback"), ""),
        request(
            Request::post("/suno/callback").header("content-type", "text/plain"),
            "{}",
        ),
        request(
            post("/suno/callback").header("content-type", "text/plain"),
            "{}",
        ),
        request(
            post("/suno/callback").header("content-encoding", "gzip"),
            "",
        ),
        request(post("/suno/callback").header("content-length", 65), ""),
    ];
    let expected = [404, 405, 415, 415, 415, 413];
    assert_eq!(answers(&receiver, requests).await, expected);
    let too_large = receiver
        .receive(signed(TASK, &body(TASK, "complete")))
        .await;
    assert_eq!(too_large.status(), StatusCode::PAYLOAD_TOO_LARGE);
    assert!(store.accepted.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_body_that_is_encoded_or_in_another_charset_is_answered_415_with_the_reason() {
    let (receiver, store) = receiver(Verification::webhook_key(KEY));
    let complete = body(TASK, "complete");
    let with = |name: &'static str, value: &'static str| {
        let mut request = signed(TASK, &complete);
        let value = http::HeaderValue::from_static(value);
        request.headers_mut().insert(name, value);
        request
    };
    for (request, reason) in [
        (with("content-encoding", "gzip"), "encoded"),
        (with("content-encoding", "identity, br"), "encoded"),
        (
            with("content-type", "application/json; charset=utf-16"),
            "charset",
        ),
        (with("content-type", "text/json"), "application/json"),
    ] {
        let answer = receiver.receive(request).await;
        assert_eq!(answer.status(), StatusCode::UNSUPPORTED_MEDIA_TYPE);
        let says = String::from_utf8_lossy(answer.body());
        assert!(says.contains(reason), "{says}");
        let is_encoded = reason == "encoded";
        assert_eq!(answer.headers().contains_key("accept-encoding"), is_encoded);
    }
    assert!(store.accepted.lock().unwrap().is_empty());
    let plain = [
        with("content-encoding", "identity"),
        with("content-type", "application/json; charset=UTF-8"),
    ];
    assert_eq!(answers(&receiver, plain).await, [200; 2]);
}

#[tokio::test]
async fn the_address_of_a_submit_may_end_in_a_slash_and_have_digits_in_upper_case() {
    let (receiver, _) = receiver(Verification::webhook_key(KEY));
    let submit = "00112233445566778899aabbccddeeff";
    for path in [
        format!("/suno/callback/{submit}"),
        format!("/suno/callback/{submit}/"),
        format!("/suno/callback/{}", submit.to_uppercase()),
    ] {
        let mut request = signed(TASK, &body(TASK, "complete"));
        *request.uri_mut() = path.parse().unwrap();
        assert_eq!(answers(&receiver, [request]).await, [200], "{path}");
    }
}

#[tokio::test]
async fn a_wrong_method_says_which_one_is_right() {
    let (receiver, _) = receiver(Verification::webhook_key(KEY));
    let get = Request::get("/suno/callback").body(Bytes::new()).unwrap();
    let answer = receiver.receive(get).await;
    assert_eq!(answer.headers()["allow"], "POST");
}

#[tokio::test]
async fn a_store_that_fails_is_answered_503_and_takes_the_same_later() {
    let (receiver, store) = receiver(Verification::webhook_key(KEY));
    let complete = body(TASK, "complete");
    store.down.store(true, Ordering::SeqCst);
    let answer = receiver.receive(signed(TASK, &complete)).await;
    assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert!(answer.headers().contains_key("retry-after"));
    store.down.store(false, Ordering::SeqCst);
    assert_eq!(answers(&receiver, [signed(TASK, &complete)]).await, [200]);
    assert_eq!(*store.accepted.lock().unwrap(), [Acceptance::New]);
}

#[tokio::test]
async fn one_event_that_is_refused_does_not_fail_its_neighbours() {
    let (receiver, store) = receiver(Verification::webhook_key(KEY));
    *store.poison.lock().unwrap() = Some("poison");
    let tasks = ["t1", "t2", "poison", "t4"];
    let answers = tasks.map(|task| receiver.receive(signed(task, &body(task, "text"))));
    let [a, b, c, d] = answers;
    let (a, b, c, d) = tokio::join!(a, b, c, d);
    let statuses = [a, b, c, d].map(|answer| answer.status().as_u16());
    assert_eq!(statuses, [200, 200, 503, 200]);
    assert_eq!(store.accepted.lock().unwrap().len(), 3);
}

#[tokio::test]
async fn a_store_that_fails_is_not_asked_again_for_each_delivery() {
    let (receiver, store) = receiver(Verification::webhook_key(KEY));
    store.down.store(true, Ordering::SeqCst);
    let send = |task| receiver.receive(signed(task, &body(task, "text")));
    let (a, b, c) = tokio::join!(send("t1"), send("t2"), send("t3"));
    let statuses = [a, b, c].map(|answer| answer.status().as_u16());
    assert_eq!(statuses, [503, 503, 503]);
    assert_eq!(*store.batches.lock().unwrap(), [3]);
}

#[tokio::test]
async fn deliveries_that_arrive_together_share_a_commit() {
    let (receiver, store) = receiver(Verification::webhook_key(KEY));
    let posts: Vec<_> = (0..100)
        .map(|number| {
            let (receiver, task) = (receiver.clone(), format!("task-{number}"));
            tokio::spawn(async move { receiver.receive(signed(&task, &body(&task, "text"))).await })
        })
        .collect();
    for post in posts {
        assert_eq!(post.await.unwrap().status(), StatusCode::OK);
    }
    let batches = store.batches.lock().unwrap().clone();
    assert_eq!(batches.iter().sum::<usize>(), 100);
    assert!(batches.len() < 10, "{batches:?}");
}

#[tokio::test]
async fn a_request_that_is_cancelled_is_stored_once_all_the_same() {
    let (receiver, store) = receiver(Verification::webhook_key(KEY));
    let complete = body(TASK, "complete");
    {
        let mut request = std::pin::pin!(receiver.receive(signed(TASK, &complete)));
        // One poll hands the delivery over; then the sender goes away.
        let polled = std::future::poll_fn(|context| {
            std::task::Poll::Ready(request.as_mut().poll(context).is_pending())
        });
        assert!(polled.await);
    }
    assert_eq!(answers(&receiver, [signed(TASK, &complete)]).await, [200]);
    assert_eq!(
        *store.accepted.lock().unwrap(),
        [Acceptance::New, Acceptance::Duplicate]
    );
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_takes_too_long_is_503_and_the_event_is_stored_once_all_the_same() {
    let (receiver, store) = receiver(Verification::webhook_key(KEY));
    let budget = Inbox::COMMIT_TIMEOUT / 2;
    let receiver = receiver.with_answer_budget(budget);
    let complete = body(TASK, "complete");
    let storing = store.accepting.lock().await;
    let begun = tokio::time::Instant::now();
    let answer = receiver.receive(signed(TASK, &complete)).await;
    assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert!(answer.headers().contains_key("retry-after"));
    assert_eq!(begun.elapsed(), budget);
    drop(storing);
    assert_eq!(answers(&receiver, [signed(TASK, &complete)]).await, [200]);
    let expected = [Acceptance::New, Acceptance::Duplicate];
    assert_eq!(*store.accepted.lock().unwrap(), expected);
}

#[tokio::test(start_paused = true)]
async fn too_many_that_wait_are_answered_503_at_once_and_no_commit_is_too_large() {
    /// More than wait for a commit and are in one, and fewer than that twice.
    const SENT: usize = 6_000;
    const WAITING_MAX: usize = 4_096;
    const BATCH_MAX: usize = 512;
    let (receiver, store) = receiver(Verification::webhook_key(KEY));
    let storing = store.accepting.lock().await;
    let posts: Vec<_> = (0..SENT)
        .map(|number| {
            let (receiver, task) = (receiver.clone(), format!("task-{number}"));
            tokio::spawn(async move { receiver.receive(signed(&task, &body(&task, "text"))).await })
        })
        .collect();
    // Not as long as the answer budget: what ends now was refused.
    tokio::time::sleep(Receiver::ANSWER_BUDGET / 2).await;
    let refused = posts.iter().filter(|post| post.is_finished()).count();
    let room = WAITING_MAX..=WAITING_MAX + BATCH_MAX;
    assert!(room.contains(&(SENT - refused)), "{refused} were refused");
    drop(storing);
    let mut taken = 0;
    for post in posts {
        let answer = post.await.unwrap();
        let status = answer.status().as_u16();
        assert!(matches!(status, 200 | 503), "{status}");
        assert_eq!(answer.headers().contains_key("retry-after"), status == 503);
        taken += usize::from(status == 200);
    }
    assert_eq!(taken, SENT - refused);
    let batches = store.batches.lock().unwrap().clone();
    assert!(
        batches.iter().all(|batch| *batch <= BATCH_MAX),
        "{batches:?}"
    );
}

/// The commonest reason why a callback does not arrive is that its address, method or type is wrong,
/// and only this side can see it.
#[tokio::test]
async fn each_refusal_is_a_warning_that_says_what_was_asked_for_and_what_is_served() {
    let logs = Logs::collect();
    let (receiver, store) = receiver(Verification::webhook_key(KEY));
    let typed = |method: &str, path: &str, name: &str, value: &str| {
        let request = Request::builder().method(method).uri(path);
        request.header(name, value).body(Bytes::new()).unwrap()
    };
    let json = "application/json";
    let large = Receiver::BODY_BYTES_MAX + 1;
    let signed_body = |body: &str| signed(TASK, body);
    store.down.store(true, Ordering::SeqCst);
    let cases = [
        (
            typed("POST", "/webhook/suno", "content-type", json),
            404,
            "no callbacks are received",
        ),
        (
            typed("GET", "/suno/callback", "accept", "*/*"),
            405,
            "the method is not POST",
        ),
        (
            typed("POST", "/suno/callback", "content-type", "text/xml"),
            415,
            "not application/json",
        ),
        (
            typed("POST", "/suno/callback", "content-encoding", "gzip"),
            415,
            "compressed",
        ),
        (
            typed(
                "POST",
                "/suno/callback",
                "content-length",
                &large.to_string(),
            ),
            413,
            "too large",
        ),
        (
            typed("POST", "/suno/callback", "content-type", json),
            401,
            "callback rejected",
        ),
        (signed_body("{"), 400, "callback rejected"),
        (
            signed_body(&body(TASK, "complete")),
            503,
            "callback not stored",
        ),
    ];
    for (request, status, reason) in cases {
        let (method, path) = (
            request.method().to_string(),
            request.uri().path().to_owned(),
        );
        assert_eq!(receiver.receive(request).await.status(), status, "{reason}");
        let lines = logs.lines("WARN", reason);
        let line = lines
            .last()
            .unwrap_or_else(|| panic!("not logged: {reason}"));
        assert!(line.contains(&format!("status={status}")), "{line}");
        if status != 503 && status != 400 {
            assert!(line.contains(&format!("method=\"{method}\"")), "{line}");
            assert!(line.contains(&format!("path=\"{path}\"")), "{line}");
            assert!(line.contains("served=\"/suno/callback\""), "{line}");
        }
    }
}

#[tokio::test]
async fn a_flood_of_refusals_is_a_few_lines_of_each_reason() {
    let logs = Logs::collect();
    let (receiver, _) = receiver(Verification::webhook_key(KEY));
    for number in 0..200 {
        let elsewhere = post(&format!("/elsewhere/{number}"));
        let elsewhere = elsewhere.body(Bytes::new()).unwrap();
        assert_eq!(receiver.receive(elsewhere).await.status(), 404);
    }
    assert_eq!(logs.lines("WARN", "no callbacks are received").len(), 5);
}
