//! Operations for people after something went wrong: searching, redriving and requeuing, and moving to
//! another store, in small steps that leave the store usable for others.

mod search;
mod story;
mod transfer;

use std::time::Duration;

use crate::delivery::Delivery;
use crate::key::EventId;
use crate::store::{Acceptance, IdempotencyStore, Redrive, RedriveResult, StoreError};

pub use search::{Search, find_event};
pub use story::Story;
pub use transfer::{
    ExportCursor, ExportLine, ImportError, ImportReport, Importer, InvalidCursor, export_page,
};

/// The number of events or entries in one step.
const STEP: u32 = 256;

/// The outcome of redriving the events of a search.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct RedriveReport {
    /// Events that are ready again.
    pub ready: u64,
    /// Events that were not settled: they are handled anyway.
    pub not_settled: u64,
    /// Events left unchanged, because a later stage of their task is done.
    pub superseded: u64,
    /// Events without a body, or purged in the meantime.
    pub gone: u64,
}

/// How events are redriven.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct RedriveOptions {
    /// The settled events that are included.
    pub redrive: Redrive,
    /// The maximum number of events to redrive in a second, so that their handlers are not flooded;
    /// `None` for no limit.
    pub events_per_second: Option<u32>,
    /// Stop before the first event whose number is greater. Events that arrive during a long redrive are
    /// not part of it.
    pub through: Option<EventId>,
}

impl RedriveOptions {
    /// Includes these settled events.
    #[must_use]
    pub fn new(redrive: Redrive) -> Self {
        Self {
            redrive,
            ..Self::default()
        }
    }

    /// Sets the maximum number of events in a second.
    #[must_use]
    pub fn with_events_per_second(mut self, events_per_second: Option<u32>) -> Self {
        self.events_per_second = events_per_second.map(|events| events.max(1));
        self
    }
}

/// Makes all settled events that match a search ready again, such as the dead letters of one day, and
/// tells `redriven` the result of each.
///
/// Each event is checked again when it is redriven, so that changes by others in the meantime are
/// respected.
///
/// # Errors
///
/// Returns [`StoreError`] if the store failed; some events may be redriven. Repeating the call
/// redrives the rest.
pub async fn redrive_where(
    store: &dyn IdempotencyStore,
    search: &Search,
    options: RedriveOptions,
    mut redriven: impl FnMut(&crate::store::EventRecord, RedriveResult),
) -> Result<RedriveReport, StoreError> {
    let mut report = RedriveReport::default();
    let mut after = None;
    let step = options.events_per_second.unwrap_or(STEP).min(STEP);
    loop {
        let page = search.page(store, after, step).await?;
        let is_included = |id: EventId| options.through.is_none_or(|through| id <= through);
        let records = page.records.iter().filter(|record| is_included(record.id));
        let records: Vec<_> = records.collect();
        let events: Vec<_> = records.iter().map(|record| record.id).collect();
        if !events.is_empty() {
            let results = store.redrive(&events, options.redrive).await?;
            for (record, result) in records.iter().zip(results) {
                *report.count(result) += 1;
                redriven(record, result);
            }
        }
        after = page.next.filter(|next| is_included(*next));
        if after.is_none() {
            return Ok(report);
        }
        if let Some(per_second) = options.events_per_second {
            let events = u32::try_from(events.len()).unwrap_or(u32::MAX);
            tokio::time::sleep(Duration::from_secs(1) * events / per_second).await;
        }
    }
}

impl RedriveReport {
    fn count(&mut self, redriven: RedriveResult) -> &mut u64 {
        match redriven {
            RedriveResult::Ready => &mut self.ready,
            RedriveResult::NotSettled => &mut self.not_settled,
            RedriveResult::Superseded => &mut self.superseded,
            RedriveResult::Gone => &mut self.gone,
        }
    }
}

/// The outcome of requeuing the quarantine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct RequeueReport {
    /// Deliveries that can be decoded now, and were accepted.
    pub accepted: u64,
    /// Deliveries that are still in quarantine.
    pub kept: u64,
}

