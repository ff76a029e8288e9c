//! The URLs of the provider's API, derived once from the base URL.

use http::Uri;
use suno_types::{Operation, Product, Provider, Route, TaskId, TaskKind};
use url::Url;

use crate::ClientError;
use crate::address::is_loopback_host;

/// The paths of the jobs route, for all operations (`PROTOCOL.md 5.1`, `5.2`).
const CREATE_JOB: &str = "/api/v1/jobs/createTask";
const JOB_RECORD: (&str, &str) = ("/api/v1/jobs/recordInfo", "taskId");

/// The URLs of the provider's API and of its file service.
#[derive(Debug, Clone)]
pub(crate) struct Endpoints {
    /// Ends with a slash, like the next one.
    base: Url,
    uploads: Url,
    credits: Uri,
}

impl Endpoints {
    /// Derives the URLs from the base URLs, which can have a path. Without one for uploads, a
    /// replaced base serves them too, as the emulator does.
    pub(crate) fn new(
        base: Option<&str>,
        uploads: Option<&str>,
        provider: Provider,
        plain_http_allowed: bool,
    ) -> Result<Self, ClientError> {
        let uploads = uploads.or(base).unwrap_or(match provider {
            Provider::Kie => "https://kieai.redpandaai.co",
            _ => "https://sunoapiorg.redpandaai.co",
        });
        let base = base_url(base.unwrap_or(provider.base_url()), plain_http_allowed)?;
        Ok(Self {
            credits: join(&base, provider.credits_path(), None)?,
            uploads: base_url(uploads, plain_http_allowed)?,
            base,
        })
    }

    pub(crate) fn base(&self) -> &str {
        self.base.as_str()
    }

    pub(crate) fn submit(&self, operation: Operation, route: Route) -> Result<Uri, ClientError> {
        let path = match route {
            Route::Jobs => CREATE_JOB,
            _ => operation.path(),
        };
        join(&self.base, path, None)
    }

    pub(crate) fn credits(&self) -> Uri {
        self.credits.clone()
    }

    /// The URL at which a task of this kind is polled (`PROTOCOL.md 1.50`).
    pub(crate) fn record(&self, task: &TaskId, kind: &TaskKind) -> Result<Uri, ClientError> {
        let (path, name) = record_path(kind).ok_or_else(|| {
            ClientError::setting("this version does not know where such a task is polled")
        })?;
        join(&self.base, path, Some((name, task.as_str())))
    }

    /// The URL of a form of uploads.
    pub(crate) fn upload(&self, path: &str) -> Result<Uri, ClientError> {
        join(&self.uploads, path, None)
    }
}

/// The path of the records of a kind of task, and the parameter for the task id.
fn record_path(kind: &TaskKind) -> Option<(&'static str, &'static str)> {
    if kind.route == Route::Jobs {
        return Some(JOB_RECORD);
    }
    const RECORDS: [(Product, &str, &str); 10] = [
        (Product::SONG, "/api/v1/generate/record-info", "taskId"),
        (Product::LYRICS, "/api/v1/lyrics/record-info", "taskId"),
        (Product::WAV, "/api/v1/wav/record-info", "taskId"),
        (Product::MP4, "/api/v1/mp4/record-info", "taskId"),
        (
            Product::STEMS,
            "/api/v1/vocal-removal/record-info",
            "taskId",
        ),
        (Product::MIDI, "/api/v1/midi/record-info", "taskId"),
        (Product::COVER, "/api/v1/suno/cover/record-info", "taskId"),
        (Product::VOICE, "/api/v1/voice/record-info", "taskId"),
        (
            Product::VOICE_PHRASE,
            "/api/v1/voice/validate-info",
            "taskId",
        ),
        (
            Product::RECOVERY,
            "/api/v1/suno/recovery/record-info",
            "task_id",
        ),
    ];
    let found = RECORDS
        .iter()
        .find(|(product, ..)| *product == kind.product);
    found.map(|(_, path, name)| (*path, *name))
}

/// Appends an absolute path to a base URL, and one query parameter. The base ends with a slash.
fn join(base: &Url, path: &str, query: Option<(&str, &str)>) -> Result<Uri, ClientError> {
    let base = base.as_str().trim_end_matches('/');
    let mut address = String::with_capacity(base.len() + path.len() + 192);
    address.push_str(base);
    address.push_str(path);
    if let Some((name, value)) = query {
        address.extend(["?", name, "="]);
        address.extend(url::form_urlencoded::byte_serialize(value.as_bytes()));
    }
    Uri::try_from(address).map_err(|_| unusable())
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
