//! Handlers run once, in order, again after a failure, and never for ever.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use http::StatusCode;
use suno_callback::{
    DeadCause, Dispatcher, Event, HandlerError, IdempotencyStore, Inbox, MemoryStore, Receiver,
    Redrive, RedriveResult, Settlement, Verification, handler_fn,
};
use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::scene::{HandClock, KEY, Meter, TASK, WatchedStore, body, delivery, pass, signed};

/// A receiver and its store, before a dispatcher is there.
pub(crate) struct Stage {
    pub(crate) inbox: Inbox,
    receiver: Receiver,
    pub(crate) store: Arc<WatchedStore>,
}

impl Stage {
    pub(crate) fn new() -> Self {
        Self::of(Arc::new(WatchedStore::default()))
    }

    pub(crate) fn of(store: Arc<WatchedStore>) -> Self {
        let inbox = Inbox::start(store.clone());
        let receiver = Receiver::new(inbox.clone(), Verification::webhook_key(KEY))
            .with_clock(HandClock::new());
        Self {
            inbox,
            receiver,
            store,
        }
    }

    pub(crate) async fn receive(&self, task: &str, word: &str) {
        let answer = self.receiver.receive(signed(task, &body(task, word))).await;
        assert_eq!(answer.status(), StatusCode::OK);
    }

    /// A dispatcher whose handler tells each event and then does what `decide` says.
    pub(crate) fn dispatcher(
        &self,
        decide: impl Fn(&Event) -> Result<(), HandlerError> + Send + Sync + 'static,
    ) -> (Dispatcher, mpsc::UnboundedReceiver<(String, u32)>) {
        let (tell, told) = mpsc::unbounded_channel();
        let handler = handler_fn(move |event: Event| {
            let _ = tell.send((event.key().to_string(), event.attempt()));
            let decided = decide(&event);
            async move { decided }
        });
        (Dispatcher::new(self.inbox.clone(), handler), told)
    }

    pub(crate) fn settled(&self) -> Vec<Settlement> {
        self.store.settled.lock().unwrap().clone()
    }
}

pub(crate) fn dead(cause: DeadCause, reason: &str) -> Settlement {
    let reason = reason.to_owned();
    Settlement::Dead { cause, reason }
}

#[tokio::test(start_paused = true)]
async fn what_waits_is_handled_in_the_order_of_stages_whatever_came_first() {
    let stage = Stage::new();
    for word in ["unheard-of", "text", "first", "complete"] {
        stage.receive(TASK, word).await;
    }
    let (dispatcher, mut told) = stage.dispatcher(|_| Ok(()));
    let running = dispatcher.start();
    for word in ["unheard-of", "text", "first", "complete"] {
        let expected = (format!("{TASK}/{word}"), 1);
        assert_eq!(told.recv().await.unwrap(), expected);
    }
    running.stop().await;
    assert_eq!(stage.settled(), [const { Settlement::Done }; 4]);
    assert!(told.recv().await.is_none());
}

