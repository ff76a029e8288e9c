//! Where a receiver keeps its events, and what is in there.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use suno_callback::{EventFilter, EventRecord, IdempotencyStore, ListRequest};
use suno_store_postgres::{PostgresConfig, PostgresStore, Wake};
use suno_store_sqlite::SqliteStore;
use suno_testkit::postgres::{TestSchema, URL_VARIABLE};

/// The number of records that are read at once.
const PAGE: u32 = 1_000;
/// What precedes the name of a schema, where a store is an argument.
const SCHEMA: &str = "schema:";

/// The place of a store: a file, or a schema of a server. An argument of another process names only the
/// schema; the URL is in [`URL_VARIABLE`].
#[derive(Debug, Clone)]
pub struct StorePlace(Place);

#[derive(Debug, Clone)]
enum Place {
    File(PathBuf),
    Schema { url: String, name: String },
}

impl StorePlace {
    pub(crate) fn file(file: &Path) -> Self {
        Self(Place::File(file.to_owned()))
    }

    pub(crate) fn schema(schema: &TestSchema) -> Self {
        let (url, name) = (schema.url().to_owned(), schema.name().to_owned());
        Self(Place::Schema { url, name })
    }

    /// Returns the file, if it is one.
    pub(crate) fn as_file(&self) -> Option<&Path> {
        match &self.0 {
            Place::File(file) => Some(file),
            Place::Schema { .. } => None,
        }
    }

    /// Returns the URL of the server.
    pub(crate) fn url(&self) -> Result<&str> {
        match &self.0 {
            Place::File(_) => bail!("a file has no URL"),
            Place::Schema { url, .. } => Ok(url),
        }
    }

    /// Returns the name of the schema.
    pub(crate) fn schema_name(&self) -> Result<&str> {
        match &self.0 {
            Place::File(_) => bail!("a file has no schema"),
            Place::Schema { name, .. } => Ok(name),
        }
    }

    /// Opens a store on a server whose processes wake each other in this way.
    pub(crate) async fn open_shared(&self, wake: Wake) -> Result<PostgresStore> {
        let config = PostgresConfig::parse(self.url()?)?;
        let config = config.with_schema(self.schema_name()?).with_wake(wake);
        Ok(PostgresStore::connect(config).await?)
    }

    pub(crate) async fn open(&self) -> Result<Arc<dyn IdempotencyStore>> {
        match &self.0 {
            Place::File(file) => Ok(Arc::new(SqliteStore::open(file)?)),
            Place::Schema { url, name } => {
                let config = PostgresConfig::parse(url)?.with_schema(name);
                Ok(Arc::new(PostgresStore::connect(config).await?))
            }
        }
    }
}

/// The argument that names it.
impl fmt::Display for StorePlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Place::File(file) => file.display().fmt(f),
            Place::Schema { name, .. } => write!(f, "{SCHEMA}{name}"),
        }
    }
}

impl FromStr for StorePlace {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let Some(name) = text.strip_prefix(SCHEMA) else {
            return Ok(Self::file(Path::new(text)));
        };
        let url = std::env::var(URL_VARIABLE).map_err(|_| format!("{URL_VARIABLE} is not set"))?;
        let name = name.to_owned();
        Ok(Self(Place::Schema { url, name }))
    }
}

/// Returns the number of events in a file that are not settled: ready, claimed, or waiting for a
/// retry.
pub(crate) fn unsettled(file: &Path) -> Result<u64> {
    let store = SqliteStore::open(file)?;
    block_on(unsettled_in(&store))?
}

/// Returns the number of events in a store that are not settled.
pub(crate) async fn unsettled_in(store: &dyn IdempotencyStore) -> Result<u64> {
    let counts = store.counts().await?;
    Ok(counts.ready + counts.claimed + counts.waiting)
}

/// Returns the records of all events in a store.
pub(crate) async fn records(store: &dyn IdempotencyStore) -> Result<Vec<EventRecord>> {
    let mut request = ListRequest::first(PAGE, EventFilter::default());
    let mut all = Vec::new();
    loop {
        let page = store.list(&request).await?;
        all.extend(page.records);
        match page.next {
            Some(next) => request = request.with_after(next),
            None => return Ok(all),
        }
    }
}

/// Runs a future to its end on this thread.
pub(crate) fn block_on<T>(future: impl Future<Output = T>) -> Result<T> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("the async runtime could not start")?;
    Ok(runtime.block_on(future))
}
