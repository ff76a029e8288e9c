//! The queues of destinations: stores beside the main one.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::anyhow;
use suno_callback::IdempotencyStore;
use suno_callback::history::History;
use suno_gateway::destination::DestinationName;
use suno_store_sqlite::{SqliteHistory, SqliteStore};

#[cfg(feature = "postgres")]
use super::postgres::Server;
use crate::failure::Failure;

/// The ends of the names of files that SQLite and the store keep beside a file.
const BESIDE: [&str; 5] = ["-wal", "-shm", "-journal", "-queue", "-history"];
/// The maximum number of bytes of the name of a schema.
#[cfg(feature = "postgres")]
const SCHEMA_BYTES_MAX: usize = 63;

/// The main store, and where the queues beside it are.
pub(crate) struct Stores {
    main: Arc<dyn IdempotencyStore>,
    place: Place,
}

enum Place {
    File(String),
    #[cfg(feature = "postgres")]
    Schema(Box<Server>),
}

impl Stores {
    /// Opens a store in a file, which is made if it does not exist.
    pub(super) fn in_file(file: String) -> Result<Self, Failure> {
        Ok(Self {
            main: open(&file)?,
            place: Place::File(file),
        })
    }

    #[cfg(feature = "postgres")]
    pub(super) fn in_schema(server: Server) -> Self {
        Self {
            main: Arc::new(server.store.clone()),
            place: Place::Schema(Box::new(server)),
        }
    }

    /// Returns the main store.
    pub(crate) fn main(&self) -> Arc<dyn IdempotencyStore> {
        self.main.clone()
    }

    /// Returns the file of the main store, if it is one.
    pub(crate) fn file(&self) -> Option<PathBuf> {
        match &self.place {
            Place::File(file) => Some(file.into()),
            #[cfg(feature = "postgres")]
            Place::Schema(_) => None,
        }
    }

    /// Opens the history of the main store, which is made if it does not exist.
    pub(crate) fn history(&self) -> Result<Arc<dyn History>, Failure> {
        match &self.place {
            Place::File(file) => match SqliteHistory::open(file) {
                Ok(history) => Ok(Arc::new(history)),
                Err(err) => Err(Failure::usage(err)
                    .context(format!("cannot open the history of the store {file}"))),
            },
            #[cfg(feature = "postgres")]
            Place::Schema(server) => Ok(Arc::new(server.store.history())),
        }
    }

    /// Opens the queue of a destination, which is made if it does not exist.
    pub(crate) async fn open_queue(
        &self,
        name: &DestinationName,
    ) -> Result<Arc<dyn IdempotencyStore>, Failure> {
        let name = name.as_str();
        if BESIDE.iter().any(|end| name.ends_with(end)) {
            return Err(Failure::usage(anyhow!(
                "a destination with a queue cannot have the name {name}, because another file has \
                 it; choose another name"
            )));
        }
        match &self.place {
            Place::File(file) => open(&(prefix(file) + name)),
            #[cfg(feature = "postgres")]
            Place::Schema(server) => {
                let schema = prefix_of_schemas(server) + name;
                if schema.len() > SCHEMA_BYTES_MAX {
                    return Err(Failure::usage(anyhow!(
                        "the schema {schema} for the queue of {name} has more than \
                         {SCHEMA_BYTES_MAX} bytes; choose a shorter name"
                    )));
                }
                server.open_schema(&schema).await
            }
        }
    }

    /// Returns the names of the queues that exist.
    pub(crate) async fn queues(&self) -> Result<Vec<String>, Failure> {
        match &self.place {
            Place::File(file) => queues_of(Path::new(file)).map_err(|err| {
                Failure::failed(err).context(format!("cannot look for queues beside {file}"))
            }),
            #[cfg(feature = "postgres")]
            Place::Schema(server) => {
                let prefix = prefix_of_schemas(server);
                let schemas = server.schemas(&prefix).await?;
                let name = |schema: String| Some(schema.strip_prefix(&prefix)?.to_owned());
                Ok(schemas.into_iter().filter_map(name).collect())
            }
        }
    }

    /// Returns the number of events in a queue that are not done and no dead letters; `None` if it
    /// cannot be read.
    pub(crate) async fn open_events(&self, name: &str) -> Option<u64> {
        let name = DestinationName::new(name).ok()?;
        let counts = self.open_queue(&name).await.ok()?.counts().await.ok()?;
        Some(counts.ready + counts.claimed + counts.waiting)
    }
}

fn prefix(file: &str) -> String {
    format!("{file}.queue-")
}

#[cfg(feature = "postgres")]
fn prefix_of_schemas(server: &Server) -> String {
    format!("{}_queue_", server.store.schema())
}

fn open(file: &str) -> Result<Arc<dyn IdempotencyStore>, Failure> {
    match SqliteStore::open(file) {
        Ok(store) => Ok(Arc::new(store)),
        Err(err) => Err(Failure::usage(err).context(format!("cannot open the store {file}"))),
    }
}

/// Returns the names of the queues beside a file.
fn queues_of(file: &Path) -> std::io::Result<Vec<String>> {
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    let prefix = prefix(&name);
    let folder = match file.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let mut queues = Vec::new();
    for entry in fs::read_dir(folder)? {
        let file = entry?.file_name().to_string_lossy().into_owned();
        let name = file.strip_prefix(&prefix);
        let is_queue = |name: &&str| BESIDE.iter().all(|end| !name.ends_with(end));
        queues.extend(name.filter(is_queue).map(str::to_owned));
    }
    queues.sort();
    Ok(queues)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_queue_is_found_beside_its_store_and_nothing_else_is() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("suno.db").display().to_string();
        let stores = Stores::in_file(file.clone()).unwrap();
        assert_eq!(stores.queues().await.unwrap(), Vec::<String>::new());
        for name in ["shop", "a-b"] {
            let name = DestinationName::new(name).unwrap();
            stores.open_queue(&name).await.unwrap();
        }
        fs::write(dir.path().join("other.db.queue-shop"), "").unwrap();
        assert_eq!(stores.queues().await.unwrap(), ["a-b", "shop"]);
        assert_eq!(stores.open_events("shop").await, Some(0));
        let taken = DestinationName::new("shop-wal").unwrap();
        assert!(stores.open_queue(&taken).await.is_err());
    }
}
