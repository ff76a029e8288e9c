//! Sends each event as one signed HTTP request, and decides by the answer.
//!
//! ```no_run
//! use std::sync::Arc;
//!
//! use suno_callback::{MemoryStore, Pipeline, Verification};
//! use suno_gateway::destination::DestinationName;
//! use suno_gateway::forward::ForwardHandler;
//! use suno_gateway::signing::{Secret, Signer};
//!
//! # async fn run() -> Result<(), Box<dyn std::error::Error>> {
//! let signer = Signer::new([Secret::parse("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")?])?;
//! let name = DestinationName::new("shop")?;
//! let shop = ForwardHandler::builder(name, "http://127.0.0.1:3000/suno", signer)?.build()?;
//! let shop = Arc::new(shop);
//!
//! let verification = Verification::webhook_key("whk_demo_key");
//! let store = Arc::new(MemoryStore::new());
//! let pipeline = Pipeline::builder(store, shop.clone(), verification).start()?;
//! // Later, after the shop was repaired:
//! shop.resume();
//! # pipeline.stop().await;
//! # Ok(())
//! # }
//! ```

mod builder;
mod exchange;
mod header;
mod pool;
mod redactor;
mod tls;
mod url;

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_TYPE, HOST, LOCATION, USER_AGENT};
use http::{HeaderMap, HeaderName, HeaderValue, Request, Uri};
use http_body_util::Full;
use suno_callback::HandlerError;
use tokio::time::Instant;

pub use builder::{ForwardBuilder, InvalidForward};
pub use header::{ForwardHeader, InvalidForwardHeader};
pub use tls::InvalidTls;
pub use url::InvalidForwardUrl;

use self::exchange::{Answer, connect, exchange};
use self::pool::Pool;
use self::redactor::Redactor;
use self::url::ForwardUrl;
use crate::attempt::{AnswerRecord, KeptText, Outcome};
use crate::body::{EventParts, Message};
use crate::breaker::BreakerState;
use crate::course::{Course, Delivered, Ended};
use crate::destination::DestinationName;
use crate::fan_out::{PartsHandler, handle_parts};
use crate::operate::Destination;
use crate::signing::{SignedHeaders, Signer};

const JSON: HeaderValue = HeaderValue::from_static("application/json");
const ANYTHING: HeaderValue = HeaderValue::from_static("*/*");
const PROGRAM: HeaderValue =
    HeaderValue::from_static(concat!("suno-gateway/", env!("CARGO_PKG_VERSION")));

/// The header of a replay, with its number. It is not signed.
const REPLAY: HeaderName = HeaderName::from_static("suno-replay");

/// The difference of clocks that is worth mentioning. A `Date` has whole seconds, and is compared after
/// the body was read.
const SKEW_MIN_SECONDS: i64 = 5;

/// A handler that sends each event to one destination.
///
/// The body is the JSON of [`Message`], signed as [`crate::signing`] says. The status of the answer
/// decides, by the [`Policy`](crate::destination::Policy); redirects are not followed. A destination
/// that fails is left alone, as [`crate::breaker`] says.
///
/// While the destination is down or paused, events wait in the handler, and the first of them is the
/// next probe. After the [`patience`](crate::breaker::BreakerSettings::patience) an event is given
/// back, and the attempt does not count. Stages of a task stay in order, because the dispatcher handles
/// one event of a task at a time.
pub struct ForwardHandler {
    course: Course,
    url: ForwardUrl,
    signer: Signer,
    headers: Vec<ForwardHeader>,
    timeout: Duration,
    pool: Arc<Pool>,
    redactor: Redactor,
}

impl ForwardHandler {
    /// The default time limit for a request, from the name lookup to the head of the answer.
    pub const TIMEOUT: Duration = Duration::from_secs(20);

    /// Returns a builder. `url` is sent as it is given, with its query; it is not logged.
    ///
    /// # Errors
    ///
    /// [`InvalidForwardUrl`] unless the text is an absolute `http` or `https` URL without a user
    /// name and a fragment.
    pub fn builder(
        name: DestinationName,
        url: &str,
        signer: Signer,
    ) -> Result<ForwardBuilder, InvalidForwardUrl> {
        Ok(ForwardBuilder::new(name, ForwardUrl::parse(url)?, signer))
    }

    /// Returns whether the destination works, is down, or is paused.
    #[must_use]
    pub fn state(&self) -> BreakerState {
        self.course.gate.state()
    }

    /// Lets the next event go at once to a destination that is down or paused. Returns whether anything
    /// changed.
    pub fn resume(&self) -> bool {
        self.course.gate.resume()
    }

    /// Sends a message and decides what follows. `number` is the number of the attempt, from 1.
    pub async fn deliver(&self, message: &Message, number: u32) -> Delivered {
        let attempt = self.send(message, None);
        self.course.deliver(message, number, attempt).await
    }

    /// Gives back the events that wait and those that come later, so that a stop need not wait for a
    /// destination that is down. Requests that are under way go on.
    pub fn close(&self) {
        self.course.gate.close();
    }

