//! A receiver as a service of tower: what it reads, and under which path.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use bytes::Bytes;
use http::{Request, StatusCode};
use http_body::Frame;
use suno_callback::{CallbackService, Receiver, Token, Verification, router};
use tokio::time::Instant;
use tower_service::Service;

use crate::scene::{HandClock, KEY, TASK, WatchedStore, body, signed};
use crate::wire::receiver;

const TOKEN: &str = "aWs83_kd02-LmQzX71";

/// A body of spaces that counts what is read of it, and that may pause for ever.
struct Spaces {
    left: usize,
    read: Arc<AtomicUsize>,
    then_pauses: bool,
}

impl Spaces {
    fn new(bytes: usize) -> Self {
        Self {
            left: bytes,
            read: Arc::default(),
            then_pauses: false,
        }
    }
}

impl http_body::Body for Spaces {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        const CHUNK: &[u8] = &[b' '; 1_000];
        if self.left == 0 {
            return match self.then_pauses {
                true => Poll::Pending,
                false => Poll::Ready(None),
            };
        }
        let chunk = &CHUNK[..self.left.min(CHUNK.len())];
        self.left -= chunk.len();
        self.read.fetch_add(chunk.len(), Ordering::SeqCst);
        Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(chunk)))))
    }
}

fn service() -> CallbackService {
    CallbackService::new(receiver(Arc::new(WatchedStore::default())))
}

async fn status<B>(
    mut service: impl Service<Request<B>, Response = http::Response<impl Sized>, Error = Infallible>,
    request: Request<B>,
) -> StatusCode {
    std::future::poll_fn(|context| service.poll_ready(context))
        .await
        .unwrap();
    service.call(request).await.unwrap().status()
}

fn to(path: &str) -> Request<Body> {
    let mut request = signed(TASK, &body(TASK, "complete")).map(Body::from);
    *request.uri_mut() = path.parse().unwrap();
    request
}

#[tokio::test]
async fn a_body_is_read_up_to_the_limit_and_not_further() {
    let request = |spaces| signed(TASK, "").map(|_| spaces);
    let limit = Receiver::BODY_BYTES_MAX;
    let (fits, large) = (Spaces::new(limit), Spaces::new(100 * limit));
    let read = large.read.clone();
    // It fits, and names no task.
    assert_eq!(status(service(), request(fits)).await, 400);
    assert_eq!(status(service(), request(large)).await, 413);
    let read = read.load(Ordering::SeqCst);
    assert!((limit..=limit + 1_000).contains(&read), "{read}");
}

