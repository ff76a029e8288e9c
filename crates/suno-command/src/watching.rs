//! Watches a running receiver: metrics, health, the feed of the admin service, the history and traces.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use suno_callback::history::{History, HistoryWriter};
use suno_callback::serve::CertificateFiles;
use suno_callback::{BackgroundTask, IdempotencyStore, Observer, Pipeline};
use suno_client::Client;
use suno_gateway::AttemptHistory;
use suno_gateway::admin::{Admin, Feed, Health};
use suno_gateway::destination::DestinationName;
use suno_gateway::metrics::{Metrics, Scraper};

use crate::failure::Failure;
use crate::notify::Notifier;
use crate::otel;
#[cfg(unix)]
use crate::tls;

/// What watches a running receiver, and where it is kept.
pub(crate) struct Watching {
    #[cfg_attr(not(feature = "otel"), expect(dead_code, reason = "there is none"))]
    traces: Option<otel::Export>,
    store: Arc<dyn IdempotencyStore>,
    file: Option<PathBuf>,
    metrics: Arc<Metrics>,
    health: Arc<Health>,
    feed: Arc<Feed>,
    history: Arc<dyn History>,
    writer: HistoryWriter,
    writing: BackgroundTask,
}

impl Watching {
    /// Starts to watch. `file` is where the store is, if it is one, and `names` are the destinations.
    pub(crate) fn start<'a>(
        store: Arc<dyn IdempotencyStore>,
        history: Arc<dyn History>,
        file: Option<PathBuf>,
        names: impl Iterator<Item = &'a DestinationName>,
    ) -> Result<Self, Failure> {
        let metrics = Metrics::new(env!("CARGO_PKG_VERSION"));
        let metrics = names.fold(metrics, Metrics::with_destination);
        let traces = otel::start()?;
        let (writer, writing) = HistoryWriter::start(history.clone());
        Ok(Self {
            traces,
            file,
            metrics: Arc::new(metrics),
            health: Arc::new(Health::new(store.clone())),
            feed: Arc::new(Feed::new()),
            store,
            history,
            writer,
            writing,
        })
    }

    /// Returns the observers of a pipeline. With destinations, attempts are noted instead of handlers.
    pub(crate) fn of_pipeline(&self, has_destinations: bool) -> Vec<Arc<dyn Observer>> {
        let writer = match has_destinations {
            true => self.writer.clone().without_handlers(),
            false => self.writer.clone(),
        };
        #[cfg_attr(not(feature = "otel"), expect(unused_mut, reason = "nothing is added"))]
        let mut observers: Vec<Arc<dyn Observer>> = vec![
            self.metrics.clone(),
            self.health.clone(),
            self.feed.clone(),
            Arc::new(writer),
        ];
        #[cfg(feature = "otel")]
        observers.extend(
            self.traces
                .iter()
                .map(|traces| Arc::new(traces.observer()) as Arc<dyn Observer>),
        );
        observers
    }

    /// Returns the observer of queues: their dead letters are in no other part of the history.
    pub(crate) fn of_queues(&self) -> Arc<dyn Observer> {
        let observers: Vec<Arc<dyn Observer>> = vec![
            self.metrics.clone(),
            Arc::new(self.writer.clone().without_handlers()),
        ];
        Arc::new(observers)
    }

    /// Returns the observers of destinations.
    pub(crate) fn of_destinations(&self) -> Vec<Arc<dyn suno_gateway::Observer>> {
        vec![
            self.metrics.clone(),
            Arc::new(AttemptHistory::new(self.writer.clone())),
        ]
    }

    /// Watches the parts of a pipeline as well.
    pub(crate) fn set_monitor(&self, pipeline: &Pipeline) {
        self.health.set_monitor(pipeline.monitor());
    }

    /// Returns an admin service with everything that is watched, and the page. `media` fetches covers and
    /// audio for it.
    pub(crate) fn admin(&self, media: Client) -> Admin {
        let (store, metrics) = (self.store.clone(), self.metrics.clone());
        let mut scraper = Scraper::new(store.clone(), metrics).with_history(self.writer.clone());
        if let Some(file) = self.file.clone() {
            scraper = scraper.with_store_bytes(move || bytes(&file));
        }
        Admin::new(store)
            .with_metrics(scraper)
            .with_health(self.health.clone())
            .with_feed(self.feed.clone())
            .with_history(self.history.clone())
            .with_media(media)
            .with_page()
    }

    /// Whether the loops of the receiver work.
    pub(crate) fn is_live(&self) -> impl FnMut() -> bool + Send + 'static {
        let health = self.health.clone();
        move || health.is_live()
    }

    /// Reads the certificate again at each SIGHUP.
    pub(crate) fn reload(
        &self,
        files: CertificateFiles,
        notifier: &Notifier,
    ) -> Result<(), Failure> {
        let metrics = self.metrics.clone();
        metrics.set_certificate_not_after(files.not_after());
        #[cfg(unix)]
        drop(tls::spawn_reload(
            files,
            notifier.clone(),
            move |reloaded| {
                if let Ok(not_after) = reloaded {
                    metrics.set_certificate_not_after(*not_after);
                }
            },
        )?);
        #[cfg(not(unix))]
        let _ = notifier;
        Ok(())
    }

    /// Takes callbacks no more, as far as a load balancer is told.
    pub(crate) fn set_stopping(&self) {
        self.health.set_stopping();
    }

    /// Writes what is still waiting.
    pub(crate) async fn stop(self) {
        self.writing.stop().await;
        #[cfg(feature = "otel")]
        if let Some(traces) = self.traces {
            traces.finish().await;
        }
    }
}

/// Returns the size of a store in a file, with what is not in the file yet.
fn bytes(file: &Path) -> Option<u64> {
    let mut log = OsString::from(file);
    log.push("-wal");
    let log = std::fs::metadata(log).map_or(0, |log| log.len());
    Some(std::fs::metadata(file).ok()?.len() + log)
}
