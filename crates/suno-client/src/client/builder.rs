//! The settings of a client, in any order, checked once at the end.

use std::fmt;
use std::num::NonZeroUsize;
use std::sync::{Arc, OnceLock};

use suno_types::{Provider, Route};

use super::{Client, Shared};
use crate::endpoint::Endpoints;
use crate::limiter::Limiter;
use crate::settings::{Settings, Timeouts};
use crate::{ApiKey, ClientError, Limit, Proxy, Retry};

/// The settings of a [`Client`], in any order. Nothing is checked before [`build`](Self::build).
///
/// ```
/// use std::time::Duration;
///
/// use suno_client::suno_types::Provider;
/// use suno_client::{ApiKey, Client, Retry, Timeouts};
///
/// # fn example(key_from_your_secrets: String) -> Result<(), suno_client::ClientError> {
/// let client = Client::builder(Provider::Kie, ApiKey::new(key_from_your_secrets)?)
///     .base_url("https://suno-gateway.example.com/v1")
///     .timeouts(Timeouts::new().with_total(Duration::from_secs(20)))
///     .retry(Retry::new().with_attempts_max(2))
///     .build()?;
/// # let _ = client;
/// # Ok(())
/// # }
/// # example("sk-demo".to_owned()).unwrap();
/// ```
#[derive(Clone)]
#[must_use = "it does nothing before `build`"]
pub struct ClientBuilder {
    provider: Provider,
    key: ApiKey,
    settings: Settings,
    /// The limits of the client that the builder comes from.
    limiter: Option<Arc<Limiter>>,
}

impl ClientBuilder {
    /// The default of [`submit_limit`](Self::submit_limit).
    pub const SUBMIT_LIMIT: Limit = Limit::SUBMITS;
    /// The default of [`poll_limit`](Self::poll_limit).
    pub const POLL_LIMIT: Limit = Limit::POLLS;
    /// The default of [`answer_bytes_max`](Self::answer_bytes_max): 8 MiB.
    pub const ANSWER_BYTES_MAX: usize = 8 * 1024 * 1024;
    /// The default of [`download_bytes_max`](Self::download_bytes_max): 512 MiB.
    pub const DOWNLOAD_BYTES_MAX: u64 = 512 * 1024 * 1024;
    /// The default of [`connections_max`](Self::connections_max): 64.
    pub const CONNECTIONS_MAX: NonZeroUsize = match NonZeroUsize::new(64) {
        Some(connections) => connections,
        None => NonZeroUsize::MIN,
    };

    pub(super) fn new(provider: Provider, key: ApiKey) -> Self {
        Self {
            provider,
            key,
            settings: Settings {
                base_url: None,
                upload_base_url: None,
                route: Route::Direct,
                timeouts: Timeouts::new(),
                retry: Retry::new(),
                submit_limit: Some(Self::SUBMIT_LIMIT),
                poll_limit: Some(Self::POLL_LIMIT),
                answer_bytes_max: Self::ANSWER_BYTES_MAX,
                download_bytes_max: Self::DOWNLOAD_BYTES_MAX,
                connections_max: Self::CONNECTIONS_MAX,
                plain_http_allowed: false,
                private_downloads_allowed: false,
                root_certificates: Vec::new(),
                proxy: None,
            },
            limiter: None,
        }
    }

    pub(super) fn from_client(client: &Client) -> Self {
        Self {
            provider: client.shared.provider,
            key: client.shared.key.clone(),
            settings: client.shared.settings.clone(),
            limiter: Some(client.shared.limiter.clone()),
        }
    }

    /// Sets the address of the API, such as that of the emulator or of a gateway. The default is
    /// [`Provider::base_url`]. The URL can have a path; the provider's paths are appended to it.
    ///
    /// [`build`](Self::build) accepts plain `http` only for a host on this machine, or together
    /// with [`dangerous_allow_plain_http`](Self::dangerous_allow_plain_http).
    pub fn base_url(mut self, url: impl Into<String>) -> Self {
        self.settings.base_url = Some(url.into());
        self
    }

    /// Sets the address of the provider's file service, to which files are uploaded. Without it, a
    /// replaced [`base_url`](Self::base_url) is used for uploads as well. The key is sent there.
    pub fn upload_base_url(mut self, url: impl Into<String>) -> Self {
        self.settings.upload_base_url = Some(url.into());
        self
    }

    /// Sets the route by which tasks are submitted. The default is [`Route::Direct`], which both
    /// providers have; [`build`](Self::build) refuses [`Route::Jobs`] for sunoapi.org.
    pub fn route(mut self, route: Route) -> Self {
        self.settings.route = route;
        self
    }

