//! Sends requests as the provider does: over HTTP/1.1, with a new connection for each.

use std::fmt::Display;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use bytes::Bytes;
use http::{Request, Uri};
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use super::plan::PlannedStep;
use super::target::Target;
use crate::receiver::ExpectedAnswer;

/// The time limit for a connection.
const CONNECT_TIME_MAX: Duration = Duration::from_secs(5);
/// The maximum size of a response.
const ANSWER_BYTES_MAX: usize = 1 << 20;
/// The maximum size of a list of events.
const EVENTS_BYTES_MAX: usize = 64 << 20;

/// A stream to the server.
trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// The destination of requests.
pub(super) struct Sender {
    url: Uri,
    tls: TlsConnector,
    answer_time_max: Duration,
}

impl Sender {
    /// Checks that the target can be reached at all.
    pub(super) async fn new(target: &Target) -> Result<Self> {
        let sender = Self {
            url: target.url.clone(),
            tls: TlsConnector::from(Arc::new(tls()?)),
            answer_time_max: target.answer_time_max,
        };
        let reached = sender.connect(&sender.url).await;
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
        let stream = self.connect(url).await?;
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

    async fn connect(&self, url: &Uri) -> Result<Box<dyn Stream>> {
        let host = url.host().context("the URL has no host")?;
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let secure = url.scheme_str() == Some("https");
        let port = url.port_u16().unwrap_or(if secure { 443 } else { 80 });
        let connect = async {
            let stream = TcpStream::connect((host, port)).await?;
            stream.set_nodelay(true)?;
            if !secure {
                return Ok::<Box<dyn Stream>, anyhow::Error>(Box::new(stream));
            }
            let name = ServerName::try_from(host.to_owned())?;
            Ok(Box::new(self.tls.connect(name, stream).await?))
        };
        timeout(CONNECT_TIME_MAX, connect)
            .await
            .context("connecting took too long")?
    }
}

fn unreadable(err: impl Display) -> anyhow::Error {
    anyhow::anyhow!("cannot read the response: {err}")
}

fn tls() -> Result<rustls::ClientConfig> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let roots = webpki_roots::TLS_SERVER_ROOTS.iter().cloned();
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots.collect::<rustls::RootCertStore>())
        .with_no_client_auth();
    Ok(config)
}

/// A task that is aborted when its handle is dropped.
struct AbortOnDrop<T>(tokio::task::JoinHandle<T>);

impl<T> Drop for AbortOnDrop<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}
