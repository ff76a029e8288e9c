//! An answer of the store that is lost costs neither an attempt nor a lease.

use std::sync::Arc;
use std::time::Duration;

use suno_callback::{
    ClaimRequest, Dispatcher, Event, HandlerError, IdempotencyStore, SettleResult, Settlement,
    WorkerId, handler_fn,
};
use suno_testkit::wrapper::Fault;
use tokio::sync::{Notify, mpsc};

use crate::dispatching::Stage;
use crate::logs::Logs;
use crate::scene::{TASK, pass};

#[tokio::test(start_paused = true)]
async fn claims_whose_answer_was_lost_are_asked_for_again_by_the_same_number() {
    let stage = Stage::new();
    let (dispatcher, mut told) = stage.dispatcher(|_| Ok(()));
    let running = dispatcher.start();
    pass(1).await;
    stage.store.faults.set("claim", Fault::LosesAnswer);
    stage.receive(TASK, "complete").await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert!(told.is_empty());
    stage.store.faults.mend();
    pass(1).await;
    // At the first attempt, and long before the lease has ended.
    assert_eq!(told.try_recv().unwrap().1, 1);
    running.stop().await;
    let numbers = stage.store.numbers.lock().unwrap().clone();
    assert_eq!(numbers[..3], [1, 2, 2]);
    assert_eq!(stage.settled(), [Settlement::Done]);
}

#[tokio::test(start_paused = true)]
async fn a_settlement_whose_answer_was_lost_is_known_to_be_recorded() {
    let logs = Logs::collect();
    let stage = Stage::new();
    let store = stage.store.clone();
    let (dispatcher, mut told) = stage.dispatcher(move |_| {
        // The next request settles.
        store.faults.set("claim", Fault::LosesAnswer);
        Ok(())
    });
    let running = dispatcher.start();
    stage.receive(TASK, "complete").await;
    assert_eq!(told.recv().await.unwrap().1, 1);
    tokio::time::sleep(Duration::from_millis(500)).await;
    stage.store.faults.mend();
    pass(2 * Dispatcher::LEASE.as_secs()).await;
    assert!(told.is_empty(), "it was handled again: {told:?}");
    running.stop().await;
    let answers = stage.store.answers.lock().unwrap().clone();
    assert_eq!(
        answers,
        [SettleResult::Settled, SettleResult::AlreadySettled]
    );
    assert_eq!(logs.lines("WARN", "settled too late"), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn claims_whose_answer_was_lost_are_taken_up_although_a_settlement_is_refused() {
    let stage = Stage::new();
    let gate = Arc::new(Notify::new());
    let (tell, mut told) = mpsc::unbounded_channel();
    let opened = gate.clone();
    let handler = handler_fn(move |event: Event| {
        let _ = tell.send((event.task_id().to_string(), event.attempt()));
        let gate = opened.clone();
        async move {
            match event.task_id().as_str() {
                "third" => return Ok(()),
                _ => gate.notified().await,
            }
            match event.task_id().as_str() {
                "bad" => Err(HandlerError::give_up("poison")),
                _ => Ok(()),
            }
        }
    });
    *stage.store.poison.lock().unwrap() = Some("poison");
    let running = Dispatcher::new(stage.inbox.clone(), handler).start();
    stage.receive("bad", "complete").await;
    stage.receive("good", "complete").await;
    pass(1).await;
    stage.store.faults.set("claim", Fault::LosesAnswer);
    stage.receive("third", "complete").await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    gate.notify_waiters();
    stage.store.faults.mend();
    pass(2).await;
    let begun: Vec<_> = std::iter::from_fn(|| told.try_recv().ok()).collect();
    let expected = ["bad", "good", "third"].map(|task| (task.to_owned(), 1));
    assert_eq!(begun, expected);
    assert_eq!(stage.settled(), [const { Settlement::Done }; 2]);
    running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_recorded_the_end_of_its_event_has_it_left_alone() {
    let stage = Stage::new();
    let store = stage.store.clone();
    let (tell, mut told) = mpsc::unbounded_channel();
    let handler = handler_fn(move |event: Event| {
        let (store, told) = (store.clone(), tell.send(event.key().to_string()));
        async move {
            // As a transaction of its own, in the same database.
            let request = ClaimRequest::new(WorkerId(77), 1, Dispatcher::LEASE, 0);
            let settlements = vec![(event.ticket(), Settlement::Done)];
            store
                .memory()
                .claim(&request.with_settlements(settlements))
                .await?;
            event.set_settled();
            told?;
            Err(HandlerError::retry("after the commit"))
        }
    });
    let running = Dispatcher::new(stage.inbox.clone(), handler).start();
    stage.receive(TASK, "text").await;
    stage.receive(TASK, "complete").await;
    pass(2 * Dispatcher::LEASE.as_secs()).await;
    running.stop().await;
    let begun: Vec<_> = std::iter::from_fn(|| told.try_recv().ok()).collect();
    assert_eq!(begun, [format!("{TASK}/text"), format!("{TASK}/complete")]);
    let answers = stage.store.answers.lock().unwrap().clone();
    assert!(
        answers.is_empty(),
        "the dispatcher settled too: {answers:?}"
    );
    assert_eq!(stage.store.counts().await.unwrap().done, 2);
}
