//! Several destinations, each with a queue.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use suno_callback::jiff::Timestamp;
use suno_callback::{
    Acceptance, CallbackHandler, DeadLetter, Delivery, Dispatcher, Event, HandledReport,
    HandlerError, IdempotencyStore, Inbox, Intent, MemoryStore, Observer, Reference, SubmitId,
    UrlSuffix,
};
use suno_gateway::body::{BodyForm, EventParts, Message};
use suno_gateway::destination::DestinationName;
use suno_gateway::fan_out::{FanOut, PartsHandler, Queue};

use crate::scene::callback;

/// A destination that keeps what it gets, and fails while it is told to.
#[derive(Debug, Default)]
struct Notes {
    messages: Mutex<Vec<Message>>,
    attempts: Mutex<u32>,
    fails: Mutex<bool>,
}

impl Notes {
    fn bodies(&self) -> Vec<serde_json::Value> {
        let messages = self.messages.lock().unwrap();
        let bodies = messages.iter().map(|it| serde_json::from_slice(&it.body));
        bodies.collect::<Result<_, _>>().unwrap()
    }
}

#[async_trait]
impl PartsHandler for Notes {
    async fn on_parts(&self, parts: EventParts<'_>, _: u32) -> Result<(), HandlerError> {
        *self.attempts.lock().unwrap() += 1;
        if *self.fails.lock().unwrap() {
            return Err(HandlerError::retry_after(Duration::ZERO, "told to"));
        }
        let message = Message::new(parts, BodyForm::Full);
        self.messages.lock().unwrap().push(message);
        Ok(())
    }
}

#[async_trait]
impl CallbackHandler for Notes {
    async fn on_complete(&self, event: &Event) -> Result<(), HandlerError> {
        self.on_parts(event.into(), event.attempt()).await
    }

    async fn on_failed(&self, event: &Event) -> Result<(), HandlerError> {
        self.on_parts(event.into(), event.attempt()).await
    }
}

fn name(name: &str) -> DestinationName {
    DestinationName::new(name).unwrap()
}