    /// Sets the time limits. The defaults are those of [`Timeouts::new`].
    pub fn timeouts(mut self, timeouts: Timeouts) -> Self {
        self.settings.timeouts = timeouts;
        self
    }

    /// Sets how often a failed request is retried. The defaults are those of [`Retry::new`].
    pub fn retry(mut self, retry: Retry) -> Self {
        self.settings.retry = retry;
        self
    }

    /// Sets how often tasks are submitted; `None` means no limit. The default is
    /// [`SUBMIT_LIMIT`](Self::SUBMIT_LIMIT).
    pub fn submit_limit(mut self, limit: Option<Limit>) -> Self {
        self.settings.submit_limit = limit;
        self.limiter = None;
        self
    }

    /// Sets how often each task is polled; `None` means no limit. The default is
    /// [`POLL_LIMIT`](Self::POLL_LIMIT).
    pub fn poll_limit(mut self, limit: Option<Limit>) -> Self {
        self.settings.poll_limit = limit;
        self.limiter = None;
        self
    }

    /// Sets the maximum size of an answer's body. The default is
    /// [`ANSWER_BYTES_MAX`](Self::ANSWER_BYTES_MAX).
    pub fn answer_bytes_max(mut self, bytes: usize) -> Self {
        self.settings.answer_bytes_max = bytes;
        self
    }

    /// Sets the maximum size of a download. The default is
    /// [`DOWNLOAD_BYTES_MAX`](Self::DOWNLOAD_BYTES_MAX).
    pub fn download_bytes_max(mut self, bytes: u64) -> Self {
        self.settings.download_bytes_max = bytes;
        self
    }

    /// Sets the maximum number of concurrent requests, and so of connections. Further requests wait
    /// in order of arrival. Downloads are counted separately: see [`Client::DOWNLOADS_MAX`]. The
    /// default is [`CONNECTIONS_MAX`](Self::CONNECTIONS_MAX).
    pub fn connections_max(mut self, connections: NonZeroUsize) -> Self {
        self.settings.connections_max = connections;
        self
    }

    /// Adds a certificate, given as DER, whose signatures on server certificates are trusted. It
    /// can be called several times.
    ///
    /// The certificate is read for the first `https` connection. If that fails, the request ends
    /// with an error of the kind [`Setting`](crate::ErrorKind::Setting).
    pub fn root_certificate(mut self, der: impl Into<Vec<u8>>) -> Self {
        self.settings.root_certificates.push(der.into());
        self
    }

    /// Sends all requests through a proxy.
    pub fn proxy(mut self, proxy: Proxy) -> Self {
        self.settings.proxy = Some(proxy);
        self
    }

    /// Allows plain HTTP to other machines. Everyone on the path can then read the API key, and
    /// read and change the audio.
    pub fn dangerous_allow_plain_http(mut self) -> Self {
        self.settings.plain_http_allowed = true;
        self
    }

    /// Allows downloads from this machine and from private networks, which the emulator needs.
    ///
    /// Without it, the URL of a track, which comes from outside, cannot make the client send a
    /// request to a service that only this machine can reach.
    pub fn allow_private_downloads(mut self) -> Self {
        self.settings.private_downloads_allowed = true;
        self
    }

    /// Builds the client. It opens no connection.
    ///
    /// # Errors
    ///
    /// [`ClientError`] of the kind [`Setting`](crate::ErrorKind::Setting) if the base URL is not an
    /// absolute `http` or `https` URL, has a user name, a query or a fragment, or is plain `http`
    /// to another machine without [`dangerous_allow_plain_http`](Self::dangerous_allow_plain_http),
    /// or if the provider does not have the route.
    pub fn build(self) -> Result<Client, ClientError> {
        let Self {
            provider,
            key,
            settings,
            limiter,
        } = self;
        if settings.route == Route::Jobs && provider != Provider::Kie {
            return Err(ClientError::setting(
                "only kie.ai has the jobs route; use the direct route for sunoapi.org",
            ));
        }
        let endpoints = Endpoints::new(
            settings.base_url.as_deref(),
            settings.upload_base_url.as_deref(),
            provider,
            settings.plain_http_allowed,
        )?;
        let limiter = limiter
            .unwrap_or_else(|| Arc::new(Limiter::new(settings.submit_limit, settings.poll_limit)));
        Ok(Client {
            shared: Arc::new(Shared {
                provider,
                key,
                settings,
                endpoints,
                limiter,
                transport: OnceLock::new(),
            }),
        })
    }
}

/// Without the base URL, which is not checked yet and can hold a password.
impl fmt::Debug for ClientBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientBuilder")
            .field("provider", &self.provider)
            .field("timeouts", &self.settings.timeouts)
            .field("retry", &self.settings.retry)
            .finish_non_exhaustive()
    }
}
