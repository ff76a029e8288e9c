//! What no callback told is found by asking, once, and through the same door.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use suno_callback::{
    BackgroundTask, CallbackHandler, Dispatcher, Event, ExpectedTask, GivenUpTask, HandlerError,
    IdempotencyStore, Inbox, MemoryStore, Receiver, Reconciler, Round, Source, Verification,
    async_trait, handler_fn,
};
use suno_testkit::wrapper::Fault;
use suno_types::{TaskId, TaskStatus};
use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::asked::{Answer, Asked, failed, pending, record, succeeded};
use crate::logs::Logs;
use crate::scene::{HandClock, KEY, TASK, WatchedStore, body, delivery, failure, pass, signed};

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

    fn dispatch(&self) -> (BackgroundTask, mpsc::UnboundedReceiver<Event>) {
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
async fn a_success_without_a_result_is_handed_on_when_none_has_followed_for_an_hour() {
    let desk = Desk::new();
    desk.expect(TASK).await;
    desk.provider
        .answer(TASK, [record(TASK, TaskStatus::SUCCESS, None)]);
    for _ in 0..59 {
        assert_eq!(desk.after(60).await.recovered, 0);
    }
    let later = desk.after(2 * 3_600).await;
    assert_eq!((later.recovered, later.given_up), (1, 0));
    assert_eq!(desk.handled().await, [of("complete", Source::Poll)]);
    let event = &desk.store.find(&TASK.parse().unwrap()).await.unwrap()[0];
    assert_eq!(event.results, 0);
    assert_eq!(desk.after(86_400).await.asked, 0);
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
}

#[tokio::test(start_paused = true)]
async fn the_provider_cannot_ask_to_wait_for_longer_than_an_hour() {
    let desk = Desk::new();
    desk.expect(TASK).await;
    let for_ever = Answer::CouldNot(Some(Duration::from_secs(u64::MAX)));
    desk.provider.answer(TASK, [for_ever, succeeded(TASK)]);
    assert_eq!(desk.after(180).await.failed, 1);
    assert_eq!(desk.after(3_599).await.asked, 0);
    assert_eq!(desk.after(1).await.recovered, 1);
}

#[tokio::test(start_paused = true)]
async fn nothing_is_given_up_because_the_system_clock_is_a_day_ahead() {
    let clock = HandClock::new();
    let store = Arc::new(MemoryStore::with_clock(clock.clone()));
    let provider = Asked::default();
    let reconciler = Reconciler::new(Inbox::start(store.clone()), provider.clone());
    let reconciler = reconciler.with_clock(clock.clone());
    let task = ExpectedTask::new(TASK.parse().unwrap(), Duration::from_secs(180));
    store.expect(&task).await.unwrap();
    clock.advance(2 * 86_400);
    assert_eq!(reconciler.round().await.unwrap().asked, 0);
    provider.answer(TASK, [pending(TASK), succeeded(TASK)]);
    pass(180).await;
    assert_eq!(reconciler.round().await.unwrap().given_up, 0);
    clock.advance(-2 * 86_400);
    pass(180).await;
    assert_eq!(reconciler.round().await.unwrap().recovered, 1);
}

#[tokio::test(start_paused = true)]
async fn a_task_is_given_up_only_after_several_answers_however_old_it_is() {
    let desk = Desk::new();
    desk.expect(TASK).await;
    // Nothing was asked for days, such as while the process was stopped, and then nothing answers.
    desk.provider.answer(TASK, [Answer::CouldNot(None)]);
    for _ in 0..9 {
        let round = desk.after(86_400).await;
        assert_eq!((round.failed, round.given_up), (1, 0));
    }
    desk.provider.answer(TASK, [pending(TASK)]);
    for _ in 1..Reconciler::ANSWERS_MIN {
        assert_eq!(desk.after(3_960).await.given_up, 0);
    }
    assert_eq!(desk.after(3_960).await.given_up, 1);
}

/// Keeps which tasks were given up.
#[derive(Default)]
struct Told(Mutex<Vec<GivenUpTask>>);

#[async_trait]
impl CallbackHandler for Told {
    async fn on_complete(&self, _: &Event) -> Result<(), HandlerError> {
        Ok(())
    }

    async fn on_failed(&self, _: &Event) -> Result<(), HandlerError> {
        Ok(())
    }

    async fn on_given_up(&self, task: &GivenUpTask) {
        self.0.lock().unwrap().push(task.clone());
    }
}

#[tokio::test(start_paused = true)]
async fn a_handler_is_told_once_of_a_task_that_is_given_up() {
    let logs = Logs::collect();
    let desk = Desk::new();
    desk.expect(TASK).await;
    let told = Arc::new(Told::default());
    let running = desk.reconciler().with_handler(told.clone()).start();
    pass(3 * 86_400).await;
    running.stop().await;
    let told = told.0.lock().unwrap();
    assert_eq!(told.len(), 1);
    assert_eq!(told[0].task_id.as_str(), TASK);
    assert!(told[0].answers >= Reconciler::ANSWERS_MIN);
    assert_eq!(told[0].age.as_secs() / 86_400, 1);
    assert_eq!(logs.lines("ERROR", ""), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn a_task_that_is_given_up_is_logged_as_an_error_unless_a_handler_takes_it() {
    let logs = Logs::collect();
    let takes_no_note: Arc<dyn CallbackHandler> = Arc::new(handler_fn(|_| async { Ok(()) }));
    for (number, handler) in [None, Some(takes_no_note)].into_iter().enumerate() {
        let desk = Desk::new();
        desk.expect(TASK).await;
        let mut reconciler = desk.reconciler();
        if let Some(handler) = handler {
            reconciler = reconciler.with_handler(handler);
        }
        let running = reconciler.start();
        pass(3 * 86_400).await;
        running.stop().await;
        let lines = logs.lines("ERROR", "gave up on the task");
        assert_eq!(lines.len(), number + 1, "{lines:?}");
        assert!(lines[number].contains(TASK));
    }
}

#[tokio::test(start_paused = true)]
async fn a_provider_that_does_not_answer_is_waited_for_no_longer_than_a_minute() {
    let desk = Desk::new();
    desk.expect(TASK).await;
    desk.provider.answer(TASK, [Answer::Hangs, succeeded(TASK)]);
    pass(180).await;
    let asked = Instant::now();
    assert_eq!(desk.reconciler().round().await.unwrap().failed, 1);
    assert_eq!(asked.elapsed(), Reconciler::ASK_TIMEOUT);
    assert_eq!(desk.after(60).await.recovered, 1);
}

#[tokio::test(start_paused = true)]
async fn a_provider_that_is_dead_for_an_hour_is_asked_little_and_then_about_everything() {
    for answer in [Answer::CouldNot(None), Answer::Hangs] {
        let desk = Desk::new();
        for number in 0..200 {
            desk.expect(&format!("{TASK}-{number}")).await;
        }
        desk.provider.answer_otherwise(answer);
        let running = desk.reconciler().start();
        pass(180 + 3_600).await;
        let asked = desk.provider.times();
        // As many as at once before the first failure, and then one after each pause.
        assert!((17..=32).contains(&asked), "asked {asked} times");
        for number in 0..200 {
            let task = format!("{TASK}-{number}");
            desk.provider.answer(&task, [succeeded(&task)]);
        }
        pass(900).await;
        assert_eq!(desk.store.counts().await.unwrap().ready, 200);
        running.stop().await;
    }
}

#[tokio::test(start_paused = true)]
async fn two_reconcilers_never_ask_about_one_task_at_the_same_time() {
    let desk = Desk::new();
    // Each of the two could ask about all of them at once.
    for number in 0..Reconciler::ASKING_MAX / 2 {
        desk.expect(&format!("{TASK}-{number}")).await;
    }
    desk.provider.answer_otherwise(Answer::Hangs);
    let (one, other) = (desk.reconciler().start(), desk.reconciler().start());
    pass(6 * 3_600).await;
    assert!(desk.provider.times() > 50, "{}", desk.provider.times());
    assert_eq!(desk.provider.most_of_task(), 1);
    one.stop().await;
    other.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_lost_task_after_thousands_that_are_decided_is_asked_about_at_once() {
    let desk = Desk::new();
    let tasks: Vec<String> = (0..5_000).map(|number| format!("task-{number}")).collect();
    let completed: Vec<_> = tasks
        .iter()
        .map(|task| delivery(task, "complete"))
        .collect();
    desk.store.accept(&completed).await.unwrap();
    for task in &tasks {
        desk.expect(task).await;
    }
    // The last one by its name, too.
    desk.expect("unheard-of").await;
    let answer = succeeded("unheard-of");
    desk.provider.answer("unheard-of", [answer]);
    let running = desk.reconciler().start();
    pass(181).await;
    assert_eq!(desk.provider.times(), 1);
    running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_stop_does_not_wait_for_the_provider_nor_for_the_store() {
    let (store, provider) = (Arc::new(WatchedStore::default()), Asked::default());
    let task = ExpectedTask::new(TASK.parse().unwrap(), Duration::ZERO);
    store.expect(&task).await.unwrap();
    provider.answer(TASK, [Answer::Hangs]);
    for hangs in ["none", "due"] {
        if hangs != "none" {
            store.faults.set(hangs, Fault::HangsForEver);
        }
        let running = Reconciler::new(Inbox::start(store.clone()), provider.clone()).start();
        pass(1).await;
        let stopped = tokio::time::timeout(Duration::from_secs(1), running.stop()).await;
        assert!(stopped.is_ok(), "{hangs}");
    }
    assert_eq!(provider.times(), 1);
}

/// Never comes back when it is told of a task that is given up.
struct Hanging;

#[async_trait]
impl CallbackHandler for Hanging {
    async fn on_complete(&self, _: &Event) -> Result<(), HandlerError> {
        Ok(())
    }

    async fn on_failed(&self, _: &Event) -> Result<(), HandlerError> {
        Ok(())
    }

    async fn on_given_up(&self, _: &GivenUpTask) {
        std::future::pending().await
    }
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_hangs_when_it_is_told_of_a_given_up_task_holds_up_nothing() {
    let desk = Desk::new();
    desk.expect(TASK).await;
    let reconciler = desk.reconciler().with_handler(Arc::new(Hanging));
    let mut given_up = 0;
    for _ in 0..3 * 24 {
        pass(3_600).await;
        let round = tokio::time::timeout(Reconciler::LEASE, reconciler.round()).await;
        given_up += round.unwrap().unwrap().given_up;
    }
    assert_eq!(given_up, 1);
}
