//! Receive the Suno API's callbacks safely.
//!
//! The path of a callback, in one direction:
//!
//! ```text
//! head admitted -> body verified and decoded -> accepted (durable) -> 200
//!                                                   later: claimed -> handled -> settled
//! ```
//!
//! | I want to … | use |
//! | --- | --- |
//! | receive callbacks and handle them | [`Pipeline`] |
//! | define what happens at each stage | [`CallbackHandler`], [`handler_fn`] |
//! | choose how senders are verified | [`Verification`] |
//! | mount the receiver in axum, hyper or tower | `router`, `CallbackService` |
//! | mount it anywhere else | [`Receiver::receive_plain`] |
//! | submit without paying twice | `Pipeline::submit`, `Submitter` |
//! | find the order that a callback belongs to | `Pipeline::submit_for` and [`Event::reference`], [`Event::suffix`] |
//! | keep events in another database | [`IdempotencyStore`], and the suite in `conformance` |
//! | see what happened to the events of a task | [`history`] |
//! | read events as they arrive, and miss none | [`Follower`] |
//! | inspect the store, or handle dead letters again | [`IdempotencyStore::list`], [`redrive_where`] |
//!
//! A pipeline consists of parts that can also be used alone: [`Receiver`] answers the provider,
//! with 200 only after the event is committed; [`Dispatcher`] claims events and runs the handler
//! until it succeeds or gives up; [`Reconciler`] asks the provider about tasks whose callbacks are
//! missing; [`Retention`] purges old events.
//!
//! A handler runs **at least once**: it runs again if it failed, or if the process ended before its
//! success was recorded. [`Event::key`] stays the same, so that a handler can make its effect
//! idempotent.
//!
//! This crate contains no SQL. Durable stores are separate crates.
//!
//! # Features
//!
//! None is enabled by default, and each only adds items.
//!
//! * `axum`: `router`, the routes of a receiver for an axum application.
//! * `client`: `Submitter`, and `suno_client::Client` as a [`RecordInfo`].
//! * `conformance`: the suite that decides whether a store keeps the contract.
//! * `hyper`: `serve`, and `CallbackService` for your own hyper server.
//! * `tls`: `serve` over TLS, with rustls.
//! * `tower`: `CallbackService` as a tower service.
//!
//! # Example
//!
//! ```
//! use std::sync::Arc;
//!
//! use suno_callback::{
//!     Clock, Event, MemoryStore, Pipeline, SystemClock, Verification, handler_fn,
//! };
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let (finished, mut songs) = tokio::sync::mpsc::unbounded_channel();
//! let handler = handler_fn(move |event: Event| {
//!     let sent = finished.send((event.key().clone(), event.tracks().len()));
//!     async move { Ok(sent?) }
//! });
//! // In production: a durable store, such as the one in suno-store-sqlite.
//! let store = Arc::new(MemoryStore::new());
//! let verification = Verification::webhook_key("whk_demo_key");
//! let pipeline = Pipeline::builder(store, handler, verification).start()?;
//!
//! // What the provider sends. A web framework passes it on as it came.
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
//! let answer = pipeline.receiver().receive(request).await;
//! assert_eq!(answer.status(), 200);
//!
//! let (key, tracks) = songs.recv().await.ok_or("the dispatcher stopped")?;
//! assert_eq!((key.stage().as_str(), tracks), ("complete", 1));
//! pipeline.stop().await;
//! # Ok(())
//! # }
//! ```

#![cfg_attr(docsrs, feature(doc_cfg))]

mod background;
#[cfg(any(feature = "hyper", feature = "tower"))]
mod body;
mod clock;
#[cfg(feature = "conformance")]
pub mod conformance;
mod content;
mod delivery;
mod dispatch;
mod event;
mod follow;
mod handler;
mod headers;
pub mod history;
mod inbox;
mod key;
mod observe;
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
mod token;
mod url_suffix;
mod verify;

pub use async_trait::async_trait;
// These appear in public signatures.
#[cfg(feature = "client")]
pub use suno_client;
pub use {bytes, http, jiff, suno_types};

pub use background::{BackgroundTask, TaskMonitor};
pub use clock::{Clock, SystemClock};
pub use content::{Content, Fingerprint};
pub use delivery::Delivery;
pub use dispatch::Dispatcher;
pub use event::Event;
pub use follow::{
    FollowCursor, FollowedEvents, Follower, Horizon, InvalidFollowCursor, latest_event,
};
pub use handler::{
    CallbackHandler, DeadLetter, GivenUpTask, HandlerError, handler_fn, with_timeout,
};
pub use headers::RedactedHeaders;
pub use inbox::{AcceptError, Inbox};
pub use key::{EventId, EventKey, InvalidReference, InvalidSubmitId, Reference, SubmitId};
pub use observe::{
    CommitReport, HandledOutcome, HandledReport, Observer, PollOutcome, PollReport, ResponseReport,
};
pub use operations::{
    ExportCursor, ExportLine, ImportError, ImportReport, Importer, InvalidCursor, RedriveOptions,
    RedriveReport, RequeueReport, Search, Story, export_page, find_event, redrive_where,
    requeue_quarantine,
};
pub use origin::{Source, VerifiedBy};
pub use pipeline::{InvalidPipeline, Pipeline, PipelineBuilder, PipelineMonitor};
pub use plain::PlainResponse;
pub use receiver::{AdmittedRequest, Receiver};
pub use reconcile::{Reconciler, RecordInfo, RecordInfoError, Round};
#[cfg(feature = "client")]
pub use reconcile::{SubmitError, SubmitOnce, Submitter};
pub use retention::Retention;
#[cfg(feature = "axum")]
pub use router::router;
#[cfg(any(feature = "hyper", feature = "tower"))]
pub use service::CallbackService;
pub use store::{
    Acceptance, AdoptedEvent, Adoption, Claim, ClaimRequest, Claims, ConflictRecord, Counts,
    DeadCause, Decision, DueRequest, DueTask, DueTasks, DueTicket, EventFilter, EventRecord,
    EventState, Expectation, ExpectedTask, ExtendResult, IdempotencyStore, Intent, ListRequest,
    MemoryStore, OpenIntent, Page, PollState, Postponement, PurgeReport, PurgeRequest,
    QuarantinedDelivery, RecordedSubmit, RecordedTask, Redrive, RedriveResult, SettleResult,
    Settlement, Sibling, StateName, StoreError, StoreErrorKind, Ticket, Turn, WorkerId, bounds,
    rules, turn,
};
pub use token::{InvalidToken, InvalidTokenPlace, Token, TokenPlace};
pub use url_suffix::UrlSuffix;
pub use verify::{InvalidVerification, Refusal, Verification};
