//! What the receiver decides by the head: the URL with its token and suffix, the method and the type.

use bytes::Bytes;
use http::{Request, StatusCode};
use suno_callback::{Token, TokenPlace, Verification};

use crate::receiving::{TOKEN, answers, receiver};
use crate::scene::{KEY, TASK, body, post, signed};

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
