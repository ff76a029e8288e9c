//! Pages of events: what the store filters, and what is filtered here.

use suno_callback::{EventId, EventRecord, ListRequest};

use super::super::app::App;
use super::super::problem::Problem;
use super::parameters::Parameters;

/// The maximum number of events that are looked at for one page, if few of them match.
const SCANNED_MAX: u32 = 5_000;
/// The maximum number of events that the store is asked for at a time.
const STEP: u32 = 500;

/// A page with its cursor: where the next page begins, now or later.
pub(super) struct EventPage {
    pub(super) records: Vec<EventRecord>,
    pub(super) cursor: Option<EventId>,
    pub(super) has_more: bool,
}

/// Reads a page. It may be short or empty although more follow.
pub(super) async fn page(app: &App, parameters: &Parameters) -> Result<EventPage, Problem> {
    let limit = parameters.limit as usize;
    let mut page = EventPage {
        records: Vec::new(),
        cursor: parameters.after,
        has_more: false,
    };
    if let Some(task) = &parameters.task {
        let found = app.store.find(task).await?;
        let mut matching = found
            .into_iter()
            .filter(|record| Some(record.id) > parameters.after)
            .filter(|record| parameters.contains_all(record));
        page.records = matching.by_ref().take(limit).collect();
        page.has_more = matching.next().is_some();
        page.cursor = page.records.last().map(|record| record.id).or(page.cursor);
        return Ok(page);
    }
    let step = match parameters.is_known_to_store() {
        true => parameters.limit,
        false => STEP,
    };
    let mut scanned = 0;
    while scanned < SCANNED_MAX {
        let mut request = ListRequest::first(step, parameters.filter.clone());
        request.after = page.cursor;
        let found = app.store.list(&request).await?;
        scanned += step;
        page.has_more = found.next.is_some();
        for record in found.records {
            if page.records.len() == limit {
                page.has_more = true;
                return Ok(page);
            }
            page.cursor = Some(record.id);
            if parameters.contains(&record) {
                page.records.push(record);
            }
        }
        page.cursor = page.cursor.max(found.next);
        if !page.has_more || page.records.len() == limit {
            break;
        }
    }
    Ok(page)
}
