//! Nothing that a callback says is handled before the provider's record says it too.

use std::sync::Arc;
use std::time::Duration;

use suno_callback::{
    BackgroundTask, Dispatcher, Event, EventState, ExpectedTask, IdempotencyStore, Inbox,
    MemoryStore, Receiver, Reconciler, Verification, handler_fn,
};
use suno_types::{Code, TaskStatus};
use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::asked::{Answer, Asked, failed, pending, record, succeeded};
use crate::scene::{HandClock, KEY, TASK, body, failure, pass, signed};

/// A receiver whose events are confirmed before they are handled.
struct Desk {
    store: Arc<MemoryStore>,
    inbox: Inbox,
    receiver: Receiver,
    provider: Asked,
    told: mpsc::UnboundedReceiver<Event>,
    dispatcher: BackgroundTask,
}

impl Desk {
    fn new(answers: impl IntoIterator<Item = Answer>) -> Self {
        let provider = Asked::default();
        provider.answer(TASK, answers);
        let store = Arc::new(MemoryStore::new());
        let inbox = Inbox::start(store.clone());
        let verification = Verification::webhook_key(KEY);
        let receiver = Receiver::new(inbox.clone(), verification).with_clock(HandClock::new());
        let (tell, told) = mpsc::unbounded_channel();
        let handler = handler_fn(move |event: Event| {
            let told = tell.send(event);
            async move { Ok(told?) }
        });
        let reconciler = Reconciler::new(inbox.clone(), provider.clone());
        let dispatcher = Dispatcher::new(inbox.clone(), reconciler.confirm(handler)).start();
        Self {
            store,
            inbox,
            receiver,
            provider,
            told,
            dispatcher,
        }
    }

    async fn receive(&self, word: &str) {
        self.receive_body(&body(TASK, word)).await;
    }

    async fn receive_body(&self, body: &str) {
        let request = signed(TASK, body);
        assert_eq!(self.receiver.receive(request).await.status(), 200);
    }

    async fn receive_failure(&self) {
        self.receive_body(&failure(TASK)).await;
    }

