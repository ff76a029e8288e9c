//! Requests over real sockets: what is sent, what answers mean, and when nothing is sent.

mod answers;
mod connections;
mod destinations;
mod secrecy;
mod tls;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use suno_callback::EventKey;
use suno_callback::jiff::Timestamp;
use suno_gateway::attempt::{Attempt, Outcome};
use suno_gateway::breaker::{BreakerSettings, Transition};
use suno_gateway::destination::DestinationName;
use suno_gateway::forward::{ForwardBuilder, ForwardHandler};
use suno_gateway::signing::{MessageId, Secret, Signer};
use suno_gateway::{Delivered, Next, Observer};

use crate::consumer::Request;

pub(crate) const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

pub(crate) fn name() -> DestinationName {
    DestinationName::new("shop").unwrap()
}

pub(crate) fn builder(url: &str) -> ForwardBuilder {
    let signer = Signer::new([Secret::parse(SECRET).unwrap()]).unwrap();
    ForwardHandler::builder(name(), url, signer).unwrap()
}

pub(crate) fn handler(url: &str) -> ForwardHandler {
    builder(url).build().unwrap()
}

/// A breaker whose times are short enough for a test.
pub(crate) fn quick() -> BreakerSettings {
    BreakerSettings::new()
        .with_interval(Duration::from_millis(100))
        .with_paused_interval(Duration::from_millis(300))
        .with_patience(Duration::from_millis(50))
}

/// The status of the answer.
pub(crate) fn status_of(delivered: &Delivered) -> Option<u16> {
    match &delivered.attempt.as_ref()?.outcome {
        Outcome::Answered(answer) => Some(answer.status),
        _ => None,
    }
}

pub(crate) fn is_retried(delivered: &Delivered) -> bool {
    matches!(delivered.next, Next::Retry(_))
}

/// Fails unless a request is signed for now.
pub(crate) fn assert_signed(request: &Request) {
    let now = suno_callback::Clock::now(&suno_callback::SystemClock);
    let result = suno_gateway::signing::verify(
        &[Secret::parse(SECRET).unwrap()],
        &request.headers,
        &request.body,
        now.as_second().unsigned_abs(),
        Duration::from_secs(10),
    );
    assert_eq!(result, Ok(0));
}

/// Collects what a handler reports.
#[derive(Debug, Default)]
pub(crate) struct Notes {
    pub(crate) attempts: Mutex<Vec<(MessageId, Attempt)>>,
    pub(crate) transitions: Mutex<Vec<Transition>>,
}

impl Notes {
    pub(crate) fn new() -> Arc<Self> {
        Arc::default()
    }

    pub(crate) fn transitions(&self) -> Vec<Transition> {
        self.transitions.lock().unwrap().clone()
    }

    pub(crate) fn attempts(&self) -> Vec<Attempt> {
        let attempts = self.attempts.lock().unwrap();
        attempts
            .iter()
            .map(|(_, attempt)| attempt.clone())
            .collect()
    }
}

impl Observer for Notes {
    fn on_attempt(&self, id: &MessageId, key: &EventKey, attempt: &Attempt) {
        assert_eq!(*id, MessageId::of(key));
        assert!(attempt.started_at > Timestamp::UNIX_EPOCH);
        let noted = (id.clone(), attempt.clone());
        self.attempts.lock().unwrap().push(noted);
    }

    fn on_transition(&self, destination: &DestinationName, transition: Transition) {
        assert_eq!(destination, &name());
        self.transitions.lock().unwrap().push(transition);
    }
}
