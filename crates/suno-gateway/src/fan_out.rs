//! Several destinations, each with a queue of its own.
//!
//! A queue is a store of its own, so that each destination has its own order, attempts, dead letters
//! and retention, and what one of them finished is not repeated because another failed:
//!
//! ```text
//! main store -> FanOut -> queue of a (store) -> dispatcher -> Queued<a>
//!                      -> queue of b (store) -> dispatcher -> Queued<b>
//! ```
//!
//! [`FanOut`] is the handler of the main store. An event is done there when every queue has it on
//! disk. Until then it is handed over again, which changes nothing in a queue that has it already.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use suno_callback::{
    Acceptance, BackgroundTask, CallbackHandler, DeadLetter, Delivery, Dispatcher, Event, EventId,
    HandledReport, HandlerError, IdempotencyStore, Inbox, Observer, Reference, Retention,
    UrlSuffix,
};

use crate::body::EventParts;
use crate::destination::DestinationName;

/// The maximum time to hand an event to all queues before it is given back.
const HAND_OVER_MAX: Duration = Duration::from_secs(30);

/// A handler of events that may come from a queue.
///
/// # Contract
///
/// * `on_parts` does for the parts of an event what `on_event` does for the event.
/// * `attempt` is the number of the attempt, from 1.
#[async_trait]
pub trait PartsHandler: CallbackHandler {
    /// Handles an event.
    ///
    /// # Errors
    ///
    /// A [`HandlerError`] unless the event is done.
    async fn on_parts(&self, parts: EventParts<'_>, attempt: u32) -> Result<(), HandlerError>;
}

/// Implements the handler of a pipeline for a [`PartsHandler`].
macro_rules! handle_parts {
    ($handler:ty) => {
        #[async_trait]
        impl suno_callback::CallbackHandler for $handler {
            async fn on_event(
                &self,
                event: &suno_callback::Event,
            ) -> Result<(), suno_callback::HandlerError> {
                $crate::fan_out::PartsHandler::on_parts(self, event.into(), event.attempt()).await
            }

            async fn on_complete(
                &self,
                event: &suno_callback::Event,
            ) -> Result<(), suno_callback::HandlerError> {
                self.on_event(event).await
            }

            async fn on_failed(
                &self,
                event: &suno_callback::Event,
            ) -> Result<(), suno_callback::HandlerError> {
                self.on_event(event).await
            }
        }
    };
}
pub(crate) use handle_parts;

#[async_trait]
impl<H: PartsHandler + ?Sized> PartsHandler for Arc<H> {
    async fn on_parts(&self, parts: EventParts<'_>, attempt: u32) -> Result<(), HandlerError> {
        (**self).on_parts(parts, attempt).await
    }
}

/// A handler that stores each event in every queue.
#[derive(Debug)]
pub struct FanOut {
    queues: Vec<(DestinationName, Inbox)>,
}

impl FanOut {
    /// Creates a handler for these queues.
    #[must_use]
    pub fn new(queues: impl IntoIterator<Item = (DestinationName, Inbox)>) -> Self {
        Self {
            queues: queues.into_iter().collect(),
        }
    }

    async fn hand_over(&self, event: &Event) -> Result<(), HandlerError> {
        // One after the other: each shares its commit with the events of other tasks.
        for (name, inbox) in &self.queues {
            let accepted = inbox.accept(delivery(event)).await.map_err(|err| {
                tracing::warn!(destination = %name, err = &err as &dyn std::error::Error, "an event could not be put into the queue; it is handed over again");
                HandlerError::not_now(format!("the queue of {name} could not store the event"))
            })?;
            match accepted {
                Acceptance::New
                | Acceptance::Revised
                | Acceptance::Duplicate
                | Acceptance::Confirmed
                | Acceptance::Late => {}
                other => {
                    let key = event.key();
                    tracing::warn!(destination = %name, %key, accepted = ?other, "the queue holds another event of this stage; this one is not sent to its destination");
                }
            }
        }
        Ok(())
    }
}

#[async_trait]
impl CallbackHandler for FanOut {
    async fn on_event(&self, event: &Event) -> Result<(), HandlerError> {
        let handing_over = tokio::time::timeout(HAND_OVER_MAX, self.hand_over(event));
        handing_over
            .await
            .unwrap_or_else(|_| Err(HandlerError::not_now("a queue takes too long")))
    }

    async fn on_complete(&self, event: &Event) -> Result<(), HandlerError> {
        self.on_event(event).await
    }

    async fn on_failed(&self, event: &Event) -> Result<(), HandlerError> {
        self.on_event(event).await
    }
}

/// What a queue must know of an event besides its body. It is kept in place of the suffix of the
/// callback URL, which a store keeps as it is.
#[derive(Debug, Serialize, Deserialize)]
struct Envelope<'a> {
    /// The revision in the main store: part of the event's id.
    revision: u32,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    reference: Option<Cow<'a, str>>,
    #[serde(borrow, default, skip_serializing_if = "str::is_empty")]
    suffix: Cow<'a, str>,
}

