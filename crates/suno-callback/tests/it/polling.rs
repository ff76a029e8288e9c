//! What people see of requests for a task's record: an entry in the history for each that said nothing
//! new, and none besides the delivery for one that did.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use suno_callback::history::{History, HistoryEntry, HistoryWriter, MemoryHistory};
use suno_callback::{
    BackgroundTask, Dispatcher, ExpectedTask, IdempotencyStore, Inbox, MemoryStore, Reconciler,
    handler_fn,
};
use suno_types::{TaskId, TaskStatus};

use crate::asked::{Answer, Asked, failed, pending, record, succeeded};
use crate::scene::{HandClock, TASK, delivery, pass};

/// A reconciler whose inbox writes a history.
struct Desk {
    store: Arc<MemoryStore>,
    inbox: Inbox,
    history: Arc<MemoryHistory>,
    writing: BackgroundTask,
    reconciler: Reconciler,
}

impl Desk {
    fn new(answers: impl IntoIterator<Item = Answer>) -> Self {
        let provider = Asked::default();
        provider.answer(TASK, answers);
        let store = Arc::new(MemoryStore::new());
        let history = Arc::new(MemoryHistory::new());
        let (writer, writing) = HistoryWriter::start_with_clock(history.clone(), HandClock::new());
        let inbox = Inbox::start_observed(store.clone(), Arc::new(writer.without_handlers()));
        Self {
            reconciler: Reconciler::new(inbox.clone(), provider),
            store,
            inbox,
            history,
            writing,
        }
    }

    async fn expect(&self) {
        let task = ExpectedTask::new(TaskId::new(TASK).unwrap(), Duration::ZERO);
        self.store.expect(&task).await.unwrap();
    }

    /// Asks once, after an hour.
    async fn ask(&self) {
        pass(3_600).await;
        self.reconciler.round().await.unwrap();
    }

    /// The entries: the kind, and what the detail says.
    async fn entries(self) -> Vec<(String, Value)> {
        drop((self.inbox, self.reconciler));
        self.writing.stop().await;
        let entries = self.history.of_task(&TaskId::new(TASK).unwrap()).await;
        entries.unwrap().iter().map(look).collect()
    }
}

fn look(entry: &HistoryEntry) -> (String, Value) {
    let mut detail: Value = serde_json::from_str(entry.detail()).unwrap();
    if entry.kind.as_str() == "delivery" {
        detail = json!([detail["accepted"], detail["source"]]);
    }
    (entry.kind.to_string(), detail)
}

fn poll(status: Option<&str>, outcome: &str, reason: Option<&str>) -> (String, Value) {
    let detail = json!({"status": status, "outcome": outcome, "reason": reason});
    ("poll".to_owned(), detail)
}

fn delivered(accepted: &str, source: &str) -> (String, Value) {
    ("delivery".to_owned(), json!([accepted, source]))
}

#[tokio::test(start_paused = true)]
async fn a_poll_that_found_nothing_new_is_an_entry_and_one_that_did_is_a_delivery() {
    let text = || record(TASK, TaskStatus::TEXT_SUCCESS, Some(12.5));
    let answers = [
        Answer::NotVisible,
        pending(TASK),
        Answer::CouldNot(None),
        text(),
        // Says the same again.
        text(),
        succeeded(TASK),
    ];
    let desk = Desk::new(answers);
    desk.expect().await;
    for _ in 0..6 {
        desk.ask().await;
    }
    let why = "the provider could not be asked about the task: no answer";
    let expected = [
        poll(None, "not_found", None),
        poll(Some("PENDING"), "unchanged", None),
        poll(None, "failed", Some(why)),
        delivered("new", "poll"),
        poll(Some("TEXT_SUCCESS"), "unchanged", None),
        delivered("new", "poll"),
    ];
    assert_eq!(desk.entries().await, expected);
}

#[tokio::test(start_paused = true)]
async fn a_contradiction_that_is_decided_and_a_task_that_is_given_up_are_entries() {
    let desk = Desk::new([failed(TASK, 501)]);
    desk.expect().await;
    for word in ["complete", "failed"] {
        desk.inbox.accept(delivery(TASK, word)).await.unwrap();
    }
    desk.ask().await;
    let entries = desk.entries().await;
    assert_eq!(
        entries[2..],
        [poll(Some("GENERATE_AUDIO_FAILED"), "decided", None)]
    );
    let desk = Desk::new([pending(TASK)]);
    desk.expect().await;
    for _ in 0..30 {
        desk.ask().await;
    }
    let last = desk.entries().await.pop();
    assert_eq!(last, Some(poll(Some("PENDING"), "given_up", None)));
}

#[tokio::test(start_paused = true)]
async fn a_task_that_is_asked_about_for_days_keeps_its_deliveries() {
    let desk = Desk::new([Answer::CouldNot(None)]);
    desk.expect().await;
    desk.inbox.accept(delivery(TASK, "text")).await.unwrap();
    for _ in 0..300 {
        desk.ask().await;
    }
    let entries = desk.entries().await;
    assert_eq!(entries[0], delivered("new", "callback"));
    let polls_max = suno_callback::history::POLLS_OF_TASK_MAX;
    assert_eq!(entries.len(), 1 + polls_max);
}

#[tokio::test(start_paused = true)]
async fn the_confirmation_of_an_event_is_an_entry_of_its_stage() {
    let answers = [
        Answer::NotVisible,
        Answer::CouldNot(None),
        pending(TASK),
        succeeded(TASK),
    ];
    let desk = Desk::new(answers);
    let handler = desk.reconciler.confirm(handler_fn(async |_| Ok(())));
    let dispatcher = Dispatcher::new(desk.inbox.clone(), handler).start();
    desk.inbox.accept(delivery(TASK, "complete")).await.unwrap();
    while desk.store.counts().await.unwrap().done == 0 {
        pass(300).await;
    }
    dispatcher.stop().await;
    let entries = desk.entries().await;
    let outcomes: Vec<_> = entries[1..].iter().map(|(_, it)| &it["outcome"]).collect();
    assert_eq!(outcomes[outcomes.len() - 2..], ["not_shown", "confirmed"]);
    assert!(outcomes.contains(&&json!("failed")), "{entries:?}");
    assert_eq!(entries[0], delivered("new", "callback"));
}
