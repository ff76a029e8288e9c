//! Pages of events. Reading one page does a bounded amount of work.

use suno_callback::{EventRecord, FollowCursor, Follower};

use super::super::app::App;
use super::super::problem::Problem;
use super::parameters::Parameters;

/// The maximum number of times that the store is asked for one page, if few events match.
const STEPS_MAX: usize = 16;

/// A page with its cursor: where the next page begins, now or later.
pub(super) struct EventPage {
    pub(super) records: Vec<EventRecord>,
    pub(super) cursor: FollowCursor,
    pub(super) has_more: bool,
}

/// Reads a page. It may be short or empty although more follow.
pub(super) async fn page(app: &App, parameters: Parameters) -> Result<EventPage, Problem> {
    let limit = parameters.limit as usize;
    let mut follower = Follower::new(parameters.after.unwrap_or_default(), parameters.search);
    let (mut records, mut has_more, mut steps) = (Vec::new(), true, 0);
    while has_more && records.len() < limit && steps < STEPS_MAX {
        let left = u32::try_from(limit - records.len()).unwrap_or(parameters.limit);
        let found = follower.next(&*app.store, &app.horizon, &*app.clock, left);
        let found = found.await?;
        records.extend(found.records);
        has_more = found.has_more;
        steps += 1;
    }
    let cursor = follower.cursor();
    Ok(EventPage {
        records,
        cursor: match has_more {
            true => cursor,
            // Who returns begins before the events that may become visible late.
            false => FollowCursor::after(cursor.through()),
        },
        has_more,
    })
}