async fn until(what: &str, mut is_true: impl AsyncFnMut() -> bool) {
    let started = Instant::now();
    while !is_true().await {
        assert!(started.elapsed() < Duration::from_secs(10), "{what}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

/// A delivery as a receiver makes it.
fn delivery(body: String, submit: Option<SubmitId>) -> Delivery {
    let at = Timestamp::from_second(1_780_000_000).unwrap();
    let mut delivery = Delivery::decode(body.into(), at)
        .with_submit(submit)
        .with_suffix(UrlSuffix::new("orders/42", "user=7"));
    delivery.verified_by.signature = true;
    delivery
}

/// The stores of two destinations and the main one, which outlive what runs on them.
struct World {
    main: Arc<MemoryStore>,
    stores: [Arc<MemoryStore>; 2],
}

impl World {
    /// Runs everything until the main store and `is_over` say that it is over.
    async fn run(&self, notes: &[Arc<Notes>; 2], mut is_over: impl AsyncFnMut() -> bool) {
        let queues: Vec<Queue> = (self.stores.iter().zip(notes).zip(["a", "b"]))
            .map(|((store, notes), it)| {
                Queue::start(name(it), store.clone(), notes.clone(), |dispatcher| {
                    dispatcher.with_stop_grace(Duration::from_secs(1))
                })
            })
            .collect();
        let inbox = Inbox::start(self.main.clone());
        let fan_out = FanOut::new(queues.iter().map(Queue::entrance));
        let dispatching = Dispatcher::new(inbox, fan_out).start();
        let is_handed_over = async || {
            let counts = self.main.counts().await.unwrap();
            counts.ready + counts.claimed + counts.waiting == 0
        };
        until("the hand-over", is_handed_over).await;
        until("the end", &mut is_over).await;
        dispatching.stop().await;
        for queue in queues {
            queue.stop().await;
        }
    }
}

#[tokio::test]
async fn what_one_destination_has_done_is_not_repeated_because_another_failed() {
    let world = World {
        main: Arc::default(),
        stores: Default::default(),
    };
    let notes: [Arc<Notes>; 2] = Default::default();
    for number in 0..20 {
        let body = callback(&format!("task-{number}"), "complete", "t");
        world.main.accept(&[delivery(body, None)]).await.unwrap();
    }
    *notes[1].fails.lock().unwrap() = true;
    let has_failed =
        async || notes[0].bodies().len() == 20 && *notes[1].attempts.lock().unwrap() >= 20;
    world.run(&notes, has_failed).await;
    *notes[1].fails.lock().unwrap() = false;
    world
        .run(&notes, async || notes[1].bodies().len() == 20)
        .await;
    assert_eq!(*notes[0].attempts.lock().unwrap(), 20);
    assert_eq!(notes[1].bodies().len(), 20);
}

#[tokio::test]
async fn a_queue_keeps_all_that_the_event_has() {
    let world = World {
        main: Arc::default(),
        stores: Default::default(),
    };
    let notes: [Arc<Notes>; 2] = Default::default();
    let submit = SubmitId::from_bytes([7; 16]);
    let intent = Intent::new(submit, Timestamp::UNIX_EPOCH, Duration::ZERO);
    let intent = intent.with_reference(Some(Reference::new("order ü").unwrap()));
    world.main.intend(&intent).await.unwrap();
    let first = callback("task", "complete", "Harbour");
    let second = first.replace(
        r#""data":[{"#,
        r#""data":[{"id":"b","title":"Two","audio_url":"https://media.example.com/b.mp3"},{"#,
    );
    // The first event has been handled before there were queues.
    let before = Arc::new(Notes::default());
    world
        .main
        .accept(&[delivery(first, Some(submit))])
        .await
        .unwrap();
    let dispatching = Dispatcher::new(Inbox::start(world.main.clone()), before.clone()).start();
    until("the first", async || before.bodies().len() == 1).await;
    dispatching.stop().await;
    world
        .main
        .accept(&[delivery(second, Some(submit))])
        .await
        .unwrap();
    world
        .run(&notes, async || {
            notes.iter().all(|notes| notes.bodies().len() == 1)
        })
        .await;
    for notes in &notes {
        let body = &notes.bodies()[0];
        let data = &body["data"];
        assert_eq!(data["id"], "task_complete_1");
        assert_eq!(data["revision"], 1);
        assert_eq!(data["reference"], "order ü");
        assert_eq!(data["submit"], submit.to_string());
        assert_eq!(
            (&data["path"], &data["query"]),
            (&"orders/42".into(), &"user=7".into())
        );
        assert_eq!(data["verified_by"], serde_json::json!(["signature"]));
        assert_eq!(body["timestamp"], before.bodies()[0]["timestamp"]);
        assert_eq!(data["tracks"].as_array().unwrap().len(), 2);
    }
}

#[tokio::test]
async fn a_revision_that_comes_while_the_first_event_waits_is_sent_as_well() {
    let world = World {
        main: Arc::default(),
        stores: Default::default(),
    };
    let notes: [Arc<Notes>; 2] = Default::default();
    notes.iter().for_each(|it| *it.fails.lock().unwrap() = true);
    let first = callback("task", "complete", "Harbour");
    let second = first.replace(
        r#""data":[{"#,
        r#""data":[{"id":"b","title":"Two","audio_url":"https://media.example.com/b.mp3"},{"#,
    );
    for body in [first, second] {
        let delivery = delivery(body, None);
        world.main.accept(&[delivery]).await.unwrap();
    }
    let has_failed = async || notes.iter().all(|it| *it.attempts.lock().unwrap() > 1);
    world.run(&notes, has_failed).await;
    notes
        .iter()
        .for_each(|it| *it.fails.lock().unwrap() = false);
    let is_sent = |notes: &Notes| {
        let bodies = notes.bodies();
        bodies
            .iter()
            .any(|body| body["data"]["id"] == "task_complete_1")
    };
    world
        .run(&notes, async || notes.iter().all(|notes| is_sent(notes)))
        .await;
}

/// Keeps a word for each report.
#[derive(Debug, Default)]
struct Reports(Mutex<Vec<&'static str>>);

impl Observer for Reports {
    fn on_delivery(&self, _: &Delivery, _: Acceptance) {
        self.0.lock().unwrap().push("a delivery");
    }

    fn on_handled(&self, handled: &HandledReport<'_>) {
        self.0.lock().unwrap().push(handled.outcome.as_str());
    }

    fn on_dead_letter(&self, _: &DeadLetter) {
        self.0.lock().unwrap().push("a dead letter");
    }
}

#[tokio::test]
async fn handlers_and_dead_letters_of_a_queue_are_reported_and_its_deliveries_are_not() {
    let (store, notes) = (Arc::new(MemoryStore::new()), Arc::new(Notes::default()));
    let reports = Arc::new(Reports::default());
    *notes.fails.lock().unwrap() = true;
    let queue = Queue::start_observed(
        name("a"),
        store.clone(),
        notes.clone(),
        reports.clone(),
        |dispatcher| dispatcher.with_attempts_max(1),
    );
    let hand_over = async |task: &str| {
        let main = Arc::new(MemoryStore::new());
        let inbox = Inbox::start(main.clone());
        main.accept(&[delivery(callback(task, "complete", "t"), None)])
            .await
            .unwrap();
        let fan_out = FanOut::new([queue.entrance()]);
        let dispatching = Dispatcher::new(inbox, fan_out).start();
        until("the hand-over", async || {
            main.counts().await.unwrap().done == 1
        })
        .await;
        dispatching.stop().await;
    };
    hand_over("bad").await;
    until("the end", async || store.counts().await.unwrap().dead == 1).await;
    *notes.fails.lock().unwrap() = false;
    hand_over("good").await;
    until("the end", async || store.counts().await.unwrap().done == 1).await;
    queue.stop().await;
    let mut reports = reports.0.lock().unwrap().clone();
    reports.sort_unstable();
    assert_eq!(reports, ["a dead letter", "dead", "done"]);
}
