//! Destinations that are down, refuse, or are slow.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use suno_callback::{Delivery, Dispatcher, IdempotencyStore, Inbox, MemoryStore};
use suno_gateway::breaker::{BreakerState, Transition};
use suno_gateway::destination::Policy;
use suno_gateway::{Destination, Next};
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::{Notes, builder, is_retried, quick};
use crate::consumer::{Consumer, Reply, status};
use crate::scene::{callback, message};

/// Waits until something is true, and fails after ten seconds.
async fn until(what: &str, mut is_true: impl FnMut() -> bool) {
    let start = Instant::now();
    while !is_true() {
        assert!(start.elapsed() < Duration::from_secs(10), "{what}");
        sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn a_destination_that_is_gone_gets_no_more_than_what_was_on_its_way() {
    let is_gone = Arc::new(AtomicBool::new(true));
    let gone = is_gone.clone();
    let consumer = Consumer::start(move |_, _| match gone.load(Ordering::SeqCst) {
        true => Reply::Late(Duration::from_millis(30), Box::new(status(410))),
        false => status(200),
    })
    .await;
    let notes = Notes::new();
    let breaker = quick()
        .with_in_flight_max(4)
        .with_patience(Duration::from_secs(1))
        .with_paused_interval(Duration::from_secs(600));
    let handler = builder(&consumer.url())
        .with_breaker(breaker)
        .with_observer(notes.clone());
    let handler = Arc::new(handler.build().unwrap());
    let send = |count: usize| {
        let mut sending = JoinSet::new();
        for number in 0..count {
            let handler = handler.clone();
            sending.spawn(async move { handler.deliver(&message(&number.to_string()), 1).await });
        }
        sending.join_all()
    };
    let waiting = send(50).await;
    assert!(
        waiting.iter().all(|it| matches!(it.next, Next::NotNow(_))),
        "all wait"
    );
    assert!(consumer.count() <= 4, "{}", consumer.count());
    assert_eq!(
        waiting.iter().filter(|it| it.attempt.is_some()).count(),
        consumer.count()
    );
    assert_eq!(notes.transitions(), [Transition::Paused], "one log line");
    is_gone.store(false, Ordering::SeqCst);
    let before = consumer.count();
    send(10).await;
    assert_eq!(consumer.count(), before, "it stays paused");
    assert!(handler.resume());
    until("it works again", || {
        handler.state() == BreakerState::Closed || {
            let handler = handler.clone();
            tokio::spawn(async move { handler.deliver(&message("probe"), 1).await });
            false
        }
    })
    .await;
    assert!(send(50).await.iter().all(|it| it.next == Next::Done));
    assert_eq!(
        notes.transitions(),
        [Transition::Paused, Transition::Closed]
    );
}

#[tokio::test]
async fn a_destination_that_is_down_gets_one_request_in_an_interval_and_a_ramp_afterwards() {
    let is_down = Arc::new(AtomicBool::new(true));
    let down = is_down.clone();
    let consumer = Consumer::start(move |_, _| {
        let answer = status(if down.load(Ordering::SeqCst) {
            503
        } else {
            200
        });
        Reply::Late(Duration::from_millis(20), Box::new(answer))
    })
    .await;
    let notes = Notes::new();
    let breaker = quick().with_in_flight_max(8).with_failures_max(5);
    let handler = builder(&consumer.url())
        .with_breaker(breaker)
        .with_observer(notes.clone());
    let handler = Arc::new(handler.build().unwrap());
    // 200 events that are tried again whenever they may be.
    let done = Arc::new(AtomicUsize::new(0));
    let mut sending = JoinSet::new();
    for number in 0..200 {
        let (handler, done) = (handler.clone(), done.clone());
        sending.spawn(async move {
            loop {
                match handler.deliver(&message(&number.to_string()), 1).await.next {
                    Next::Done => break done.fetch_add(1, Ordering::SeqCst),
                    Next::NotNow(wait) => sleep(wait).await,
                    _ => sleep(Duration::from_millis(1)).await,
                }
            }
        });
    }
    until("it goes down", || handler.state() == BreakerState::Open).await;
    sleep(Duration::from_millis(50)).await;
    consumer.most_at_a_time();
    let (start, before) = (Instant::now(), consumer.count());
    sleep(Duration::from_secs(1)).await;
    let intervals = start.elapsed().as_millis() / breaker.interval.as_millis();
    let probes = consumer.count() - before;
    assert!(
        probes >= 2 && probes as u128 <= intervals + 1,
        "{probes} in {intervals}"
    );
    assert_eq!(consumer.most_at_a_time(), 1, "one probe at a time");
    is_down.store(false, Ordering::SeqCst);
    let start = Instant::now();
    sending.join_all().await;
    assert!(
        start.elapsed() < Duration::from_secs(10),
        "{:?}",
        start.elapsed()
    );
    assert_eq!(done.load(Ordering::SeqCst), 200);
    assert!(consumer.most_at_a_time() <= 8);
    let transitions = notes.transitions();
    assert_eq!(transitions, [Transition::Opened, Transition::Closed]);
    let probes = notes.attempts().into_iter().filter(|it| it.is_probe);
    assert!(probes.count() >= 3);
}

#[tokio::test]
async fn a_probe_that_hangs_is_replaced_and_a_late_answer_changes_nothing() {
    let consumer = Consumer::start(|number, request| match number {
        _ if request.header("webhook-id").starts_with("early") => {
            Reply::Late(Duration::from_millis(400), Box::new(status(200)))
        }
        // What opens it, and one probe that hangs.
        1..=5 => status(500),
        6 => Reply::Hang,
        _ => status(500),
    })
    .await;
    let timeout = Duration::from_millis(700);
    let handler = builder(&consumer.url())
        .with_breaker(quick())
        .with_timeout(timeout);
    let handler = Arc::new(handler.build().unwrap());
    let early = tokio::spawn({
        let handler = handler.clone();
        async move { handler.deliver(&message("early"), 1).await }
    });
    until("the early request is on its way", || consumer.count() == 1).await;
    for _ in 0..5 {
        assert!(is_retried(&handler.deliver(&message("down"), 1).await));
    }
    assert_eq!(handler.state(), BreakerState::Open);
    sleep(Duration::from_millis(110)).await;
    let hanging = tokio::spawn({
        let handler = handler.clone();
        async move { handler.deliver(&message("probe"), 1).await }
    });
    until("the probe is on its way", || consumer.count() == 7).await;
    // The answer from before the opening: the event is done, and the breaker stays open.
    assert_eq!(early.await.unwrap().next, Next::Done);
    assert_eq!(handler.state(), BreakerState::Open);
    let beside = handler.deliver(&message("beside"), 1).await;
    assert!(matches!(beside.next, Next::NotNow(_)) && beside.attempt.is_none());
    // The probe is given up with its time-out, and the next one may go. Neither counts.
    let given_up = hanging.await.unwrap();
    assert!(matches!(given_up.next, Next::NotNow(_)) && given_up.attempt.is_some());
    sleep(Duration::from_millis(110)).await;
    let next = handler.deliver(&message("next"), 1).await;
    assert!(matches!(next.next, Next::NotNow(_)) && next.attempt.is_some());
    assert_eq!(consumer.count(), 8);
}

#[tokio::test]
async fn a_handler_that_is_cancelled_gives_its_place_back() {
    let consumer = Consumer::start(|number, _| match number {
        0 => Reply::Hang,
        _ => status(200),
    })
    .await;
    let breaker = quick().with_in_flight_max(1);
    let handler = builder(&consumer.url())
        .with_breaker(breaker)
        .build()
        .unwrap();
    let limit = Duration::from_millis(100);
    let cancelled = tokio::time::timeout(limit, handler.deliver(&message("a"), 1)).await;
    assert!(cancelled.is_err());
    assert_eq!(handler.deliver(&message("b"), 1).await.next, Next::Done);
}

/// One task is answered after a second; the others are not held up, and its own stages do not
/// overlap.
#[tokio::test]
async fn a_slow_task_holds_up_only_itself() {
    let slow = Duration::from_secs(1);
    let consumer =
        Consumer::start(
            move |_, request| match request.header("webhook-id").starts_with("slow") {
                true => Reply::Late(slow, Box::new(status(200))),
                false => status(200),
            },
        )
        .await;
    let handler = super::handler(&consumer.url());
    let inbox = Inbox::start(Arc::new(MemoryStore::new()));
    let dispatching = Dispatcher::new(inbox.clone(), handler).start();
    let accept = async |task: &str, word: &str| {
        let body = callback(task, word, "t").into();
        let now = suno_callback::jiff::Timestamp::UNIX_EPOCH;
        inbox.accept(Delivery::decode(body, now)).await.unwrap();
    };
    let start = Instant::now();
    accept("slow", "first").await;
    until("the slow one is on its way", || consumer.count() == 1).await;
    accept("slow", "complete").await;
    for number in 0..20 {
        accept(&format!("quick-{number}"), "complete").await;
    }
    until("the quick ones are done", || consumer.count() == 21).await;
    assert!(start.elapsed() < slow, "{:?}", start.elapsed());
    until("the slow one is done", || consumer.count() == 22).await;
    assert!(start.elapsed() >= slow, "the stages overlapped");
    dispatching.stop().await;
    let requests = consumer.requests();
    assert_eq!(requests[0].header("webhook-id"), "slow_first_0");
    assert_eq!(requests[21].header("webhook-id"), "slow_complete_0");
}

/// 200 events wait in the store, sixteen at a time in the handler, and the destination gets nothing
/// but its probes.
#[tokio::test]
async fn events_of_a_destination_that_is_down_wait_and_lose_no_attempts() {
    let is_down = Arc::new(AtomicBool::new(true));
    let down = is_down.clone();
    let consumer = Consumer::start(move |_, _| {
        status(if down.load(Ordering::SeqCst) {
            503
        } else {
            200
        })
    })
    .await;
    let notes = Notes::new();
    let breaker = quick().with_patience(Duration::from_secs(30));
    let handler = builder(&consumer.url())
        .with_breaker(breaker)
        .with_policy(Policy::new().with_backoff(Duration::ZERO, Duration::ZERO))
        .with_observer(notes.clone());
    let handler = Arc::new(handler.build().unwrap());
    let store = Arc::new(MemoryStore::new());
    let inbox = Inbox::start(store.clone());
    let dispatching = Dispatcher::new(inbox.clone(), handler.clone()).start();
    let now = suno_callback::jiff::Timestamp::UNIX_EPOCH;
    for number in 0..200 {
        let body = callback(&number.to_string(), "complete", "t").into();
        inbox.accept(Delivery::decode(body, now)).await.unwrap();
    }
    until("it goes down", || handler.state() == BreakerState::Open).await;
    sleep(Duration::from_millis(550)).await;
    let probes = notes.attempts().iter().filter(|it| it.is_probe).count();
    assert!((3..=6).contains(&probes), "{probes}");
    assert_eq!(store.counts().await.unwrap().claimed, 16);
    is_down.store(false, Ordering::SeqCst);
    until("it works again", || handler.state() == BreakerState::Closed).await;
    let start = Instant::now();
    while store.counts().await.unwrap().done < 200 {
        assert!(start.elapsed() < Duration::from_secs(10));
        sleep(Duration::from_millis(5)).await;
    }
    dispatching.stop().await;
    assert_eq!(
        notes.transitions(),
        [Transition::Opened, Transition::Closed]
    );
    // What was on its way when it went down failed once or twice; nothing counted afterwards.
    let most = notes.attempts().iter().map(|it| it.number).max();
    assert!(most <= Some(3), "{most:?}");
}

#[tokio::test]
async fn a_replay_goes_to_a_paused_destination_and_changes_nothing() {
    let consumer = Consumer::start(|number, _| status(if number == 0 { 410 } else { 204 })).await;
    let notes = Notes::new();
    let handler = builder(&consumer.url()).with_observer(notes.clone());
    let handler = handler.build().unwrap();
    handler.deliver(&message("a"), 1).await;
    let replayed = handler.replay(&message("a"), 2).await;
    assert_eq!(replayed.next, Next::Done);
    assert_eq!(handler.state(), BreakerState::Paused);
    let requests = consumer.requests();
    assert_eq!(requests[1].header("suno-replay"), "2");
    assert!(!requests[0].headers.contains_key("suno-replay"));
    assert_eq!(
        requests[0].header("webhook-id"),
        requests[1].header("webhook-id")
    );
    super::assert_signed(&requests[1]);
    let attempts = notes.attempts();
    assert!(attempts[1].is_replay && !attempts[0].is_replay);
}
