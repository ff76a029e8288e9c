//! The URLs of the provider's API, derived once from the base URL.

use http::Uri;
use suno_types::{Provider, TaskId};
use url::Url;

use crate::ClientError;
use crate::address::is_loopback_host;

const SUBMIT: &str = "api/v1/generate/add-instrumental";
const RECORD: &str = "api/v1/generate/record-info";

/// The URLs of the provider's API.
#[derive(Debug, Clone)]
pub(crate) struct Endpoints {
    base: Url,
    submit: Uri,
    credits: Uri,
    /// The URL up to the task id.
    record: String,
}

impl Endpoints {
    /// Derives the URLs from `base`, which can have a path.
    pub(crate) fn new(
        base: &str,
        provider: Provider,
        plain_http_allowed: bool,
    ) -> Result<Self, ClientError> {
        let base = base_url(base, plain_http_allowed)?;
        let join = |path: &str| base.join(path).map_err(|_| unusable());
        let credits = provider.credits_path().trim_start_matches('/');
        let mut record = join(RECORD)?;
        record.set_query(Some("taskId="));
        Ok(Self {
            submit: uri(&join(SUBMIT)?)?,
            credits: uri(&join(credits)?)?,
            record: record.into(),
            base,
        })
    }

    pub(crate) fn base(&self) -> &str {
        self.base.as_str()
    }

    pub(crate) fn submit(&self) -> Uri {
        self.submit.clone()
    }

    pub(crate) fn credits(&self) -> Uri {
        self.credits.clone()
    }

    pub(crate) fn record(&self, task: &TaskId) -> Result<Uri, ClientError> {
        let mut address = String::with_capacity(self.record.len() + task.as_str().len());
        address.push_str(&self.record);
        address.extend(url::form_urlencoded::byte_serialize(
            task.as_str().as_bytes(),
        ));
        Uri::try_from(address).map_err(|_| unusable())
    }
}

/// Converts a URL to the form that requests need, without the fragment.
pub(crate) fn uri(url: &Url) -> Result<Uri, ClientError> {
    let mut url = url.clone();
    url.set_fragment(None);
    Uri::try_from(url.as_str()).map_err(|_| unusable())
}

fn unusable() -> ClientError {
    ClientError::setting("a URL cannot be used in a request")
}

/// Reads a base URL and ends it with one slash, so that paths can be appended.
fn base_url(text: &str, plain_http_allowed: bool) -> Result<Url, ClientError> {
    let mut url = Url::parse(text)
        .map_err(|_| ClientError::setting("the base URL must be an absolute URL"))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(ClientError::setting("the base URL must be http or https"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(ClientError::setting(
            "the base URL must not have a user name or a password",
        ));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(ClientError::setting(
            "the base URL must not have a query or a fragment",
        ));
    }
    let is_here = url.host_str().is_some_and(is_loopback_host);
    if url.scheme() == "http" && !is_here && !plain_http_allowed {
        return Err(ClientError::setting(
            "plain HTTP to another machine would expose the API key on the way; use https",
        ));
    }
    let path = format!("{}/", url.path().trim_end_matches('/'));
    url.set_path(&path);
    Ok(url)
}
