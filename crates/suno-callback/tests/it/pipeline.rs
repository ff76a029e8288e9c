//! The front door: what a pipeline starts, and what it stops.

use std::sync::Arc;
use std::time::Duration;

use suno_callback::{
    CallbackHandler, Delivery, Event, EventState, ExpectedTask, HandlerError, IdempotencyStore,
    Intent, InvalidPipeline, MemoryStore, Pipeline, PipelineBuilder, Reference, Source, SubmitId,
    UrlSuffix, Verification, handler_fn,
};
use suno_types::TaskId;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot};

use crate::asked::{Asked, failed, succeeded};
use crate::scene::{HandClock, KEY, TASK, body, delivery, signed};
use crate::wire::{talk, until, whole};

/// A handler that passes on what it is given.
pub(crate) fn told() -> (impl CallbackHandler, mpsc::UnboundedReceiver<Event>) {
    let (tell, told) = mpsc::unbounded_channel();
    let handler = handler_fn(move |event: Event| {
        let sent = tell.send(event);
        async move { sent.map_err(HandlerError::from) }
    });
    (handler, told)
}

fn builder(store: Arc<MemoryStore>, handler: impl CallbackHandler) -> PipelineBuilder {
    Pipeline::builder(store, handler, Verification::webhook_key(KEY))
        .receiver(|receiver| receiver.with_clock(HandClock::new()))
}

async fn receive(pipeline: &Pipeline, word: &str) {
    let request = signed(TASK, &body(TASK, word));
    let answer = pipeline.receiver().receive(request).await;
    assert_eq!(answer.status(), 200);
}

#[tokio::test]
async fn a_callback_that_is_served_is_handled_and_a_stop_ends_everything() {
    let (handler, mut told) = told();
    let pipeline = builder(Arc::default(), handler).start().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel();
    let asked = async {
        let answer = talk(address, whole("connection: close\r\n")).await;
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        stop.send(()).unwrap();
    };
    tokio::join!(pipeline.serve(listener, until(stopped)), asked);
    assert_eq!(told.recv().await.unwrap().stage().as_str(), "complete");
    let store = pipeline.store().clone();
    pipeline.stop().await;
    // Nothing holds the handler any more.
    assert!(told.recv().await.is_none());
    let events = store.find(&TaskId::new(TASK).unwrap()).await.unwrap();
    assert_eq!(events[0].state, EventState::Done);
}

#[tokio::test(start_paused = true)]
async fn a_stop_waits_for_the_handler_that_runs() {
    let (begin, mut begun) = mpsc::unbounded_channel();
    let handler = handler_fn(move |_: Event| {
        let sent = begin.send(());
        async move {
            tokio::time::sleep(Duration::from_secs(5)).await;
            sent.map_err(HandlerError::from)
        }
    });
    let store = Arc::new(MemoryStore::new());
    let pipeline = builder(store.clone(), handler).start().unwrap();
    receive(&pipeline, "complete").await;
    begun.recv().await.unwrap();
    pipeline.stop().await;
    assert_eq!(store.counts().await.unwrap().done, 1);
}

#[tokio::test(start_paused = true)]
async fn what_is_old_is_purged_unless_another_process_does_it() {
    const HOUR: Duration = Duration::from_secs(3_600);
    for has_retention in [true, false] {
        let (handler, mut told) = told();
        let store = Arc::new(MemoryStore::new());
        let builder = builder(store.clone(), handler);
        let builder = match has_retention {
            true => {
                builder.retention(|retention| retention.with_keys_for(HOUR).with_bodies_for(HOUR))
            }
            false => builder.without_retention(),
        };
        let pipeline = builder.start().unwrap();
        receive(&pipeline, "complete").await;
        told.recv().await.unwrap();
        tokio::time::sleep(3 * HOUR).await;
        pipeline.stop().await;
        let events = store.find(&TaskId::new(TASK).unwrap()).await.unwrap();
        assert_eq!(events.is_empty(), has_retention);
    }
}

#[tokio::test(start_paused = true)]
async fn a_lost_callback_is_recovered_from_the_records() {
    let (handler, mut told) = told();
    let store = Arc::new(MemoryStore::new());
    let records = Asked::default();
    records.answer(TASK, [succeeded(TASK)]);
    let pipeline = builder(store.clone(), handler)
        .with_records(records)
        .start()
        .unwrap();
    let task_id = TaskId::new(TASK).unwrap();
    let expected = ExpectedTask::new(task_id, Duration::from_secs(180));
    store.expect(&expected).await.unwrap();
    let event = told.recv().await.unwrap();
    assert_eq!(event.source(), Source::Poll);
    pipeline.stop().await;
}

