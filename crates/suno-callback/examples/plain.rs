//! Callbacks without HTTP: something else took the POST, such as a gateway that puts what it
//! receives on a queue. The three steps of receiving, by hand, on bytes.
//!
//! ```sh
//! cargo run -p suno-callback --example plain
//! ```

#![allow(clippy::print_stdout, reason = "an example shows what it does")]

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};
use suno_callback::{
    Accepted, Clock, Dispatcher, Event, Inbox, MemoryStore, Receiver, SystemClock, Verification,
    handler_fn,
};
use suno_types::TaskId;
use suno_types::signature::{SIGNATURE_HEADER, TIMESTAMP_HEADER, WebhookKey};
use tokio::sync::mpsc;

/// How long a message may lie on the queue: a signature that is older is refused.
const QUEUED_FOR: Duration = Duration::from_secs(86_400);

/// A POST as it was received.
#[derive(Debug, Clone)]
pub(crate) struct Message {
    headers: HeaderMap,
    body: Bytes,
}

/// What to do with a message.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It is stored: take it off the queue.
    Stored(Accepted),
    /// It is not from the provider, or names no single task: take it off the queue.
    Refused,
    /// It could not be stored now: leave it on the queue.
    Later,
}

/// How messages from the queue are verified.
pub(crate) fn verification(key: &str) -> Verification {
    Verification::webhook_key(key).with_window(QUEUED_FOR)
}

/// The three steps: verified, decoded, accepted. Each returns the proof that the next one takes.
pub(crate) async fn take(receiver: &Receiver, message: Message) -> Outcome {
    let Ok(verified) = receiver.verify(None, &message.headers, message.body) else {
        return Outcome::Refused;
    };
    let delivery = receiver.decode(verified);
    match receiver.accept(delivery).await {
        Ok(accepted) => Outcome::Stored(accepted),
        Err(_) => Outcome::Later,
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    // In production: a durable store, such as the one in suno-store-sqlite.
    let inbox = Inbox::start(Arc::new(MemoryStore::new()));
    let (tell, mut told) = mpsc::unbounded_channel();
    let handler = handler_fn(move |event: Event| {
        let told = tell.send(event.key().to_string());
        async move { Ok(told?) }
    });
    let dispatcher = Dispatcher::new(inbox.clone(), handler).start();
    let receiver = Receiver::new(inbox, verification("whk_demo_key"));

    let message = demo("whk_demo_key", SystemClock.now().as_second().unsigned_abs())?;
    println!("{:?}", take(&receiver, message.clone()).await);
    println!("{:?}", take(&receiver, message).await);
    println!("handled: {}", told.recv().await.ok_or("nothing")?);
    dispatcher.stop().await;
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
    let mut headers = HeaderMap::new();
    headers.insert(HeaderName::from_static(TIMESTAMP_HEADER), now.into());
    let signature = HeaderValue::try_from(signature)?;
    headers.insert(HeaderName::from_static(SIGNATURE_HEADER), signature);
    Ok(Message {
        headers,
        body: body.into(),
    })
}
