//! A receiver as a service for hyper and tower: it reads a body within its limits, and answers.

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

/// A [`Receiver`] as a service: for hyper with the feature `hyper`, for tower (and so for axum)
/// with the feature `tower`.
///
/// A request whose head [`Receiver::admit`] rejects is answered before its body is read. For the
/// others, it never buffers more than [`Receiver::with_body_bytes_max`] allows, and never for
/// longer than [`with_body_timeout`](Self::with_body_timeout). All bodies together may use
/// [`LARGE_BODIES_BYTES_MAX`](Self::LARGE_BODIES_BYTES_MAX) above their first 64 KiB. If that limit
/// is reached, the body that has been read for longest is dropped and answered with 503.
///
/// The server must limit the earlier steps: the number of connections, and the time that a head may
/// take. The module `serve` does both.
#[derive(Debug, Clone)]
pub struct CallbackService {
    receiver: Receiver,
    body_timeout: Duration,
    room: Room,
}

/// A request that was admitted. Its body is a `B`, which is `Bytes` after it was read.
pub(crate) struct Admitted<B = Bytes> {
    /// Boxed, because it passes through several futures, and each would reserve space for it.
    request: Box<AdmittedRequest>,
    body: B,
}

/// The response to a request that was rejected.
pub(crate) type Refused = Box<Response<Full<Bytes>>>;

/// A response that is being computed.
type Answering = Pin<Box<dyn Future<Output = Result<Response<Full<Bytes>>, Infallible>> + Send>>;

impl CallbackService {
    /// The default time limit for a body.
    pub const BODY_TIMEOUT: Duration = Duration::from_secs(10);
    /// The maximum number of bytes of large bodies that are buffered while they are read: 64 MiB,
    /// shared by all requests of a service and its clones. The first 64 KiB of each body do not
    /// count.
    pub const LARGE_BODIES_BYTES_MAX: usize = 64 << 20;

    /// Creates the service of a receiver.
    #[must_use]
    pub fn new(receiver: Receiver) -> Self {
        Self {
            receiver,
            body_timeout: Self::BODY_TIMEOUT,
            room: Room::new(Self::LARGE_BODIES_BYTES_MAX),
        }
    }

    /// Returns the path; see [`Receiver::path`].
    #[must_use]
    pub fn path(&self) -> &str {
        self.receiver.path()
    }

    /// Sets the time limit for a body, from the end of its head to its last byte. After that the
    /// response is 408.
    #[must_use]
    pub fn with_body_timeout(mut self, timeout: Duration) -> Self {
        self.body_timeout = timeout;
        self
    }

    /// Answers a request. Returns 200 only after the event is committed.
    pub async fn answer<B>(&self, request: Request<B>) -> Response<Full<Bytes>>
    where
        B: Body + Send,
        B::Data: Send,
        B::Error: Into<Box<dyn Error + Send + Sync>>,
    {
        let admitted = self.admit(request);
        self.answer_admitted(admitted).await
    }

    async fn answer_admitted<B>(
        &self,
        admitted: Result<Admitted<B>, Refused>,
    ) -> Response<Full<Bytes>>
    where
        B: Body + Send,
        B::Data: Send,
        B::Error: Into<Box<dyn Error + Send + Sync>>,
    {
        match self.read(admitted).await {
            Ok(request) => self.receive(request).await,
            Err(refused) => *refused,
        }
    }

    /// The first step: checks the head, and drops it; see [`Receiver::receive`]. It is not a
    /// future, so that the future of the response needs no space for a head.
    pub(crate) fn admit<B>(&self, request: Request<B>) -> Result<Admitted<B>, Refused> {
        let (head, body) = request.into_parts();
        match self.receiver.admit(&head) {
            Ok(request) => Ok(Admitted {
                request: Box::new(request),
                body,
            }),
            Err(refused) => Err(Box::new(refused.map(Full::new))),
        }
    }

    /// The second step: reads the body of a request that was admitted.
    pub(crate) async fn read<B>(
        &self,
        admitted: Result<Admitted<B>, Refused>,
    ) -> Result<Admitted, Refused>
    where
        B: Body + Send,
        B::Data: Send,
        B::Error: Into<Box<dyn Error + Send + Sync>>,
    {
        let Admitted { request, body } = admitted?;
        let reading = body::read(body, self.receiver.body_bytes_max(), &self.room);
        let deadline = after(Instant::now(), self.body_timeout);
        let status = match timeout_at(deadline, reading).await {
            Ok(Ok(body)) => return Ok(Admitted { request, body }),
            Ok(Err(Unreadable::TooLarge)) => StatusCode::PAYLOAD_TOO_LARGE,
            Ok(Err(Unreadable::Broken)) => StatusCode::BAD_REQUEST,
            Ok(Err(Unreadable::NoRoom)) => StatusCode::SERVICE_UNAVAILABLE,
            Err(_) => StatusCode::REQUEST_TIMEOUT,
        };
        Err(self.refuse(status))
    }

    /// Builds the response to a request that does not reach the receiver.
    pub(crate) fn refuse(&self, status: StatusCode) -> Refused {
        Box::new(self.receiver.refuse(status).map(Full::new))
    }

    /// The third step: lets the receiver answer.
    pub(crate) async fn receive(&self, admitted: Admitted) -> Response<Full<Bytes>> {
        let Admitted { request, body } = admitted;
        self.receiver
            .receive_body(*request, body)
            .await
            .map(Full::new)
    }

    fn answering<B>(&self, request: Request<B>) -> Answering
    where
        B: Body + Send + 'static,
        B::Data: Send,
        B::Error: Into<Box<dyn Error + Send + Sync>>,
    {
        let (service, admitted) = (self.clone(), self.admit(request));
        Box::pin(async move { Ok(service.answer_admitted(admitted).await) })
    }
}

impl From<Receiver> for CallbackService {
    fn from(receiver: Receiver) -> Self {
        Self::new(receiver)
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

    /// Always ready: if too many deliveries arrive at once, they are answered with 503.
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::{Inbox, MemoryStore, Verification};

    /// With 1,100 to 1,600, an idle connection used up to 900 bytes more: `cargo xtask footprint`.
    const FUTURE_BYTES_MAX: usize = 900;

    #[tokio::test]
    async fn the_future_of_an_answer_is_small() {
        let inbox = Inbox::start(Arc::new(MemoryStore::new()));
        let receiver = Receiver::new(inbox, Verification::webhook_key("whk-small"));
        let service = CallbackService::new(receiver);
        let admitted = service.admit(Request::new(Full::new(Bytes::new())));
        let bytes = size_of_val(&service.answer_admitted(admitted));
        assert!(bytes <= FUTURE_BYTES_MAX, "the future has {bytes} bytes");
    }
}