/// Decodes the whole quarantine again and accepts what this version can decode. Use it after an
/// upgrade, or when old events of a task were purged. With `must_confirm`, the accepted events are
/// unconfirmed.
///
/// # Errors
///
/// Returns [`StoreError`] if the store failed; some entries may be requeued. Repeating the call
/// requeues the rest.
pub async fn requeue_quarantine(
    store: &dyn IdempotencyStore,
    must_confirm: bool,
) -> Result<RequeueReport, StoreError> {
    let mut report = RequeueReport::default();
    // Entries that stay in quarantine get a new number, so the loop must not look at them twice.
    let (mut after, mut left) = (None, store.counts().await?.quarantined);
    while left > 0 {
        let page = store.quarantine(after, STEP).await?;
        for entry in &page.records {
            left = left.saturating_sub(1);
            let accepted = match Delivery::from_quarantine(entry) {
                Some(delivery) => {
                    let delivery = delivery.with_unconfirmed(must_confirm);
                    store.requeue(entry.id, &delivery).await?
                }
                None => Some(Acceptance::Quarantined),
            };
            match accepted {
                Some(Acceptance::Quarantined | Acceptance::Dropped) => report.kept += 1,
                Some(_) => report.accepted += 1,
                None => {}
            }
        }
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    Ok(report)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::store::{
        ClaimRequest, DeadCause, EventFilter, MemoryStore, Settlement, StateName, WorkerId, bounds,
    };

    fn delivery(task: &str, word: &str) -> Delivery {
        raw(format!(
            r#"{{"code":200,"data":{{"callbackType":"{word}","task_id":"{task}","data":[]}}}}"#
        ))
    }

    fn raw(body: String) -> Delivery {
        Delivery::decode(body.into(), jiff::Timestamp::UNIX_EPOCH)
    }

    /// Claims every event and makes it a dead letter.
    async fn bury_all(store: &MemoryStore) {
        let claim = ClaimRequest::new(WorkerId(1), 1, Duration::from_secs(60), 10_000);
        let claims = store.claim(&claim).await.unwrap().claims;
        let dead = Settlement::Dead {
            cause: DeadCause::GivenUp,
            reason: "why".to_owned(),
        };
        let settlements = claims.iter().map(|claim| (claim.ticket, dead.clone()));
        let settle = ClaimRequest::new(WorkerId(1), 2, Duration::from_secs(60), 0)
            .with_settlements(settlements.collect());
        store.claim(&settle).await.unwrap();
    }

    #[tokio::test]
    async fn dead_letters_are_redriven_by_a_filter_through_any_number_of_pages() {
        let store = MemoryStore::new();
        let deliveries: Vec<_> = (0..2 * STEP + 7)
            .map(|number| delivery(&format!("t{number}"), "complete"))
            .collect();
        store.accept(&deliveries).await.unwrap();
        bury_all(&store).await;
        store.accept(&[delivery("other", "text")]).await.unwrap();
        let dead = EventFilter::in_state(StateName::Dead);
        let (mut told, search) = (0, Search::new(dead));
        let report = redrive_where(&store, &search, RedriveOptions::default(), |_, _| told += 1);
        let report = report.await.unwrap();
        assert_eq!(told, report.ready);
        assert_eq!(report.ready, u64::from(2 * STEP + 7));
        let counts = store.counts().await.unwrap();
        assert_eq!((counts.dead, counts.ready), (0, report.ready + 1));
    }

    #[tokio::test(start_paused = true)]
    async fn no_more_are_redriven_in_a_second_than_was_said() {
        let store = MemoryStore::new();
        let deliveries: Vec<_> = (0..25)
            .map(|number| delivery(&format!("t{number}"), "complete"))
            .collect();
        store.accept(&deliveries).await.unwrap();
        bury_all(&store).await;
        let dead = Search::new(EventFilter::in_state(StateName::Dead));
        let options = RedriveOptions::default().with_events_per_second(Some(10));
        let start = tokio::time::Instant::now();
        let mut times = Vec::new();
        let report = redrive_where(&store, &dead, options, |_, _| {
            times.push(start.elapsed().as_secs());
        });
        assert_eq!(report.await.unwrap().ready, 25);
        for second in 0..3 {
            let in_second = times.iter().filter(|time| **time == second).count();
            assert_eq!(in_second, if second == 2 { 5 } else { 10 });
        }
    }

    #[tokio::test]
    async fn a_search_finds_what_matches_every_condition() {
        let store = MemoryStore::new();
        let deliveries: Vec<_> = (0..3_000)
            .map(|number| delivery(&format!("t{number}"), "complete"))
            .collect();
        store.accept(&deliveries).await.unwrap();
        store.accept(&[delivery("t7", "text")]).await.unwrap();
        let found = async |search: &Search| {
            let (mut found, mut after) = (Vec::new(), None);
            loop {
                let page = search.page(&store, after, 10).await.unwrap();
                assert!(page.records.len() <= 10);
                found.extend(page.records.iter().map(|event| event.key.to_string()));
                after = page.next;
                if after.is_none() {
                    return found;
                }
            }
        };
        let task = Search::default().with_task(Some(suno_types::TaskId::new("t7").unwrap()));
        assert_eq!(found(&task).await, ["t7/complete", "t7/text"]);
        let text = EventFilter::default().with_stage("text".into());
        let late = Search::new(text).with_code(Some(suno_types::Code(200)));
        assert_eq!(found(&late).await, ["t7/text"]);
        let none = Search::default().with_product(Some("lyrics".into()));
        assert!(found(&none).await.is_empty());
        let all = Search::default().with_product(Some(suno_types::Product::SONG));
        assert_eq!(found(&all).await.len(), 3_001);
        let id = EventId(3);
        let event = find_event(&store, id).await.unwrap().unwrap();
        assert_eq!((event.id, event.raw.is_some()), (id, true));
        assert!(find_event(&store, EventId(9_999)).await.unwrap().is_none());
    }

    #[tokio::test]
    async fn what_is_understood_now_leaves_the_quarantine_and_the_rest_is_looked_at_once() {
        let store = MemoryStore::new();
        for number in 0..=bounds::UNRANKED_EVENTS_MAX {
            store
                .accept(&[delivery("t", &format!("w{number}"))])
                .await
                .unwrap();
        }
        store.accept(&[raw("{".to_owned())]).await.unwrap();
        let report = requeue_quarantine(&store, false).await.unwrap();
        assert_eq!(
            report,
            RequeueReport {
                accepted: 0,
                kept: 2
            }
        );
        let one = store.quarantine(None, 10).await.unwrap().records;
        assert_eq!(one.len(), 2);
    }
}
