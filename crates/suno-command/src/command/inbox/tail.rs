//! `suno inbox tail`: prints events as they arrive.

use std::time::Duration;

use suno_callback::{
    EventId, FollowCursor, Follower, Horizon, IdempotencyStore, SystemClock, latest_event,
};
use tokio::time::sleep;

use super::filters::Filters;
use super::list::{Form, Printing};
use super::place::Place;
use super::{event_id, store_failed};
use crate::failure::Failure;
use crate::log;
use crate::shutdown::Shutdown;

/// The pause between looks at the store. A look without anything new reads one row.
const LOOK_INTERVAL: Duration = Duration::from_millis(250);
/// The maximum number of events that are read at a time.
const PAGE: u32 = 256;
/// The missing numbers among this many are looked at each time, and before the first event for those whose
/// transactions are open.
const NEAR: i64 = 1_024;
/// One look in so many is at all missing numbers.
const LOOKS: u32 = 8;

/// Print events as they arrive, until a signal or --until
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    filters: Filters,
    #[command(flatten)]
    form: Form,
    /// Begin after this event, which may have arrived long ago; without it, begin with the next one
    #[arg(long, value_name = "ID", value_parser = event_id)]
    after: Option<EventId>,
    #[command(flatten)]
    store: Place,
}

pub(super) async fn run(arguments: Arguments) -> Result<(), Failure> {
    let printing = arguments.form.printing()?;
    let shutdown = Shutdown::listen(Shutdown::GRACE)?;
    let inbox = arguments.store.open().await?;
    let now = super::now();
    let (begin, first) = match arguments.after {
        Some(after) => (after, after),
        None => {
            let latest = latest_event(&*inbox.store).await.map_err(store_failed)?;
            (EventId((latest.0 - NEAR).max(0)), latest)
        }
    };
    printing.head()?;
    let search = arguments.filters.search(now);
    let mut tail = Tail {
        store: &*inbox.store,
        follower: Follower::new(FollowCursor::after(begin), search),
        horizon: Horizon::default(),
        first,
        looks: 0,
        last_printed: None,
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
    let followed = tokio::select! {
        followed = follow => followed,
        _ = shutdown.requested() => Ok(()),
    };
    tail.tell_place();
    followed
}

/// Where a tail is.
struct Tail<'a> {
    store: &'a dyn IdempotencyStore,
    follower: Follower,
    horizon: Horizon,
    /// Nothing up to this event is printed, unless it becomes visible later.
    first: EventId,
    looks: u32,
    last_printed: Option<EventId>,
}

impl Tail<'_> {
    /// Prints what has arrived.
    async fn print(&mut self, printing: &Printing) -> Result<(), Failure> {
        let near = (!self.looks.is_multiple_of(LOOKS)).then_some(NEAR);
        self.looks = self.looks.wrapping_add(1);
        let (store, horizon) = (self.store, &self.horizon);
        loop {
            let late = self.follower.late(store, horizon, &SystemClock, near);
            let found = late.await.map_err(store_failed)?;
            for record in found.records {
                printing.event(store, record).await?;
            }
            if !found.has_more {
                break;
            }
        }
        loop {
            let next = self.follower.next(store, horizon, &SystemClock, PAGE);
            let found = next.await.map_err(store_failed)?;
            for record in found.records {
                if record.id > self.first {
                    self.last_printed = Some(record.id);
                    printing.event(store, record).await?;
                }
            }
            if !found.has_more {
                break;
            }
        }
        if self.follower.take_overrun() {
            log::line(
                "too many numbers are missing; an event that becomes visible late may be left out",
            );
        }
        Ok(())
    }

    /// Says on stderr where another tail has to begin, if that is not after the last event.
    fn tell_place(&self) {
        let through = self.follower.cursor().through();
        if self.last_printed.is_some_and(|last| through < last) {
            log::line(&format!("to miss nothing, continue with --after {through}"));
        }
    }
}