/// Makes the delivery of an event for a queue.
fn delivery(event: &Event) -> Delivery {
    let suffix = event.suffix().to_string();
    let envelope = Envelope {
        revision: event.revision(),
        reference: event.reference().map(|it| it.as_str().into()),
        suffix: suffix.into(),
    };
    let envelope = serde_json::to_string(&envelope).unwrap_or_default();
    let mut delivery = Delivery::decode(event.raw().clone(), event.received_at())
        .with_submit(event.submit())
        .with_suffix(Some(UrlSuffix::from_text(&envelope)));
    delivery.source = event.source();
    delivery.verified_by = event.verified_by();
    delivery
}

/// A handler for the events of a queue: it gives each back its id, its reference and the rest of its
/// URL.
#[derive(Debug, Clone)]
pub struct Queued<H>(H);

impl<H: PartsHandler> Queued<H> {
    /// Wraps the handler of a destination.
    #[must_use]
    pub fn new(handler: H) -> Self {
        Self(handler)
    }
}

#[async_trait]
impl<H: PartsHandler> CallbackHandler for Queued<H> {
    async fn on_event(&self, event: &Event) -> Result<(), HandlerError> {
        let text = event.suffix().to_string();
        let envelope: Envelope<'_> = serde_json::from_str(&text).map_err(|_| {
            HandlerError::give_up("the queue was written by a version that this one cannot read")
        })?;
        let key = event.key().clone().with_revision(envelope.revision);
        let suffix = UrlSuffix::from_text(&envelope.suffix);
        let reference = envelope.reference.map(Reference::new).transpose()?;
        let mut parts = EventParts::from(event);
        parts.key = &key;
        parts.suffix = Some(&suffix);
        parts.reference = reference.as_ref();
        self.0.on_parts(parts, event.attempt()).await
    }

    async fn on_complete(&self, event: &Event) -> Result<(), HandlerError> {
        self.on_event(event).await
    }

    async fn on_failed(&self, event: &Event) -> Result<(), HandlerError> {
        self.on_event(event).await
    }
}

/// A running queue: its inbox, its dispatcher and its retention.
#[must_use = "dropping it stops the queue"]
pub struct Queue {
    name: DestinationName,
    inbox: Inbox,
    dispatcher: BackgroundTask,
    retention: BackgroundTask,
}

impl Queue {
    /// Starts a queue on the current tokio runtime. `change` sets what its dispatcher may do.
    pub fn start(
        name: DestinationName,
        store: Arc<dyn IdempotencyStore>,
        handler: impl PartsHandler,
        change: impl FnOnce(Dispatcher) -> Dispatcher,
    ) -> Self {
        let nobody: Vec<Arc<dyn Observer>> = Vec::new();
        Self::start_observed(name, store, handler, Arc::new(nobody), change)
    }

    /// As [`start`](Self::start), and tells `observer` of ended handlers, dead letters and lost claims.
    /// Their numbers are those of the queue. It hears nothing of deliveries and commits: those of the main
    /// store are the ones that a sender made.
    pub fn start_observed(
        name: DestinationName,
        store: Arc<dyn IdempotencyStore>,
        handler: impl PartsHandler,
        observer: Arc<dyn Observer>,
        change: impl FnOnce(Dispatcher) -> Dispatcher,
    ) -> Self {
        let inbox = Inbox::start_observed(store.clone(), Arc::new(OfHandlers(observer)));
        let dispatcher = Dispatcher::new(inbox.clone(), Queued::new(handler));
        Self {
            name,
            dispatcher: change(dispatcher).start(),
            retention: Retention::new(store).start(),
            inbox,
        }
    }

    /// Returns the name of the destination, and the inbox that a [`FanOut`] writes into.
    #[must_use]
    pub fn entrance(&self) -> (DestinationName, Inbox) {
        (self.name.clone(), self.inbox.clone())
    }

    /// Stops the queue, as a pipeline stops. Stop the main pipeline first. What is in the queue is
    /// handled after a restart.
    pub async fn stop(self) {
        tokio::join!(self.dispatcher.stop(), self.retention.stop());
    }
}

/// Passes on what happens to handlers.
struct OfHandlers(Arc<dyn Observer>);

impl Observer for OfHandlers {
    fn on_handled(&self, handled: &HandledReport<'_>) {
        self.0.on_handled(handled);
    }

    fn on_dead_letter(&self, letter: &DeadLetter) {
        self.0.on_dead_letter(letter);
    }

    fn on_claim_lost(&self, event: EventId) {
        self.0.on_claim_lost(event);
    }
}

impl fmt::Debug for Queue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Queue")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}
