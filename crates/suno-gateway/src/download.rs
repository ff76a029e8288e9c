//! Archives what tasks have made: downloads every finished file into a folder.
//!
//! Each file is saved by itself: one that cannot be had never stops the others. While files are missing,
//! the event is tried again, and files that are in the folder already are kept. The provider keeps
//! media for about 14 days, which is therefore a good time to try ([`DownloadHandler::RETRY_FOR`]);
//! after that, the event is a dead letter whose reason lists the files that are missing.
//!
//! Only events of the stage complete are archived, whatever the product is.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::StreamExt;
use suno_callback::{Clock, HandlerError, SystemClock};
use suno_client::Client;
use suno_types::{Code, Output, Stage, Track};

use crate::attempt::{Attempt, KeptText, Outcome, SavedRecord};
use crate::body::EventParts;
use crate::destination::{Action, Backoff, DestinationName};
use crate::fan_out::{PartsHandler, handle_parts};
use crate::observe::Observer;
use crate::signing::MessageId;

/// The number of files of an event that are downloaded at a time.
const FILES_AT_ONCE: usize = 4;

/// A handler that downloads the files of finished tasks.
pub struct DownloadHandler {
    name: DestinationName,
    client: Client,
    folder: PathBuf,
    backoff: Backoff,
    observer: Option<Arc<dyn Observer>>,
    clock: Arc<dyn Clock>,
}

impl DownloadHandler {
    /// The time for which the provider keeps media, and for which missing files should be tried.
    pub const RETRY_FOR: Duration = Duration::from_secs(14 * 86_400);
    /// The waits before missing files are tried again.
    pub const BACKOFF: Backoff = Backoff {
        first: Duration::from_secs(30),
        max: Duration::from_secs(6 * 3_600),
    };

    /// Creates a handler that saves into a folder, which must exist. The API key of the client is not
    /// used.
    #[must_use]
    pub fn new(name: DestinationName, client: Client, folder: impl Into<PathBuf>) -> Self {
        Self {
            name,
            client,
            folder: folder.into(),
            backoff: Self::BACKOFF,
            observer: None,
            clock: Arc::new(SystemClock),
        }
    }

    /// Sets who receives every attempt.
    #[must_use]
    pub fn with_observer(mut self, observer: Arc<dyn Observer>) -> Self {
        self.observer = Some(observer);
        self
    }

    /// Sets the waits before missing files are tried again. The default is
    /// [`BACKOFF`](Self::BACKOFF).
    #[must_use]
    pub fn with_backoff(mut self, backoff: Backoff) -> Self {
        self.backoff = backoff;
        self
    }

    /// Returns the folder.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Downloads the files of an event that are not in the folder yet.
    async fn save(&self, parts: &EventParts<'_>) -> SavedRecord {
        let output = parts.callback.output();
        let is_ready: Vec<bool> = match output {
            Output::Songs(tracks) => tracks.iter().map(Track::is_ready).collect(),
            _ => Vec::new(),
        };
        let downloads = self
            .client
            .downloads(parts.key.task_id(), output, &self.folder);
        let downloads = downloads.into_iter().enumerate();
        let ready = downloads.filter(|(place, _)| is_ready.get(*place).copied().unwrap_or(true));
        let saving = ready.map(|(place, download)| async move { (place, download.await) });
        let saving = futures_util::stream::iter(saving).buffered(FILES_AT_ONCE);
        let results: Vec<_> = saving.collect().await;
        let mut record = SavedRecord::default();
        let mut missing = Vec::new();
        for (place, result) in results {
            record.files += 1;
            if let Err(err) = result {
                record.missing += 1;
                missing.push(format!("file {}: {err}", place + 1));
            }
        }
        record.detail = KeptText::head(&missing.join("; "), false);
        record
    }
}

#[async_trait]
impl PartsHandler for DownloadHandler {
    async fn on_parts(&self, parts: EventParts<'_>, attempt: u32) -> Result<(), HandlerError> {
        let is_finished = *parts.key.stage() == Stage::Complete;
        if !is_finished || parts.callback.code != Code::SUCCESS {
            return Ok(());
        }
        let (started_at, start) = (self.clock.now(), self.clock.monotonic());
        let record = self.save(&parts).await;
        let is_whole = record.missing == 0;
        let wait = self.backoff.bound(attempt);
        let wait = wait / 2 + (wait / 2).mul_f64(fastrand::f64());
        let outcome = Outcome::Saved(record);
        let reason = format!("{}: {outcome}", self.name);
        let action = match is_whole {
            true => Action::Done,
            false => Action::Retry,
        };
        let mut record = Attempt::new(self.name.as_str(), attempt, started_at, outcome, action);
        let took = self.clock.monotonic().saturating_sub(start);
        record.duration_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        record.retry_in_ms =
            (!is_whole).then(|| u64::try_from(wait.as_millis()).unwrap_or(u64::MAX));
        if let Some(observer) = &self.observer {
            observer.on_attempt(&MessageId::of(parts.key), parts.key, &record);
        }
        match is_whole {
            true => Ok(()),
            false => Err(HandlerError::retry_after(wait, reason)),
        }
    }
}

handle_parts!(DownloadHandler);

impl fmt::Debug for DownloadHandler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DownloadHandler")
            .field("name", &self.name)
            .field("folder", &self.folder)
            .finish_non_exhaustive()
    }
}
