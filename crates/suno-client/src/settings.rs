//! What can be set, with its defaults. Nothing is read from the environment.

use std::num::NonZeroUsize;
use std::time::Duration;

use suno_types::Provider;

use crate::endpoint::Endpoints;
use crate::retry::Retry;
use crate::{ClientError, Limit, Proxy};

/// How long each part of a request may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Timeouts {
    /// Name lookup, TCP, proxy and TLS together. Default 10 s.
    pub connect: Duration,
    /// Until the head of the answer is there, from the moment the request has its turn, connecting
    /// included. Default 30 s.
    pub headers: Duration,
    /// Until the whole answer is there, from the same moment; not for downloads. Default 60 s.
    pub total: Duration,
    /// Without a byte of a download. Default 30 s.
    pub stall: Duration,
    /// A whole download, with all its attempts. Default 15 min.
    pub download: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(10),
            headers: Duration::from_secs(30),
            total: Duration::from_secs(60),
            stall: Duration::from_secs(30),
            download: Duration::from_secs(15 * 60),
        }
    }
}

impl Timeouts {
    /// The defaults.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
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

    /// Sets [`download`](Self::download).
    #[must_use]
    pub fn with_download(mut self, time: Duration) -> Self {
        self.download = time;
        self
    }
}

/// What a client was told.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    pub(crate) endpoints: Endpoints,
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

impl Settings {
    pub(crate) fn new(provider: Provider) -> Result<Self, ClientError> {
        Ok(Self {
            endpoints: Endpoints::new(provider.base_url(), provider, false)?,
            timeouts: Timeouts::default(),
            retry: Retry::default(),
            submit_limit: Some(Limit::SUBMITS),
            poll_limit: Some(Limit::POLLS),
            answer_bytes_max: 8 * 1024 * 1024,
            download_bytes_max: 512 * 1024 * 1024,
            connections_max: NonZeroUsize::new(64).unwrap_or(NonZeroUsize::MIN),
            plain_http_allowed: false,
            private_downloads_allowed: false,
            root_certificates: Vec::new(),
            proxy: None,
        })
    }
}
