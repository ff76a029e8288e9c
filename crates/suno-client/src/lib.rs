//! Submit to the Suno API, poll, wait and download, without spending credits twice.
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
//!         // The task may exist. Ask a person before paying again.
//!         return Err(err.into());
//!     }
//!     Err(err) => return Err(err.into()),
//! };
//!
//! let record = client.wait(&task, Duration::from_secs(15 * 60)).await?;
//! for track in record.tracks.iter().filter(|track| track.is_ready()) {
//!     let stored = client.download(track, "songs").await?;
//!     println!("{}", stored.path.display());
//! }
//! # Ok(())
//! # }
//! ```
//!
//! # What it promises
//!
//! * **A submit is sent once.** The provider has no idempotency key and no list of tasks
//!   (`PROTOCOL.md 1.16` to `1.18`). A submit is sent again by itself only on proof that nothing was
//!   done: no connection was made, or the provider answered that it is busy or being maintained.
//!   Whatever else happens is an error that says so: [`ClientError::is_ambiguous`].
//! * **HTTP 200 is not success.** The outcome is the code in the body, read together with the
//!   provider; pages of content networks and answers that were cut are errors.
//! * **It keeps to the limits by itself**: 20 submits in 10 s for the account, 3 polls a second for
//!   each task. What is too much waits its turn, in order.
//! * **A wait has a deadline**, in its type. The task's failure and a provider that cannot be asked
//!   are different errors ([`WaitError`]), and what is not the end carries the task id to go on from.
//! * **A download is whole or not there**: it is written under another name, resumed after a cut,
//!   and renamed when it is on disk. Its URL came from outside, so that only public addresses are
//!   asked, and never with the key.
//! * **Nothing secret is shown**: no error, `Debug` or log line holds the key, a body or a URL.
//!
//! Every body, wait, retry and queue has a bound; see [`Timeouts`], [`Retry`], [`Limit`] and
//! [`ClientBuilder`].
//!
//! # What it is not
//!
//! It does not receive callbacks (`suno-callback` does), stores nothing but downloads, and reads no
//! environment variables. A submit that was made is only known to its caller: store the task id.
//!
//! # Features
//!
//! Features only add. Without TLS or roots, plain HTTP to this machine still works, which is what
//! the emulator needs, and `https` is an error that says what is missing.
//!
//! * `aws-lc-rs` (default): TLS with aws-lc-rs, which needs a C compiler to build.
//! * `ring`: TLS with ring. If both are there, aws-lc-rs is taken.
//! * `platform-roots` (default): trust what the operating system trusts.
//! * `webpki-roots`: trust Mozilla's list; beside `platform-roots` only where the operating system
//!   has no list, as in an empty container.
//!
//! Numbers such as `PROTOCOL.md 2.4` in this documentation are statements of `docs/PROTOCOL.md`.

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
mod wait;

pub use client::{Client, ClientBuilder};
pub use download::{Download, DownloadProgress, SavedTrack};
pub use error::{ClientError, ErrorKind};
pub use key::ApiKey;
pub use limiter::Limit;
pub use proxy::Proxy;
pub use retry::Retry;
pub use settings::Timeouts;
pub use wait::{TaskFailure, Updates, Wait, WaitError, WaitFuture};

/// The types of requests and answers. A program that depends on this crate needs no dependency of
/// its own on that one.
pub use suno_types;
