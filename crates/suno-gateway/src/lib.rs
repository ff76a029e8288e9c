//! Hand the events of the Suno API to services in any language.
//!
//! An event that `suno_callback` has stored is sent as a signed HTTP request, or given to a command,
//! until it is handled or becomes a dead letter. A destination that fails holds up only its own
//! events.
//!
//! ```text
//! Event -> body (JSON) -> breaker admits -> signed request or command -> answer
//!                                                                         |
//!    dispatcher <- done, retry, dead letter, not now <- policy decides <--+--> attempt (record)
//! ```
//!
//! | I want to … | use |
//! | --- | --- |
//! | send each event to a URL | [`forward::ForwardHandler`] |
//! | run a command for each event | `exec::ExecHandler` |
//! | sign or verify messages myself | [`signing`] |
//! | archive finished files in a folder | `download::DownloadHandler` |
//! | hand each event to several destinations | [`fan_out`] |
//! | have the JSON of an event | [`body::Message`], [`content`] |
//! | change what an answer means | [`destination::Policy`] |
//! | store attempts, count them, or show them | [`Observer`], [`attempt::Attempt`] |
//! | look into the store, redrive, replay, submit over HTTP | `admin::Admin` |
//! | count what happens, for Prometheus | `metrics::Metrics` |
//! | keep requests from a service that is down | [`breaker::Breaker`] |
//!
//! Both handlers implement `suno_callback::CallbackHandler`: pass one to a pipeline or a dispatcher.
//! They deliver **at least once**, with the same id on every attempt, so that a consumer can
//! deduplicate. Stages of one task stay in order.
//!
//! `signing`, `body`, `content`, `destination`, `breaker` and `attempt` do no I/O: they decide, and
//! time and randomness are arguments. The two handlers do the rest.
//!
//! # Features
//!
//! * `admin`: `admin`, a local HTTP service with health, metrics and an API; and `metrics`. It
//!   includes `forward`.
//! * `download`: `download`, with `suno-client`.
//! * `forward` (default): [`forward`], over hyper, with TLS by rustls and ring.
//! * `exec` (default): `exec`, on Unix only.

#![cfg_attr(docsrs, feature(doc_cfg))]

#[cfg(feature = "admin")]
pub mod admin;
pub mod attempt;
pub mod body;
pub mod breaker;
pub mod content;
#[cfg(any(feature = "exec", feature = "forward"))]
mod course;
pub mod destination;
#[cfg(feature = "download")]
pub mod download;
#[cfg(all(unix, feature = "exec"))]
pub mod exec;
#[cfg(any(feature = "download", feature = "exec", feature = "forward"))]
pub mod fan_out;
#[cfg(feature = "forward")]
pub mod forward;
#[cfg(any(feature = "exec", feature = "forward"))]
mod gate;
mod history;
#[cfg(feature = "admin")]
pub mod metrics;
mod observe;
#[cfg(any(feature = "exec", feature = "forward"))]
mod operate;
#[cfg(any(feature = "exec", feature = "forward"))]
mod redact;
pub mod signing;

#[cfg(any(feature = "exec", feature = "forward"))]
pub use course::{Delivered, Next};
pub use history::AttemptHistory;
pub use observe::Observer;
#[cfg(any(feature = "exec", feature = "forward"))]
pub use operate::Destination;
// These appear in public signatures.
pub use suno_callback;
