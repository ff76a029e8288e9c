//! The Suno API on a desk: tasks, signed callbacks, polling and media on loopback.
//!
//! An emulator for developing and testing without a public URL, a key or credits. It takes tasks as
//! the provider does, lets them live through their stages, really delivers the callbacks, and
//! serves audio that plays. It is not a music generator, and it shares no code with what reads its
//! bodies.
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
//! What goes wrong is chosen by words: for one task by the header `x-emulator-scenario` of its submit
//! or by a title such as `[emulator:drop-first] Lantern`, for all by [`Config::with_scenario`]. The
//! words are listed at `/_emulator/words` of a running emulator; a [`Script`] writes the course of a
//! task out in full. [`Config::with_driven_clock`] lets a test move the time, so that a run with the
//! same seed is the same byte for byte.
//!
//! Behaviour of the provider is cited by its number in `docs/PROTOCOL.md`. With the feature `tls`,
//! callbacks can go to `https://` URLs.

mod background;
mod body;
mod clock;
mod config;
mod emulator;
mod error;
mod fault;
mod http;
mod media;
mod observer;
mod profile;
mod provider;
mod runner;
mod scenario;
mod secret;
mod seed;
mod sender;
mod task;

pub use config::Config;
pub use emulator::Emulator;
pub use error::EmulatorError;
pub use observer::{Activity, SubmitActivity};
pub use profile::Profile;
pub use provider::TaskSummary;
pub use scenario::script::Script;
pub use sender::sign::signature;
pub use task::TaskEnding;
pub use task::attempt::{Attempt, AttemptOutcome};
