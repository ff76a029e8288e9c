//! The way into a store that is slow, hangs or panics, and how much may wait for it.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use suno_callback::{AcceptError, Acceptance, Clock, Delivery, Inbox, Receiver, Source};
use suno_types::{Envelope, TaskRecord};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

use crate::scene::{HandClock, TASK, WatchedStore, body};

fn inbox() -> (Inbox, Arc<WatchedStore>) {
    let store = Arc::new(WatchedStore::default());
    (Inbox::start(store.clone()), store)
}

fn delivery(body: impl Into<Bytes>) -> Delivery {
    Delivery::decode(body.into(), HandClock::new().now())
}

/// A delivery of a stage of a task whose body has so many bytes.
fn padded(task: &str, bytes: usize) -> Delivery {
    let mut delivery = delivery(body(task, "text"));
    delivery.raw = vec![b' '; bytes].into();
    delivery
}

fn accept(inbox: &Inbox, delivery: Delivery) -> JoinHandle<Result<Acceptance, AcceptError>> {
    let inbox = inbox.clone();
    tokio::spawn(async move { inbox.accept(delivery).await })
}

#[tokio::test(start_paused = true)]
async fn a_store_that_hangs_is_given_up_in_time_and_asked_again_for_the_next() {
    assert!(Inbox::COMMIT_TIMEOUT < Receiver::ANSWER_BUDGET);
    let (inbox, store) = inbox();
    let storing = store.accepting.lock().await;
    let begun = Instant::now();
    let early = accept(&inbox, delivery(body("early", "text")));
    sleep(Duration::from_secs(1)).await;
    let late = accept(&inbox, delivery(body("late", "text")));
    let failed = early.await.unwrap().unwrap_err();
    assert!(matches!(failed, AcceptError::TooSlow), "{failed}");
    assert_eq!(begun.elapsed(), Inbox::COMMIT_TIMEOUT);
    drop(storing);
    assert_eq!(late.await.unwrap().unwrap(), Acceptance::New);
    let early = inbox.accept(delivery(body("early", "text"))).await;
    assert_eq!(early.unwrap(), Acceptance::New);
}

#[tokio::test(start_paused = true)]
async fn a_store_that_hangs_does_so_once_for_a_batch_that_it_refused() {
    let (inbox, store) = inbox();
    *store.poison.lock().unwrap() = Some("poison");
    let storing = store.accepting.lock().await;
    let begun = Instant::now();
    let answers =
        ["poison", "t1", "t2", "t3"].map(|task| accept(&inbox, delivery(body(task, "text"))));
    for answer in answers {
        assert!(answer.await.unwrap().is_err());
    }
    assert_eq!(begun.elapsed(), Inbox::COMMIT_TIMEOUT);
    drop(storing);
}

#[tokio::test]
async fn a_store_that_panics_fails_its_commit_and_is_asked_again_for_the_next() {
    let (inbox, store) = inbox();
    for _ in 0..2 {
        store.panics.store(true, Ordering::SeqCst);
        let failed = inbox.accept(delivery(body(TASK, "text"))).await;
        assert!(matches!(failed, Err(AcceptError::Store(_))), "{failed:?}");
        store.panics.store(false, Ordering::SeqCst);
        assert!(inbox.accept(delivery(body(TASK, "text"))).await.is_ok());
    }
    let expected = [Acceptance::New, Acceptance::Duplicate];
    assert_eq!(*store.accepted.lock().unwrap(), expected);
}

#[tokio::test(start_paused = true)]
async fn no_more_bytes_wait_for_a_store_than_there_is_room_for() {
    const BYTES: usize = 1 << 20;
    let (inbox, store) = inbox();
    for _ in 0..2 {
        let storing = store.accepting.lock().await;
        let sent = 2 * Inbox::WAITING_BYTES_MAX / BYTES;
        let answers: Vec<_> = (0..sent)
            .map(|number| accept(&inbox, padded(&format!("t{number}"), BYTES)))
            .collect();
        sleep(Duration::from_secs(1)).await;
        let (refused, waiting): (Vec<_>, Vec<_>) =
            answers.into_iter().partition(|answer| answer.is_finished());
        // Each counts for a little more than its body.
        assert_eq!(waiting.len(), Inbox::WAITING_BYTES_MAX / BYTES - 1);
        for answer in refused {
            let failed = answer.await.unwrap().unwrap_err();
            assert!(matches!(failed, AcceptError::Busy), "{failed}");
        }
        drop(storing);
        // Then there is as much room again.
        for answer in waiting {
            assert!(answer.await.unwrap().is_ok());
        }
    }
}

#[tokio::test(start_paused = true)]
async fn room_is_free_again_when_the_store_has_been_given_up() {
    let (inbox, store) = inbox();
    let storing = store.accepting.lock().await;
    let large = || padded("large", Inbox::WAITING_BYTES_MAX);
    let first = accept(&inbox, large());
    sleep(Duration::from_secs(1)).await;
    let second = accept(&inbox, large()).await.unwrap().unwrap_err();
    assert!(matches!(second, AcceptError::Busy), "{second}");
    // A sender who goes away frees nothing: the delivery still waits.
    first.abort();
    let third = accept(&inbox, large()).await.unwrap().unwrap_err();
    assert!(matches!(third, AcceptError::Busy), "{third}");
    sleep(Inbox::COMMIT_TIMEOUT).await;
    drop(storing);
    let taken = inbox.accept(large()).await;
    assert_eq!(taken.unwrap(), Acceptance::New);
}

/// What the provider's record of a task says.
fn polled(task: &str) -> Delivery {
    let body = format!(
        r#"{{"code":200,"msg":"success","data":{{"taskId":"{task}","status":"TEXT_SUCCESS"}}}}"#
    );
    let record = Envelope::<TaskRecord>::decode(body.as_bytes()).unwrap();
    let polled = Delivery::from_record(&record.data.unwrap(), HandClock::new().now());
    polled.unwrap()
}

#[tokio::test]
async fn callbacks_are_unconfirmed_where_confirmation_is_demanded_and_records_never_are() {
    let (inbox, store) = inbox();
    let clone = inbox.clone();
    let unconfirmed = || std::mem::take(&mut *store.unconfirmed.lock().unwrap());
    let mut confirmed = delivery(body("t3", "text"));
    confirmed.verified_by.record = true;
    assert_eq!(polled("t2").source, Source::Poll);
    let deliveries = [delivery(body("t1", "text")), polled("t2"), confirmed];
    for delivery in deliveries.clone() {
        clone.accept(delivery).await.unwrap();
    }
    assert_eq!(unconfirmed(), [false; 3]);
    let inbox = inbox.with_confirmation();
    for inbox in [inbox, clone] {
        for delivery in deliveries.clone() {
            inbox.accept(delivery).await.unwrap();
        }
        assert_eq!(unconfirmed(), [true, false, false]);
    }
}

#[tokio::test]
async fn a_delivery_that_is_unconfirmed_stays_so_without_the_demand() {
    let (inbox, store) = inbox();
    let delivery = delivery(body(TASK, "text"));
    assert!(!delivery.unconfirmed);
    inbox.accept(delivery.with_unconfirmed(true)).await.unwrap();
    assert_eq!(*store.unconfirmed.lock().unwrap(), [true]);
}
