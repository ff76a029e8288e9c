//! Two receivers on one store, senders that never rest, and handlers that watch each other.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use suno_callback::{
    CallbackHandler, Event, EventFilter, EventState, HandlerError, IdempotencyStore, ListRequest,
    Pipeline, Receiver, Verification, handler_fn,
};
use suno_store_postgres::{PostgresConfig, PostgresStore};
use suno_testkit::callback::body;
use tokio::task::JoinHandle;
use tokio::time::sleep;

const RECEIVERS: usize = 2;
const SENDERS: usize = 12;
const BODY_BYTES: usize = 1_000;
const LEASE: Duration = Duration::from_secs(2);
/// How long a handler takes.
const HANDLING: Duration = Duration::from_millis(10);
/// The pause of a sender after an answer, and after one that asks it to try again.
const PAUSE: Duration = Duration::from_millis(5);
const PAUSE_REFUSED: Duration = Duration::from_millis(100);
/// The time for an answer: less than the default, so that a hanging server is noticed sooner.
const BUDGET: Duration = Duration::from_secs(3);
/// The time in which the receivers must answer with 200 again, and in which everything must be handled.
const RECOVERY: Duration = Duration::from_secs(15);
/// What a busy machine may add to a time limit.
const SLACK: Duration = Duration::from_secs(2);

/// Receivers under load.
pub(super) struct World {
    pipelines: Vec<Pipeline>,
    senders: Vec<JoinHandle<()>>,
    seen: Arc<Seen>,
    config: PostgresConfig,
}

/// What the senders and the handlers have seen.
#[derive(Default)]
struct Seen {
    is_over: AtomicBool,
    next: AtomicU64,
    answered: AtomicUsize,
    refused: AtomicUsize,
    /// Tasks whose callback was answered with 200.
    accepted: Mutex<BTreeSet<String>>,
    /// Answers that are neither 200 nor 503, or too late.
    wrong: Mutex<Vec<String>>,
    /// The number of handlers that work for each task now.
    running: Mutex<BTreeMap<String, u32>>,
    handled: Mutex<BTreeSet<String>>,
    at_once: Mutex<BTreeSet<String>>,
}

/// A handler that works, also if it is dropped before its end.
struct Running {
    task: String,
    seen: Arc<Seen>,
}

impl Running {
    fn begin(event: &Event, seen: &Arc<Seen>) -> Self {
        let task = event.task_id().to_string();
        let mut running = seen.running.lock().unwrap();
        let now = running.entry(task.clone()).or_default();
        *now += 1;
        if *now > 1 {
            seen.at_once.lock().unwrap().insert(task.clone());
        }
        drop(running);
        let seen = seen.clone();
        Self { task, seen }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let mut running = self.seen.running.lock().unwrap();
        *running.get_mut(&self.task).unwrap() -= 1;
    }
}

fn handler(seen: Arc<Seen>) -> impl CallbackHandler {
    handler_fn(move |event: Event| {
        let seen = seen.clone();
        async move {
            let running = Running::begin(&event, &seen);
            sleep(HANDLING).await;
            seen.handled.lock().unwrap().insert(running.task.clone());
            Ok::<_, HandlerError>(())
        }
    })
}

impl World {
    /// Starts receivers and senders, and waits until some callbacks were accepted.
    pub(super) async fn start(config: PostgresConfig) -> Self {
        let seen = Arc::<Seen>::default();
        let mut pipelines = Vec::new();
        let mut senders = Vec::new();
        for _ in 0..RECEIVERS {
            let store = PostgresStore::connect(config.clone()).await.unwrap();
            let pipeline = Pipeline::builder(
                Arc::new(store),
                handler(seen.clone()),
                Verification::dangerous_none(),
            );
            let pipeline = pipeline
                .receiver(|receiver| receiver.with_answer_budget(BUDGET))
                .dispatcher(|dispatcher| dispatcher.with_lease(LEASE));
            let pipeline = pipeline.start().unwrap();
            for _ in 0..SENDERS / RECEIVERS {
                senders.push(tokio::spawn(send(pipeline.receiver(), seen.clone())));
            }
            pipelines.push(pipeline);
        }
        let world = Self {
            pipelines,
            senders,
            seen,
            config,
        };
        world.is_well().await;
        world
    }

    /// Waits until callbacks are accepted that were sent after now, and returns how long that took.
    pub(super) async fn is_well(&self) -> Duration {
        let began = Instant::now();
        // An answer of each sender may be on its way already.
        let enough = self.answered() + 3 * SENDERS;
        while self.answered() < enough {
            assert!(
                began.elapsed() < RECOVERY,
                "no recovery: {:?}",
                self.counts()
            );
            sleep(PAUSE).await;
        }
        began.elapsed()
    }

