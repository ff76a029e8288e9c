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
use crate::receiver::{AdmittedRequest, Receiver};
use crate::room::Room;

/// A [`Receiver`] as a service: of hyper with the feature `hyper`, of tower (so also of axum) with
/// the feature `tower`.
///
/// A request whose head [`Receiver::admit`] refuses is answered before its body is read. Of the
/// others, never more is buffered than [`Receiver::with_body_bytes_max`] allows, and never for
/// longer than [`with_body_timeout`](Self::with_body_timeout). All bodies together have at most
/// [`LARGE_BODIES_BYTES_MAX`](Self::LARGE_BODIES_BYTES_MAX) above their first 64 KiB: if that is used
/// up, the body that has been read for longest is given up and answered 503.
///
/// What serves it must bound what comes before: how many connections there are, and how long a head
/// may take. The module `serve` does both.
#[derive(Debug, Clone)]
pub struct CallbackService {
    receiver: Receiver,
    body_timeout: Duration,
    room: Room,
}

/// A request that was admitted, with its whole body.
pub(crate) struct WholeRequest {
    admitted: AdmittedRequest,
    body: Bytes,
}

/// An answer that is on its way.
type Answering = Pin<Box<dyn Future<Output = Result<Response<Full<Bytes>>, Infallible>> + Send>>;

impl CallbackService {
    /// How long a body may take unless set otherwise.
    pub const BODY_TIMEOUT: Duration = Duration::from_secs(10);
    /// The most bytes of large bodies that are buffered while they are read: 64 MiB, for all requests of
    /// a service and its clones together. The first 64 KiB of each body do not count.
    pub const LARGE_BODIES_BYTES_MAX: usize = 64 << 20;

    /// The service of a receiver.
    #[must_use]
    pub fn new(receiver: Receiver) -> Self {
        Self {
            receiver,
            body_timeout: Self::BODY_TIMEOUT,
            room: Room::new(Self::LARGE_BODIES_BYTES_MAX),
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
    ) -> Result<WholeRequest, Box<Response<Full<Bytes>>>>
    where
        B: Body + Send,
        B::Data: Send,
        B::Error: Into<Box<dyn Error + Send + Sync>>,
    {
        // The head is dropped before the body is read, see `Receiver::receive`.
        let (admitted, body) = {
            let (head, body) = request.into_parts();
            (self.receiver.admit(&head), body)
        };
        let admitted = admitted.map_err(|refused| Box::new(refused.map(Full::new)))?;
        let reading = body::read(body, self.receiver.body_bytes_max(), &self.room);
        let deadline = after(Instant::now(), self.body_timeout);
        let status = match timeout_at(deadline, reading).await {
            Ok(Ok(body)) => return Ok(WholeRequest { admitted, body }),
            Ok(Err(Unreadable::TooLarge)) => StatusCode::PAYLOAD_TOO_LARGE,
            Ok(Err(Unreadable::Broken)) => StatusCode::BAD_REQUEST,
            Ok(Err(Unreadable::NoRoom)) => StatusCode::SERVICE_UNAVAILABLE,
            Err(_) => StatusCode::REQUEST_TIMEOUT,
        };
        Err(Box::new(Receiver::refuse(status).map(Full::new)))
    }

    /// The second half: what the receiver answers.
    pub(crate) async fn receive(&self, request: WholeRequest) -> Response<Full<Bytes>> {
        let WholeRequest { admitted, body } = request;
        self.receiver
            .receive_body(admitted, body)
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
