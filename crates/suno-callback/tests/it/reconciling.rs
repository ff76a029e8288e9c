//! What no callback told is found by asking, once, and through the same door.

use std::sync::Arc;
use std::time::Duration;

use suno_callback::{
    Dispatcher, Event, ExpectedTask, HandlerError, IdempotencyStore, Inbox, MemoryStore, Receiver,
    Reconciler, Round, Running, Source, Verification, handler_fn,
};
use suno_types::{TaskId, TaskStatus};
use tokio::sync::mpsc;

use crate::asked::{Answer, Asked, failed, pending, record, succeeded};
use crate::scene::{HandClock, KEY, TASK, body, failure, pass, post, signed};

/// A store with everything around it but what claims.
struct Desk {
    store: Arc<MemoryStore>,
    inbox: Inbox,
    receiver: Receiver,
    provider: Asked,
}

impl Desk {
    fn new() -> Self {
        let store = Arc::new(MemoryStore::new());
        let inbox = Inbox::start(store.clone());
        let verification = Verification::webhook_key(KEY);
        let receiver = Receiver::new(inbox.clone(), verification).with_clock(HandClock::new());
        Self {
            store,
            inbox,
            receiver,
            provider: Asked::default(),
        }
    }

    fn reconciler(&self) -> Reconciler {
        Reconciler::new(self.inbox.clone(), self.provider.clone())
    }

    async fn expect(&self, task: &str) {
        let task_id = TaskId::new(task).unwrap();
        let task = ExpectedTask::new(task_id, Duration::from_secs(180));
        self.store.expect(&task).await.unwrap();
    }

    async fn receive(&self, word: &str) {
        let request = signed(TASK, &body(TASK, word));
        assert_eq!(self.receiver.receive(request).await.status(), 200);
    }

    async fn receive_failure(&self) {
        let request = signed(TASK, &failure(TASK));
        assert_eq!(self.receiver.receive(request).await.status(), 200);
    }

    /// Lets so many seconds pass, and looks at the ledger.
    async fn after(&self, seconds: u64) -> Round {
        pass(seconds).await;
        self.reconciler().round().await.unwrap()
    }

    /// Handles everything that there is to handle, and tells what it was.
    async fn handled(&self) -> Vec<(String, Source)> {
        let (dispatcher, mut told) = self.dispatch();
        let mut handled = Vec::new();
        while self.store.counts().await.unwrap().ready > 0 {
            let event = told.recv().await.unwrap();
            handled.push((event.key().to_string(), event.source()));
            // It is settled before anything else is claimed.
            tokio::task::yield_now().await;
        }
        dispatcher.stop().await;
        while let Ok(event) = told.try_recv() {
            handled.push((event.key().to_string(), event.source()));
        }
        handled
    }

    fn dispatch(&self) -> (Running, mpsc::UnboundedReceiver<Event>) {
        let (tell, told) = mpsc::unbounded_channel();
        let handler = handler_fn(move |event: Event| {
            let told = tell.send(event);
            async move { told.map_err(|_| HandlerError::give_up("nobody listens")) }
        });
        let dispatcher = Dispatcher::new(self.inbox.clone(), handler);
        (dispatcher.start(), told)
    }
}

fn of(stage: &str, source: Source) -> (String, Source) {
    (format!("{TASK}/{stage}"), source)
}

#[tokio::test(start_paused = true)]
async fn a_lost_callback_costs_minutes_and_not_the_song() {
    let desk = Desk::new();
    desk.expect(TASK).await;
    desk.provider.answer(TASK, [succeeded(TASK)]);
    assert_eq!(desk.after(179).await.asked, 0);
    let round = desk.after(1).await;
    assert_eq!((round.asked, round.recovered), (1, 1));
    assert_eq!(desk.handled().await, [of("complete", Source::Poll)]);
    let event = &desk.store.find(&TASK.parse().unwrap()).await.unwrap()[0];
    assert!(event.verified_by.record);
    assert_eq!(desk.after(100_000).await, Round::default());
}

#[tokio::test(start_paused = true)]
async fn a_failure_is_found_as_well_with_its_code() {
    let desk = Desk::new();
    desk.expect(TASK).await;
    desk.provider.answer(TASK, [failed(TASK, 531)]);
    assert_eq!(desk.after(180).await.recovered, 1);
    let event = &desk.store.find(&TASK.parse().unwrap()).await.unwrap()[0];
    assert_eq!((event.key.stage().as_str(), event.code.0), ("failed", 531));
}

