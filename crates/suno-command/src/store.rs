//! The store that options name, and how it is opened.

#[cfg(feature = "postgres")]
mod postgres;
mod queue;
mod url;

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::anyhow;
use suno_callback::IdempotencyStore;
use suno_callback::history::History;
use suno_gateway::destination::DestinationName;

pub(crate) use self::queue::Stores;
pub(crate) use self::url::without_passwords;
use self::url::{StoreUrl, has_password};
use crate::environment;
use crate::failure::Failure;

/// The maximum length of a file that holds the URL of a store.
const FILE_BYTES_MAX: u64 = 64 << 10;

/// The options that say which store is used.
#[derive(Debug, clap::Args)]
#[group(skip)]
pub(crate) struct Arguments {
    #[command(flatten)]
    place: Place,
    #[cfg(feature = "postgres")]
    #[command(flatten)]
    postgres: postgres::Arguments,
}

/// The URL of a store, or where to find it.
#[derive(Debug, clap::Args)]
#[group(id = Arguments::PLACE, multiple = false)]
struct Place {
    /// Store for events and submits: sqlite:FILE, or postgres://USER@HOST/DATABASE for several receivers
    #[arg(long, value_name = "STORE", help_heading = Arguments::HEADING)]
    store: Option<String>,
    /// Environment variable with the store's URL, which may contain a password
    #[arg(long, value_name = "NAME", help_heading = Arguments::HEADING)]
    store_env: Option<String>,
    /// File with the store's URL, which may contain a password
    #[arg(long, value_name = "FILE", help_heading = Arguments::HEADING)]
    store_file: Option<PathBuf>,
}

/// A store and its history.
#[derive(Debug, Clone)]
pub(crate) struct WithHistory {
    pub(crate) store: Arc<dyn IdempotencyStore>,
    pub(crate) history: Arc<dyn History>,
}

impl Arguments {
    /// The store of commands that need one, if no option names one.
    pub(crate) const DEFAULT: &'static str = "sqlite:suno.db";
    /// The group of the options that name a store. At most one of them can be given.
    pub(crate) const PLACE: &'static str = "store_place";
    /// The heading of these options in a help text.
    pub(crate) const HEADING: &'static str = "Store";

    /// Opens a store that exists, with its history; `None` if no option names one.
    ///
    /// # Errors
    ///
    /// A failure of usage if a file is not there: looking into a store must not make an empty one.
    pub(crate) async fn open_existing(&self) -> Result<Option<WithHistory>, Failure> {
        self.expect_file()?;
        self.open_with_history().await
    }

    /// Opens the queue of a destination beside a store, with the history of that store; `None` if no
    /// option names one.
    ///
    /// # Errors
    ///
    /// A failure of usage if the store or the queue does not exist.
    pub(crate) async fn open_existing_queue(
        &self,
        name: &DestinationName,
    ) -> Result<Option<WithHistory>, Failure> {
        self.expect_file()?;
        let Some(stores) = self.open_stores().await? else {
            return Ok(None);
        };
        let queues = stores.queues().await?;
        if !queues.iter().any(|queue| queue == name.as_str()) {
            let known = match queues.is_empty() {
                true => "it has no queues".to_owned(),
                false => format!("its queues are {}", queues.join(", ")),
            };
            return Err(Failure::usage(anyhow!(
                "the store has no queue of a destination {}; {known}",
                name.as_str()
            )));
        }
        Ok(Some(WithHistory {
            store: stores.open_queue(name).await?,
            history: stores.history()?,
        }))
    }

    /// Refuses a file that is not there.
    fn expect_file(&self) -> Result<(), Failure> {
        if let Some(StoreUrl::Sqlite(file)) = self.place.url()?
            && Path::new(&file).try_exists().is_ok_and(|exists| !exists)
        {
            return Err(Failure::usage(anyhow!(
                "the store {file} does not exist; name the store of the gateway with --store"
            )));
        }
        Ok(())
    }

