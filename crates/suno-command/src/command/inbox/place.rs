//! The store that a verb works on.

use anyhow::anyhow;
use suno_gateway::destination::DestinationName;

use crate::failure::Failure;
use crate::store::{self, WithHistory};

/// The store of a gateway, or the queue of one of its destinations.
#[derive(Debug, clap::Args)]
#[command(mut_arg("store", |store| store.default_value(store::Arguments::DEFAULT)))]
pub(super) struct Place {
    #[command(flatten)]
    store: store::Arguments,
    /// Work on the queue of this destination, which is a store beside the named one
    #[arg(long, value_name = "NAME", help_heading = store::Arguments::HEADING)]
    queue: Option<DestinationName>,
}

impl Place {
    /// Opens a store that must exist, with its history. A queue has the history of the gateway.
    pub(super) async fn open(&self) -> Result<WithHistory, Failure> {
        let opened = match &self.queue {
            Some(queue) => self.store.open_existing_queue(queue).await?,
            None => self.store.open_existing().await?,
        };
        opened.ok_or_else(|| Failure::usage(anyhow!("no store is named; use --store")))
    }
}
