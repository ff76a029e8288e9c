//! The client: its settings, and the state that all its clones share. The requests that it makes
//! are in the other modules.

mod builder;

use std::fmt;
use std::sync::{Arc, OnceLock};

use suno_types::{Provider, Route};

pub use self::builder::ClientBuilder;
use crate::endpoint::Endpoints;
use crate::limiter::Limiter;
use crate::settings::Settings;
use crate::transport::{self, Transport};
use crate::{ApiKey, ClientError};

/// A client of the Suno API.
///
/// A clone is cheap and shares connections and limits with the original, so that one client for
/// each account is enough. A client needs a tokio runtime with I/O and time, but only for requests:
/// building one opens no connection.
///
/// ```
/// use suno_client::suno_types::Provider;
/// use suno_client::{ApiKey, Client};
///
/// # fn example(key_from_your_secrets: String) -> Result<(), suno_client::ClientError> {
/// let client = Client::new(Provider::Kie, ApiKey::new(key_from_your_secrets)?)?;
/// assert_eq!(client.provider(), Provider::Kie);
/// # Ok(())
/// # }
/// # example("sk-demo".to_owned()).unwrap();
/// ```
#[derive(Clone)]
pub struct Client {
    pub(crate) shared: Arc<Shared>,
}

pub(crate) struct Shared {
    pub(crate) provider: Provider,
    pub(crate) key: ApiKey,
    pub(crate) settings: Settings,
    pub(crate) endpoints: Endpoints,
    pub(crate) limiter: Arc<Limiter>,
    transport: OnceLock<Transport>,
}

impl Shared {
    /// The connections, which are created for the first request.
    pub(crate) fn transport(&self) -> &Transport {
        self.transport
            .get_or_init(|| Transport::new(&self.settings))
    }
}

impl Client {
    /// The number of downloads that a client and its clones run at the same time; further downloads
    /// wait in order of arrival.
    pub const DOWNLOADS_MAX: usize = transport::DOWNLOADS_MAX;

    /// Creates a client of `provider` with default settings, for the account that `key` belongs to.
    ///
    /// # Errors
    ///
    /// [`ClientError`] for the same reasons as [`ClientBuilder::build`]; the defaults are valid.
    pub fn new(provider: Provider, key: ApiKey) -> Result<Self, ClientError> {
        Self::builder(provider, key).build()
    }

    /// Starts a client of `provider` with other settings, for the account that `key` belongs to.
    pub fn builder(provider: Provider, key: ApiKey) -> ClientBuilder {
        ClientBuilder::new(provider, key)
    }

    /// Returns a builder with the settings of this client.
    ///
    /// A client built from it has its own connections. It shares the limits of this client, because
    /// they are the account's, unless the builder sets one of them.
    pub fn to_builder(&self) -> ClientBuilder {
        ClientBuilder::from_client(self)
    }

    /// The provider that the client sends its requests to.
    #[must_use]
    pub fn provider(&self) -> Provider {
        self.shared.provider
    }

    /// The route by which the client submits.
    #[must_use]
    pub fn route(&self) -> Route {
        self.shared.settings.route
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("provider", &self.shared.provider)
            .field("base_url", &self.shared.endpoints.base())
            .finish_non_exhaustive()
    }
}
