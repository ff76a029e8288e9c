//! Submit to the Suno API, poll, wait, upload and download, without spending credits twice.
//!
//! ```no_run
//! use std::time::Duration;
//!
//! use suno_client::suno_types::{AddInstrumental, Provider};
//! use suno_client::{ApiKey, Client};
//!
//! # async fn example(key_from_your_secrets: String) -> Result<(), Box<dyn std::error::Error>> {
//! let client = Client::new(Provider::Kie, ApiKey::new(key_from_your_secrets)?)?;
//!
//! // Checked here: nothing is sent if a field is out of its bounds.
//! let request = AddInstrumental::builder()
//!     .upload_url("https://files.example.com/hum.mp3")
//!     .title("Harbour lights")
//!     .tags("ambient, piano")
//!     .negative_tags("drums")
//!     .callback_url("https://app.example.com/suno/callback")
//!     .build()?;
//! let task = match client.submit(&request).await {
//!     Ok(submitted) => submitted.task_id,
//!     Err(err) if err.is_ambiguous() => {
//!         // The task may exist and be paid for. Do not submit again without asking a person.
//!         return Err(err.into());
//!     }
//!     Err(err) => return Err(err.into()),
//! };
//!
//! let record = client.wait(&task, Duration::from_secs(15 * 60)).await?;
//! for track in record.tracks.iter().filter(|track| track.is_ready()) {
//!     let saved = client.download(track, "songs").await?;
//!     println!("{}", saved.path.display());
//! }
//! # Ok(())
//! # }
//! ```
//!
//! # What it promises
//!
//! * **A submit is sent once.** The provider has no idempotency key and no list of tasks
//!   (`PROTOCOL.md 1.16` to `1.18`). The client retries a submit only on proof that nothing was
//!   done: no connection was made, or the provider answered that it is busy or under maintenance.
//!   Any other failure is an error for which [`ClientError::is_ambiguous`] says whether a task may
//!   exist.
//! * **Every operation of the provider** has a typed request, and is submitted, polled and waited for
//!   by the direct route or, at kie.ai, by the jobs route; see `Operation` in [`suno_types`].
//! * **HTTP 200 is not success.** The outcome is the code in the body, whose meaning depends on the
//!   provider. HTML pages and truncated answers are errors.
//! * **It keeps to the provider's limits**: 20 submits in 10 s for the account, 3 polls a second
//!   for each task. Further requests wait in order of arrival.
//! * **A wait has a deadline**, in its type. A failed task and a provider that cannot be asked are
//!   different errors ([`WaitError`]). Each carries the task id, so that a later wait can continue.
//! * **An upload is bounded**: the size of a local file is checked before anything is sent, and a
//!   large file is read while it is sent.
//! * **A download is complete or absent**: it is written under a temporary name, resumed after a
//!   broken connection, and renamed when it is on disk. Its URL comes from outside, so the client
//!   connects to public addresses only, and never sends the key.
//! * **Nothing secret is shown**: no error, `Debug` or log line holds the key, a body or a URL.
//!
//! Every body, wait, retry and queue has a bound: see [`Timeouts`], [`Retry`], [`Limit`] and
//! [`ClientBuilder`].
//!
//! # What it is not
//!
//! It does not receive callbacks (`suno-callback` does), stores nothing but downloads, and reads no
//! environment variables. Only the caller knows which tasks were submitted: store the task id.
//!
//! # Features
//!
//! Features only add. Without TLS or root certificates, plain HTTP to this machine still works, as
//! the emulator needs, and a request to `https` fails with an error that names the missing feature.
//!
//! * `ring` (default): TLS with ring.
//! * `aws-lc-rs`: TLS with aws-lc-rs, which needs a C compiler to build. It is used if both are
//!   enabled.
//! * `platform-roots` (default): trust the root certificates of the operating system.
//! * `webpki-roots`: trust Mozilla's list. Together with `platform-roots` it is used only where the
//!   operating system has no list, as in an empty container.
//!
//! Numbers such as `PROTOCOL.md 2.4` in this documentation refer to statements in
//! `docs/PROTOCOL.md`.

#![cfg_attr(docsrs, feature(doc_cfg))]

mod address;
mod answer;
mod client;
mod download;
mod endpoint;
mod error;
mod key;
mod limiter;
mod proxy;
mod record;
mod redact;
mod request;
mod retry;
mod settings;
mod submit;
mod time;
mod transport;
mod upload;
mod wait;

pub use client::{Client, ClientBuilder};
pub use download::{Download, DownloadProgress, MediaFile, MediaRequest, SavedTrack};
pub use error::{ClientError, ErrorKind};
pub use key::ApiKey;
pub use limiter::Limit;
pub use proxy::Proxy;
pub use retry::Retry;
pub use settings::Timeouts;
pub use upload::UploadedFile;
pub use wait::{TaskFailure, Updates, Wait, WaitError, WaitFuture};

/// The types of requests and answers. A program that depends on this crate needs no dependency of
/// its own on that one.
pub use suno_types;
