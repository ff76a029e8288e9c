//! The path of a request: the guard, the body, the route, and the headers that every answer has.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::response::{IntoResponse, Response};
use http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, HeaderName, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
    X_FRAME_OPTIONS,
};
use http::{HeaderValue, Request};
use hyper::body::Incoming;
use suno_callback::Clock;
use tower_service::Service;

use super::body;
use super::guard::{Area, Guard};
use super::problem::Problem;

/// What the page may do: load its own files and nothing else.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
    media-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; \
    frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'";

/// The headers that every answer has.
const HEADERS: [(HeaderName, &str); 6] = [
    (CONTENT_SECURITY_POLICY, POLICY),
    (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (REFERRER_POLICY, "no-referrer"),
    (X_FRAME_OPTIONS, "DENY"),
    (
        HeaderName::from_static("cross-origin-resource-policy"),
        "same-origin",
    ),
    (
        HeaderName::from_static("cross-origin-opener-policy"),
        "same-origin",
    ),
];

/// Answers requests.
#[derive(Debug)]
pub(super) struct Answerer {
    pub(super) guard: Guard,
    pub(super) router: Router,
    /// The paths of the page's files.
    pub(super) pages: Vec<Box<str>>,
    pub(super) has_open_metrics: bool,
    pub(super) refusals: Refusals,
}

impl Answerer {
    pub(super) async fn answer(self: Arc<Self>, request: Request<Incoming>) -> Response {
        let mut response = match self.admit(request).await {
            Ok(request) => {
                let answered = self.router.clone().call(request).await;
                answered.unwrap_or_else(|never| match never {})
            }
            Err(problem) => {
                self.refusals.note(&problem);
                problem.into_response()
            }
        };
        let headers = response.headers_mut();
        for (name, value) in HEADERS {
            headers.insert(name, HeaderValue::from_static(value));
        }
        // What is shown belongs to users. Streams and files say more.
        headers
            .entry(CACHE_CONTROL)
            .or_insert(HeaderValue::from_static("no-store"));
        response
    }

    async fn admit(&self, request: Request<Incoming>) -> Result<Request<Body>, Problem> {
        let (head, body) = request.into_parts();
        self.guard.check(&head, self.area(head.uri.path()))?;
        let body = body::read(&head, body).await?;
        Ok(Request::from_parts(head, body))
    }

    fn area(&self, path: &str) -> Area {
        match path {
            "/livez" | "/readyz" => Area::Health,
            "/metrics" if self.has_open_metrics => Area::Health,
            "/session" => Area::Session,
            path if self.pages.iter().any(|page| &**page == path) => Area::Page,
            _ => Area::Data,
        }
    }
}

/// Logs requests that the guard refuses: one line of each reason in an interval.
#[derive(Debug)]
pub(super) struct Refusals {
    clock: Arc<dyn Clock>,
    /// The reasons with the time of their last line.
    logged: std::sync::Mutex<Vec<(&'static str, Duration)>>,
}

impl Refusals {
    /// The time between two lines of one reason.
    const INTERVAL: Duration = Duration::from_secs(10);

    pub(super) fn new(clock: Arc<dyn Clock>) -> Self {
        Self {
            clock,
            logged: std::sync::Mutex::default(),
        }
    }

    fn note(&self, problem: &Problem) {
        if self.admits(problem.word) {
            let (status, reason) = (problem.status.as_u16(), problem.word);
            tracing::warn!(status, reason, "a request to the admin address was refused");
        }
    }

    /// Whether a line is logged. There are as many reasons as kinds of problems.
    fn admits(&self, reason: &'static str) -> bool {
        let now = self.clock.monotonic();
        let logged = self.logged.lock();
        let mut logged = logged.unwrap_or_else(std::sync::PoisonError::into_inner);
        match logged.iter_mut().find(|(known, _)| *known == reason) {
            Some((_, at)) if now < at.saturating_add(Self::INTERVAL) => false,
            Some((_, at)) => {
                *at = now;
                true
            }
            None => {
                logged.push((reason, now));
                true
            }
        }
    }
}
