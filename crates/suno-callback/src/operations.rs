//! Operations for people after something went wrong: redriving and requeuing in bulk, in small
//! steps that leave the store usable for others.

use crate::delivery::Delivery;
use crate::store::{
    Acceptance, EventFilter, IdempotencyStore, ListRequest, Redrive, RedriveResult, StoreError,
};

/// The number of events or entries in one step.
const STEP: u32 = 256;

/// The outcome of redriving the events of a filter.
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

/// Makes all settled events that match `filter` ready again, such as the dead letters of one day.
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
    filter: EventFilter,
    redrive: Redrive,
) -> Result<RedriveReport, StoreError> {
    let mut report = RedriveReport::default();
    let mut request = ListRequest::first(STEP, filter);
    loop {
        let page = store.list(&request).await?;
        let events: Vec<_> = page.records.iter().map(|record| record.id).collect();
        for redriven in store.redrive(&events, redrive).await? {
            *report.count(redriven) += 1;
        }
        match page.next {
            Some(next) => request = request.with_after(next),
            None => return Ok(report),
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
        ClaimRequest, DeadCause, MemoryStore, Settlement, StateName, WorkerId, bounds,
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
        let report = redrive_where(&store, dead, Redrive::Current).await.unwrap();
        assert_eq!(report.ready, u64::from(2 * STEP + 7));
        let counts = store.counts().await.unwrap();
        assert_eq!((counts.dead, counts.ready), (0, report.ready + 1));
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
