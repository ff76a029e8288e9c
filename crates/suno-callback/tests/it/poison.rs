//! An event whose handling ends the process buries nobody but itself.

use std::sync::Arc;
use std::time::Duration;

use suno_callback::bounds::LAPSES_SUSPECT;
use suno_callback::conformance::ManualClock;
use suno_callback::{
    CallbackHandler, ClaimRequest, DeadCause, DeadLetter, Dispatcher, Event, HandlerError,
    IdempotencyStore, Inbox, MemoryStore, WorkerId, async_trait,
};
use tokio::sync::mpsc;

use crate::scene::{Meter, delivery, pass};

/// A handler that ends the process at one task, and takes a second for any other.
struct Deadly {
    ends_process: mpsc::UnboundedSender<()>,
    told: mpsc::UnboundedSender<DeadLetter>,
}

#[async_trait]
impl CallbackHandler for Deadly {
    async fn on_complete(&self, event: &Event) -> Result<(), HandlerError> {
        if event.task_id().as_str() == "task-7" {
            self.ends_process.send(())?;
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
        Ok(())
    }

    async fn on_failed(&self, _: &Event) -> Result<(), HandlerError> {
        Ok(())
    }

    async fn on_dead_letter(&self, letter: &DeadLetter) {
        let _ = self.told.send(letter.clone());
    }
}

/// Lets a process live until it has handled everything, or is ended. True if it was ended.
fn live(store: &Arc<MemoryStore>, told: &mpsc::UnboundedSender<DeadLetter>) -> bool {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    runtime.block_on(async {
        let (ends_process, mut ended) = mpsc::unbounded_channel();
        let handler = Deadly {
            ends_process,
            told: told.clone(),
        };
        let running = Dispatcher::new(Inbox::start(store.clone()), handler).start();
        let is_ended = tokio::time::timeout(Duration::from_secs(3_600), ended.recv()).await;
        if is_ended.is_err() {
            running.stop().await;
        }
        is_ended.is_ok()
    })
}

#[test]
fn an_event_that_ends_the_process_becomes_a_dead_letter_and_all_others_are_handled() {
    let clock = ManualClock::new();
    let store = Arc::new(MemoryStore::with_clock(clock.clone()));
    let (tell, mut told) = mpsc::unbounded_channel();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let tasks: Vec<_> = (0..40).map(|number| format!("task-{number}")).collect();
    let deliveries: Vec<_> = tasks
        .iter()
        .map(|task| delivery(task, "complete"))
        .collect();
    runtime.block_on(store.accept(&deliveries)).unwrap();
    let mut deaths = 0;
    while live(&store, &tell) {
        deaths += 1;
        assert!(deaths <= Dispatcher::LAPSES_MAX, "it is handled for ever");
        clock.pass(Dispatcher::LEASE);
    }
    assert_eq!(deaths, Dispatcher::LAPSES_MAX);
    let counts = runtime.block_on(store.counts()).unwrap();
    assert_eq!((counts.done, counts.dead), (39, 1), "{counts:?}");
    let poison = runtime
        .block_on(store.find(&"task-7".parse().unwrap()))
        .unwrap();
    assert_eq!(poison[0].dead_cause, Some(DeadCause::Lapsed));
    let letter = told.try_recv().unwrap();
    assert_eq!(
        (letter.cause, letter.key.task_id().as_str()),
        (DeadCause::Lapsed, "task-7")
    );
    assert!(told.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_suspected_event_is_handled_while_nothing_else_is() {
    let (store, meter) = (Arc::new(MemoryStore::new()), Meter::default());
    let suspected = delivery("suspected", "complete");
    store.accept(&[suspected]).await.unwrap();
    for number in 1..=LAPSES_SUSPECT {
        pass(61).await;
        let request = ClaimRequest::new(WorkerId(9), number.into(), Dispatcher::LEASE, 1);
        let claims = store.claim(&request).await.unwrap().claims;
        assert_eq!(claims.len(), 1);
    }
    let inbox = Inbox::start(store.clone());
    inbox.accept(delivery("slow", "complete")).await.unwrap();
    let handler = meter.handler(Duration::from_secs(100));
    let running = Dispatcher::new(inbox.clone(), handler).start();
    // The last lease ends after 60 s: then the event waits until the slow handler has ended.
    pass(99).await;
    assert_eq!(meter.begun(), ["slow/complete"]);
    pass(2).await;
    assert_eq!(meter.begun(), ["slow/complete", "suspected/complete"]);
    // Nothing is claimed beside it.
    inbox.accept(delivery("other", "complete")).await.unwrap();
    pass(98).await;
    assert_eq!((meter.begun().len(), meter.running()), (2, 1));
    pass(2).await;
    assert_eq!(meter.begun().len(), 3);
    running.stop().await;
}