    /// Waits until callbacks were refused.
    pub(super) async fn is_refusing(&self) {
        let began = Instant::now();
        let enough = self.seen.refused.load(Ordering::SeqCst) + SENDERS;
        while self.seen.refused.load(Ordering::SeqCst) < enough {
            let limit = BUDGET + RECOVERY;
            assert!(
                began.elapsed() < limit,
                "nothing is refused: {:?}",
                self.counts()
            );
            sleep(PAUSE).await;
        }
    }

    /// Returns the number of callbacks that were answered with 200.
    pub(super) fn answered(&self) -> usize {
        self.seen.answered.load(Ordering::SeqCst)
    }

    /// Returns a task whose callback was answered with 200.
    pub(super) fn an_accepted_task(&self) -> String {
        self.seen.accepted.lock().unwrap().first().unwrap().clone()
    }

    /// Sends the callback of a task again. Returns the status, and how many other callbacks were
    /// answered with 200 meanwhile.
    pub(super) async fn send_again(&self, task: &str) -> (u16, usize) {
        let before = self.answered();
        let receiver = self.pipelines[0].receiver();
        let status = receive(&receiver, task).await;
        (status, self.answered() - before)
    }

    fn counts(&self) -> (usize, usize) {
        let refused = self.seen.refused.load(Ordering::SeqCst);
        (self.answered(), refused)
    }

    /// Stops the senders, waits until everything is handled, and checks what was promised.
    pub(super) async fn finish(self) {
        self.seen.is_over.store(true, Ordering::SeqCst);
        for sender in self.senders {
            sender.await.unwrap();
        }
        let accepted = self.seen.accepted.lock().unwrap().clone();
        let began = Instant::now();
        let missing = loop {
            let handled = self.seen.handled.lock().unwrap().clone();
            let missing: Vec<_> = accepted.difference(&handled).cloned().collect();
            if missing.is_empty() || began.elapsed() > RECOVERY {
                break missing;
            }
            sleep(PAUSE).await;
        };
        let count = missing.len();
        assert!(
            missing.is_empty(),
            "{count} of {} are lost: {missing:?}",
            accepted.len()
        );
        for pipeline in self.pipelines {
            pipeline.stop().await;
        }
        let wrong = self.seen.wrong.lock().unwrap().clone();
        assert!(wrong.is_empty(), "{wrong:?}");
        let at_once = self.seen.at_once.lock().unwrap().clone();
        assert!(at_once.is_empty(), "two handlers at once: {at_once:?}");
        check_records(&self.config, &accepted).await;
    }
}

/// Checks that each accepted event has one record, which is done.
async fn check_records(config: &PostgresConfig, accepted: &BTreeSet<String>) {
    let store = PostgresStore::connect(config.clone()).await.unwrap();
    let mut request = ListRequest::first(1_000, EventFilter::default());
    let mut done = BTreeSet::new();
    loop {
        let page = store.list(&request).await.unwrap();
        for record in page.records {
            let task = record.key.task_id().to_string();
            assert_eq!(record.state, EventState::Done, "{task}");
            assert!(done.insert(task.clone()), "{task} has two records");
        }
        match page.next {
            Some(next) => request = request.with_after(next),
            None => break,
        }
    }
    let lost: Vec<_> = accepted.difference(&done).collect();
    assert!(lost.is_empty(), "without a record: {lost:?}");
}

/// Sends new callbacks, and one in five again, until the end.
async fn send(receiver: Receiver, seen: Arc<Seen>) {
    let mut own: Vec<String> = Vec::new();
    while !seen.is_over.load(Ordering::SeqCst) {
        let task = match own.is_empty() || fastrand::u8(0..5) > 0 {
            true => format!("{:032x}", seen.next.fetch_add(1, Ordering::SeqCst)),
            false => own[fastrand::usize(0..own.len())].clone(),
        };
        let sent = Instant::now();
        let status = receive(&receiver, &task).await;
        let took = sent.elapsed();
        if took > BUDGET + SLACK {
            let late = format!("{status} after {took:?}");
            seen.wrong.lock().unwrap().push(late);
        }
        match status {
            200 => {
                seen.accepted.lock().unwrap().insert(task.clone());
                seen.answered.fetch_add(1, Ordering::SeqCst);
                own.push(task);
                sleep(PAUSE).await;
            }
            503 => {
                seen.refused.fetch_add(1, Ordering::SeqCst);
                sleep(PAUSE_REFUSED).await;
            }
            other => seen.wrong.lock().unwrap().push(other.to_string()),
        }
    }
}

/// Posts the callback of a task, and returns the status of the answer.
async fn receive(receiver: &Receiver, task: &str) -> u16 {
    let headers = [("content-type", b"application/json".as_slice())];
    let body = body(task, BODY_BYTES);
    let answer = receiver.receive_plain("POST", Receiver::PATH, headers, body);
    answer.await.status
}
