//! The workspace's receiver under every fault: how it answers, which events are handled, and where
//! the task stands in its store at the end.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use jiff::Timestamp;
use suno_callback::serve::serve;
use suno_callback::{
    BackgroundTask, Clock, Dispatcher, EventFilter, EventState, IdempotencyStore, Inbox,
    ListRequest, MemoryStore, Receiver, Verification, handler_fn,
};
use suno_emulator::{AttemptOutcome, Config, Emulator};
use tokio::net::TcpListener;
use tokio::sync::oneshot;

use crate::wire::{self, SUBMIT, submission};

const START_MS: u64 = 1_780_000_000_000;
const KEY: &str = "whk_of_this_test";
/// The longest step in which both clocks move.
const STEP: Duration = Duration::from_secs(2);

/// Words, and what comes of a task that has them.
struct Row {
    words: &'static str,
    /// The answers, attempt by attempt; what never left is not there.
    answers: &'static str,
    /// The stages that were handled, in order.
    handled: &'static str,
    /// The stages that the store holds, each with how it stands; `!` where deliveries contradict.
    store: &'static str,
}

const fn row(
    words: &'static str,
    answers: &'static str,
    handled: &'static str,
    store: &'static str,
) -> Row {
    Row {
        words,
        answers,
        handled,
        store,
    }
}

const USUAL: &str = "text first complete";
const DONE: &str = "text:done first:done complete:done";
const FAILED: &str = "text:done failed:done";
/// An attempt and its three retries.
const REFUSED: &str = "401 401 401 401";

const ROWS: &[Row] = &[
    row("", "200 200 200", USUAL, DONE),
    // Every subset of the stages, with and without a failure at the end.
    row("stages=none", "", "", ""),
    row("stages=text", "200", "text", "text:done"),
    row("stages=first", "200", "first", "first:done"),
    row("stages=complete", "200", "complete", "complete:done"),
    row(
        "stages=text+first",
        "200 200",
        "text first",
        "text:done first:done",
    ),
    row(
        "stages=text+complete",
        "200 200",
        "text complete",
        "text:done complete:done",
    ),
    row(
        "stages=first+complete",
        "200 200",
        "first complete",
        "first:done complete:done",
    ),
    row("stages=text+first+complete", "200 200 200", USUAL, DONE),
    row("fail, stages=none", "200", "failed/501", "failed:done"),
    row(
        "fail, stages=first",
        "200 200",
        "first failed/501",
        "first:done failed:done",
    ),
    row(
        "fail, stages=text+first",
        "200 200 200",
        "text first failed/501",
        "text:done first:done failed:done",
    ),
    // Every shape of text and of a failure, and every code.
    row("text=empty", "200 200 200", USUAL, DONE),
    row("text=null", "200 200 200", USUAL, DONE),
    row("text=absent", "200 200 200", USUAL, DONE),
    row("text=partial", "200 200 200", USUAL, DONE),
    row("one-track", "200 200 200", USUAL, DONE),
    row("second-first", "200 200 200", USUAL, DONE),
    row("unknown-fields", "200 200 200", USUAL, DONE),
    row("fail", "200 200", "text failed/501", FAILED),
    row("fail=400", "200 200", "text failed/400", FAILED),
    row("fail=408", "200 200", "text failed/408", FAILED),
    row("fail=413", "200 200", "text failed/413", FAILED),
    row("fail=451", "200 200", "text failed/451", FAILED),
    row("fail=500", "200 200", "text failed/500", FAILED),
    row("fail=531", "200 200", "text failed/531", FAILED),
    row("fail=999", "200 200", "text failed/999", FAILED),
    row("fail, shape=null", "200 200", "text failed/501", FAILED),
    row("fail, shape=empty", "200 200", "text failed/501", FAILED),
    row("fail, shape=absent", "200 200", "text failed/501", FAILED),
    row(
        "fail, shape=error-text",
        "200 200",
        "text failed/501",
        FAILED,
    ),
    row("fail, shape=untyped", "200 200", "text failed/501", FAILED),
    row(
        "fail, shape=says-complete",
        "200 200",
        "text failed/501",
        FAILED,
    ),
    row("create-failed", "200", "failed/501", "failed:done"),
    row("sensitive-word", "200", "failed/400", "failed:done"),
    row("pending-error", "200", "failed/501", "failed:done"),
    row("long-first=100", "200 200 200", USUAL, DONE),
    // What goes wrong on the way.
    row("drop", "", "", ""),
    row(
        "drop-text",
        "200 200",
        "first complete",
        "first:done complete:done",
    ),
    row(
        "drop-first",
        "200 200",
        "text complete",
        "text:done complete:done",
    ),
    row(
        "drop-complete",
        "200 200",
        "text first",
        "text:done first:done",
    ),
    row("fail, drop-error", "200", "text", "text:done"),
    row("duplicate", "200 200 200 200 200 200", USUAL, DONE),
    row("duplicate-complete=16", DUPLICATES, USUAL, DONE),
    row(
        "fail=531, duplicate-error=3",
        "200 200 200 200",
        "text failed/531",
        FAILED,
    ),
    row("delay=60", "200 200 200", USUAL, DONE),
    row(
        "delay-first=90",
        "200 200 200",
        "text complete",
        "text:done complete:done first:superseded",
    ),
    row(
        "delay-text=60",
        "200 200 200",
        "first complete",
        "first:done text:superseded complete:done",
    ),
    row("reorder", "200 200 200", "complete", LATE),
    row("order=complete+first+text", "200 200 200", "complete", LATE),
    row(
        "order=first+text+complete",
        "200 200 200",
        "first complete",
        "first:done text:superseded complete:done",
    ),
    row("early", "200 200 200", USUAL, DONE),
    row("unknown-type", "200 200 200 200", UNKNOWN, UNKNOWN_DONE),
    // The signature speaks for the task and the moment, not for the body: a forgery under a
    // signature that was seen is taken. The true callback then differs in its URLs alone, which do
    // not contradict each other, since they may be signed anew.
    row(
        "forge",
        "200 200 200 200",
        "text complete",
        "text:done complete:done! first:superseded",
    ),
    row(
        "forge-error",
        "200 200 200 200",
        "text failed/501",
        CONTRADICTED,
    ),
    row("forge-ids", "200 400 200 200", USUAL, DONE),
    row("bad-signature", REFUSED, "", ""),
    row("no-signature", REFUSED, "", ""),
    row("stale-timestamp", REFUSED, "", ""),
    row("bad-signature=1", "401 200 401 200 401 200", USUAL, DONE),
    row("no-signature=1", "401 200 401 200 401 200", USUAL, DONE),
    row("stale-timestamp=3", MENDED, USUAL, DONE),
    // What clients see does not change what is posted.
    row("cut", "200 200 200", USUAL, DONE),
    row("html-502-taken", "200 200 200", USUAL, DONE),
    row("hidden", "200 200 200", USUAL, DONE),
    row("late-tracks", "200 200 200", USUAL, DONE),
    row(
        "poll-502, poll-cut, poll-rate-limit",
        "200 200 200",
        USUAL,
        DONE,
    ),
];