#[tokio::test(start_paused = true)]
async fn with_confirmation_a_forged_completion_is_not_handled() {
    let (handler, mut told) = told();
    let records = Asked::default();
    records.answer(TASK, [failed(TASK, 501)]);
    // The settings may come in any order.
    let pipeline = builder(Arc::default(), handler)
        .with_confirmation()
        .with_records(records)
        .start()
        .unwrap();
    receive(&pipeline, "complete").await;
    let event = told.recv().await.unwrap();
    assert_eq!(event.stage().as_str(), "failed");
    pipeline.stop().await;
}

#[tokio::test]
async fn confirmation_without_anyone_to_ask_does_not_start() {
    let (handler, _) = told();
    let started = builder(Arc::default(), handler).with_confirmation().start();
    let err = started.unwrap_err();
    assert_eq!(err, InvalidPipeline::NoRecords);
    assert!(err.to_string().contains("with_client"), "{err}");
}

#[tokio::test]
async fn an_observer_sees_each_delivery_that_was_stored() {
    let (handler, _told) = told();
    let (seen, mut observed) = mpsc::unbounded_channel();
    let pipeline = builder(Arc::default(), handler)
        .with_observer(move |_: &Delivery, accepted| drop(seen.send(format!("{accepted:?}"))))
        .start()
        .unwrap();
    receive(&pipeline, "complete").await;
    receive(&pipeline, "complete").await;
    assert_eq!(observed.recv().await.unwrap(), "New");
    assert_eq!(observed.recv().await.unwrap(), "Duplicate");
    pipeline.stop().await;
}

#[tokio::test]
async fn a_submit_without_a_client_says_what_is_missing() {
    let (handler, _) = told();
    let pipeline = builder(Arc::default(), handler).start().unwrap();
    let request = suno_types::AddInstrumental::builder()
        .upload_url("https://files.example.com/hum.mp3")
        .title("Harbour")
        .tags("piano")
        .negative_tags("drums")
        .callback_url("https://app.example.com/suno/callback")
        .build()
        .unwrap();
    let err = pipeline.submit(&request).await.unwrap_err();
    assert!(!err.is_ambiguous());
    assert!(err.to_string().contains("with_client"), "{err}");
    assert!(pipeline.submitter().is_none());
    pipeline.stop().await;
}

#[tokio::test]
async fn parts_of_the_store_stay_reachable() {
    let (handler, _) = told();
    let pipeline = builder(Arc::default(), handler).start().unwrap();
    let accepted = pipeline
        .store()
        .accept(&[delivery("other", "complete")])
        .await;
    assert_eq!(accepted.unwrap().len(), 1);
    pipeline.stop().await;
}

#[tokio::test]
async fn a_handler_finds_the_submit_its_reference_the_suffix_and_the_body() {
    let store = Arc::new(MemoryStore::new());
    let submit = SubmitId::from_bytes([7; 16]);
    let reference = Reference::new("order-42").unwrap();
    let intent = Intent::new(submit, jiff::Timestamp::UNIX_EPOCH, Duration::ZERO);
    let intent = intent.with_reference(Some(reference.clone()));
    store.intend(&intent).await.unwrap();
    let (handler, mut told) = told();
    let suffix = UrlSuffix::new("eu", "user=7");
    let complete = delivery(TASK, "complete").with_suffix(suffix.clone());
    let complete = complete.with_submit(Some(submit));
    store.accept(std::slice::from_ref(&complete)).await.unwrap();
    store
        .accept(&[delivery("other", "complete")])
        .await
        .unwrap();
    let pipeline = builder(store, handler).start().unwrap();
    let event = told.recv().await.unwrap();
    assert_eq!(event.submit(), Some(submit));
    assert_eq!(event.reference(), Some(&reference));
    assert_eq!(Some(event.suffix()), suffix.as_ref());
    assert_eq!((event.query(), event.revision()), ("user=7", 0));
    assert_eq!(*event.raw(), complete.raw);
    let other = told.recv().await.unwrap();
    assert_eq!((other.submit(), other.reference()), (None, None));
    assert!(other.suffix().is_empty());
    pipeline.stop().await;
}
