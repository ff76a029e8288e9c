//! The client that `suno add-instrumental` and `suno wait` use, from arguments and environment.

use suno_client::{ApiKey, Client, ClientError, ErrorKind, WaitError};
use suno_types::Provider;
use url::Url;

use crate::environment;
use crate::failure::Failure;

/// Whose codes to go by.
#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum Profile {
    /// kie.ai
    Kie,
    /// sunoapi.org
    Sunoapi,
}

/// Who is asked, and with which key.
#[derive(Debug, clap::Args)]
#[group(skip)]
pub(crate) struct Arguments {
    /// The provider; SUNO_BASE_URL overrides its address, and SUNO_API_KEY holds the key
    #[arg(long, value_enum, default_value = "kie")]
    provider: Profile,
}

impl Arguments {
    /// The client.
    pub(crate) fn client(&self) -> Result<Client, Failure> {
        let provider = match self.provider {
            Profile::Kie => Provider::Kie,
            Profile::Sunoapi => Provider::SunoApi,
        };
        let key = environment::required(environment::API_KEY)?;
        let key = ApiKey::new(key).map_err(|err| {
            Failure::usage(err).context(format!("{} holds no key", environment::API_KEY))
        })?;
        let client = Client::new(provider, key).map_err(failure)?;
        match environment::optional(environment::BASE_URL)? {
            Some(url) => at(client, &url),
            None => Ok(client),
        }
    }
}

/// The client at another address. One on this machine may hand out media of this machine.
pub(crate) fn at(client: Client, url: &str) -> Result<Client, Failure> {
    let local = Url::parse(url).is_ok_and(|url| is_loopback(&url));
    let client = client
        .with_base_url(url)
        .map_err(|err| failure(err).context(format!("{} cannot be used", environment::BASE_URL)))?;
    Ok(if local {
        client.allow_private_downloads()
    } else {
        client
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

/// A request that failed. What was found wrong before anything was sent is a matter of usage.
pub(crate) fn failure(err: ClientError) -> Failure {
    let local = err.code().is_none() && err.http_status().is_none();
    let usage = match err.kind() {
        ErrorKind::Setting => true,
        ErrorKind::InvalidRequest => local,
        _ => false,
    };
    let hint = hint(&err);
    let msg = err.msg().map(|msg| format!("the provider says: {msg}"));
    let err = anyhow::Error::new(err);
    let err = match msg {
        Some(msg) => anyhow::anyhow!("{err:#}; {msg}"),
        None => err,
    };
    let failure = if usage {
        Failure::usage(err)
    } else {
        Failure::failed(err)
    };
    match hint {
        Some(hint) => failure.context(hint),
        None => failure,
    }
}

/// What to do next, where the error alone does not say.
fn hint(err: &ClientError) -> Option<&'static str> {
    match err.kind() {
        ErrorKind::Unauthorized => Some("check SUNO_API_KEY and --provider"),
        ErrorKind::Connect => Some("check SUNO_BASE_URL and the network"),
        ErrorKind::OutOfCredits => Some("charge up the account"),
        _ => None,
    }
}

/// A wait that ended without a finished task.
pub(crate) fn wait_failure(err: WaitError) -> Failure {
    let again = format!("suno wait {}", err.task_id());
    if err.is_task_failure() {
        return Failure::failed(err);
    }
    let failed = Failure::failed(err);
    failed.context(format!(
        "not known how the task ended; go on with `{again}`"
    ))
}
