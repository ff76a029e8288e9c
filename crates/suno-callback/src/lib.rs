//! Receive the Suno API's callbacks safely.
//!
//! The way of a callback, in one direction:
//!
//! ```text
//! bytes -> verified -> decoded -> accepted (durable) -> 200     later: claimed -> handled -> settled
//! ```
//!
//! * [`Receiver`] answers the provider. A 200 leaves only after the event is committed.
//! * [`IdempotencyStore`] remembers events: one event is one record, however often it is delivered.
//! * [`Dispatcher`] claims events and runs a [`CallbackHandler`] until it succeeds or gives up.
//! * [`Reconciler`] asks about tasks whose callbacks did not come, and can have every callback
//!   confirmed before it is handled.
//! * [`Retention`] forgets what is old.
//!
//! A handler runs **at least once**: again if it failed, or if the process died before its success
//! was recorded. [`Event::key`] stays the same, so that a handler can make its effect idempotent.
//!
//! This crate knows no SQL and no web framework; durable stores are crates of their own.
//!
//! # Features
//!
//! None is on by default, and each only adds.
//!
//! * `hyper`: `serve`, and `CallbackService` for a hyper server of yours.
//! * `tls`: `serve` over TLS, with rustls.
//! * `tower`: `CallbackService` wherever a tower service goes, such as in axum.
//! * `client`: `Submitter`, and `suno_client::Client` as a [`RecordInfo`].
//! * `conformance`: the suite that decides whether a store keeps the contract.
//!
//! # Example
//!
//! ```
//! use std::sync::Arc;
//!
//! use suno_callback::{
//!     Clock, Dispatcher, Event, Inbox, MemoryStore, Receiver, SystemClock, Verification, handler_fn,
//! };
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! // In production: a durable store, such as the one in suno-store-sqlite.
//! let store = Arc::new(MemoryStore::new());
//! let inbox = Inbox::start(store);
//!
//! let (finished, mut songs) = tokio::sync::mpsc::unbounded_channel();
//! let handler = handler_fn(move |event: Event| {
//!     let finished = finished.clone();
//!     async move {
//!         let _ = finished.send((event.key().clone(), event.callback().tracks.len()));
//!         Ok(())
//!     }
//! });
//! let dispatcher = Dispatcher::new(inbox.clone(), handler).start();
//!
//! let receiver = Receiver::new(inbox, Verification::webhook_key("whk_demo_key"));
//!
//! // What the provider sends; your web framework hands it over as it came.
//! let now = SystemClock.now().as_second().unsigned_abs();
//! let task_id = suno_types::TaskId::new("5c79000000000000000000000000be8e")?;
//! let key = suno_types::signature::WebhookKey::new("whk_demo_key");
//! let request = http::Request::post("/suno/callback")
//!     .header("content-type", "application/json")
//!     .header("x-webhook-timestamp", now)
//!     .header("x-webhook-signature", key.sign(&task_id, now))
//!     .body(bytes::Bytes::from(format!(
//!         r#"{{"code":200,"msg":"ok","data":{{"callbackType":"complete","task_id":"{task_id}",
//!            "data":[{{"id":"a","audio_url":"https://media.example.com/a.mp3"}}]}}}}"#
//!     )))?;
//! let answer = receiver.receive(request).await;
//! assert_eq!(answer.status(), 200);
//!
//! let (key, tracks) = songs.recv().await.ok_or("the dispatcher stopped")?;
//! assert_eq!((key.stage().as_str(), tracks), ("complete", 1));
//! dispatcher.stop().await;
//! # Ok(())
//! # }
//! ```

#[cfg(any(feature = "hyper", feature = "tower"))]
mod body;
mod clock;
#[cfg(feature = "conformance")]
pub mod conformance;
mod content;
mod delivery;
mod dispatch;
mod event;
mod handler;
mod inbox;
mod key;
mod operations;
mod origin;
mod pipeline;
mod plain;
mod receiver;
mod reconcile;
mod retention;
#[cfg(any(feature = "hyper", feature = "tower"))]
mod room;
#[cfg(feature = "axum")]
mod router;
mod running;
#[cfg(feature = "hyper")]
pub mod serve;
#[cfg(any(feature = "hyper", feature = "tower"))]
mod service;
#[cfg(not(feature = "simulation"))]
mod simulation;
#[cfg(feature = "simulation")]
#[doc(hidden)]
pub mod simulation;
mod store;
mod throttle;
mod verify;

pub use async_trait::async_trait;
pub use clock::{Clock, SystemClock};
pub use content::{Content, Fingerprint};
pub use delivery::Delivery;
pub use dispatch::Dispatcher;
pub use event::Event;
pub use handler::{
    CallbackHandler, DeadLetter, GivenUpTask, HandlerError, handler_fn, with_timeout,
};
pub use inbox::{AcceptError, Inbox};
pub use key::{EventId, EventKey, InvalidSubmitId, SubmitId};
pub use operations::{RedriveReport, RequeueReport, redrive_where, requeue_quarantine};
pub use origin::{Source, VerifiedBy};
pub use pipeline::{InvalidPipeline, Pipeline, PipelineBuilder};
pub use plain::PlainResponse;
pub use receiver::{AdmittedRequest, Receiver};
pub use reconcile::{CouldNotAsk, Reconciler, RecordInfo, Round};
#[cfg(feature = "client")]
pub use reconcile::{SubmitError, Submitter};
pub use retention::Retention;
#[cfg(feature = "axum")]
pub use router::router;
pub use running::Running;
#[cfg(any(feature = "hyper", feature = "tower"))]
pub use service::CallbackService;
pub use store::{
    Accepted, Claim, ClaimRequest, Claims, Counts, DeadCause, Decision, DueRequest, DueTask,
    DueTasks, DueTicket, EventFilter, EventRecord, EventState, ExpectedTask, Extended,
    IdempotencyStore, Intent, ListRequest, MemoryStore, OpenIntent, Page, Postponement,
    PurgeRequest, Purged, QuarantinedDelivery, Redrive, Redriven, Settled, Settlement, Sibling,
    StateName, StoreError, StoreErrorKind, Ticket, Turn, WorkerId, bounds, rules, turn,
};
pub use verify::{InvalidToken, InvalidVerification, Refusal, Token, Verification};
