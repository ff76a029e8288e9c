//! A receiver as a service of hyper and of tower: it reads a body within its bounds, and answers.

use std::convert::Infallible;
use std::error::Error;
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body::Body;
use http_body_util::Full;
use tokio::time::{Instant, timeout_at};

use crate::body::{self, Unreadable};
use crate::clock::after;
use crate::receiver::Receiver;

/// A [`Receiver`] as a service: of hyper with the feature `hyper`, of tower (so also of axum) with
/// the feature `tower`.
///
/// A request that its head alone speaks against is refused before its body is read. Of the others,
/// never more is buffered than [`Receiver::with_body_bytes_max`] allows, and never for longer than
/// [`with_body_timeout`](Self::with_body_timeout).
///
/// What serves it must bound what comes before: how many connections there are, and how long a head
/// may take. The module `serve` does both.
#[derive(Debug, Clone)]
pub struct CallbackService {
    receiver: Receiver,
    body_timeout: Duration,
}

/// A request with its whole body, and when its head was read.
pub(crate) struct Whole {
    request: Request<Bytes>,
    begun: Instant,
}

/// An answer that is on its way.
type Answering = Pin<Box<dyn Future<Output = Result<Response<Full<Bytes>>, Infallible>> + Send>>;

impl CallbackService {
    /// How long a body may take unless set otherwise.
    pub const BODY_TIMEOUT: Duration = Duration::from_secs(10);

    /// The service of a receiver.
    #[must_use]
    pub fn new(receiver: Receiver) -> Self {
        Self {
            receiver,
            body_timeout: Self::BODY_TIMEOUT,
        }
    }

    /// How long a body may take, from its head to its end; after that the answer is 408.
    #[must_use]
    pub fn with_body_timeout(mut self, timeout: Duration) -> Self {
        self.body_timeout = timeout;
        self
    }

    /// Answers a request. A 200 leaves only after the event is committed.
    pub async fn answer<B>(&self, request: Request<B>) -> Response<Full<Bytes>>
    where
        B: Body + Send,
        B::Data: Send,
        B::Error: Into<Box<dyn Error + Send + Sync>>,
    {
        match self.read(request).await {
            Ok(request) => self.receive(request).await,
            Err(refused) => *refused,
        }
    }

    /// The first half: the request with its whole body, or the answer if that is refused.
    pub(crate) async fn read<B>(
        &self,
        request: Request<B>,
    ) -> Result<Whole, Box<Response<Full<Bytes>>>>
    where
        B: Body + Send,
        B::Data: Send,
        B::Error: Into<Box<dyn Error + Send + Sync>>,
    {
        let (head, body) = request.into_parts();
        if let Err(refused) = self.receiver.admit(&head) {
            return Err(Box::new(refused.map(Full::new)));
        }
        let begun = Instant::now();
        let reading = body::read(body, self.receiver.body_bytes_max());
        let status = match timeout_at(after(begun, self.body_timeout), reading).await {
            Ok(Ok(body)) => {
                let request = Request::from_parts(head, body);
                return Ok(Whole { request, begun });
            }
            Ok(Err(Unreadable::TooLarge)) => StatusCode::PAYLOAD_TOO_LARGE,
            Ok(Err(Unreadable::Broken)) => StatusCode::BAD_REQUEST,
            Err(_) => StatusCode::REQUEST_TIMEOUT,
        };
        Err(Box::new(Receiver::refuse(status).map(Full::new)))
    }

    /// The second half: what the receiver answers.
    pub(crate) async fn receive(&self, whole: Whole) -> Response<Full<Bytes>> {
        let Whole { request, begun } = whole;
        self.receiver
            .receive_since(request, begun)
            .await
            .map(Full::new)
    }

    fn answering<B>(&self, request: Request<B>) -> Answering
    where
        B: Body + Send + 'static,
        B::Data: Send,
        B::Error: Into<Box<dyn Error + Send + Sync>>,
    {
        let service = self.clone();
        Box::pin(async move { Ok(service.answer(request).await) })
    }
}

#[cfg(feature = "hyper")]
impl<B> hyper::service::Service<Request<B>> for CallbackService
where
    B: Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    type Response = Response<Full<Bytes>>;
    type Error = Infallible;
    type Future = Answering;

    fn call(&self, request: Request<B>) -> Self::Future {
        self.answering(request)
    }
}

#[cfg(feature = "tower")]
impl<B> tower_service::Service<Request<B>> for CallbackService
where
    B: Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    type Response = Response<Full<Bytes>>;
    type Error = Infallible;
    type Future = Answering;

    /// Always ready: too many deliveries at once are answered with 503.
    fn poll_ready(
        &mut self,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Result<(), Infallible>> {
        std::task::Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        self.answering(request)
    }
}
