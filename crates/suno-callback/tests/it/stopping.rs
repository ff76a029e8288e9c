//! A stop keeps what handlers have done, and ends in time whatever hangs.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use suno_callback::{Dispatcher, Event, IdempotencyStore, Inbox, Settlement, handler_fn};
use suno_testkit::wrapper::Fault;
use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::scene::{Meter, WatchedStore, delivery, pass};

/// The longest that a stop may take: the grace, the last settlements, and cancelling.
const STOP_MAX: Duration = Duration::from_secs(13);

async fn store_with(tasks: usize) -> Arc<WatchedStore> {
    let store = Arc::new(WatchedStore::default());
    let tasks = (0..tasks).map(|number| format!("task-{number}"));
    let deliveries: Vec<_> = tasks.map(|task| delivery(&task, "complete")).collect();
    store.accept(&deliveries).await.unwrap();
    store
}

#[tokio::test(start_paused = true)]
async fn handlers_that_end_just_before_the_deadline_of_a_stop_are_settled() {
    const HANDLERS: usize = 16;
    let store = store_with(HANDLERS).await;
    let next = AtomicU64::new(0);
    let handler = handler_fn(move |_| {
        // One by one, in the last milliseconds before the deadline and at the deadline.
        let left = Duration::from_millis(next.fetch_add(1, Ordering::SeqCst));
        async move {
            tokio::time::sleep(Dispatcher::STOP_GRACE - left).await;
            Ok(())
        }
    });
    let running = Dispatcher::new(Inbox::start(store.clone()), handler).start();
    tokio::task::yield_now().await;
    while store.memory().counts().await.unwrap().claimed < HANDLERS as u64 {
        tokio::task::yield_now().await;
    }
    // The store is slow, so that results wait while another request is under way.
    store
        .faults
        .set("claim", Fault::Takes(Duration::from_secs(1)));
    running.stop().await;
    let settled = store.settled.lock().unwrap().clone();
    assert_eq!(settled, [const { Settlement::Done }; HANDLERS]);
}

#[tokio::test(start_paused = true)]
async fn a_stop_ends_although_the_store_hangs() {
    let store = store_with(1).await;
    let handler = handler_fn(|_| async { Ok(()) });
    let hangs = store.clone();
    let handler = (
        handler_fn(move |_: Event| {
            hangs.faults.set("claim", Fault::HangsForEver);
            async { Ok(()) }
        }),
        handler,
    );
    let running = Dispatcher::new(Inbox::start(store.clone()), handler).start();
    pass(3).await;
    let stopped = Instant::now();
    running.stop().await;
    assert!(stopped.elapsed() <= STOP_MAX, "{:?}", stopped.elapsed());
    assert!(store.settled.lock().unwrap().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_stop_with_nothing_to_settle_does_not_wait_for_a_store_that_is_away() {
    let store = store_with(0).await;
    store.faults.set_all(Fault::FAILS);
    let handler = handler_fn(|_| async { Ok(()) });
    let running = Dispatcher::new(Inbox::start(store), handler).start();
    pass(5).await;
    let stopped = Instant::now();
    running.stop().await;
    assert_eq!(stopped.elapsed(), Duration::ZERO);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn a_stop_ends_although_a_handler_blocks_its_thread_and_the_others_are_released() {
    let store = store_with(3).await;
    let (release, blocked) = std::sync::mpsc::channel::<()>();
    let blocked = std::sync::Mutex::new(blocked);
    let (began, mut begun) = mpsc::unbounded_channel();
    let handler = handler_fn(move |event: Event| {
        let _ = began.send(());
        if event.task_id().as_str() == "task-0" {
            let _ = blocked.lock().unwrap().recv();
        }
        std::future::pending()
    });
    let dispatcher = Dispatcher::new(Inbox::start(store.clone()), handler);
    let running = dispatcher
        .with_stop_grace(Duration::from_millis(100))
        .start();
    for _ in 0..3 {
        begun.recv().await.unwrap();
    }
    let stopped = tokio::time::timeout(STOP_MAX, running.stop()).await;
    let settled = store.settled.lock().unwrap().clone();
    let counts = store.counts().await.unwrap();
    drop(release);
    assert!(stopped.is_ok(), "it waited for the handler");
    assert_eq!(settled, [const { Settlement::Release }; 2]);
    // The event of the handler that goes on is claimed until its lease ends.
    assert_eq!((counts.claimed, counts.ready), (1, 2));
}

#[tokio::test(start_paused = true)]
async fn no_handler_begins_during_a_stop_although_a_lost_answer_granted_a_claim() {
    let (store, meter) = (store_with(0).await, Meter::default());
    let inbox = Inbox::start(store.clone());
    let running = Dispatcher::new(inbox.clone(), meter.handler(Duration::from_secs(2))).start();
    inbox.accept(delivery("busy", "complete")).await.unwrap();
    pass(1).await;
    store.faults.set("claim", Fault::LosesAnswer);
    inbox.accept(delivery("granted", "complete")).await.unwrap();
    tokio::time::sleep(Duration::from_millis(100)).await;
    store.faults.set("claim", Fault::FAILS);
    let stopping = tokio::spawn(running.stop());
    tokio::time::sleep(Duration::from_millis(100)).await;
    store.faults.mend();
    stopping.await.unwrap();
    assert_eq!(meter.begun(), ["busy/complete"]);
    let settled = store.settled.lock().unwrap().clone();
    assert_eq!(settled, [Settlement::Done, Settlement::Release]);
}
