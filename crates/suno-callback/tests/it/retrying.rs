//! Failing events are retried by their age, handlers that never end are cancelled, and what ends without
//! success is told.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use suno_callback::{
    CallbackHandler, DeadCause, DeadLetter, Dispatcher, Event, HandlerError, IdempotencyStore,
    Inbox, MemoryStore, StateName, async_trait, handler_fn,
};
use tokio::time::Instant;

use crate::logs::Logs;
use crate::scene::{Meter, TASK, delivery, pass};

/// Fails until a time has passed, and keeps when it was called and what it was told.
#[derive(Clone)]
struct Failing {
    since: Instant,
    fails_for: Duration,
    attempts: Arc<Mutex<Vec<Duration>>>,
    letters: Arc<Mutex<Vec<DeadLetter>>>,
}

impl Failing {
    fn for_time(fails_for: Duration) -> Self {
        Self {
            since: Instant::now(),
            fails_for,
            attempts: Arc::default(),
            letters: Arc::default(),
        }
    }

    /// When it was called.
    fn attempts(&self) -> Vec<Duration> {
        self.attempts.lock().unwrap().clone()
    }
}

#[async_trait]
impl CallbackHandler for Failing {
    async fn on_complete(&self, _: &Event) -> Result<(), HandlerError> {
        let at = self.since.elapsed();
        self.attempts.lock().unwrap().push(at);
        match at < self.fails_for {
            true => Err(HandlerError::retry("its database is away")),
            false => Ok(()),
        }
    }

    async fn on_failed(&self, _: &Event) -> Result<(), HandlerError> {
        Ok(())
    }

    async fn on_dead_letter(&self, letter: &DeadLetter) {
        self.letters.lock().unwrap().push(letter.clone());
    }
}

async fn one_event() -> (Arc<MemoryStore>, Inbox) {
    let store = Arc::new(MemoryStore::new());
    store.accept(&[delivery(TASK, "complete")]).await.unwrap();
    (store.clone(), Inbox::start(store))
}

async fn state(store: &MemoryStore) -> (StateName, Option<DeadCause>) {
    let found = store.find(&TASK.parse().unwrap()).await.unwrap();
    (found[0].state.into(), found[0].dead_cause)
}

#[tokio::test(start_paused = true)]
async fn a_handler_whose_database_is_away_for_hours_loses_nothing() {
    let (store, inbox) = one_event().await;
    let handler = Failing::for_time(Duration::from_secs(8 * 3_600));
    let running = Dispatcher::new(inbox, handler.clone()).start();
    pass(9 * 3_600).await;
    running.stop().await;
    assert_eq!(state(&store).await, (StateName::Done, None));
    assert!(handler.letters.lock().unwrap().is_empty());
}

#[tokio::test(start_paused = true)]
async fn an_event_that_fails_for_a_day_is_a_dead_letter_and_the_handler_is_told_once() {
    let (store, inbox) = one_event().await;
    let handler = Failing::for_time(Duration::MAX);
    let running = Dispatcher::new(inbox, handler.clone()).start();
    let day = Dispatcher::RETRY_FOR;
    pass(day.as_secs() - 1).await;
    assert_eq!(state(&store).await, (StateName::Waiting, None));
    pass(2).await;
    running.stop().await;
    let dead = (StateName::Dead, Some(DeadCause::Exhausted));
    assert_eq!(state(&store).await, dead);
    let attempts = handler.attempts();
    assert_eq!(attempts.last().unwrap().as_secs(), day.as_secs());
    // At most ten minutes apart, and five minutes on average.
    assert!((144..500).contains(&attempts.len()), "{}", attempts.len());
    let letters = handler.letters.lock().unwrap();
    assert_eq!(letters.len(), 1);
    assert_eq!(letters[0].cause, DeadCause::Exhausted);
    assert_eq!(letters[0].attempts as usize, attempts.len());
    assert_eq!(letters[0].reason, "its database is away");
    assert_eq!(letters[0].event().unwrap().task_id().as_str(), TASK);
}

