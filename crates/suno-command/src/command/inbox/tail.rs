//! `suno inbox tail`: prints events as they arrive.

use std::collections::BTreeSet;
use std::time::Duration;

use suno_callback::{EventFilter, EventId, IdempotencyStore, ListRequest, Search};
use tokio::time::sleep;

use super::filters::Filters;
use super::list::Printing;
use super::{event_id, open, store_failed};
use crate::failure::Failure;
use crate::shutdown::Shutdown;
use crate::store;

/// The pause between looks at the store. A look without anything new reads one row.
const LOOK_INTERVAL: Duration = Duration::from_millis(250);
/// The maximum number of events that are read at a time.
const PAGE: u32 = 256;
/// The number of events before the last one that are looked at again: in a database, an event with a smaller number may
/// become visible after one with a greater number.
const LOOK_BACK: i64 = 1_024;

/// Print events as they arrive, until a signal or --until
#[derive(Debug, clap::Args)]
#[command(mut_arg("store", |store| store.default_value(store::Arguments::DEFAULT)))]
pub(super) struct Arguments {
    #[command(flatten)]
    filters: Filters,
    /// Print JSON lines: everything, or these members, such as --json=id,state
    #[arg(long, value_name = "MEMBERS", num_args = 0..=1, require_equals = true, default_missing_value = "")]
    json: Option<String>,
    /// Begin after this event, which may have arrived long ago; without it, begin with the next one
    #[arg(long, value_name = "ID", value_parser = event_id)]
    after: Option<EventId>,
    #[command(flatten)]
    store: store::Arguments,
}

pub(super) async fn run(arguments: Arguments) -> Result<(), Failure> {
    let printing = Printing::of(arguments.json.as_deref())?;
    let shutdown = Shutdown::listen(Shutdown::GRACE)?;
    let inbox = open(&arguments.store).await?;
    let now = super::now();
    let first = match arguments.after {
        Some(after) => after,
        None => latest(&*inbox.store).await?,
    };
    printing.head()?;
    let mut tail = Tail {
        store: &*inbox.store,
        search: arguments.filters.search(now),
        first,
        last: first,
        seen: BTreeSet::new(),
    };
    let end = arguments.filters.until.map(|until| until.at(now));
    let follow = async {
        loop {
            tail.print(&printing).await?;
            if end.is_some_and(|end| super::now() >= end) {
                return Ok(());
            }
            sleep(LOOK_INTERVAL).await;
        }
    };
    tokio::select! {
        followed = follow => followed,
        _ = shutdown.requested() => Ok(()),
    }
}

/// Where a tail is.
struct Tail<'a> {
    store: &'a dyn IdempotencyStore,
    search: Search,
    /// Nothing up to this event is printed.
    first: EventId,
    last: EventId,
    /// The events of the last [`LOOK_BACK`] numbers that were printed.
    seen: BTreeSet<EventId>,
}

impl Tail<'_> {
    /// Prints what has arrived.
    async fn print(&mut self, printing: &Printing) -> Result<(), Failure> {
        let back = EventId(self.last.0.saturating_sub(LOOK_BACK));
        let mut after = Some(back.max(self.first));
        while let Some(from) = after {
            let page = self.search.page(self.store, Some(from), PAGE).await;
            let page = page.map_err(store_failed)?;
            for record in page.records {
                let id = record.id;
                if self.seen.insert(id) {
                    printing.event(self.store, record).await?;
                }
                self.last = self.last.max(id);
            }
            after = page.next;
        }
        let kept = EventId(self.last.0.saturating_sub(2 * LOOK_BACK));
        self.seen = self.seen.split_off(&kept);
        Ok(())
    }
}

/// Returns the number of the latest event, by halving the range in which it is.
async fn latest(store: &dyn IdempotencyStore) -> Result<EventId, Failure> {
    let (mut low, mut high) = (0_i64, i64::MAX);
    while low < high {
        // Rounded up, so that the range becomes smaller.
        let middle = low + (high - low) / 2 + (high - low) % 2;
        let request = ListRequest::first(1, EventFilter::default());
        let page = store.list(&request.with_after(EventId(middle - 1))).await;
        match page.map_err(store_failed)?.records.first() {
            Some(event) => low = event.id.0,
            None => high = middle - 1,
        }
    }
    Ok(EventId(low))
}
