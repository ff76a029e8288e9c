//! A second track that is reported later is handled, and a forged one is not if the provider's record
//! is asked.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use suno_callback::{
    BackgroundTask, Delivery, Dispatcher, Event, EventState, ExpectedTask, IdempotencyStore, Inbox,
    MemoryStore, Receiver, Reconciler, RecordInfo, RecordInfoError, Verification, handler_fn,
};
use suno_types::{Product, Route, TaskId, TaskKind, TaskRecord};
use tokio::sync::mpsc;

use crate::asked::{Answer, Asked, record, succeeded, succeeded_with_two};
use crate::scene::{HandClock, KEY, TASK, body, pass, signed};

/// A callback of a stage with so many ready tracks.
fn body_with(word: &str, tracks: usize) -> String {
    let tracks: Vec<_> = ["a", "b", "c", "d", "e"][..tracks]
        .iter()
        .map(|id| {
            format!(r#"{{"id":"{id}","audio_url":"https://media.example.com/{id}.mp3","duration":12.5}}"#)
        })
        .collect();
    format!(
        r#"{{"code":200,"msg":"ok","data":{{"callbackType":"{word}","task_id":"{TASK}","data":[{}]}}}}"#,
        tracks.join(",")
    )
}

struct Desk {
    store: Arc<MemoryStore>,
    receiver: Receiver,
    told: mpsc::UnboundedReceiver<Event>,
    dispatcher: BackgroundTask,
}

impl Desk {
    /// A receiver whose events are confirmed by `records`, if there are any.
    fn new(records: Option<impl RecordInfo>) -> Self {
        let store = Arc::new(MemoryStore::new());
        let inbox = Inbox::start(store.clone());
        let verification = Verification::webhook_key(KEY);
        let receiver = Receiver::new(inbox.clone(), verification).with_clock(HandClock::new());
        let (tell, told) = mpsc::unbounded_channel();
        let handler = handler_fn(move |event: Event| {
            let told = tell.send(event);
            async move { Ok(told?) }
        });
        let dispatcher = match records {
            None => Dispatcher::new(inbox, handler),
            Some(records) => {
                let reconciler = Reconciler::new(inbox.clone(), records);
                Dispatcher::new(inbox, reconciler.confirm(handler))
            }
        };
        Self {
            store,
            receiver,
            told,
            dispatcher: dispatcher.start(),
        }
    }

    fn confirmed(answer: Answer) -> (Self, Asked) {
        let provider = Asked::default();
        provider.answer(TASK, [answer]);
        (Self::new(Some(provider.clone())), provider)
    }

    async fn receive(&self, word: &str, tracks: usize) {
        self.receive_body(&body_with(word, tracks)).await;
        // Long enough for whatever is asked and tried again.
        pass(100).await;
    }

    async fn receive_body(&self, body: &str) {
        let request = signed(TASK, body);
        assert_eq!(self.receiver.receive(request).await.status(), 200);
    }

    /// The keys of the events that were handled, with the number of tracks that they had.
    async fn handled(mut self) -> Vec<(String, usize)> {
        self.dispatcher.stop().await;
        let mut handled = Vec::new();
        while let Ok(event) = self.told.try_recv() {
            let key = event.key().to_string();
            let key = key.strip_prefix(TASK).unwrap().to_owned();
            handled.push((key, event.tracks().len()));
        }
        handled
    }

    async fn states(&self) -> Vec<(u32, EventState, bool)> {
        let events = self.store.find(&TASK.parse().unwrap()).await.unwrap();
        let event = events.iter();
        event
            .map(|event| (event.key.revision(), event.state, event.unconfirmed))
            .collect()
    }
}

fn handled<const N: usize>(events: [(&str, usize); N]) -> Vec<(String, usize)> {
    events.map(|(key, tracks)| (key.to_owned(), tracks)).into()
}

#[tokio::test(start_paused = true)]
async fn a_second_track_that_is_reported_later_is_handled_once() {
    let desk = Desk::new(None::<Asked>);
    for tracks in [1, 2, 2, 1] {
        desk.receive("complete", tracks).await;
    }
    let expected = handled([("/complete", 1), ("/complete/1", 2)]);
    assert_eq!(desk.handled().await, expected);
}

#[tokio::test(start_paused = true)]
async fn a_genuine_second_track_is_handled_once_with_confirmation() {
    let (desk, provider) = Desk::confirmed(succeeded(TASK));
    desk.receive("complete", 1).await;
    provider.answer(TASK, [succeeded_with_two(TASK)]);
    for tracks in [2, 2, 1] {
        desk.receive("complete", tracks).await;
    }
    let expected = handled([("/complete", 1), ("/complete/1", 2)]);
    assert_eq!(desk.handled().await, expected);
}

#[tokio::test(start_paused = true)]
async fn a_record_that_follows_its_callback_is_waited_for() {
    let (desk, provider) = Desk::confirmed(succeeded(TASK));
    desk.receive("complete", 1).await;
    desk.receive_body(&body_with("complete", 2)).await;
    pass(15).await;
    assert_eq!(provider.times(), 3);
    provider.answer(TASK, [succeeded_with_two(TASK)]);
    pass(100).await;
    let expected = handled([("/complete", 1), ("/complete/1", 2)]);
    assert_eq!(desk.handled().await, expected);
}

#[tokio::test(start_paused = true)]
async fn a_forged_fuller_completion_is_not_handled_and_hides_no_genuine_one() {
    let (desk, provider) = Desk::confirmed(succeeded(TASK));
    desk.receive("complete", 1).await;
    desk.receive("complete", 5).await;
    pass(400).await;
    assert_eq!(provider.times(), 7);
    let done = EventState::Done;
    // The record that was asked for about the second confirms the first.
    assert_eq!(desk.states().await, [(0, done, false), (1, done, true)]);
    provider.answer(TASK, [succeeded_with_two(TASK)]);
    desk.receive("complete", 2).await;
    let states = [(0, done, false), (1, done, true), (2, done, false)];
    assert_eq!(desk.states().await, states);
    let expected = handled([("/complete", 1), ("/complete/2", 2)]);
    assert_eq!(desk.handled().await, expected);
}

#[tokio::test(start_paused = true)]
async fn a_forged_fuller_first_stage_is_not_handled_after_its_task_has_ended() {
    let (desk, provider) = Desk::confirmed(record(
        TASK,
        suno_types::TaskStatus::FIRST_SUCCESS,
        Some(12.5),
    ));
    desk.receive("first", 1).await;
    provider.answer(TASK, [succeeded(TASK)]);
    desk.receive("first", 5).await;
    assert_eq!(desk.handled().await, handled([("/first", 1)]));
}

#[tokio::test(start_paused = true)]
async fn an_event_is_stored_as_it_was_handled() {
    let (desk, _) = Desk::confirmed(succeeded_with_two(TASK));
    desk.receive("complete", 1).await;
    assert_eq!(desk.states().await, [(0, EventState::Done, false)]);
    desk.receive("complete", 2).await;
    desk.receive("complete", 1).await;
    assert_eq!(desk.handled().await, handled([("/complete", 2)]));
}

#[tokio::test(start_paused = true)]
async fn a_forged_first_completion_that_claims_more_hides_no_second_track() {
    let (desk, provider) = Desk::confirmed(succeeded(TASK));
    desk.receive("complete", 5).await;
    provider.answer(TASK, [succeeded_with_two(TASK)]);
    desk.receive("complete", 2).await;
    let expected = handled([("/complete", 1), ("/complete/1", 2)]);
    assert_eq!(desk.handled().await, expected);
}

/// A provider that reports a second track while it is asked.
#[derive(Debug)]
struct Meanwhile {
    inbox: Inbox,
    asked: Asked,
}

#[async_trait]
impl RecordInfo for Meanwhile {
    async fn record(
        &self,
        task_id: &TaskId,
        kind: &TaskKind,
    ) -> Result<Option<TaskRecord>, RecordInfoError> {
        let fuller = body_with("complete", 2);
        let delivery = Delivery::decode(fuller.into(), jiff::Timestamp::UNIX_EPOCH);
        let _ = self.inbox.accept(delivery).await;
        self.asked.record(task_id, kind).await
    }
}

#[tokio::test(start_paused = true)]
async fn a_second_track_that_is_reported_while_the_first_is_confirmed_is_handled_once() {
    for (answer, expected) in [
        (succeeded_with_two(TASK), handled([("/complete/1", 2)])),
        (succeeded(TASK), handled([("/complete", 1)])),
    ] {
        let asked = Asked::default();
        asked.answer(TASK, [answer]);
        let store = Arc::new(MemoryStore::new());
        let inbox = Inbox::start(store.clone());
        let records = Meanwhile {
            inbox: inbox.clone(),
            asked,
        };
        let (tell, told) = mpsc::unbounded_channel();
        let handler = handler_fn(move |event: Event| {
            let told = tell.send(event);
            async move { Ok(told?) }
        });
        let reconciler = Reconciler::new(inbox.clone(), records);
        let dispatcher = Dispatcher::new(inbox.clone(), reconciler.confirm(handler)).start();
        let verification = Verification::webhook_key(KEY);
        let desk = Desk {
            store,
            receiver: Receiver::new(inbox, verification).with_clock(HandClock::new()),
            told,
            dispatcher,
        };
        desk.receive("complete", 1).await;
        assert_eq!(desk.handled().await, expected);
    }
}

#[tokio::test(start_paused = true)]
async fn the_provider_is_asked_by_the_kind_of_the_task() {
    let store = Arc::new(MemoryStore::new());
    let inbox = Inbox::start(store.clone());
    let provider = Asked::default();
    let reconciler = Reconciler::new(inbox, provider.clone());
    let kind = TaskKind::new(Route::Jobs, Product::LYRICS);
    let task = ExpectedTask::new(TASK.parse().unwrap(), Duration::ZERO).with_kind(kind);
    store.expect(&task).await.unwrap();
    reconciler.round().await.unwrap();
    assert_eq!(provider.kinds(), ["jobs/lyrics"]);
}

#[tokio::test(start_paused = true)]
async fn a_callback_shows_the_kind_of_a_task_that_nobody_recorded() {
    let jobs = format!(
        r#"{{"code":200,"msg":"m","data":{{"taskId":"{TASK}","state":"success","resultJson":"{{\"resultUrls\":[\"https://a.example/1.mp3\"]}}"}}}}"#
    );
    for (body, kind) in [(body(TASK, "complete"), "song"), (jobs, "jobs/song")] {
        let (desk, provider) = Desk::confirmed(succeeded(TASK));
        desk.receive_body(&body).await;
        pass(1).await;
        assert_eq!(provider.kinds(), [kind]);
        desk.handled().await;
    }
}

#[tokio::test(start_paused = true)]
async fn callbacks_without_a_word_for_their_stage_are_events_of_their_own() {
    let desk = Desk::new(None::<Asked>);
    for cost in [1, 2, 1, 2] {
        let body = format!(r#"{{"code":200,"data":{{"task_id":"{TASK}","cost":{cost}}}}}"#);
        desk.receive_body(&body).await;
        pass(1).await;
    }
    let handled = desk.handled().await;
    assert_eq!(handled.len(), 2);
    assert!(
        handled
            .iter()
            .all(|(key, _)| key.starts_with("/unspecified-")),
        "{handled:?}"
    );
}
