//! The settings of a client. None of them is read from the environment.

use std::num::NonZeroUsize;
use std::time::Duration;

use suno_types::Route;

use crate::retry::Retry;
use crate::{Limit, Proxy};

/// The time limits of requests, uploads and downloads.
///
/// ```
/// use std::time::Duration;
///
/// use suno_client::Timeouts;
///
/// let timeouts = Timeouts::new().with_connect(Duration::from_secs(3));
/// assert_eq!(timeouts.total, Timeouts::TOTAL);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Timeouts {
    /// The time for name lookup, TCP, proxy and TLS together. The default is
    /// [`CONNECT`](Self::CONNECT).
    pub connect: Duration,
    /// The time until the head of the answer has arrived. It starts when the request has its turn
    /// and includes connecting. The default is [`HEADERS`](Self::HEADERS).
    pub headers: Duration,
    /// The time until the whole answer has arrived, with the same start. Downloads are not subject
    /// to it. The default is [`TOTAL`](Self::TOTAL).
    pub total: Duration,
    /// The longest pause between two pieces of a download. The default is [`STALL`](Self::STALL).
    pub stall: Duration,
    /// The time until a file is uploaded and the answer has arrived, in one attempt. The default is
    /// [`UPLOAD`](Self::UPLOAD).
    pub upload: Duration,
    /// The time for a whole download with all its attempts. The default is
    /// [`DOWNLOAD`](Self::DOWNLOAD).
    pub download: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self::new()
    }
}

impl Timeouts {
    /// The default of [`connect`](Self::connect): 10 s.
    pub const CONNECT: Duration = Duration::from_secs(10);
    /// The default of [`headers`](Self::headers): 30 s.
    pub const HEADERS: Duration = Duration::from_secs(30);
    /// The default of [`total`](Self::total): 60 s.
    pub const TOTAL: Duration = Duration::from_secs(60);
    /// The default of [`stall`](Self::stall): 30 s.
    pub const STALL: Duration = Duration::from_secs(30);
    /// The default of [`upload`](Self::upload): 10 min.
    pub const UPLOAD: Duration = Duration::from_secs(10 * 60);
    /// The default of [`download`](Self::download): 15 min.
    pub const DOWNLOAD: Duration = Duration::from_secs(15 * 60);

    /// Returns the defaults.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            connect: Self::CONNECT,
            headers: Self::HEADERS,
            total: Self::TOTAL,
            stall: Self::STALL,
            upload: Self::UPLOAD,
            download: Self::DOWNLOAD,
        }
    }

    /// Sets [`connect`](Self::connect).
    #[must_use]
    pub fn with_connect(mut self, time: Duration) -> Self {
        self.connect = time;
        self
    }

    /// Sets [`headers`](Self::headers).
    #[must_use]
    pub fn with_headers(mut self, time: Duration) -> Self {
        self.headers = time;
        self
    }

    /// Sets [`total`](Self::total).
    #[must_use]
    pub fn with_total(mut self, time: Duration) -> Self {
        self.total = time;
        self
    }

    /// Sets [`stall`](Self::stall).
    #[must_use]
    pub fn with_stall(mut self, time: Duration) -> Self {
        self.stall = time;
        self
    }

    /// Sets [`upload`](Self::upload).
    #[must_use]
    pub fn with_upload(mut self, time: Duration) -> Self {
        self.upload = time;
        self
    }

    /// Sets [`download`](Self::download).
    #[must_use]
    pub fn with_download(mut self, time: Duration) -> Self {
        self.download = time;
        self
    }
}

/// The settings of a client, as its builder collected them.
#[derive(Clone)]
pub(crate) struct Settings {
    /// The address that replaces the provider's.
    pub(crate) base_url: Option<String>,
    /// The address that replaces that of the file service.
    pub(crate) upload_base_url: Option<String>,
    pub(crate) route: Route,
    pub(crate) timeouts: Timeouts,
    pub(crate) retry: Retry,
    pub(crate) submit_limit: Option<Limit>,
    pub(crate) poll_limit: Option<Limit>,
    pub(crate) answer_bytes_max: usize,
    pub(crate) download_bytes_max: u64,
    pub(crate) connections_max: NonZeroUsize,
    pub(crate) plain_http_allowed: bool,
    pub(crate) private_downloads_allowed: bool,
    pub(crate) root_certificates: Vec<Vec<u8>>,
    pub(crate) proxy: Option<Proxy>,
}