    /// Makes a connection and closes it again, with TLS but without a request: to say at a start
    /// whether the destination can be reached. Events are sent whatever the result was.
    ///
    /// # Errors
    ///
    /// The reason, for people, if there is no connection within `limit`.
    pub async fn connect(&self, limit: Duration) -> Result<(), String> {
        let connecting = connect(&self.pool, Instant::now() + limit);
        let connected = connecting.await.map(drop);
        connected.map_err(|no_answer| {
            let detail = self.redactor.redact(&no_answer.detail, false);
            KeptText::head(&format!("{}: {detail}", no_answer.failure), false).text
        })
    }

    async fn send(&self, message: &Message, replay: Option<u32>) -> Ended {
        let deadline = Instant::now() + self.timeout;
        let now = self.course.clock.now().as_second();
        let timestamp = u64::try_from(now).unwrap_or_default();
        let signed = self.signer.sign(&message.id, timestamp, &message.body);
        let request = self.request(&message.body, &signed, replay);
        let exchange = exchange(&self.pool, &request, deadline).await;
        let mut ended = match exchange.result {
            Ok(answer) => self.judge(&answer, &signed),
            Err(no_answer) => {
                let detail = self.redactor.redact(&no_answer.detail, false);
                self.course
                    .not_answered(no_answer.failure, KeptText::head(&detail, false))
            }
        };
        ended.is_resent = exchange.is_resent;
        ended
    }

    fn request(
        &self,
        body: &Bytes,
        signed: &SignedHeaders,
        replay: Option<u32>,
    ) -> Request<Full<Bytes>> {
        let mut request = Request::new(Full::new(body.clone()));
        *request.method_mut() = http::Method::POST;
        *request.uri_mut() = self.url.target.clone();
        let headers = request.headers_mut();
        headers.insert(HOST, self.url.host.clone());
        headers.insert(CONTENT_TYPE, JSON);
        headers.insert(ACCEPT, ANYTHING);
        headers.insert(USER_AGENT, PROGRAM);
        for header in &self.headers {
            headers.insert(header.name(), header.value().clone());
        }
        if let Some(replay) = replay {
            headers.insert(REPLAY, replay.into());
        }
        signed.insert_into(headers);
        request
    }

    fn judge(&self, answer: &Answer, signed: &SignedHeaders) -> Ended {
        let since_1970 = self.course.clock.now().as_millisecond();
        let now = UNIX_EPOCH + Duration::from_millis(since_1970.try_into().unwrap_or(0));
        let verdict = self
            .course
            .policy
            .judge(answer.status, &answer.headers, now);
        let body = self.keep(answer, signed);
        let mut record = AnswerRecord::new(answer.status.as_u16(), body);
        record.location_host = location_host(&answer.headers);
        record.clock_ahead_seconds = clock_ahead(&answer.headers, now);
        record.is_asked_for = verdict.is_asked_for;
        Ended {
            outcome: Outcome::Answered(record),
            verdict,
            is_resent: false,
        }
    }

    /// Keeps the beginning of an answer's body, without the secrets that it may repeat.
    fn keep(&self, answer: &Answer, signed: &SignedHeaders) -> KeptText {
        if answer.body.is_empty() {
            return KeptText::head("", answer.is_cut);
        }
        let mut redactor = self.redactor.clone();
        for token in signed.signature.split(' ') {
            redactor.add(token.trim_start_matches("v1,"));
        }
        let text = String::from_utf8_lossy(&answer.body);
        KeptText::head(&redactor.redact(&text, answer.is_cut), answer.is_cut)
    }
}

/// The host that a redirect names.
fn location_host(headers: &HeaderMap) -> Option<KeptText> {
    let location: Uri = headers.get(LOCATION)?.to_str().ok()?.parse().ok()?;
    Some(KeptText::head(location.host()?, false))
}

/// Returns the number of seconds by which the clock of the destination is ahead of ours.
fn clock_ahead(headers: &HeaderMap, now: SystemTime) -> Option<i64> {
    let date = crate::destination::date(headers)?;
    let seconds = |time: Duration| i64::try_from(time.as_secs()).unwrap_or(i64::MAX);
    let ahead = match date.duration_since(now) {
        Ok(ahead) => seconds(ahead),
        Err(behind) => -seconds(behind.duration()),
    };
    (ahead.abs() >= SKEW_MIN_SECONDS).then_some(ahead)
}

#[async_trait]
impl PartsHandler for ForwardHandler {
    async fn on_parts(&self, parts: EventParts<'_>, attempt: u32) -> Result<(), HandlerError> {
        let message = Message::new(parts, self.course.form);
        self.deliver(&message, attempt).await.into_result()
    }
}

handle_parts!(ForwardHandler);

#[async_trait]
impl Destination for ForwardHandler {
    fn name(&self) -> &DestinationName {
        &self.course.name
    }

    fn state(&self) -> BreakerState {
        self.state()
    }

    fn resume(&self) -> bool {
        self.resume()
    }

    async fn replay(&self, message: &Message, replay: u32) -> Delivered {
        let attempt = self.send(message, Some(replay));
        self.course.replay(message, replay, attempt).await
    }
}

/// Leaves out the path and the query of the URL, the headers and the secrets.
impl fmt::Debug for ForwardHandler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ForwardHandler")
            .field("name", &self.course.name)
            .field("url", &self.url)
            .field("state", &self.state())
            .finish_non_exhaustive()
    }
}
