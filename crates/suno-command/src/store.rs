//! The store that an option names.

use std::str::FromStr;
use std::sync::Arc;

use suno_store_sqlite::SqliteStore;

use crate::failure::Failure;

/// A store as it is written in an option: `sqlite:` and a file.
#[derive(Debug, Clone)]
pub(crate) struct StoreUrl(String);

impl FromStr for StoreUrl {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.strip_prefix("sqlite:") {
            Some(path) if !path.is_empty() => Ok(Self(path.to_owned())),
            _ => Err("the store must be written as sqlite:FILE, such as sqlite:suno.db"),
        }
    }
}

impl StoreUrl {
    /// Opens the store, which is made if it does not exist.
    pub(crate) fn open(&self) -> Result<Arc<SqliteStore>, Failure> {
        let Self(file) = self;
        let store = SqliteStore::open(file);
        store
            .map(Arc::new)
            .map_err(|err| Failure::usage(err).context(format!("cannot open the store {file}")))
    }
}