const DUPLICATES: &str = "200 200 200 200 200 200 200 200 200 200 200 200 200 200 200 200 200 200";
const LATE: &str = "complete:done first:superseded text:superseded";
const UNKNOWN: &str = "text preview first complete";
const UNKNOWN_DONE: &str = "text:done preview:done first:done complete:done";
const CONTRADICTED: &str = "text:done failed:done first:superseded complete:superseded";
const MENDED: &str = "401 401 401 200 401 401 401 200 401 401 401 200";

/// Words that change nothing that a receiver sees, or that other tests here exercise.
const ELSEWHERE: &[&str] = &[
    "cut-audio",
    "dead-stream",
    "empty-audio",
    "end-status",
    "html-502",
    "http",
    "maintenance",
    "missing-audio",
    "no-credits",
    "no-ranges",
    "poll-slow",
    "random",
    "rate-limit",
    "record-shape",
    "refuse",
    "script",
    "server-error",
    "slow-answer",
    "status",
];

/// The emulator's clock, as the receiver sees it.
#[derive(Clone, Debug)]
struct HandClock(Arc<AtomicI64>);

impl Clock for HandClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millisecond(self.0.load(Ordering::SeqCst)).unwrap()
    }
}

/// A receiver with a store in memory and a handler that keeps what it was given.
struct Side {
    url: String,
    store: Arc<MemoryStore>,
    clock: HandClock,
    handled: Arc<Mutex<Vec<(String, String)>>>,
    running: BackgroundTask,
    stop: oneshot::Sender<()>,
}

