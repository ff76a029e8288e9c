//! Builds the client that commands use, from arguments and environment.

use anyhow::anyhow;
use suno_client::{ApiKey, Client, ClientBuilder};
use suno_types::{Provider, Route};
use url::Url;

use crate::advice;
use crate::environment;
use crate::failure::Failure;

/// The provider, which decides the meaning of its codes.
#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum Profile {
    /// kie.ai
    Kie,
    /// sunoapi.org
    Sunoapi,
}

/// The route by which a task is submitted and polled.
#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum RouteName {
    /// A path for each operation
    Direct,
    /// The jobs route of kie.ai
    Jobs,
}

/// The option for the route.
#[derive(Debug, clap::Args)]
#[group(skip)]
pub(crate) struct RouteArgument {
    /// The route by which a task is submitted and polled
    #[arg(long, value_enum, default_value = "direct")]
    route: RouteName,
}

impl RouteArgument {
    pub(crate) fn route(&self) -> Route {
        match self.route {
            RouteName::Direct => Route::Direct,
            RouteName::Jobs => Route::Jobs,
        }
    }
}

/// The options for the provider and its key.
#[derive(Debug, clap::Args)]
#[group(skip)]
pub(crate) struct Arguments {
    /// The provider; SUNO_BASE_URL overrides its address, and SUNO_API_KEY holds the key
    #[arg(long, value_enum, default_value = "kie")]
    provider: Profile,
}

impl Arguments {
    /// Formats the choice as command-line arguments; empty for the default.
    pub(crate) fn words(&self) -> &'static str {
        match self.provider {
            Profile::Kie => "",
            Profile::Sunoapi => " --provider sunoapi",
        }
    }

    fn provider(&self) -> Provider {
        match self.provider {
            Profile::Kie => Provider::Kie,
            Profile::Sunoapi => Provider::SunoApi,
        }
    }

    /// Builds a client that only downloads, for which no key is needed.
    pub(crate) fn client_for_media(&self) -> Result<Client, Failure> {
        let key = environment::optional(environment::API_KEY)?;
        let key = key.unwrap_or_else(|| "none".to_owned());
        let key = ApiKey::new(key).map_err(|err| {
            Failure::usage(err).context(format!(
                "{} does not contain an API key",
                environment::API_KEY
            ))
        })?;
        let builder = Client::builder(self.provider(), key);
        match environment::optional(environment::BASE_URL)? {
            Some(url) => at(builder, &url),
            None => builder.build().map_err(advice::failure),
        }
    }

    /// Builds a client that submits by a route.
    pub(crate) fn client(&self, route: Route) -> Result<Client, Failure> {
        if route == Route::Jobs && self.provider() != Provider::Kie {
            return Err(Failure::usage(anyhow!(
                "only kie.ai has the jobs route; use --route direct with --provider sunoapi"
            )));
        }
        let key = environment::required(environment::API_KEY)?;
        let key = ApiKey::new(key).map_err(|err| {
            Failure::usage(err).context(format!(
                "{} does not contain an API key",
                environment::API_KEY
            ))
        })?;
        let builder = Client::builder(self.provider(), key).route(route);
        match environment::optional(environment::BASE_URL)? {
            Some(url) => at(builder, &url),
            None => builder.build().map_err(advice::failure),
        }
    }
}

/// Points the client to another address. A server on this machine may refer to media on
/// this machine.
pub(crate) fn at(builder: ClientBuilder, url: &str) -> Result<Client, Failure> {
    let builder = builder.base_url(url);
    let is_local = Url::parse(url).is_ok_and(|url| is_loopback(&url));
    let builder = if is_local {
        builder.allow_private_downloads()
    } else {
        builder
    };
    builder.build().map_err(|err| {
        advice::failure(err).context(format!("{} is not usable", environment::BASE_URL))
    })
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(url::Host::Domain(name)) => name == "localhost",
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}
