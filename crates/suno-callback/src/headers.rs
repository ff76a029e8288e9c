//! The headers of a request as people may see them: without values that could be a secret.

use std::fmt;
use std::sync::Arc;

use http::{HeaderMap, HeaderValue};

/// The headers whose values are kept. Each describes the body, the connection, the sender or the route of
/// the request, and nobody uses it to prove who they are.
///
/// Not among them, although they describe the route: `forwarded`, in which proxies prove
/// themselves with a parameter `secret`; `referer`, `x-original-url`, `x-forwarded-uri`,
/// `x-forwarded-prefix` and the like, which can repeat the path of the callback URL with its token.
const KEPT: [&str; 44] = [
    // The body.
    "content-encoding",
    "content-language",
    "content-length",
    "content-type",
    "transfer-encoding",
    // The connection.
    "cache-control",
    "connection",
    "expect",
    "host",
    "keep-alive",
    "pragma",
    "te",
    // The sender.
    "accept",
    "accept-charset",
    "accept-encoding",
    "accept-language",
    "date",
    "user-agent",
    "x-webhook-timestamp",
    // The route.
    "cdn-loop",
    "cf-connecting-ip",
    "cf-ipcountry",
    "cf-ray",
    "cf-visitor",
    "fly-client-ip",
    "true-client-ip",
    "via",
    "x-client-ip",
    "x-cluster-client-ip",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-port",
    "x-forwarded-proto",
    "x-forwarded-scheme",
    "x-forwarded-server",
    "x-forwarded-ssl",
    "x-real-ip",
    // The ids by which a request is found in the logs of a proxy.
    "request-id",
    "traceparent",
    "x-amzn-trace-id",
    "x-cloud-trace-context",
    "x-correlation-id",
    "x-request-id",
    "x-trace-id",
];

/// The headers of a request, without values that could be a secret.
///
/// Every name is kept, within bounds. A value is kept only if its header is on a list: those that
/// describe the body, the connection, the sender or the route of the request, such as
/// `content-type`, `user-agent` and `x-forwarded-for`. Proxies can add a secret under any other
/// name. Even then, a value is not kept if it contains a secret of the callback URL, or is longer
/// than [`VALUE_BYTES_MAX`](Self::VALUE_BYTES_MAX).
///
/// [`Receiver::admit`](crate::Receiver::admit) makes it if an observer
/// [wants it](crate::Observer::wants_headers).
#[derive(Clone, PartialEq, Eq)]
pub struct RedactedHeaders {
    /// One pointer, because most deliveries have no headers, and shared by their clones.
    headers: Arc<Headers>,
}

#[derive(Default, PartialEq, Eq)]
struct Headers {
    lines: Vec<Line>,
    /// The number of bytes of the lines.
    bytes: usize,
    /// The number of lines that were left out.
    omitted: usize,
}

#[derive(PartialEq, Eq)]
struct Line {
    name: Box<str>,
    value: Option<Box<str>>,
}

impl RedactedHeaders {
    /// The maximum number of headers. Those after it are left out and counted.
    pub const HEADERS_MAX: usize = 64;
    /// The maximum number of bytes of a value. A longer one is not kept.
    pub const VALUE_BYTES_MAX: usize = 512;
    /// The maximum number of bytes of all names and values. A header that does not fit is left out
    /// and counted.
    pub const BYTES_MAX: usize = 4_096;

    /// Copies headers. A value for which `is_secret` returns true is not kept; a header with such
    /// a name is left out and counted.
    pub(crate) fn new(headers: &HeaderMap, is_secret: impl Fn(&[u8]) -> bool) -> Self {
        let mut kept = Headers::default();
        for (name, value) in headers {
            kept.push(name.as_str(), value, &is_secret);
        }
        Self {
            headers: Arc::new(kept),
        }
    }

    /// Returns the name of each header, in lower case, and its value if that is kept, in the order
    /// of their arrival, except that headers with the same name follow the first one of them. Bytes
    /// of a value that are neither visible ASCII nor a space are written as in a literal of Rust,
    /// such as `\xff`.
    pub fn iter(&self) -> impl Iterator<Item = (&str, Option<&str>)> {
        let lines = self.headers.lines.iter();
        lines.map(|line| (&*line.name, line.value.as_deref()))
    }

    /// Returns the number of headers that were left out.
    #[must_use]
    pub fn omitted(&self) -> usize {
        self.headers.omitted
    }

    /// Returns the number of bytes of all names and values.
    pub(crate) fn bytes(&self) -> usize {
        self.headers.bytes
    }
}

impl Headers {
    fn push(&mut self, name: &str, value: &HeaderValue, is_secret: impl Fn(&[u8]) -> bool) {
        let room = match self.lines.len() < RedactedHeaders::HEADERS_MAX {
            true => RedactedHeaders::BYTES_MAX - self.bytes,
            false => 0,
        };
        // The room is checked first, so that only what fits is searched for secrets.
        if name.len() > room || is_secret(name.as_bytes()) {
            self.omitted += 1;
            return;
        }
        let shown = shown(name, value).filter(|_| !is_secret(value.as_bytes()));
        let bytes = name.len() + shown.as_ref().map_or(0, String::len);
        if bytes > room {
            self.omitted += 1;
            return;
        }
        self.bytes += bytes;
        self.lines.push(Line {
            name: name.into(),
            value: shown.map(Into::into),
        });
    }
}

/// Returns a value as it may be seen, if its header is on the list and it is not too long.
fn shown(name: &str, value: &HeaderValue) -> Option<String> {
    let bytes_max = RedactedHeaders::VALUE_BYTES_MAX;
    if !KEPT.contains(&name) || value.is_sensitive() || value.len() > bytes_max {
        return None;
    }
    let mut shown = String::with_capacity(value.len());
    for &byte in value.as_bytes() {
        match byte {
            b' '..=b'~' => shown.push(char::from(byte)),
            _ => shown.extend(byte.escape_ascii().map(char::from)),
        }
    }
    (shown.len() <= bytes_max).then_some(shown)
}

/// Leaves out names and values.
impl fmt::Debug for RedactedHeaders {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedactedHeaders")
            .field("kept", &self.headers.lines.len())
            .field("omitted", &self.headers.omitted)
            .finish_non_exhaustive()
    }
}
