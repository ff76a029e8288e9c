//! No secret is in a log line, an attempt, a reason or a debug text.

use std::io::Write;
use std::sync::{Arc, Mutex};

use suno_gateway::forward::{ForwardHandler, ForwardHeader};
use suno_gateway::signing::{Secret, Signer};
use tracing_subscriber::fmt::MakeWriter;

use super::{Notes, SECRET, builder, name};
use crate::consumer::{Consumer, Reply};
use crate::scene::{TASK, message_of};

/// Log lines in memory.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Log {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}

/// A consumer that repeats everything that it was sent: the request line, headers and body.
#[tokio::test]
async fn a_consumer_that_repeats_its_request_reveals_no_secret() {
    let log = Log::default();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_writer(log.clone())
        .finish();
    let _guard = tracing::subscriber::set_default(subscriber);
    let consumer = Consumer::start(|number, request| {
        let mut answer = format!("{}\n", request.line);
        for (name, value) in &request.headers {
            answer += &format!("{name}: {}\n", value.to_str().unwrap());
        }
        answer += &format!("{{\"url\": \"https:\\/\\/x.example\\/canary-url\"}} {SECRET}");
        let status = [500, 404, 422, 200][number % 4];
        Reply::Status(
            status,
            "location: http://a.example/canary-location\r\n".to_owned(),
            answer.into(),
        )
    })
    .await;
    let url = format!(
        "http://{}/canary-path/x?key=canary-query&b=1",
        consumer.address
    );
    let notes = Notes::new();
    let mut shown = String::new();
    for _ in 0..4 {
        let handler = builder(&url)
            .with_header(ForwardHeader::new("Authorization", "Bearer canary-token").unwrap())
            .with_header(ForwardHeader::new("X-Key", "canary \"key\"").unwrap())
            .with_observer(notes.clone());
        shown += &format!("{handler:?}");
        let handler = handler.build().unwrap();
        let body = crate::scene::callback(TASK, "complete", "canary-title");
        let message = message_of(body.as_bytes(), Default::default()).unwrap();
        let delivered = handler.deliver(&message, 1).await;
        shown += &format!("{handler:?} {delivered:?} {message:?}");
        shown += &delivered.reason;
        shown += &serde_json::to_string(&delivered.attempt).unwrap();
    }
    assert_eq!(consumer.count(), 4);
    let mut signatures = Vec::new();
    for request in consumer.requests() {
        signatures.push(request.header("webhook-signature")[3..].to_owned());
    }
    let lines = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    assert!(
        lines.contains("is paused"),
        "the log was not written: {lines}"
    );
    assert!(shown.contains("redacted"), "{shown}");
    for text in [&shown, &lines] {
        assert!(!text.contains("canary"), "{text}");
        assert!(!text.contains("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"), "{text}");
        for signature in &signatures {
            assert!(!text.contains(signature.as_str()), "{text}");
        }
    }
}

#[test]
fn settings_that_are_refused_are_not_shown() {
    let signer = || Signer::new([Secret::parse(SECRET).unwrap()]).unwrap();
    for url in [
        "http://u:canary@a.example",
        "canary",
        "http://a.example/#canary",
    ] {
        let refused = ForwardHandler::builder(name(), url, signer()).unwrap_err();
        assert!(!format!("{refused} {refused:?}").contains("canary"));
    }
    let twice = ForwardHeader::new("x-key", "canary").unwrap();
    let builder = builder("http://a.example")
        .with_header(twice.clone())
        .with_header(twice);
    let refused = builder.build().unwrap_err();
    assert_eq!(refused.to_string(), "the header `x-key` is given twice");
}
