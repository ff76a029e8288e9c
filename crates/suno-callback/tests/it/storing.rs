//! The store behind the receiver: commits, failures and time limits.

use std::sync::atomic::Ordering;

use http::StatusCode;
use suno_callback::{Acceptance, Inbox, Receiver, Verification};

use crate::receiving::{answers, receiver};
use crate::scene::{KEY, TASK, body, signed};

#[tokio::test]
async fn a_store_that_fails_is_answered_503_and_takes_the_same_later() {
    let (receiver, store) = receiver(Verification::webhook_key(KEY));
    let complete = body(TASK, "complete");
    store.down.store(true, Ordering::SeqCst);
    let answer = receiver.receive(signed(TASK, &complete)).await;
    assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert!(answer.headers().contains_key("retry-after"));
    store.down.store(false, Ordering::SeqCst);
    assert_eq!(answers(&receiver, [signed(TASK, &complete)]).await, [200]);
    assert_eq!(*store.accepted.lock().unwrap(), [Acceptance::New]);
}

#[tokio::test]
async fn one_event_that_is_refused_does_not_fail_its_neighbours() {
    let (receiver, store) = receiver(Verification::webhook_key(KEY));
    *store.poison.lock().unwrap() = Some("poison");
    let tasks = ["t1", "t2", "poison", "t4"];
    let answers = tasks.map(|task| receiver.receive(signed(task, &body(task, "text"))));
    let [a, b, c, d] = answers;
    let (a, b, c, d) = tokio::join!(a, b, c, d);
    let statuses = [a, b, c, d].map(|answer| answer.status().as_u16());
    assert_eq!(statuses, [200, 200, 503, 200]);
    assert_eq!(store.accepted.lock().unwrap().len(), 3);
}

#[tokio::test]
async fn a_store_that_fails_is_not_asked_again_for_each_delivery() {
    let (receiver, store) = receiver(Verification::webhook_key(KEY));
    store.down.store(true, Ordering::SeqCst);
    let send = |task| receiver.receive(signed(task, &body(task, "text")));
    let (a, b, c) = tokio::join!(send("t1"), send("t2"), send("t3"));
    let statuses = [a, b, c].map(|answer| answer.status().as_u16());
    assert_eq!(statuses, [503, 503, 503]);
    assert_eq!(*store.batches.lock().unwrap(), [3]);
}

#[tokio::test]
async fn deliveries_that_arrive_together_share_a_commit() {
    let (receiver, store) = receiver(Verification::webhook_key(KEY));
    let posts: Vec<_> = (0..100)
        .map(|number| {
            let (receiver, task) = (receiver.clone(), format!("task-{number}"));
            tokio::spawn(async move { receiver.receive(signed(&task, &body(&task, "text"))).await })
        })
        .collect();
    for post in posts {
        assert_eq!(post.await.unwrap().status(), StatusCode::OK);
    }
    let batches = store.batches.lock().unwrap().clone();
    assert_eq!(batches.iter().sum::<usize>(), 100);
    assert!(batches.len() < 10, "{batches:?}");
}

#[tokio::test]
async fn a_request_that_is_cancelled_is_stored_once_all_the_same() {
    let (receiver, store) = receiver(Verification::webhook_key(KEY));
    let complete = body(TASK, "complete");
    {
        let mut request = std::pin::pin!(receiver.receive(signed(TASK, &complete)));
        // One poll hands the delivery over; then the sender goes away.
        let polled = std::future::poll_fn(|context| {
            std::task::Poll::Ready(request.as_mut().poll(context).is_pending())
        });
        assert!(polled.await);
    }
    assert_eq!(answers(&receiver, [signed(TASK, &complete)]).await, [200]);
    assert_eq!(
        *store.accepted.lock().unwrap(),
        [Acceptance::New, Acceptance::Duplicate]
    );
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_takes_too_long_is_503_and_the_event_is_stored_once_all_the_same() {
    let (receiver, store) = receiver(Verification::webhook_key(KEY));
    let budget = Inbox::COMMIT_TIMEOUT / 2;
    let receiver = receiver.with_answer_budget(budget);
    let complete = body(TASK, "complete");
    let storing = store.accepting.lock().await;
    let begun = tokio::time::Instant::now();
    let answer = receiver.receive(signed(TASK, &complete)).await;
    assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert!(answer.headers().contains_key("retry-after"));
    assert_eq!(begun.elapsed(), budget);
    drop(storing);
    assert_eq!(answers(&receiver, [signed(TASK, &complete)]).await, [200]);
    let expected = [Acceptance::New, Acceptance::Duplicate];
    assert_eq!(*store.accepted.lock().unwrap(), expected);
}

#[tokio::test(start_paused = true)]
async fn too_many_that_wait_are_answered_503_at_once_and_no_commit_is_too_large() {
    /// More than wait for a commit and are in one, and fewer than that twice.
    const SENT: usize = 6_000;
    const WAITING_MAX: usize = 4_096;
    const BATCH_MAX: usize = 512;
    let (receiver, store) = receiver(Verification::webhook_key(KEY));
    let storing = store.accepting.lock().await;
    let posts: Vec<_> = (0..SENT)
        .map(|number| {
            let (receiver, task) = (receiver.clone(), format!("task-{number}"));
            tokio::spawn(async move { receiver.receive(signed(&task, &body(&task, "text"))).await })
        })
        .collect();
    // Not as long as the answer budget: what ends now was refused.
    tokio::time::sleep(Receiver::ANSWER_BUDGET / 2).await;
    let refused = posts.iter().filter(|post| post.is_finished()).count();
    let room = WAITING_MAX..=WAITING_MAX + BATCH_MAX;
    assert!(room.contains(&(SENT - refused)), "{refused} were refused");
    drop(storing);
    let mut taken = 0;
    for post in posts {
        let answer = post.await.unwrap();
        let status = answer.status().as_u16();
        assert!(matches!(status, 200 | 503), "{status}");
        assert_eq!(answer.headers().contains_key("retry-after"), status == 503);
        taken += usize::from(status == 200);
    }
    assert_eq!(taken, SENT - refused);
    let batches = store.batches.lock().unwrap().clone();
    assert!(
        batches.iter().all(|batch| *batch <= BATCH_MAX),
        "{batches:?}"
    );
}
