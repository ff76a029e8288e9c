//! Tasks that only polling recovers are noticed: the callback URL may be wrong.

use std::sync::Arc;
use std::time::Duration;

use suno_callback::{ExpectedTask, IdempotencyStore, Inbox, MemoryStore, Reconciler};

use crate::asked::{Asked, succeeded};
use crate::logs::Logs;
use crate::scene::delivery;

const WARNING: &str = "no callback arrived for the last";

struct Desk {
    store: Arc<MemoryStore>,
    inbox: Inbox,
    provider: Asked,
    reconciler: Reconciler,
}

impl Desk {
    fn new() -> Self {
        let store = Arc::new(MemoryStore::new());
        let inbox = Inbox::start(store.clone());
        let provider = Asked::default();
        let reconciler = Reconciler::new(inbox.clone(), provider.clone());
        Self {
            store,
            inbox,
            provider,
            reconciler,
        }
    }

    /// Recovers tasks one after the other.
    async fn recover(&self, tasks: std::ops::Range<usize>) {
        for number in tasks {
            let task = format!("t{number}");
            self.provider.answer(&task, [succeeded(&task)]);
            let task = ExpectedTask::new(task.parse().unwrap(), Duration::ZERO);
            self.store.expect(&task).await.unwrap();
            let round = self.reconciler.round().await.unwrap();
            assert_eq!(round.recovered, 1);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn three_tasks_without_a_callback_are_reported_and_so_are_three_more() {
    let logs = Logs::collect();
    let desk = Desk::new();
    for (tasks, lines) in [(0..2, 0), (2..3, 1), (3..5, 1), (5..6, 2)] {
        desk.recover(tasks).await;
        assert_eq!(logs.lines("WARN", WARNING).len(), lines);
    }
    assert!(logs.lines("WARN", WARNING)[1].contains("the last 6 tasks"));
    assert_eq!(desk.reconciler.recovered(), 6);
}

#[tokio::test(start_paused = true)]
async fn an_accepted_callback_begins_a_new_row() {
    let logs = Logs::collect();
    let desk = Desk::new();
    desk.recover(0..2).await;
    desk.inbox.accept(delivery("other", "text")).await.unwrap();
    desk.recover(2..4).await;
    assert_eq!(logs.lines("WARN", WARNING).len(), 0);
    desk.recover(4..5).await;
    assert_eq!(logs.lines("WARN", WARNING).len(), 1);
    assert_eq!(desk.reconciler.recovered(), 5);
}
