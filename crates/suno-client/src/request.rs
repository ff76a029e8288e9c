//! The headers and attempts that all requests to the provider have in common.

use std::future::Future;

use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, USER_AGENT};
use http::{HeaderValue, Method, Request, Uri};
use http_body_util::Full;

use crate::answer::Effect;
use crate::retry::Decision;
use crate::transport::RawResponse;
use crate::{Client, ClientError};

pub(crate) const AGENT: HeaderValue =
    HeaderValue::from_static(concat!("suno-client/", env!("CARGO_PKG_VERSION")));

impl Client {
    /// Creates a request with the key.
    pub(crate) fn request(&self, method: Method, uri: Uri, body: Bytes) -> Request<Full<Bytes>> {
        self.request_of(method, uri, Full::new(body))
    }

    /// Creates a request with the key and a body of any type.
    pub(crate) fn request_of<B>(&self, method: Method, uri: Uri, body: B) -> Request<B> {
        let mut request = Request::new(body);
        *request.method_mut() = method;
        *request.uri_mut() = uri;
        let headers = request.headers_mut();
        headers.insert(AUTHORIZATION, self.shared.key.header());
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        headers.insert(USER_AGENT, AGENT);
        request
    }

    /// Sends a request once.
    pub(crate) async fn ask(
        &self,
        request: Request<Full<Bytes>>,
        effect: Effect,
    ) -> Result<RawResponse, ClientError> {
        let asked = self.shared.transport().ask(request).await;
        asked.map_err(|fault| fault.into_error(effect.spends()))
    }

    /// Repeats an attempt until it succeeds or [`Retry`](crate::Retry) allows no further one.
    pub(crate) async fn repeat<T, F>(&self, attempt: impl Fn() -> F) -> Result<T, ClientError>
    where
        F: Future<Output = Result<T, ClientError>>,
    {
        let retry = self.shared.settings.retry;
        let mut number = 1;
        loop {
            let err = match attempt().await {
                Ok(value) => return Ok(value),
                Err(err) => err,
            };
            match retry.decide(number, (&err).into(), fastrand::f64()) {
                Decision::GiveUp => return Err(err),
                Decision::Again(pause) => {
                    tracing::debug!(number, ?pause, kind = err.kind().as_str(), "trying again");
                    tokio::time::sleep(pause).await;
                }
            }
            number += 1;
        }
    }
}
