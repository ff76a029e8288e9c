//! A handler runs only while its claim certainly holds, so that no event is handled twice at the same
//! time: whatever clocks, runtimes and stores do.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use suno_callback::{
    BackgroundTask, Clock, Dispatcher, Event, IdempotencyStore, Inbox, MemoryStore, SettleResult,
    SystemClock, handler_fn,
};
use suno_testkit::wrapper::Fault;
use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::scene::{HandClock, Meter, Watched, delivery, pass};

async fn accept(store: &MemoryStore, tasks: &[&str]) {
    for task in tasks {
        let accepted = store.accept(&[delivery(task, "complete")]).await;
        accepted.unwrap();
    }
}

fn start(store: Arc<dyn IdempotencyStore>, meter: &Meter, seconds: u64) -> BackgroundTask {
    let handler = meter.handler(Duration::from_secs(seconds));
    Dispatcher::new(Inbox::start(store), handler).start()
}

#[tokio::test(start_paused = true)]
async fn a_step_of_the_system_clock_has_no_event_handled_twice() {
    let (clock, meter) = (HandClock::new(), Meter::default());
    let store = Arc::new(MemoryStore::with_clock(clock.clone()));
    accept(&store, &["slow"]).await;
    let running = start(store.clone(), &meter, 30);
    for step in [61, 86_400, -86_400, -3_600] {
        pass(5).await;
        clock.advance(step);
        accept(&store, &[&format!("quick{step}")]).await;
    }
    pass(20).await;
    running.stop().await;
    assert_eq!(meter.begun().len(), 5, "{:?}", meter.begun());
    assert_eq!(store.counts().await.unwrap().done, 5);
}

#[tokio::test(start_paused = true)]
async fn a_process_that_stands_still_for_longer_than_a_lease_has_no_event_handled_twice_at_once() {
    let (store, meter) = (Arc::new(MemoryStore::new()), Meter::default());
    accept(&store, &["slow-a", "slow-b"]).await;
    let running = start(store.clone(), &meter, 200);
    pass(1).await;
    for _ in 0..3 {
        // No task takes a step meanwhile, and then all timers have run out.
        tokio::time::advance(Dispatcher::LEASE + Duration::from_secs(5)).await;
        accept(&store, &["quick"]).await;
        pass(7).await;
    }
    pass(500).await;
    running.stop().await;
    assert_eq!(meter.at_once_max(), 1);
    assert_eq!(store.counts().await.unwrap().done, 3);
}

/// Runs ten times as fast as the clock of the worker: so leases end early for the store.
#[derive(Debug)]
struct FastClock;

impl Clock for FastClock {
    fn now(&self) -> Timestamp {
        SystemClock.now()
    }

    fn monotonic(&self) -> Duration {
        SystemClock.monotonic() * 10
    }
}

#[tokio::test(start_paused = true)]
async fn an_event_that_is_claimed_again_while_its_handler_runs_gets_no_second_handler() {
    let (memory, meter) = (
        Arc::new(MemoryStore::with_clock(FastClock)),
        Meter::default(),
    );
    let store = Arc::new(Watched::of(memory.clone()));
    accept(&memory, &["slow"]).await;
    let running = start(store.clone(), &meter, 15);
    pass(7).await;
    // The lease has ended for the store: this claim is granted the slow event as well.
    accept(&memory, &["quick"]).await;
    pass(10).await;
    running.stop().await;
    assert_eq!(meter.begun(), ["slow/complete", "quick/complete"]);
    // The new ticket has settled it.
    assert_eq!(*store.answers.lock().unwrap(), [SettleResult::Settled; 2]);
    assert_eq!(memory.counts().await.unwrap().done, 2);
}

#[tokio::test(start_paused = true)]
async fn a_handler_is_cancelled_when_its_lease_ends_and_another_process_takes_over() {
    let (memory, meter) = (Arc::new(MemoryStore::new()), Meter::default());
    let cut_off = Arc::new(Watched::of(memory.clone()));
    accept(&memory, &["slow"]).await;
    let one = start(cut_off.clone(), &meter, 300);
    pass(1).await;
    cut_off.faults.set_all(Fault::FAILS);
    let other = start(memory.clone(), &meter, 300);
    pass(Dispatcher::LEASE.as_secs() + 1).await;
    assert_eq!(meter.begun(), ["slow/complete"; 2]);
    assert_eq!((meter.at_once_max(), meter.running()), (1, 1));
    pass(300).await;
    assert_eq!(meter.begun().len(), 2);
    one.stop().await;
    other.stop().await;
    assert_eq!(memory.counts().await.unwrap().done, 1);
}

