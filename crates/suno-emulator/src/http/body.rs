//! The body of an answer, which can end with a break of the connection.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};

/// The number of polls before the connection is broken, so that it can send the bytes before.
const TURNS_BEFORE_BREAK: u8 = 8;

/// A body that is sent in one piece.
#[derive(Debug)]
pub(crate) struct AnswerBody {
    rest: Bytes,
    /// The number of polls until the break, if there is one.
    breaks_in: Option<u8>,
}

impl AnswerBody {
    pub(crate) fn whole(bytes: Bytes) -> Self {
        Self {
            rest: bytes,
            breaks_in: None,
        }
    }

    /// Creates a body that breaks the connection after these bytes.
    pub(crate) fn broken(bytes: Bytes) -> Self {
        Self {
            rest: bytes,
            breaks_in: Some(TURNS_BEFORE_BREAK),
        }
    }
}

impl Body for AnswerBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        if !self.rest.is_empty() {
            let bytes = std::mem::take(&mut self.rest);
            return Poll::Ready(Some(Ok(Frame::data(bytes))));
        }
        match &mut self.breaks_in {
            None => Poll::Ready(None),
            Some(0) => Poll::Ready(Some(Err(io::ErrorKind::ConnectionAborted.into()))),
            Some(turns) => {
                // The connection flushes before it polls again.
                *turns -= 1;
                context.waker().wake_by_ref();
                Poll::Pending
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.breaks_in.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        match self.breaks_in {
            None => SizeHint::with_exact(self.rest.len() as u64),
            Some(_) => SizeHint::default(),
        }
    }
}
