//! The HTTP client of the exporter.

use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::{Duration, Instant};

use anyhow::Context;
use async_trait::async_trait;
use bytes::Bytes;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use opentelemetry_http::hyper::HyperClient;
use opentelemetry_http::{HttpClient, HttpError, Request, Response};
use rustls_platform_verifier::BuilderVerifierExt;
use tokio::runtime::Handle;

/// The time limit for one request.
const REQUEST_TIME_MAX: Duration = Duration::from_secs(10);
/// The minimum interval between log lines about requests that failed.
const WARNING_INTERVAL: Duration = Duration::from_secs(60);

/// Sends requests on the runtime of the process: the exporter has a thread of its own, which has none.
#[derive(Debug)]
pub(super) struct Client {
    client: HyperClient<HttpsConnector<HttpConnector>>,
    runtime: Handle,
    warned_at: Mutex<Option<Instant>>,
}

impl Client {
    pub(super) fn new() -> anyhow::Result<Self> {
        let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
        let tls = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .context("the crypto provider supports no version of TLS")?
            .with_platform_verifier()
            .context("the certificates of this machine cannot be read")?
            .with_no_client_auth();
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(tls)
            .https_or_http()
            .enable_http1()
            .build();
        Ok(Self {
            client: HyperClient::new(connector, REQUEST_TIME_MAX, None),
            runtime: Handle::current(),
            warned_at: Mutex::new(None),
        })
    }

    /// Logs a failure, but not each. The error may contain the endpoint, and never a header.
    fn warn(&self, reason: &str) {
        let mut warned_at = self
            .warned_at
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if warned_at.is_none_or(|at| at.elapsed() >= WARNING_INTERVAL) {
            *warned_at = Some(Instant::now());
            tracing::warn!(reason, "traces could not be exported, and are dropped");
        }
    }
}

#[async_trait]
impl HttpClient for Client {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let client = self.client.clone();
        let sending = self
            .runtime
            .spawn(async move { client.send_bytes(request).await });
        let sent = match sending.await {
            Ok(sent) => sent,
            Err(err) => Err(err.into()),
        };
        match &sent {
            Ok(response) if response.status().is_success() => {}
            Ok(response) => self.warn(&format!("the answer is {}", response.status().as_u16())),
            Err(err) => self.warn(&err.to_string()),
        }
        sent
    }
}