#[tokio::test(start_paused = true)]
async fn a_callback_that_came_in_time_leaves_nothing_to_ask() {
    let desk = Desk::new();
    desk.receive("complete").await;
    desk.expect(TASK).await;
    assert_eq!(desk.after(1_000).await, Round::default());
    assert_eq!(desk.provider.times(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_callback_that_comes_after_the_poll_is_a_duplicate() {
    let desk = Desk::new();
    desk.expect(TASK).await;
    desk.provider.answer(TASK, [succeeded(TASK)]);
    desk.after(180).await;
    desk.receive("complete").await;
    let events = desk.store.find(&TASK.parse().unwrap()).await.unwrap();
    assert_eq!((events.len(), events[0].conflicts), (1, 0));
    assert_eq!(desk.handled().await, [of("complete", Source::Poll)]);
}

#[tokio::test(start_paused = true)]
async fn a_task_that_runs_is_asked_about_again_after_a_pause() {
    let desk = Desk::new();
    desk.expect(TASK).await;
    let first = record(TASK, TaskStatus::FIRST_SUCCESS, Some(12.5));
    desk.provider.answer(
        TASK,
        [pending(TASK), Answer::NotVisible, first, succeeded(TASK)],
    );
    for times in 1..=3 {
        let round = desk.after(180).await;
        assert_eq!((round.asked, round.recovered), (1, 0), "{times}");
        assert_eq!(desk.after(1).await.asked, 0);
    }
    assert_eq!(desk.after(180).await.recovered, 1);
    let handled = desk.handled().await;
    assert_eq!(
        handled,
        [of("first", Source::Poll), of("complete", Source::Poll)]
    );
}

#[tokio::test(start_paused = true)]
async fn a_task_that_nobody_knows_is_given_up_after_a_day() {
    let desk = Desk::new();
    desk.expect(TASK).await;
    let mut asked = 0;
    // Up to the last minute of the day: in which one it is asked about is left to chance.
    for _ in 1..24 * 60 {
        let round = desk.after(60).await;
        asked += round.asked;
        assert_eq!(round.recovered, 0);
    }
    assert_eq!(asked, desk.provider.times());
    assert!((30..150).contains(&asked), "asked {asked} times");
    let later = desk.after(2 * 86_400).await;
    assert_eq!(later.given_up, 1);
    assert_eq!(desk.after(86_400).await.asked, 0);
}

#[tokio::test(start_paused = true)]
async fn a_provider_that_cannot_be_asked_is_asked_when_it_says() {
    let desk = Desk::new();
    desk.expect(TASK).await;
    let wait = Some(Duration::from_secs(500));
    desk.provider
        .answer(TASK, [Answer::CouldNot(wait), succeeded(TASK)]);
    let round = desk.after(180).await;
    assert_eq!((round.asked, round.failed), (1, 1));
    assert_eq!(desk.after(499).await.asked, 0);
    assert_eq!(desk.after(1).await.recovered, 1);
}

#[tokio::test(start_paused = true)]
async fn the_record_decides_between_a_failure_and_completion() {
    let desk = Desk::new();
    desk.expect(TASK).await;
    // Forged, or sent by mistake.
    desk.receive_failure().await;
    assert_eq!(desk.handled().await, [of("failed", Source::Callback)]);
    desk.receive("complete").await;
    assert_eq!(desk.handled().await, []);
    desk.provider.answer(TASK, [succeeded(TASK)]);
    let round = desk.after(180).await;
    assert_eq!((round.recovered, round.decided), (0, 1));
    assert_eq!(desk.handled().await, [of("complete", Source::Callback)]);
    assert_eq!(desk.after(86_400).await.asked, 0);
}

#[tokio::test(start_paused = true)]
async fn a_record_that_agrees_with_what_came_first_changes_nothing() {
    let desk = Desk::new();
    desk.expect(TASK).await;
    desk.receive("complete").await;
    desk.receive_failure().await;
    desk.provider.answer(TASK, [succeeded(TASK)]);
    let round = desk.after(180).await;
    assert_eq!((round.asked, round.recovered, round.decided), (1, 0, 0));
    assert_eq!(desk.handled().await, [of("complete", Source::Callback)]);
}

#[tokio::test(start_paused = true)]
async fn reconcilers_of_one_ledger_ask_about_a_task_once() {
    let desk = Desk::new();
    for number in 0..40 {
        desk.expect(&format!("{TASK}-{number}")).await;
    }
    pass(180).await;
    let (one, other) = (desk.reconciler(), desk.reconciler());
    let (one, other) = tokio::join!(one.round(), other.round());
    assert_eq!(one.unwrap().asked + other.unwrap().asked, 40);
    assert_eq!(desk.provider.times(), 40);
}

#[tokio::test(start_paused = true)]
async fn not_more_tasks_are_asked_about_at_once_than_the_bounds_say() {
    let desk = Desk::new();
    for number in 0..Reconciler::TASKS_MAX + 10 {
        desk.expect(&format!("{TASK}-{number}")).await;
    }
    let round = desk.after(180).await;
    assert_eq!(round.asked, Reconciler::TASKS_MAX);
    assert_eq!(desk.provider.most_under_way(), Reconciler::ASKING_MAX);
    assert_eq!(desk.after(0).await.asked, 10);
}

#[tokio::test(start_paused = true)]
async fn it_runs_until_it_is_stopped() {
    let desk = Desk::new();
    desk.expect(TASK).await;
    desk.provider.answer(TASK, [succeeded(TASK)]);
    let running = desk.reconciler().start();
    pass(179).await;
    assert_eq!(desk.provider.times(), 0);
    pass(2).await;
    assert_eq!(desk.provider.times(), 1);
    running.stop().await;
    assert_eq!(desk.handled().await, [of("complete", Source::Poll)]);
}

#[tokio::test(start_paused = true)]
async fn a_task_without_a_submit_in_its_address_is_kept_and_bound_when_it_is_expected() {
    let desk = Desk::new();
    desk.receive("first").await;
    desk.expect(TASK).await;
    desk.provider.answer(TASK, [succeeded(TASK)]);
    assert_eq!(desk.after(180).await.recovered, 1);
    assert_eq!(desk.handled().await.len(), 2);
    // An address that names something else is not ours.
    let other = post("/suno/callback/elsewhere").body(bytes::Bytes::new());
    assert_eq!(desk.receiver.receive(other.unwrap()).await.status(), 404);
}
