//! Callbacks without HTTP: something else took the POST, such as a gateway that puts requests on a
//! queue. The three steps of receiving, by hand: admit the head, verify the body, accept the delivery.
//!
//! ```sh
//! cargo run -p suno-callback --example plain
//! ```

#![allow(clippy::print_stdout, reason = "an example shows what it does")]

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use suno_callback::{
    Acceptance, Clock, Event, MemoryStore, Pipeline, Receiver, SystemClock, Verification,
    handler_fn,
};
use suno_types::TaskId;
use suno_types::signature::{SIGNATURE_HEADER, TIMESTAMP_HEADER, WebhookKey};
use tokio::sync::mpsc;

/// How long a message may wait on the queue: an older signature is refused.
const QUEUED_FOR: Duration = Duration::from_secs(86_400);

/// A POST as it was received.
#[derive(Debug, Clone)]
pub(crate) struct Message {
    path: String,
    headers: Vec<(String, String)>,
    body: Bytes,
}

/// What to do with a message.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It is stored: remove it from the queue.
    Stored(Acceptance),
    /// It is not from the provider, or names no single task: remove it from the queue.
    Refused,
    /// It could not be stored now: leave it on the queue.
    Later,
}

/// How messages from the queue are verified.
pub(crate) fn verification(key: &str) -> Verification {
    Verification::webhook_key(key).with_window(QUEUED_FOR)
}

/// The three steps. Each returns what the next one takes.
pub(crate) async fn take(receiver: &Receiver, message: Message) -> Outcome {
    let lines = message.headers.iter();
    let lines = lines.map(|(name, value)| (&**name, value.as_bytes()));
    let Ok(request) = receiver.admit_plain("POST", &message.path, lines) else {
        return Outcome::Refused;
    };
    let Ok(delivery) = receiver.verify(&request, message.body) else {
        return Outcome::Refused;
    };
    match receiver.accept(delivery).await {
        Ok(accepted) => Outcome::Stored(accepted),
        Err(_) => Outcome::Later,
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let (handled, mut events) = mpsc::unbounded_channel();
    let handler = handler_fn(move |event: Event| {
        let sent = handled.send(event.key().to_string());
        async move { Ok(sent?) }
    });
    // In production: a durable store, such as the one in suno-store-sqlite.
    let store = Arc::new(MemoryStore::new());
    let pipeline = Pipeline::builder(store, handler, verification("whk_demo_key")).start()?;
    let receiver = pipeline.receiver();

    let message = demo("whk_demo_key", SystemClock.now().as_second().unsigned_abs())?;
    println!("{:?}", take(&receiver, message.clone()).await);
    println!("{:?}", take(&receiver, message).await);
    println!("handled: {}", events.recv().await.ok_or("nothing")?);
    pipeline.stop().await;
    Ok(())
}

/// What the provider sends, `now` in seconds.
pub(crate) fn demo(key: &str, now: u64) -> Result<Message, Box<dyn Error>> {
    let task_id = TaskId::new("5c79000000000000000000000000be8e")?;
    let body = format!(
        r#"{{"code":200,"msg":"ok","data":{{"callbackType":"complete","task_id":"{task_id}",
           "data":[{{"id":"a","audio_url":"https://media.example.com/a.mp3"}}]}}}}"#
    );
    let signature = WebhookKey::new(key).sign(&task_id, now);
    let line = |name: &str, value: String| (name.to_owned(), value);
    Ok(Message {
        path: Receiver::PATH.to_owned(),
        headers: vec![
            line(TIMESTAMP_HEADER, now.to_string()),
            line(SIGNATURE_HEADER, signature),
        ],
        body: body.into(),
    })
}