#[tokio::test(start_paused = true)]
async fn a_store_that_is_away_for_longer_than_a_lease_has_no_event_handled_twice_at_once() {
    let (memory, meter) = (Arc::new(MemoryStore::new()), Meter::default());
    let store = Arc::new(Watched::of(memory.clone()));
    let tasks: Vec<String> = (0..10).map(|number| format!("slow-{number}")).collect();
    let tasks: Vec<&str> = tasks.iter().map(String::as_str).collect();
    accept(&memory, &tasks).await;
    let running = start(store.clone(), &meter, 180);
    for fault in [Fault::FAILS, Fault::Hangs, Fault::HangsForEver] {
        pass(2).await;
        store.faults.set_all(fault);
        pass(65).await;
        assert_eq!(meter.running(), 0, "the leases have ended");
        store.faults.mend();
        pass(20).await;
        assert_eq!((meter.at_once_max(), meter.running()), (1, 10));
    }
    pass(200).await;
    running.stop().await;
    assert_eq!(memory.counts().await.unwrap().done, 10);
}

#[tokio::test(start_paused = true)]
async fn a_store_that_answers_nothing_for_less_than_half_a_lease_ends_no_handler() {
    for from in 1..60 {
        let (memory, meter) = (Arc::new(MemoryStore::new()), Meter::default());
        let store = Arc::new(Watched::of(memory.clone()));
        accept(&memory, &["slow"]).await;
        let running = start(store.clone(), &meter, 200);
        pass(from).await;
        store.faults.set_all(Fault::HangsForEver);
        pass(Dispatcher::LEASE.as_secs() / 2 - 2).await;
        store.faults.mend();
        pass(250).await;
        assert_eq!(meter.begun(), ["slow/complete"], "away from {from} s on");
        running.stop().await;
    }
}

#[tokio::test(start_paused = true)]
async fn claims_are_extended_while_the_store_does_not_answer_a_request_to_claim() {
    let (memory, meter) = (Arc::new(MemoryStore::new()), Meter::default());
    let store = Arc::new(Watched::of(memory.clone()));
    accept(&memory, &["slow"]).await;
    let running = start(store.clone(), &meter, 300);
    pass(1).await;
    store.faults.set("claim", Fault::HangsForEver);
    accept(&memory, &["quick"]).await;
    pass(290).await;
    let other = start(memory.clone(), &meter, 300);
    pass(100).await;
    assert_eq!(meter.begun(), ["slow/complete", "quick/complete"]);
    store.faults.mend();
    pass(20).await;
    running.stop().await;
    other.stop().await;
    assert_eq!(memory.counts().await.unwrap().done, 2);
}

/// Waits until something is so, in real time.
async fn until(is_so: impl AsyncFn() -> bool) {
    let becomes_so = async {
        while !is_so().await {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    let patience = Duration::from_secs(30);
    tokio::time::timeout(patience, becomes_so).await.unwrap();
}

/// A handler that blocks its thread cannot be cancelled. Its task waits for it all the same.
#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn a_later_stage_waits_for_a_handler_that_goes_on_after_its_lease() {
    let memory = Arc::new(MemoryStore::new());
    let cut_off = Arc::new(Watched::of(memory.clone()));
    let (release, blocked) = std::sync::mpsc::channel::<()>();
    let blocked = std::sync::Mutex::new(blocked);
    let (began, mut begun) = mpsc::unbounded_channel();
    let handler = handler_fn(move |event: Event| {
        let _ = began.send((event.stage().to_string(), Instant::now()));
        if event.stage().as_str() == "text" {
            let _ = blocked.lock().unwrap().recv();
        }
        async { Ok(()) }
    });
    let short = |dispatcher: Dispatcher| dispatcher.with_lease(Dispatcher::LEASE_MIN).start();
    memory.accept(&[delivery("a", "text")]).await.unwrap();
    let one = short(Dispatcher::new(Inbox::start(cut_off.clone()), handler));
    assert_eq!(begun.recv().await.unwrap().0, "text");
    cut_off.faults.set_all(Fault::FAILS);
    let other = short(Dispatcher::new(
        Inbox::start(memory.clone()),
        handler_fn(|_| async { Ok(()) }),
    ));
    let done = async || memory.counts().await.unwrap().done;
    until(async || done().await == 1).await;
    other.stop().await;
    cut_off.faults.mend();
    memory.accept(&[delivery("a", "complete")]).await.unwrap();
    // It is claimed, and claimed again when its lease ends, but it does not begin.
    cut_off.faults.set("extend", Fault::FAILS);
    let task_id = "a".parse().unwrap();
    until(async || {
        let found = memory.find(&task_id).await.unwrap();
        found.len() == 2 && found[1].attempts == 2
    })
    .await;
    cut_off.faults.mend();
    let extended = cut_off.faults.times("extend") + 2;
    until(async || cut_off.faults.times("extend") >= extended).await;
    assert!(begun.is_empty(), "{begun:?}");
    drop(release);
    assert_eq!(begun.recv().await.unwrap().0, "complete");
    until(async || done().await == 2).await;
    one.stop().await;
    assert!(begun.is_empty(), "{begun:?}");
}
