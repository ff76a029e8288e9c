//! Stores that fail, claims that are lost, and processes that end: nothing is lost, and nothing is
//! handled for ever.

use std::sync::atomic::Ordering;
use std::time::Duration;

use suno_callback::{
    ClaimRequest, DeadCause, Dispatcher, Event, HandlerError, IdempotencyStore, Settlement,
    WorkerId, handler_fn,
};
use suno_testkit::wrapper::Fault;
use tokio::sync::mpsc;

use crate::dispatching::{Stage, dead};
use crate::scene::{TASK, pass};

/// Tells that it was dropped.
struct Dropped(mpsc::UnboundedSender<()>);

impl Drop for Dropped {
    fn drop(&mut self) {
        let _ = self.0.send(());
    }
}

#[tokio::test(start_paused = true)]
async fn a_handler_whose_claim_is_lost_is_cancelled() {
    let stage = Stage::new();
    let (began, mut begun) = mpsc::unbounded_channel();
    let (drops, mut dropped) = mpsc::unbounded_channel();
    let handler = handler_fn(move |event: Event| {
        let _ = began.send(event.attempt());
        let dropped = Dropped(drops.clone());
        async move {
            let _dropped = dropped;
            std::future::pending().await
        }
    });
    stage.receive(TASK, "complete").await;
    stage.store.loses_claims.store(true, Ordering::SeqCst);
    let running = Dispatcher::new(stage.inbox.clone(), handler).start();
    assert_eq!(begun.recv().await, Some(1));
    pass(Dispatcher::LEASE.as_secs() / 3 + 1).await;
    dropped.try_recv().unwrap();
    assert!(stage.settled().is_empty(), "{:?}", stage.settled());
    stage.store.loses_claims.store(false, Ordering::SeqCst);
    pass(Dispatcher::LEASE.as_secs()).await;
    assert_eq!(begun.try_recv(), Ok(2));
    running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_store_that_grants_no_claims_for_a_while_loses_nothing() {
    let stage = Stage::new();
    let (dispatcher, mut told) = stage.dispatcher(|_| Ok(()));
    stage.receive(TASK, "complete").await;
    stage.store.down.store(true, Ordering::SeqCst);
    let running = dispatcher.start();
    pass(600).await;
    assert!(told.is_empty(), "{told:?}");
    stage.store.down.store(false, Ordering::SeqCst);
    pass(1).await;
    assert_eq!(told.try_recv().unwrap().1, 1);
    running.stop().await;
    assert_eq!(stage.settled(), [Settlement::Done]);
}

#[tokio::test(start_paused = true)]
async fn a_store_that_takes_no_settlements_for_a_while_has_nothing_handled_twice() {
    let stage = Stage::new();
    let (dispatcher, mut told) = stage.dispatcher(|_| Ok(()));
    stage.store.settles_nothing.store(true, Ordering::SeqCst);
    let running = dispatcher.start();
    stage.receive(TASK, "complete").await;
    assert_eq!(told.recv().await.unwrap().1, 1);
    pass(10 * Dispatcher::LEASE.as_secs()).await;
    assert!(told.is_empty(), "it was handled again: {told:?}");
    stage.store.settles_nothing.store(false, Ordering::SeqCst);
    pass(1).await;
    assert_eq!(stage.settled(), [Settlement::Done]);
    running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_settlement_that_is_refused_holds_up_no_other_and_its_event_is_handled_again() {
    let stage = Stage::new();
    let (dispatcher, mut told) = stage.dispatcher(|event| match event.task_id().as_str() {
        "bad" => Err(HandlerError::give_up("poison")),
        _ => Ok(()),
    });
    *stage.store.poison.lock().unwrap() = Some("poison");
    stage.store.settles_nothing.store(true, Ordering::SeqCst);
    for task in ["bad", "good", "fine"] {
        stage.receive(task, "complete").await;
    }
    let running = dispatcher.start();
    for _ in 0..3 {
        assert_eq!(told.recv().await.unwrap().1, 1);
    }
    stage.store.settles_nothing.store(false, Ordering::SeqCst);
    pass(2).await;
    assert_eq!(stage.settled(), [const { Settlement::Done }; 2]);
    *stage.store.poison.lock().unwrap() = None;
    pass(Dispatcher::LEASE.as_secs()).await;
    assert_eq!(told.try_recv(), Ok(("bad/complete".to_owned(), 2)));
    assert!(told.is_empty(), "{told:?}");
    running.stop().await;
    let dead = dead(DeadCause::GivenUp, "poison");
    assert_eq!(stage.settled().last(), Some(&dead));
}

#[tokio::test(start_paused = true)]
async fn handlers_whose_settlement_the_store_does_not_take_keep_their_places() {
    let stage = Stage::new();
    let (dispatcher, mut told) = stage.dispatcher(|_| Ok(()));
    stage.store.settles_nothing.store(true, Ordering::SeqCst);
    for task in ["a", "b", "c"] {
        stage.receive(task, "complete").await;
    }
    let running = dispatcher.with_handlers_max(2).start();
    pass(60).await;
    assert_eq!(told.len(), 2, "what is not settled is bounded too");
    stage.store.settles_nothing.store(false, Ordering::SeqCst);
    pass(1).await;
    assert_eq!(told.len(), 3);
    while told.try_recv().is_ok() {}
    running.stop().await;
    assert_eq!(stage.settled(), [const { Settlement::Done }; 3]);
}

#[tokio::test(start_paused = true)]
async fn a_stop_waits_for_a_store_that_comes_back_in_time() {
    let stage = Stage::new();
    let (dispatcher, mut told) = stage.dispatcher(|_| Ok(()));
    stage.store.settles_nothing.store(true, Ordering::SeqCst);
    stage.receive(TASK, "complete").await;
    let running = dispatcher.start();
    told.recv().await.unwrap();
    let stopping = tokio::spawn(running.stop());
    pass(5).await;
    assert!(!stopping.is_finished());
    stage.store.settles_nothing.store(false, Ordering::SeqCst);
    pass(1).await;
    assert!(stopping.is_finished());
    assert_eq!(stage.settled(), [Settlement::Done]);
}

#[tokio::test(start_paused = true)]
async fn a_stop_ends_although_the_store_never_comes_back() {
    let stage = Stage::new();
    let (dispatcher, mut told) = stage.dispatcher(|_| Ok(()));
    stage.store.settles_nothing.store(true, Ordering::SeqCst);
    stage.receive(TASK, "complete").await;
    let running = dispatcher.start();
    told.recv().await.unwrap();
    let stopping = tokio::spawn(running.stop());
    pass(Dispatcher::STOP_GRACE.as_secs() + 1).await;
    assert!(stopping.is_finished());
    assert!(stage.settled().is_empty(), "{:?}", stage.settled());
}

#[tokio::test(start_paused = true)]
async fn a_claim_is_kept_during_a_long_stop() {
    let stage = Stage::new();
    let (began, mut begun) = mpsc::unbounded_channel();
    let handler = handler_fn(move |event: Event| {
        let _ = began.send(event.attempt());
        async {
            tokio::time::sleep(Duration::from_secs(300)).await;
            Ok(())
        }
    });
    stage.receive(TASK, "complete").await;
    let dispatcher =
        Dispatcher::new(stage.inbox.clone(), handler).with_stop_grace(Duration::from_secs(600));
    let running = dispatcher.clone().start();
    assert_eq!(begun.recv().await, Some(1));
    let stopping = tokio::spawn(running.stop());
    let other = dispatcher.start();
    pass(301).await;
    assert!(stopping.is_finished());
    assert!(begun.is_empty(), "it was handled again: {begun:?}");
    other.stop().await;
    assert_eq!(stage.settled(), [Settlement::Done]);
}

#[tokio::test(start_paused = true)]
async fn what_is_claimed_during_a_stop_is_released() {
    let stage = Stage::new();
    let (dispatcher, told) = stage.dispatcher(|_| Ok(()));
    stage.receive(TASK, "complete").await;
    stage.store.faults.set("claim", Fault::AnswersWhenMended);
    let running = dispatcher.start();
    pass(1).await;
    let stopping = tokio::spawn(running.stop());
    pass(1).await;
    stage.store.faults.mend();
    stopping.await.unwrap();
    assert_eq!(stage.settled(), [Settlement::Release]);
    assert!(told.is_empty(), "{told:?}");
    let request = ClaimRequest::new(WorkerId(7), 1, Dispatcher::LEASE, 1);
    let claims = stage.store.claim(&request).await.unwrap().claims;
    assert_eq!((claims.len(), claims[0].attempt), (1, 1));
}