#[tokio::test(start_paused = true)]
async fn an_event_that_cannot_be_tried_for_days_is_asked_for_once_a_second_and_never_given_up() {
    let (store, inbox) = one_event().await;
    let calls = Arc::new(Mutex::new(Vec::new()));
    let called = calls.clone();
    let handler = handler_fn(move |event: Event| {
        called.lock().unwrap().push(event.attempt());
        async { Err(HandlerError::not_now("the destination is down")) }
    });
    let running = Dispatcher::new(inbox, handler)
        .with_attempts_max(2)
        .with_retry_for(Duration::from_secs(60))
        .start();
    pass(3_600).await;
    running.stop().await;
    assert_eq!(state(&store).await, (StateName::Ready, None));
    let calls = calls.lock().unwrap();
    assert!((3_000..=3_601).contains(&calls.len()), "{}", calls.len());
    assert!(calls.iter().all(|attempt| *attempt == 1));
}

#[tokio::test(start_paused = true)]
async fn a_redriven_event_is_retried_for_a_day_again() {
    let (store, inbox) = one_event().await;
    let handler = Failing::for_time(Duration::from_secs(2 * 86_400));
    let running = Dispatcher::new(inbox, handler.clone()).start();
    pass(86_400 + 1).await;
    let id = handler.letters.lock().unwrap()[0].id;
    store.redrive(&[id], Default::default()).await.unwrap();
    pass(86_400 + 1).await;
    running.stop().await;
    assert_eq!(state(&store).await, (StateName::Done, None));
}

#[tokio::test(start_paused = true)]
async fn a_dead_letter_is_logged_as_an_error_unless_the_handler_takes_it() {
    let logs = Logs::collect();
    let (_, inbox) = one_event().await;
    let handler = handler_fn(|_| async { Err(HandlerError::give_up("no such customer")) });
    let running = Dispatcher::new(inbox, handler).start();
    pass(1).await;
    running.stop().await;
    let lines = logs.lines("ERROR", "dead letter");
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert!(lines[0].contains("no such customer") && lines[0].contains("given_up"));
}

#[tokio::test(start_paused = true)]
async fn handlers_that_never_end_give_their_places_back_after_ten_minutes() {
    let (store, meter) = (Arc::new(MemoryStore::new()), Meter::default());
    let tasks = (0..Dispatcher::HANDLERS_MAX).map(|number| format!("hangs-{number}"));
    let hanging: Vec<_> = tasks.map(|task| delivery(&task, "complete")).collect();
    store.accept(&hanging).await.unwrap();
    let never = meter.handler(Duration::from_secs(86_400));
    let running = Dispatcher::new(Inbox::start(store.clone()), never).start();
    pass(1).await;
    store
        .accept(&[delivery("quick", "complete")])
        .await
        .unwrap();
    pass(Dispatcher::HANDLER_TIMEOUT.as_secs() - 2).await;
    assert_eq!(meter.begun().len(), Dispatcher::HANDLERS_MAX);
    pass(3).await;
    assert!(meter.begun().contains(&"quick/complete".to_owned()));
    let hung = store.find(&"hangs-0".parse().unwrap()).await.unwrap();
    let reason = hung[0].reason.clone().unwrap();
    assert!(reason.contains("longer than 600s"), "{reason}");
    running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_minute_without_a_free_place_is_logged_again_and_again() {
    let logs = Logs::collect();
    let (store, meter) = (Arc::new(MemoryStore::new()), Meter::default());
    let slow = ["a", "b"].map(|task| delivery(task, "complete"));
    store.accept(&slow).await.unwrap();
    let handler = meter.handler(Duration::from_secs(200));
    let dispatcher = Dispatcher::new(Inbox::start(store.clone()), handler);
    let running = dispatcher.with_handlers_max(2).start();
    let warned = async |seconds| {
        pass(seconds).await;
        logs.lines("WARN", "other events are waiting").len()
    };
    assert_eq!(warned(59).await, 0);
    assert_eq!(warned(2).await, 1);
    assert_eq!(warned(60).await, 2);
    assert_eq!(warned(3_600).await, 3, "after 200 s both places are free");
    running.stop().await;
}