#[tokio::test(start_paused = true)]
async fn an_event_is_handled_as_soon_as_it_is_received() {
    let stage = Stage::new();
    let (dispatcher, mut told) = stage.dispatcher(|_| Ok(()));
    let running = dispatcher.start();
    for task in ["a", "b"] {
        tokio::time::sleep(Duration::from_secs(60)).await;
        let received = Instant::now();
        stage.receive(task, "complete").await;
        assert_eq!(told.recv().await.unwrap().0, format!("{task}/complete"));
        assert!(received.elapsed() < Duration::from_secs(1));
    }
    running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_failure_is_tried_again_when_it_is_due_and_not_before() {
    let stage = Stage::new();
    let (dispatcher, mut told) = stage.dispatcher(|event| match event.attempt() {
        1 => Err(HandlerError::retry_after(
            Duration::from_secs(60),
            "not yet",
        )),
        _ => Ok(()),
    });
    let running = dispatcher.start();
    stage.receive(TASK, "complete").await;
    assert_eq!(told.recv().await.unwrap().1, 1);
    let failed = Instant::now();
    assert_eq!(told.recv().await.unwrap().1, 2);
    assert_eq!(failed.elapsed().as_secs(), 60);
    running.stop().await;
    assert_eq!(stage.settled().last(), Some(&Settlement::Done));
}

#[tokio::test(start_paused = true)]
async fn a_stage_that_waits_for_another_attempt_does_not_hold_up_the_next() {
    let stage = Stage::new();
    let (dispatcher, mut told) = stage.dispatcher(|event| match event.stage().as_str() {
        "text" => Err(HandlerError::retry_after(
            Duration::from_secs(60),
            "not yet",
        )),
        _ => Ok(()),
    });
    let running = dispatcher.start();
    stage.receive(TASK, "text").await;
    assert_eq!(told.recv().await.unwrap().0, format!("{TASK}/text"));
    stage.receive(TASK, "complete").await;
    assert_eq!(told.recv().await.unwrap().0, format!("{TASK}/complete"));
    pass(3_600).await;
    assert!(told.is_empty(), "text was superseded: {told:?}");
    running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn an_event_that_fails_too_often_becomes_a_dead_letter() {
    let stage = Stage::new();
    let (dispatcher, mut told) =
        stage.dispatcher(|_| Err(HandlerError::retry_after(Duration::ZERO, "no luck")));
    let running = dispatcher.with_attempts_max(3).start();
    stage.receive(TASK, "complete").await;
    for attempt in 1..=3 {
        assert_eq!(told.recv().await.unwrap().1, attempt);
    }
    pass(86_400).await;
    assert!(told.is_empty(), "{told:?}");
    running.stop().await;
    let dead = dead(DeadCause::Exhausted, "no luck");
    assert_eq!(stage.settled().last(), Some(&dead));
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_gives_up_is_not_asked_again() {
    let stage = Stage::new();
    let (dispatcher, mut told) = stage.dispatcher(|_| Err(HandlerError::give_up("pointless")));
    let running = dispatcher.start();
    stage.receive(TASK, "complete").await;
    assert_eq!(told.recv().await.unwrap().1, 1);
    running.stop().await;
    assert_eq!(stage.settled(), [dead(DeadCause::GivenUp, "pointless")]);
}

#[tokio::test(start_paused = true)]
async fn a_panic_is_a_failure_and_kills_nothing() {
    let stage = Stage::new();
    let (dispatcher, mut told) = stage.dispatcher(|event| {
        assert!(event.attempt() > 1, "the first attempt panics");
        Ok(())
    });
    let running = dispatcher.start();
    stage.receive(TASK, "complete").await;
    assert_eq!(told.recv().await.unwrap().1, 1);
    assert_eq!(told.recv().await.unwrap().1, 2);
    running.stop().await;
    let reason = "the handler panicked".to_owned();
    let settled = stage.settled();
    assert!(
        matches!(&settled[0], Settlement::Retry { reason: why, .. } if *why == reason),
        "{settled:?}"
    );
    assert_eq!(settled[1], Settlement::Done);
}

#[tokio::test(start_paused = true)]
async fn one_task_is_handled_one_at_a_time_and_others_meanwhile() {
    let stage = Stage::new();
    let running_of = Arc::new(Mutex::new(HashMap::<String, usize>::new()));
    let most = Arc::new(AtomicUsize::new(0));
    let (done, mut all_done) = mpsc::unbounded_channel();
    let handler = {
        let (running_of, most) = (running_of.clone(), most.clone());
        handler_fn(move |event: Event| {
            let (running_of, most, done) = (running_of.clone(), most.clone(), done.clone());
            async move {
                let task = event.task_id().to_string();
                {
                    let mut running = running_of.lock().unwrap();
                    let of_task = running.entry(task.clone()).or_default();
                    *of_task += 1;
                    assert_eq!(*of_task, 1, "{task} is handled twice at the same time");
                    most.fetch_max(running.values().sum(), Ordering::SeqCst);
                }
                tokio::time::sleep(Duration::from_secs(1)).await;
                *running_of.lock().unwrap().get_mut(&task).unwrap() -= 1;
                done.send(())?;
                Ok(())
            }
        })
    };
    for task in ["a", "b", "c", "d"] {
        for word in ["text", "first", "complete"] {
            stage.receive(task, word).await;
        }
    }
    let running = Dispatcher::new(stage.inbox.clone(), handler)
        .with_handlers_max(3)
        .start();
    for _ in 0..12 {
        all_done.recv().await.unwrap();
    }
    running.stop().await;
    assert_eq!(most.load(Ordering::SeqCst), 3);
    assert_eq!(stage.settled(), vec![Settlement::Done; 12]);
}

#[tokio::test(start_paused = true)]
async fn a_claim_is_kept_while_its_handler_runs() {
    let stage = Stage::new();
    let (done, mut all_done) = mpsc::unbounded_channel();
    let handler = handler_fn(move |_| {
        let done = done.clone();
        async move {
            tokio::time::sleep(Duration::from_secs(500)).await;
            done.send(())?;
            Ok(())
        }
    });
    stage.receive(TASK, "complete").await;
    let dispatcher = Dispatcher::new(stage.inbox.clone(), handler);
    let (one, other) = (dispatcher.clone().start(), dispatcher.start());
    pass(501).await;
    all_done.try_recv().unwrap();
    one.stop().await;
    other.stop().await;
    assert!(all_done.try_recv().is_err(), "it was handled twice");
    assert_eq!(stage.settled(), [Settlement::Done]);
}

#[tokio::test(start_paused = true)]
async fn a_stop_waits_for_handlers_and_hands_back_those_that_take_too_long() {
    let stage = Stage::new();
    let (began, mut begun) = mpsc::unbounded_channel();
    let handler = handler_fn(move |event: Event| {
        let began = began.clone();
        async move {
            began.send(())?;
            let seconds = if event.task_id().as_str() == "quick" {
                5
            } else {
                3_600
            };
            tokio::time::sleep(Duration::from_secs(seconds)).await;
            Ok(())
        }
    });
    stage.receive("quick", "complete").await;
    stage.receive("slow", "complete").await;
    let running = Dispatcher::new(stage.inbox.clone(), handler)
        .with_stop_grace(Duration::from_secs(10))
        .start();
    begun.recv().await.unwrap();
    begun.recv().await.unwrap();
    running.stop().await;
    let settled = stage.settled();
    assert_eq!(settled[0], Settlement::Done);
    assert_eq!(settled[1], Settlement::Release);
}

#[tokio::test(start_paused = true)]
async fn a_new_event_is_handled_at_once_beside_a_handler_that_takes_long() {
    for lease in [60, 600] {
        let (store, meter) = (Arc::new(MemoryStore::new()), Meter::default());
        let inbox = Inbox::start(store);
        let dispatcher = Dispatcher::new(inbox.clone(), meter.handler(Duration::from_secs(3_600)));
        let running = dispatcher.with_lease(Duration::from_secs(lease)).start();
        inbox.accept(delivery("slow", "complete")).await.unwrap();
        pass(1).await;
        inbox.accept(delivery("quick", "complete")).await.unwrap();
        tokio::time::sleep(Duration::from_millis(1)).await;
        assert_eq!(meter.begun(), ["slow/complete", "quick/complete"]);
        drop(running);
    }
}

#[tokio::test(start_paused = true)]
async fn a_new_event_waits_for_those_that_were_ready_before_it_and_not_for_their_retries() {
    const FAILING: u64 = 100;
    const SECONDS_EACH: u64 = 10;
    let store = Arc::new(MemoryStore::new());
    let failing: Vec<_> = (0..FAILING)
        .map(|number| delivery(&format!("bad-{number}"), "complete"))
        .collect();
    store.accept(&failing).await.unwrap();
    store.accept(&[delivery("good", "complete")]).await.unwrap();
    let (tell, mut told) = mpsc::unbounded_channel();
    let handler = handler_fn(move |event: Event| {
        let tell = tell.clone();
        async move {
            if event.task_id().as_str() == "good" {
                return Ok(tell.send(())?);
            }
            tokio::time::sleep(Duration::from_secs(SECONDS_EACH)).await;
            Err(HandlerError::retry("the customer's server does not answer"))
        }
    });
    let begun = Instant::now();
    let running = Dispatcher::new(Inbox::start(store), handler).start();
    told.recv().await.unwrap();
    let fair = SECONDS_EACH * FAILING.div_ceil(Dispatcher::HANDLERS_MAX as u64);
    assert!(begun.elapsed().as_secs() <= fair, "{:?}", begun.elapsed());
    drop(running);
}

#[tokio::test(start_paused = true)]
async fn an_earlier_stage_that_is_redriven_after_a_later_one_is_left_alone() {
    let stage = Stage::new();
    let (dispatcher, mut told) = stage.dispatcher(|event| match event.stage().as_str() {
        "text" if event.attempt() == 1 => Err(HandlerError::give_up("no")),
        _ => Ok(()),
    });
    let running = dispatcher.start();
    for word in ["text", "complete"] {
        stage.receive(TASK, word).await;
        assert_eq!(told.recv().await.unwrap().0, format!("{TASK}/{word}"));
    }
    pass(1).await;
    let text = stage.store.find(&TASK.parse().unwrap()).await.unwrap()[0].id;
    let redriven = stage.store.redrive(&[text], Redrive::Current).await;
    assert_eq!(redriven.unwrap(), [RedriveResult::Superseded]);
    pass(60).await;
    assert!(told.is_empty(), "the task went back: {told:?}");
    running.stop().await;
}