    /// Opens the store with its history. Both are made if they do not exist; `None` if no option names
    /// a store.
    pub(crate) async fn open_with_history(&self) -> Result<Option<WithHistory>, Failure> {
        let Some(stores) = self.open_stores().await? else {
            return Ok(None);
        };
        Ok(Some(WithHistory {
            store: stores.main(),
            history: stores.history()?,
        }))
    }

    /// Opens the store, which is made if it does not exist; `None` if no option names one.
    ///
    /// A server is asked once, because whatever started this process can start it again: then a wait
    /// here would only hide the reason.
    pub(crate) async fn open(&self) -> Result<Option<Arc<dyn IdempotencyStore>>, Failure> {
        Ok(self.open_stores().await?.map(|stores| stores.main()))
    }

    /// Opens the store as [`open`](Self::open) does, and finds the queues beside it.
    pub(crate) async fn open_stores(&self) -> Result<Option<Stores>, Failure> {
        let Some(url) = self.place.url()? else {
            return Ok(None);
        };
        match url {
            StoreUrl::Sqlite(file) => {
                self.refuse_options_of_postgres()?;
                Ok(Some(Stores::in_file(file)?))
            }
            StoreUrl::Postgres(url) => self.open_server(&url).await.map(Some),
        }
    }

    #[cfg(feature = "postgres")]
    fn refuse_options_of_postgres(&self) -> Result<(), Failure> {
        match self.postgres.first() {
            Some(option) => Err(Failure::usage(anyhow!(
                "{option} is for a store in PostgreSQL; leave it out, or name such a store with \
                 --store postgres://USER@HOST/DATABASE"
            ))),
            None => Ok(()),
        }
    }

    #[cfg(feature = "postgres")]
    async fn open_server(&self, url: &str) -> Result<Stores, Failure> {
        self.postgres.open(url).await.map(Stores::in_schema)
    }

    #[cfg(not(feature = "postgres"))]
    #[expect(clippy::unused_self, reason = "the options of PostgreSQL do not exist")]
    fn refuse_options_of_postgres(&self) -> Result<(), Failure> {
        Ok(())
    }

    #[cfg(not(feature = "postgres"))]
    #[expect(clippy::unused_async, reason = "a server would be waited for")]
    async fn open_server(&self, _url: &str) -> Result<Stores, Failure> {
        Err(Failure::usage(anyhow!(
            "this suno was built without PostgreSQL; build it with the feature \"postgres\""
        )))
    }
}

impl Place {
    /// Returns the URL of the store.
    fn url(&self) -> Result<Option<StoreUrl>, Failure> {
        // The other two first, because --store may have a default.
        let (option, text) = if let Some(name) = &self.store_env {
            ("--store-env", environment::named_by("--store-env", name)?)
        } else if let Some(file) = &self.store_file {
            ("--store-file", read(file)?)
        } else if let Some(text) = &self.store {
            if has_password(text) {
                return Err(Failure::usage(anyhow!(
                    "the URL given with --store contains a password, which every user of this machine \
                     can read in the list of processes; put the URL into an environment variable and \
                     name it with --store-env, or into a file and name it with --store-file"
                )));
            }
            ("--store", text.clone())
        } else {
            return Ok(None);
        };
        let url = text.trim().parse::<StoreUrl>();
        url.map(Some).map_err(|why| {
            Failure::usage(anyhow!("the store that {option} names is not valid: {why}"))
        })
    }
}

/// Reads a file with a URL. The error does not contain the path, because the user may have passed the
/// URL itself.
fn read(file: &Path) -> Result<String, Failure> {
    let mut text = String::new();
    let read =
        fs::File::open(file).and_then(|file| file.take(FILE_BYTES_MAX).read_to_string(&mut text));
    match read {
        Ok(_) if !text.trim().is_empty() => Ok(text),
        Ok(_) => Err(Failure::usage(anyhow!(
            "the file named by --store-file is empty"
        ))),
        Err(err) => Err(Failure::usage(err).context(
            "cannot read the file named by --store-file, which must contain the store's URL",
        )),
    }
}
