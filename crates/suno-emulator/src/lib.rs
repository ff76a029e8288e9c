//! An emulator of the Suno API: tasks, signed callbacks, polling and media on loopback.
//!
//! An emulator for development and tests without a public URL, a key or credits. It accepts tasks
//! as the provider does, moves them through their stages, delivers callbacks over HTTP, and serves
//! playable audio. It is not a music generator, and it shares no code with the crates that parse
//! its bodies.
//!
//! ```
//! use suno_emulator::{Config, Emulator};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), suno_emulator::EmulatorError> {
//! let emulator = Emulator::start(Config::default().with_speed(20.0)).await?;
//! assert!(emulator.base_url().starts_with("http://127.0.0.1:"));
//! // Submit to `emulator.base_url()` with `emulator.api_key()`, then wait for callbacks.
//! emulator.shutdown().await;
//! # Ok(())
//! # }
//! ```
//!
//! It serves every operation of both providers, on the direct route and on kie.ai's jobs route.
//! Callbacks to other machines are recorded and not sent, unless
//! [`Config::with_deliver_outside`] says so.
//!
//! Words choose the faults: for one task by the header `x-emulator-scenario` of its submit or by a
//! title such as `[emulator:drop-first] Lantern`, for all tasks by [`Config::with_scenario`]. A
//! running emulator lists the words at `/_emulator/words`. A [`Script`] defines the course of a
//! task in full. With [`Config::with_driven_clock`] a test controls the time, and runs with the
//! same seed are identical byte for byte.
//!
//! Numbers such as `PROTOCOL.md 1.2` refer to the provider's behaviour in `docs/PROTOCOL.md`. With
//! the feature `tls`, callbacks can go to `https://` URLs.

#![cfg_attr(docsrs, feature(doc_cfg))]

mod background;
mod body;
mod clock;
mod config;
mod emulator;
mod error;
mod fault;
mod http;
mod hundredths;
mod media;
mod observer;
mod openapi;
mod operation;
mod profile;
mod provider;
mod runner;
mod scenario;
mod secret;
mod seed;
mod sender;
mod task;
mod title;

pub use config::Config;
pub use emulator::Emulator;
pub use error::EmulatorError;
pub use observer::{Activity, SubmitActivity};
pub use profile::Profile;
pub use provider::TaskSummary;
pub use scenario::script::Script;
pub use scenario::words::{ScenarioWord, callback_words};
pub use sender::sign::signature;
pub use task::TaskEnding;
pub use task::attempt::{Attempt, AttemptOutcome};
