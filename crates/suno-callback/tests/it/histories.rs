//! The writer of a history: what a pipeline tells it, and that nothing waits for it.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use suno_callback::history::{History, HistoryEntry, HistoryKind, HistoryWriter, MemoryHistory};
use suno_callback::{
    Acceptance, Event, HandlerError, MemoryStore, Observer, Pipeline, StoreError, StoreErrorKind,
    Verification, handler_fn,
};
use suno_types::TaskId;
use tokio::sync::Semaphore;

use crate::scene::{HandClock, KEY, TASK, body, delivery, signed};

fn task() -> TaskId {
    TaskId::new(TASK).unwrap()
}

fn words(entries: &[HistoryEntry]) -> Vec<&str> {
    entries.iter().map(|entry| entry.kind.as_str()).collect()
}

/// Receives a stage of a task whose handler gives it up, and returns the history of that.
async fn given_up(set: fn(HistoryWriter) -> HistoryWriter) -> Vec<HistoryEntry> {
    let history = Arc::new(MemoryHistory::new());
    let (writer, writing) = HistoryWriter::start_with_clock(history.clone(), HandClock::new());
    let give_up = handler_fn(async |_: Event| Err(HandlerError::give_up("no such order")));
    let verification = Verification::webhook_key(KEY);
    let pipeline = Pipeline::builder(Arc::new(MemoryStore::new()), give_up, verification)
        .receiver(|receiver| receiver.with_clock(HandClock::new()))
        .with_observer(set(writer))
        .start()
        .unwrap();
    let request = signed(TASK, &body(TASK, "complete"));
    assert_eq!(pipeline.receiver().receive(request).await.status(), 200);
    while pipeline.store().counts().await.unwrap().dead == 0 {
        tokio::task::yield_now().await;
    }
    pipeline.stop().await;
    writing.stop().await;
    history.of_task(&task()).await.unwrap()
}

#[tokio::test]
async fn a_delivery_a_handler_and_a_dead_letter_are_entries() {
    let entries = given_up(|writer| writer).await;
    let mut kinds = words(&entries);
    assert_eq!(kinds[0], "delivery");
    // The report of a handler and that of its dead letter come in either order.
    kinds.sort_unstable();
    assert_eq!(kinds, ["dead_letter", "delivery", "handled"]);
    assert!(
        entries
            .iter()
            .all(|entry| entry.stage.as_ref().unwrap().as_str() == "complete")
    );
    let detail = |word: &str| {
        let entry = entries.iter().find(|entry| entry.kind.as_str() == word);
        entry.unwrap().detail()
    };
    assert!(detail("delivery").contains(r#""accepted":"new""#));
    assert!(detail("delivery").contains(r#""verified_by":["signature"]"#));
    assert!(detail("handled").contains(r#""outcome":"dead""#));
    assert!(detail("dead_letter").contains("no such order"));
}

#[tokio::test]
async fn a_gateway_notes_its_attempts_itself() {
    let entries = given_up(HistoryWriter::without_handlers).await;
    assert_eq!(words(&entries), ["delivery", "dead_letter"]);
}

/// Never records anything, or fails.
#[derive(Debug)]
struct Stuck {
    open: Semaphore,
}

#[async_trait]
impl History for Stuck {
    async fn record(&self, _: &[HistoryEntry]) -> Result<(), StoreError> {
        drop(self.open.acquire().await);
        Err(StoreError::new(StoreErrorKind::Full))
    }

    async fn of_task(&self, _: &TaskId) -> Result<Vec<HistoryEntry>, StoreError> {
        Ok(Vec::new())
    }

    async fn purge(&self, _: Timestamp) -> Result<u64, StoreError> {
        Ok(0)
    }
}

#[tokio::test(start_paused = true)]
async fn a_history_that_hangs_delays_nothing_and_what_it_misses_is_counted() {
    let stuck = Arc::new(Stuck {
        open: Semaphore::new(0),
    });
    let (writer, writing) = HistoryWriter::start(stuck.clone());
    let sent = delivery(TASK, "text");
    for _ in 0..HistoryWriter::WAITING_MAX + 10 {
        writer.on_delivery(&sent, Acceptance::Duplicate);
    }
    assert_eq!(writer.dropped(), 10);
    // Each batch is given up after its time.
    tokio::time::sleep(HistoryWriter::RECORD_TIMEOUT + Duration::from_secs(1)).await;
    assert_eq!(writer.dropped(), 10 + HistoryWriter::BATCH_MAX as u64);
    stuck.open.add_permits(1_000);
    let task_id = task();
    let entry = HistoryEntry::new(task_id, HistoryKind::REPLAY, Timestamp::UNIX_EPOCH);
    writing.stop().await;
    writer.note(entry);
    assert!(writer.dropped() > 10 + HistoryWriter::BATCH_MAX as u64);
}
