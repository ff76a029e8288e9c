//! Handlers made of handlers.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use suno_callback::{
    CallbackHandler, Dispatcher, Event, HandlerError, Inbox, MemoryStore, Receiver, Verification,
    async_trait, handler_fn, with_timeout,
};
use tokio::sync::mpsc;

use crate::scene::{HandClock, KEY, TASK, body, signed};

/// What was called, in order.
type Calls = Arc<Mutex<Vec<String>>>;

/// Notes which of its methods is called, and fails the first `failures` times.
struct Noting {
    name: &'static str,
    calls: Calls,
    failures: Mutex<u32>,
}

impl Noting {
    fn new(name: &'static str, calls: &Calls, failures: u32) -> Self {
        Self {
            name,
            calls: calls.clone(),
            failures: Mutex::new(failures),
        }
    }

    fn note(&self, method: &str) -> Result<(), HandlerError> {
        let call = format!("{} {method}", self.name);
        self.calls.lock().unwrap().push(call);
        let mut failures = self.failures.lock().unwrap();
        if *failures == 0 {
            return Ok(());
        }
        *failures -= 1;
        Err(HandlerError::retry_after(Duration::ZERO, "not yet"))
    }
}

#[async_trait]
impl CallbackHandler for Noting {
    async fn on_text(&self, _: &Event) -> Result<(), HandlerError> {
        self.note("text")
    }

    async fn on_first(&self, _: &Event) -> Result<(), HandlerError> {
        self.note("first")
    }

    async fn on_complete(&self, _: &Event) -> Result<(), HandlerError> {
        self.note("complete")
    }

    async fn on_failed(&self, _: &Event) -> Result<(), HandlerError> {
        self.note("failed")
    }

    async fn on_other(&self, _: &Event) -> Result<(), HandlerError> {
        self.note("other")
    }
}

/// Receives these stages, each of a task of its own, and waits until `handled` says so for each.
async fn dispatch(handler: impl CallbackHandler, words: &[&str]) {
    let inbox = Inbox::start(Arc::new(MemoryStore::new()));
    let verification = Verification::webhook_key(KEY);
    let receiver = Receiver::new(inbox.clone(), verification).with_clock(HandClock::new());
    for (number, word) in words.iter().enumerate() {
        let task = format!("{TASK}-{number}");
        let answer = receiver.receive(signed(&task, &body(&task, word))).await;
        assert_eq!(answer.status(), 200);
    }
    let (tell, mut told) = mpsc::unbounded_channel();
    let last = handler_fn(move |_| {
        let told = tell.send(());
        async move { Ok(told?) }
    });
    let dispatcher = Dispatcher::new(inbox, (handler, last))
        .with_handlers_max(1)
        .start();
    for _ in words {
        told.recv().await.unwrap();
    }
    dispatcher.stop().await;
}

#[tokio::test(start_paused = true)]
async fn several_handlers_run_one_after_the_other_at_every_stage() {
    let calls = Calls::default();
    let noting = |name| Noting::new(name, &calls, 0);
    let handler = (
        (noting("a"), noting("b")),
        (noting("c"), noting("d"), noting("e")),
        (noting("f"), noting("g"), noting("h"), noting("i")),
    );
    let words = ["text", "first", "complete", "error", "unheard-of"];
    dispatch(handler, &words).await;
    let expected: Vec<_> = ["text", "first", "complete", "failed", "other"]
        .iter()
        .flat_map(|stage| ('a'..='i').map(move |name| format!("{name} {stage}")))
        .collect();
    assert_eq!(*calls.lock().unwrap(), expected);
}

#[tokio::test(start_paused = true)]
async fn the_first_failure_is_the_result_and_a_retry_runs_all_again() {
    let calls = Calls::default();
    let noting = |name, failures| Noting::new(name, &calls, failures);
    let handler = (noting("a", 0), noting("b", 1), noting("c", 0));
    dispatch(handler, &["complete"]).await;
    let expected = ["a", "b", "a", "b", "c"].map(|name| format!("{name} complete"));
    assert_eq!(*calls.lock().unwrap(), expected);
}

#[tokio::test(start_paused = true)]
async fn a_handler_behind_a_pointer_is_the_handler() {
    let calls = Calls::default();
    let words = ["text", "first", "complete", "error", "unheard-of"];
    let shared = Arc::new(Noting::new("shared", &calls, 0));
    let boxed: Box<dyn CallbackHandler> = Box::new(Noting::new("boxed", &calls, 0));
    let erased: Arc<dyn CallbackHandler> = shared.clone();
    dispatch((shared, boxed, erased), &words).await;
    let expected: Vec<_> = ["text", "first", "complete", "failed", "other"]
        .iter()
        .flat_map(|stage| ["shared", "boxed", "shared"].map(|name| format!("{name} {stage}")))
        .collect();
    assert_eq!(*calls.lock().unwrap(), expected);
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_takes_too_long_is_cancelled_and_tried_again() {
    /// Tells how long it was there.
    struct Dropped(tokio::time::Instant, mpsc::UnboundedSender<Duration>);
    impl Drop for Dropped {
        fn drop(&mut self) {
            let _ = self.1.send(self.0.elapsed());
        }
    }
    let (tell, mut told) = mpsc::unbounded_channel();
    let handler = handler_fn(move |event: Event| {
        let dropped = Dropped(tokio::time::Instant::now(), tell.clone());
        async move {
            let _dropped = dropped;
            if event.attempt() == 1 {
                std::future::pending::<()>().await;
            }
            Ok(())
        }
    });
    let inbox = Inbox::start(Arc::new(MemoryStore::new()));
    let receiver = Receiver::new(inbox.clone(), Verification::webhook_key(KEY));
    let receiver = receiver.with_clock(HandClock::new());
    receiver
        .receive(signed(TASK, &body(TASK, "complete")))
        .await;
    let bounded = with_timeout(handler, Duration::from_secs(30));
    let running = Dispatcher::new(inbox, bounded).start();
    let first = told.recv().await.unwrap();
    assert!((30..31).contains(&first.as_secs()), "{first:?}");
    assert_eq!(told.recv().await.unwrap(), Duration::ZERO);
    running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_bounded_handler_is_asked_at_every_stage() {
    let calls = Calls::default();
    let words = ["text", "first", "complete", "error", "unheard-of"];
    let bounded = with_timeout(Noting::new("a", &calls, 0), Duration::from_secs(1));
    dispatch(bounded, &words).await;
    let expected = ["text", "first", "complete", "failed", "other"].map(|at| format!("a {at}"));
    assert_eq!(*calls.lock().unwrap(), expected);
}

#[test]
fn a_question_mark_in_a_handler_takes_every_common_kind_of_error() {
    fn fails(kind: u8) -> Result<(), HandlerError> {
        let boxed = || -> Box<dyn std::error::Error + Send + Sync> { "boxed".into() };
        match kind {
            0 => Err(std::io::Error::other("io"))?,
            1 => Err(anyhow::anyhow!("anyhow").context("around"))?,
            2 => Err(boxed())?,
            3 => Err("text".to_owned())?,
            _ => Err("literal")?,
        }
        Ok(())
    }
    let shown: Vec<_> = (0..5)
        .map(|kind| fails(kind).unwrap_err().to_string())
        .collect();
    assert_eq!(shown, ["io", "around: anyhow", "boxed", "text", "literal"]);
}
