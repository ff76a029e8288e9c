//! The client: settings, and what all its clones share. What it does is in the other modules.

use std::fmt;
use std::num::NonZeroUsize;
use std::sync::{Arc, OnceLock};

use suno_types::Provider;

use crate::endpoint::Endpoints;
use crate::limiter::Limiter;
use crate::settings::Settings;
use crate::transport::Transport;
use crate::{ApiKey, ClientError, Limit, Proxy, Retry, Timeouts};

/// A client of the Suno API.
///
/// Cloning is cheap, and clones share connections and limits: make one for each account and clone
/// it. A client needs a tokio runtime with I/O and time, but not a particular one, and the first
/// request connects, not [`new`](Self::new).
///
/// Each `with_…` makes a client with connections of its own. The limits stay shared with the one it
/// was made of, because they are the account's, unless they are what is set.
#[derive(Clone)]
pub struct Client {
    pub(crate) shared: Arc<Shared>,
}

pub(crate) struct Shared {
    pub(crate) provider: Provider,
    pub(crate) key: ApiKey,
    pub(crate) settings: Settings,
    pub(crate) limiter: Arc<Limiter>,
    transport: OnceLock<Transport>,
}

impl Shared {
    /// The connections, made at the first request.
    pub(crate) fn transport(&self) -> &Transport {
        self.transport
            .get_or_init(|| Transport::new(&self.settings))
    }
}

impl Client {
    /// A client of `provider` with the account that `api_key` belongs to.
    ///
    /// # Errors
    ///
    /// [`ClientError`] if the defaults cannot be set up.
    pub fn new(provider: Provider, api_key: ApiKey) -> Result<Self, ClientError> {
        let settings = Settings::new(provider)?;
        let limiter = Limiter::new(settings.submit_limit, settings.poll_limit);
        Ok(Self::from_parts(
            provider,
            api_key,
            settings,
            Arc::new(limiter),
        ))
    }

    fn from_parts(
        provider: Provider,
        key: ApiKey,
        settings: Settings,
        limiter: Arc<Limiter>,
    ) -> Self {
        Self {
            shared: Arc::new(Shared {
                provider,
                key,
                settings,
                limiter,
                transport: OnceLock::new(),
            }),
        }
    }

    /// The same with other settings, and connections of its own.
    fn with(self, change: impl FnOnce(&mut Settings)) -> Self {
        let mut settings = self.shared.settings.clone();
        change(&mut settings);
        let limiter = self.shared.limiter.clone();
        Self::from_parts(
            self.shared.provider,
            self.shared.key.clone(),
            settings,
            limiter,
        )
    }

    fn with_limits(self, change: impl FnOnce(&mut Settings)) -> Self {
        let mut settings = self.shared.settings.clone();
        change(&mut settings);
        let limiter = Limiter::new(settings.submit_limit, settings.poll_limit);
        let key = self.shared.key.clone();
        Self::from_parts(self.shared.provider, key, settings, Arc::new(limiter))
    }

    /// Asks another host than the provider's: the emulator, or a gateway. The URL may have a path,
    /// behind which the provider's paths are put.
    ///
    /// # Errors
    ///
    /// [`ClientError`] unless it is an absolute `http` or `https` URL without user name, query and
    /// fragment. Plain `http` is refused unless the host is this machine or
    /// [`dangerous_allow_plain_http`](Self::dangerous_allow_plain_http) was called before.
    pub fn with_base_url(self, url: &str) -> Result<Self, ClientError> {
        let plain_http_allowed = self.shared.settings.plain_http_allowed;
        let endpoints = Endpoints::new(url, self.shared.provider, plain_http_allowed)?;
        Ok(self.with(|settings| settings.endpoints = endpoints))
    }

    /// Sets how long things may take.
    #[must_use]
    pub fn with_timeouts(self, timeouts: Timeouts) -> Self {
        self.with(|settings| settings.timeouts = timeouts)
    }

    /// Sets how often and how far apart requests are tried again.
    #[must_use]
    pub fn with_retry(self, retry: Retry) -> Self {
        self.with(|settings| settings.retry = retry)
    }

    /// Sets how often tasks are submitted; default [`Limit::SUBMITS`], `None` means no limit.
    #[must_use]
    pub fn with_submit_limit(self, limit: Option<Limit>) -> Self {
        self.with_limits(|settings| settings.submit_limit = limit)
    }

    /// Sets how often one task is polled; default [`Limit::POLLS`], `None` means no limit.
    #[must_use]
    pub fn with_poll_limit(self, limit: Option<Limit>) -> Self {
        self.with_limits(|settings| settings.poll_limit = limit)
    }

    /// Sets how many bytes the body of an answer may have; default 8 MiB.
    #[must_use]
    pub fn with_answer_bytes_max(self, bytes: usize) -> Self {
        self.with(|settings| settings.answer_bytes_max = bytes)
    }

    /// Sets how many bytes a download may have; default 512 MiB.
    #[must_use]
    pub fn with_download_bytes_max(self, bytes: u64) -> Self {
        self.with(|settings| settings.download_bytes_max = bytes)
    }

    /// Sets how many requests are under way at the same time, and so how many connections there
    /// are; the others wait in order of arrival. Downloads are counted apart. Default 64.
    #[must_use]
    pub fn with_connections_max(self, connections: NonZeroUsize) -> Self {
        self.with(|settings| settings.connections_max = connections)
    }

    /// Also trusts servers whose certificate this one has signed, given as DER.
    ///
    /// It is looked at when the first `https` connection is made; one that cannot be read is then
    /// an error of the kind [`Setting`](crate::ErrorKind::Setting).
    #[must_use]
    pub fn with_root_certificate(self, der: impl Into<Vec<u8>>) -> Self {
        let der = der.into();
        self.with(|settings| settings.root_certificates.push(der))
    }

    /// Sends everything through a proxy.
    #[must_use]
    pub fn with_proxy(self, proxy: Proxy) -> Self {
        self.with(|settings| settings.proxy = Some(proxy))
    }

    /// Allows plain HTTP to other machines. The API key and the audio can then be read, and
    /// changed, by everybody on the way. Call it before [`with_base_url`](Self::with_base_url).
    #[must_use]
    pub fn dangerous_allow_plain_http(self) -> Self {
        self.with(|settings| settings.plain_http_allowed = true)
    }

    /// Allows downloads from this machine and from private networks. Without this, a URL that came
    /// from outside cannot make the client ask a service that only this machine can reach. The
    /// emulator needs it.
    #[must_use]
    pub fn allow_private_downloads(self) -> Self {
        self.with(|settings| settings.private_downloads_allowed = true)
    }

    /// Who is asked.
    #[must_use]
    pub fn provider(&self) -> Provider {
        self.shared.provider
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("provider", &self.shared.provider)
            .field("base_url", &self.shared.settings.endpoints.base())
            .finish_non_exhaustive()
    }
}