    /// Waits until so many events are settled, for a hundred seconds at most, and returns those that
    /// were handled.
    async fn handled(mut self, settled: u64) -> Vec<Event> {
        for _ in 0..10_000 {
            let counts = self.store.counts().await.unwrap();
            if counts.done + counts.dead + counts.superseded >= settled {
                break;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        self.dispatcher.stop().await;
        let mut handled = Vec::new();
        while let Ok(event) = self.told.try_recv() {
            handled.push(event);
        }
        handled
    }
}

#[tokio::test(start_paused = true)]
async fn a_body_that_was_changed_under_a_valid_signature_is_handled_as_the_record_says() {
    let desk = Desk::new([succeeded(TASK)]);
    let forged = body(TASK, "complete").replace("media.example.com", "evil.example.com");
    desk.receive_body(&forged).await;
    let handled = desk.handled(1).await;
    assert_eq!(handled.len(), 1);
    let url = handled[0].tracks()[0].audio_url.as_deref();
    assert_eq!(url, Some("https://media.example.com/a.mp3"));
    assert!(handled[0].verified_by().record && handled[0].verified_by().signature);
}

#[tokio::test(start_paused = true)]
async fn a_completion_that_the_record_does_not_show_waits_until_it_does() {
    // More than the longest wait: what the provider asks for does not park an event.
    let first = record(TASK, TaskStatus::FIRST_SUCCESS, Some(12.5));
    let desk = Desk::new([
        Answer::NotVisible,
        pending(TASK),
        first,
        Answer::CouldNot(Some(Duration::from_secs(u64::MAX))),
        succeeded(TASK),
    ]);
    desk.receive("complete").await;
    tokio::time::sleep(Duration::from_millis(1)).await;
    for (times, wait) in [(1, 10), (2, 20), (3, 40), (4, 300)] {
        assert_eq!(desk.provider.times(), times);
        pass(wait - 1).await;
        assert_eq!(desk.provider.times(), times, "asked before {wait} s");
        pass(1).await;
    }
    let handled = desk.handled(1).await;
    let seen: Vec<_> = handled.iter().map(|event| event.attempt()).collect();
    assert_eq!(seen, [5]);
}

#[tokio::test(start_paused = true)]
async fn a_failure_that_the_record_denies_is_a_dead_letter_and_completion_is_handled() {
    let desk = Desk::new([succeeded(TASK)]);
    desk.receive_failure().await;
    let store = desk.store.clone();
    let handled = desk.handled(2).await;
    assert_eq!(handled.len(), 1);
    assert_eq!(handled[0].key().to_string(), format!("{TASK}/complete"));
    assert!(handled[0].verified_by().record);
    let events = store.find(&TASK.parse().unwrap()).await.unwrap();
    let states: Vec<_> = events.iter().map(|event| event.state).collect();
    assert_eq!(states, [EventState::Dead, EventState::Done]);
}

#[tokio::test(start_paused = true)]
async fn a_completion_that_the_record_denies_is_a_dead_letter_and_the_failure_is_handled() {
    let desk = Desk::new([failed(TASK, 531)]);
    desk.receive("complete").await;
    let handled = desk.handled(2).await;
    assert_eq!(handled.len(), 1);
    assert_eq!(handled[0].stage().as_str(), "failed");
    assert_eq!(handled[0].callback().code, Code(531));
    assert_eq!(handled[0].tracks(), []);
}

#[tokio::test(start_paused = true)]
async fn an_earlier_stage_is_given_with_what_the_record_has_by_now() {
    let desk = Desk::new([succeeded(TASK)]);
    desk.receive("first").await;
    let handled = desk.handled(1).await;
    assert_eq!(handled[0].stage().as_str(), "first");
    assert_eq!(handled[0].callback().stage().as_str(), "first");
    assert_eq!(handled[0].tracks()[0].duration, Some(12.5));
}

#[tokio::test(start_paused = true)]
async fn an_earlier_stage_of_a_task_that_failed_is_passed_over() {
    let desk = Desk::new([failed(TASK, 500)]);
    desk.receive("text").await;
    assert!(desk.handled(1).await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_stage_that_nobody_knows_is_given_as_it_came_and_says_so() {
    let desk = Desk::new([succeeded(TASK)]);
    desk.receive("mixed").await;
    let handled = desk.handled(1).await;
    assert_eq!(handled[0].stage().as_str(), "mixed");
    assert!(!handled[0].verified_by().record);
}

#[tokio::test(start_paused = true)]
async fn a_stage_that_no_record_shows_for_a_day_is_a_dead_letter() {
    let desk = Desk::new([pending(TASK)]);
    desk.receive("complete").await;
    pass(Dispatcher::RETRY_FOR.as_secs() - 1).await;
    assert_eq!(desk.store.counts().await.unwrap().waiting, 1);
    pass(2).await;
    assert_eq!(desk.store.counts().await.unwrap().dead, 1);
    let asked = desk.provider.times();
    assert!((288..300).contains(&asked), "asked {asked} times");
    assert!(desk.handled(1).await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_dead_letter_comes_back_when_a_later_record_confirms_it() {
    let desk = Desk::new([Answer::CouldNot(None)]);
    let task = ExpectedTask::new(TASK.parse().unwrap(), Duration::from_secs(180));
    desk.store.expect(&task).await.unwrap();
    desk.receive("complete").await;
    pass(Dispatcher::RETRY_FOR.as_secs() + 1).await;
    assert_eq!(desk.store.counts().await.unwrap().dead, 1);
    desk.provider.answer(TASK, [succeeded(TASK)]);
    let reconciler = Reconciler::new(desk.inbox.clone(), desk.provider.clone());
    let round = reconciler.round().await.unwrap();
    assert_eq!((round.asked, round.recovered), (1, 1));
    let handled = desk.handled(1).await;
    assert_eq!(handled.len(), 1);
    assert_eq!(handled[0].stage().as_str(), "complete");
}

#[tokio::test(start_paused = true)]
async fn a_forged_completion_suppresses_no_earlier_stage() {
    let desk = Desk::new([pending(TASK)]);
    desk.receive("complete").await;
    pass(30).await;
    let first = record(TASK, TaskStatus::FIRST_SUCCESS, Some(12.5));
    desk.provider.answer(TASK, [first]);
    desk.receive("text").await;
    desk.receive("first").await;
    let handled = desk.handled(2).await;
    let stages: Vec<_> = handled.iter().map(|event| event.stage().as_str()).collect();
    assert_eq!(stages, ["text", "first"]);
}

#[tokio::test(start_paused = true)]
async fn a_forged_failure_does_not_delay_the_completion() {
    let desk = Desk::new([pending(TASK)]);
    desk.receive_failure().await;
    // By now the failure waits for minutes between two questions.
    pass(1_000).await;
    desk.provider.answer(TASK, [succeeded(TASK)]);
    let received = Instant::now();
    desk.receive("complete").await;
    let store = desk.store.clone();
    let handled = desk.handled(1).await;
    assert_eq!(handled.len(), 1);
    assert_eq!(handled[0].stage().as_str(), "complete");
    assert!(received.elapsed() < Duration::from_secs(1));
    // Completion is done: the failure is pointless.
    let events = store.find(&TASK.parse().unwrap()).await.unwrap();
    assert_eq!(events[0].state, EventState::Superseded);
}

#[tokio::test(start_paused = true)]
async fn a_forged_failure_that_is_being_asked_about_delays_the_completion_by_that_question() {
    let desk = Desk::new([Answer::Hangs, succeeded(TASK)]);
    desk.receive_failure().await;
    pass(1).await;
    let received = Instant::now();
    desk.receive("complete").await;
    let handled = desk.handled(1).await;
    assert_eq!(handled.len(), 1);
    assert!(
        received.elapsed() <= Reconciler::ASK_TIMEOUT,
        "{:?}",
        received.elapsed()
    );
}

#[tokio::test(start_paused = true)]
async fn another_delivery_of_an_event_has_it_asked_about_at_once() {
    let desk = Desk::new([pending(TASK)]);
    desk.receive("complete").await;
    pass(1_000).await;
    desk.provider.answer(TASK, [succeeded(TASK)]);
    let received = Instant::now();
    desk.receive("complete").await;
    assert_eq!(desk.handled(1).await.len(), 1);
    assert!(received.elapsed() < Duration::from_secs(1));
}
