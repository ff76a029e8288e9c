//! The receiver without types of the `http` crate: for servers that use another version of that
//! crate or none, for queues, and for cloud functions.

use bytes::Bytes;
use http::{Request, Response, StatusCode};

use crate::receiver::{AdmittedRequest, Receiver};

/// A response in plain types.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct PlainResponse {
    /// The status code, such as 200.
    pub status: u16,
    /// The headers to send, with names in lower case. `content-length` is not included.
    pub headers: Vec<(String, String)>,
    /// The body to send: JSON.
    pub body: Bytes,
}

impl From<Response<Bytes>> for PlainResponse {
    fn from(response: Response<Bytes>) -> Self {
        let (head, body) = response.into_parts();
        let headers = head.headers.iter().map(|(name, value)| {
            let value = String::from_utf8_lossy(value.as_bytes());
            (name.as_str().to_owned(), value.into_owned())
        });
        Self {
            status: head.status.as_u16(),
            headers: headers.collect(),
            body,
        }
    }
}

impl Receiver {
    /// Answers a request given in plain types. Apart from that, it works like
    /// [`receive`](Self::receive).
    ///
    /// `target` is the path, and the query if there is one. Pass all headers, one pair for each
    /// line.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// # use std::sync::Arc;
    /// # use suno_callback::{Inbox, MemoryStore, Receiver, Verification};
    /// # let inbox = Inbox::start(Arc::new(MemoryStore::new()));
    /// # let receiver = Receiver::new(inbox, Verification::webhook_key("whk_demo_key"));
    /// let headers = [("content-type", b"application/json".as_slice())];
    /// let response = receiver
    ///     .receive_plain("POST", "/suno/callback", headers, "{}")
    ///     .await;
    /// // It is not signed.
    /// assert_eq!(response.status, 401);
    /// # }
    /// ```
    pub async fn receive_plain<'a>(
        &self,
        method: &str,
        target: &str,
        headers: impl IntoIterator<Item = (&'a str, &'a [u8])>,
        body: impl Into<Bytes>,
    ) -> PlainResponse {
        match self.admit_plain(method, target, headers) {
            Ok(request) => self.receive_body(request, body.into()).await.into(),
            Err(refused) => refused,
        }
    }

    /// Checks a head given in plain types, before its body is read. Apart from that, it works like
    /// [`admit`](Self::admit); call [`receive_body`](Self::receive_body) next.
    ///
    /// # Errors
    ///
    /// Returns the response to send if the request is rejected.
    pub fn admit_plain<'a>(
        &self,
        method: &str,
        target: &str,
        headers: impl IntoIterator<Item = (&'a str, &'a [u8])>,
    ) -> Result<AdmittedRequest, PlainResponse> {
        let request = Request::builder().method(method).uri(target);
        let request = headers.into_iter().fold(request, |request, (name, value)| {
            request.header(name, value)
        });
        // Servers do not pass on a line that is not valid HTTP.
        let Ok(request) = request.body(()) else {
            return Err(self.refuse(StatusCode::BAD_REQUEST).into());
        };
        let (head, ()) = request.into_parts();
        self.admit(&head).map_err(|refused| (*refused).into())
    }
}