#[tokio::test]
async fn a_body_that_is_refused_by_its_head_is_not_read() {
    let spaces = Spaces::new(10);
    let read = spaces.read.clone();
    let request = Request::post("/other").body(spaces).unwrap();
    assert_eq!(status(service(), request).await, 404);
    assert_eq!(read.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn the_body_of_a_sender_who_cannot_be_trusted_is_not_read() {
    let verification = Verification::webhook_key(KEY).with_token(Token::new(TOKEN).unwrap());
    let inbox = suno_callback::Inbox::start(Arc::new(WatchedStore::default()));
    let receiver = Receiver::new(inbox, verification).with_clock(HandClock::new());
    let service = CallbackService::new(receiver);
    let path = format!("/suno/callback/{TOKEN}");
    let with = |path: &str, name: &'static str, value: Option<&'static str>| {
        let mut request = signed(TASK, "");
        *request.uri_mut() = path.parse().unwrap();
        let headers = request.headers_mut();
        match value {
            Some(value) => drop(headers.insert(name, http::HeaderValue::from_static(value))),
            None => drop(headers.remove(name)),
        }
        request
    };
    let (timestamp, signature) = ("x-webhook-timestamp", "x-webhook-signature");
    for request in [
        with(&path, timestamp, None),
        with(&path, timestamp, Some("soon")),
        with(&path, timestamp, Some("1")),
        with(&path, signature, None),
        with(&path, signature, Some("AAAA")),
        with("/suno/callback", "accept", None),
        with("/suno/callback/aWs83_kd02-LmQzX72", "accept", None),
    ] {
        let spaces = Spaces::new(10);
        let read = spaces.read.clone();
        let told = format!("{request:?}");
        let answered = status(service.clone(), request.map(|_| spaces)).await;
        assert_eq!(answered, 401, "{told}");
        assert_eq!(read.load(Ordering::SeqCst), 0, "{told}");
    }
    let spaces = Spaces::new(10);
    let read = spaces.read.clone();
    let request = with(&path, "accept", None).map(|_| spaces);
    assert_eq!(status(service, request).await, 400);
    assert_eq!(read.load(Ordering::SeqCst), 10);
}

#[tokio::test(start_paused = true)]
async fn a_body_that_takes_too_long_is_answered_408() {
    let mut spaces = Spaces::new(10);
    spaces.then_pauses = true;
    let request = signed(TASK, "").map(|_| spaces);
    let service = service().with_body_timeout(Duration::from_secs(3));
    let begun = Instant::now();
    assert_eq!(status(service, request).await, 408);
    assert_eq!(begun.elapsed().as_secs(), 3);
}

#[tokio::test(start_paused = true)]
async fn large_bodies_that_never_end_have_a_bound_together_and_keep_no_other_out() {
    const SMALL: usize = 64 << 10;
    let service = service();
    let fits = CallbackService::LARGE_BODIES_BYTES_MAX / (Receiver::BODY_BYTES_MAX - SMALL);
    let send = |bytes| {
        let mut spaces = Spaces::new(bytes);
        spaces.then_pauses = true;
        let request = signed(TASK, "").map(|_| spaces);
        tokio::spawn(status(service.clone(), request))
    };
    let small: Vec<_> = (0..500).map(|_| send(SMALL)).collect();
    let large: Vec<_> = (0..fits + 30)
        .map(|_| send(Receiver::BODY_BYTES_MAX))
        .collect();
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(small.iter().all(|sent| !sent.is_finished()));
    let (given_up, waiting) = large.split_at(30);
    assert!(waiting.iter().all(|sent| !sent.is_finished()));
    assert!(given_up.iter().all(|sent| sent.is_finished()));
    // A sender who does not pause is answered: its body fits, and names no task.
    let whole = signed(TASK, "").map(|_| Spaces::new(Receiver::BODY_BYTES_MAX));
    assert_eq!(status(service.clone(), whole).await, 400);
    for (place, sent) in large.into_iter().enumerate() {
        // The one that was the oldest by then made room for it.
        let expected = if place <= 30 { 503 } else { 408 };
        assert_eq!(sent.await.unwrap(), expected, "{place}");
    }
    for sent in small {
        assert_eq!(sent.await.unwrap(), 408);
    }
}

#[tokio::test]
async fn nested_under_a_path_the_receiver_has_the_path_that_remains() {
    let receiver = receiver(Arc::new(WatchedStore::default()));
    let service = CallbackService::new(receiver.with_path("/"));
    let app: Router = Router::new().nest_service("/hooks/suno", service);
    assert_eq!(status(app.clone(), to("/hooks/suno")).await, 200);
    assert_eq!(status(app.clone(), to("/hooks/suno/other")).await, 200);
    assert_eq!(status(app, to("/suno/callback")).await, 404);
}

#[tokio::test]
async fn a_token_stands_behind_the_route() {
    let inbox = suno_callback::Inbox::start(Arc::new(WatchedStore::default()));
    let token = Verification::token(Token::new(TOKEN).unwrap());
    let service = CallbackService::new(Receiver::new(inbox, token));
    let app: Router = Router::new().route_service("/suno/callback/{token}", service);
    let right = to(&format!("/suno/callback/{TOKEN}"));
    assert_eq!(status(app.clone(), right).await, 200);
    assert_eq!(
        status(app, to("/suno/callback/aWs83_kd02-LmQzX72")).await,
        401
    );
}

#[tokio::test]
async fn the_routes_take_every_url_that_a_receiver_takes_nested_or_not() {
    let submit = "0a".repeat(16);
    let token = || {
        let inbox = suno_callback::Inbox::start(Arc::new(WatchedStore::default()));
        Receiver::new(inbox, Verification::token(Token::new(TOKEN).unwrap()))
    };
    let plain = || receiver(Arc::new(WatchedStore::default()));
    let cases = [
        (
            plain(),
            vec![
                "".to_owned(),
                "/".to_owned(),
                format!("/{submit}"),
                format!("/{submit}/"),
                format!("/orders/42/{submit}?user=7"),
            ],
        ),
        (
            token(),
            vec![format!("/{TOKEN}"), format!("/{TOKEN}/orders/42/{submit}")],
        ),
    ];
    for (receiver, ends) in cases {
        for path in ["/suno/callback", "/a/b", "/"] {
            let receiver = receiver.clone().with_path(path);
            let base = receiver.path().to_owned();
            let merged: Router = Router::new().merge(router(receiver.clone()));
            let nested: Router = Router::new().nest("/hooks/{tenant}", router(receiver));
            for (prefix, app) in [("", merged), ("/hooks/one", nested)] {
                for end in &ends {
                    let url = format!("{prefix}{base}{end}");
                    // A nested router does not see the slash at the end of its prefix.
                    if url.is_empty() || url == "/hooks/one/" {
                        continue;
                    }
                    assert_eq!(status(app.clone(), to(&url)).await, 200, "{url}");
                }
                let wrong = format!("{prefix}{base}/x//z");
                assert_eq!(status(app.clone(), to(&wrong)).await, 404, "{wrong}");
            }
        }
    }
}
