//! Sends requests as the provider does: over HTTP/1.1, with a new connection for each.

use std::fmt::Display;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use bytes::Bytes;
use http::{Request, Uri};
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::time::timeout;

use super::plan::PlannedStep;
use super::target::Target;
use crate::connect::Connector;
use crate::receiver::ExpectedAnswer;

/// The maximum size of a response.
const ANSWER_BYTES_MAX: usize = 1 << 20;
/// The maximum size of a list of events.
const EVENTS_BYTES_MAX: usize = 64 << 20;

/// The destination of requests.
pub(super) struct Sender {
    url: Uri,
    connector: Connector,
    answer_time_max: Duration,
}

impl Sender {
    /// Checks that the target can be reached at all.
    pub(super) async fn new(target: &Target) -> Result<Self> {
        let sender = Self {
            url: target.url.clone(),
            connector: Connector::new(&[])?,
            answer_time_max: target.answer_time_max,
        };
        let reached = sender.connector.connect(&sender.url).await;
        reached.with_context(|| format!("cannot reach the target {}", sender.url))?;
        Ok(sender)
    }

    /// Sends a step and returns the response.
    ///
    /// # Errors
    ///
    /// Returns a sentence if there is no response in time.
    pub(super) async fn send(&self, step: &PlannedStep) -> Result<ExpectedAnswer, String> {
        let mut request = Request::builder().method(&*step.method).uri(&*step.path);
        for (name, value) in &step.headers {
            request = request.header(name, value);
        }
        let request = request
            .body(Bytes::from(step.body.clone()))
            .map_err(|err| format!("the request cannot be sent: {err}"))?;
        // Header names are sent in the case of the fixture: all lower case or not.
        let capitals = step
            .headers
            .iter()
            .any(|(name, _)| name.contains(char::is_uppercase));
        let exchange = self.exchange(&self.url, request, capitals, ANSWER_BYTES_MAX);
        match timeout(self.answer_time_max, exchange).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(err)) => Err(format!("no answer: {err:#}")),
            Err(_) => Err(format!("no answer within {:?}", self.answer_time_max)),
        }
    }

    /// Returns the text of the response to a `GET`.
    pub(super) async fn fetch(&self, url: &Uri) -> Result<Vec<u8>> {
        let path = url.path_and_query().map_or("/", |path| path.as_str());
        let request = Request::get(path).body(Bytes::new())?;
        let exchange = self.exchange(url, request, false, EVENTS_BYTES_MAX);
        let answer = timeout(self.answer_time_max, exchange).await??;
        if answer.status != 200 {
            bail!("{url} responded with {}", answer.status);
        }
        Ok(answer.body)
    }

    async fn exchange(
        &self,
        url: &Uri,
        mut request: Request<Bytes>,
        capitals: bool,
        bytes_max: usize,
    ) -> Result<ExpectedAnswer> {
        let host = url.authority().context("the URL has no host")?;
        request
            .headers_mut()
            .insert(http::header::HOST, host.as_str().parse()?);
        let stream = self.connector.connect(url).await?.stream;
        let (mut sender, connection) = http1::Builder::new()
            .title_case_headers(capitals)
            .handshake(TokioIo::new(stream))
            .await?;
        // Ends with the exchange.
        let connection = AbortOnDrop(tokio::spawn(connection));
        let response = sender.send_request(request.map(Full::new)).await?;
        let (head, body) = response.into_parts();
        let header = |(name, value): (&http::HeaderName, &http::HeaderValue)| {
            (
                name.to_string(),
                String::from_utf8_lossy(value.as_bytes()).into_owned(),
            )
        };
        let body = Limited::new(body, bytes_max).collect().await;
        drop(connection);
        Ok(ExpectedAnswer {
            status: head.status.as_u16(),
            headers: head.headers.iter().map(header).collect(),
            body: body.map_err(unreadable)?.to_bytes().to_vec(),
        })
    }
}

fn unreadable(err: impl Display) -> anyhow::Error {
    anyhow::anyhow!("cannot read the response: {err}")
}

/// A task that is aborted when its handle is dropped.
struct AbortOnDrop<T>(tokio::task::JoinHandle<T>);

impl<T> Drop for AbortOnDrop<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}