impl Side {
    async fn start() -> Self {
        let store = Arc::new(MemoryStore::new());
        let inbox = Inbox::start(Arc::clone(&store) as _);
        let clock = HandClock(Arc::new(AtomicI64::new(START_MS as i64)));
        let handled = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&handled);
        let handler = handler_fn(move |event| {
            let mut text = event.stage().to_string();
            if event.callback().code.to_string() != "200" {
                text += &format!("/{}", event.callback().code);
            }
            kept.lock()
                .unwrap()
                .push((event.task_id().to_string(), text));
            async { Ok(()) }
        });
        let running = Dispatcher::new(inbox.clone(), handler).start();
        let receiver =
            Receiver::new(inbox, Verification::webhook_key(KEY)).with_clock(clock.clone());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!(
            "http://{}{}",
            listener.local_addr().unwrap(),
            Receiver::PATH
        );
        let (stop, stopped) = oneshot::channel::<()>();
        tokio::spawn(serve(listener, receiver, async {
            let _ = stopped.await;
        }));
        Self {
            url,
            store,
            clock,
            handled,
            running,
            stop,
        }
    }

    /// Moves both clocks, and lets everything be handled that came.
    async fn advance(&self, emulator: &Emulator, by: Duration) {
        let mut left = by;
        while !left.is_zero() {
            let step = left.min(STEP);
            left -= step;
            emulator.advance(step).await.unwrap();
            self.clock
                .0
                .fetch_add(step.as_millis() as i64, Ordering::SeqCst);
            loop {
                let counts = self.store.counts().await.unwrap();
                if counts.ready + counts.claimed + counts.waiting == 0 {
                    break;
                }
                tokio::task::yield_now().await;
            }
        }
    }

    /// The stages of a task that were handled.
    fn handled(&self, task_id: &str) -> String {
        let handled = self.handled.lock().unwrap();
        let of_task = handled.iter().filter(|(id, _)| id == task_id);
        of_task
            .map(|(_, stage)| stage.as_str())
            .collect::<Vec<_>>()
            .join(" ")
    }

    /// What the store holds of a task.
    async fn stored(&self, task_id: &str) -> String {
        let request = ListRequest::first(1000, EventFilter::default());
        let page = self.store.list(&request).await.unwrap();
        assert_eq!(page.next, None);
        let of_task = page
            .records
            .iter()
            .filter(|record| record.key.task_id().as_str() == task_id);
        let words = of_task.map(|record| {
            let state = match record.state {
                EventState::Done => "done",
                EventState::Superseded => "superseded",
                _ => "open",
            };
            let mark = if record.conflicts > 0 { "!" } else { "" };
            format!("{}:{state}{mark}", record.key.stage())
        });
        words.collect::<Vec<_>>().join(" ")
    }

    async fn stop(self) {
        let _ = self.stop.send(());
        self.running.stop().await;
    }
}

async fn start() -> Emulator {
    let config = Config::default()
        .with_driven_clock(START_MS)
        .with_webhook_key(KEY)
        .with_seed(7)
        .without_rate_limits();
    Emulator::start(config).await.unwrap()
}

fn answers(emulator: &Emulator, task_id: &str) -> String {
    let attempts = emulator.attempts();
    let of_task = attempts.iter().filter(|attempt| attempt.task_id == task_id);
    let answers = of_task.filter_map(|attempt| match &attempt.outcome {
        AttemptOutcome::Answered { status } => Some(status.to_string()),
        AttemptOutcome::Dropped => None,
        other => Some(format!("{other:?}")),
    });
    answers.collect::<Vec<_>>().join(" ")
}

#[tokio::test]
async fn the_receiver_is_right_under_every_fault() {
    let (emulator, side) = (start().await, Side::start().await);
    let mut ids = Vec::new();
    for row in ROWS {
        let headers = [("x-emulator-scenario", row.words)];
        let body = submission(&side.url, "Lantern").to_string();
        // The answer to the submit may be cut or a page; the emulator knows the id.
        let _ = wire::post_with(&emulator, SUBMIT, &headers, &body).await;
        ids.push(emulator.tasks().last().unwrap().task_id.clone());
    }
    assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), ROWS.len());
    side.advance(&emulator, Duration::from_secs(600)).await;
    for (row, task_id) in ROWS.iter().zip(&ids) {
        let seen = (
            answers(&emulator, task_id),
            side.handled(task_id),
            side.stored(task_id).await,
        );
        let expected = (row.answers, row.handled, row.store);
        assert_eq!((&*seen.0, &*seen.1, &*seen.2), expected, "{:?}", row.words);
    }
    side.stop().await;
}

#[tokio::test]
async fn every_word_that_a_receiver_can_see_is_among_them() {
    let emulator = start().await;
    let answer = wire::get(&emulator, "/_emulator/words").await.json();
    let words = answer["words"].as_array().unwrap().iter();
    let missing: Vec<&str> = words
        .map(|word| word["name"].as_str().unwrap())
        .filter(|name| !ELSEWHERE.contains(name))
        .filter(|name| {
            let is_it = |word: &str| word == *name || word.strip_prefix(name).is_some_and(is_rest);
            !ROWS.iter().any(|row| row.words.split(", ").any(is_it))
        })
        .collect();
    assert_eq!(missing, Vec::<&str>::new());
}

/// What may follow the name of a word.
fn is_rest(rest: &str) -> bool {
    let stages = ["-text", "-first", "-complete", "-error"];
    rest.starts_with('=') || stages.iter().any(|stage| rest.starts_with(stage))
}

#[tokio::test]
async fn a_callback_that_is_delivered_again_by_hand_is_not_handled_again() {
    let (emulator, side) = (start().await, Side::start().await);
    let task_id = wire::submit(&emulator, &side.url, "Lantern").await;
    side.advance(&emulator, Duration::from_secs(300)).await;
    for post in ["complete", "text", "first"] {
        emulator.deliver_again(&task_id, post).unwrap();
        side.advance(&emulator, Duration::from_secs(1)).await;
    }
    assert_eq!(answers(&emulator, &task_id), "200 200 200 200 200 200");
    assert_eq!(side.handled(&task_id), USUAL);
    assert_eq!(side.stored(&task_id).await, DONE);
    side.stop().await;
}
