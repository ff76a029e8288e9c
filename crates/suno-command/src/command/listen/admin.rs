//! The admin service: its options, and what feeds it.

use std::net::SocketAddr;
use std::sync::Arc;

use suno_callback::history::{History, HistoryWriter};
use suno_callback::serve::CertificateFiles;
use suno_callback::{BackgroundTask, IdempotencyStore, Observer, Pipeline};
use suno_client::Client;
use suno_gateway::AttemptHistory;
use suno_gateway::admin::{Admin, AdminServer, AdminToken, Feed, Health};
use suno_gateway::destination::DestinationName;
use suno_gateway::metrics::{Metrics, Scraper};

use super::destinations::{Destination, Handler};
use crate::failure::Failure;
use crate::notify::Notifier;
#[cfg(unix)]
use crate::tls;
use crate::{address, environment, otel};

const HEADING: &str = "Admin";

/// The options of the admin service.
#[derive(Debug, clap::Args)]
#[group(skip)]
pub(super) struct Arguments {
    /// Serve a page for people, /livez, /readyz, /metrics and the API under /v1 on this address
    #[arg(long, value_name = "ADDR", help_heading = HEADING, value_parser = address::parse)]
    admin: Option<SocketAddr>,
    /// Environment variable with the token that the API asks for; needed for an address that is not loopback
    #[arg(long, value_name = "NAME", help_heading = HEADING, requires = "admin")]
    admin_token_env: Option<String>,
    /// Host name under which the admin address is also reached; localhost and addresses need not be named
    #[arg(long, value_name = "HOST", help_heading = HEADING, requires = "admin")]
    admin_host: Vec<String>,
    /// Answer /metrics without the token
    #[arg(long, help_heading = HEADING, requires = "admin_token_env")]
    admin_open_metrics: bool,
}

/// What watches a running receiver, and where it is kept.
pub(super) struct Watching {
    #[cfg_attr(not(feature = "otel"), expect(dead_code, reason = "there is none"))]
    traces: Option<otel::Export>,
    store: Arc<dyn IdempotencyStore>,
    pub(super) metrics: Arc<Metrics>,
    health: Arc<Health>,
    feed: Arc<Feed>,
    history: Arc<dyn History>,
    writer: HistoryWriter,
    writing: BackgroundTask,
}

impl Watching {
    /// Starts to watch. `names` are the destinations.
    pub(super) fn start<'a>(
        store: Arc<dyn IdempotencyStore>,
        history: Arc<dyn History>,
        names: impl Iterator<Item = &'a DestinationName>,
    ) -> Result<Self, Failure> {
        let metrics = Metrics::new(env!("CARGO_PKG_VERSION"));
        let metrics = names.fold(metrics, Metrics::with_destination);
        let traces = otel::start()?;
        let (writer, writing) = HistoryWriter::start(history.clone());
        Ok(Self {
            traces,
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
    pub(super) fn observers(&self, has_destinations: bool) -> Vec<Arc<dyn Observer>> {
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

    /// Returns the observers of destinations.
    pub(super) fn of_destinations(&self) -> Vec<Arc<dyn suno_gateway::Observer>> {
        vec![
            self.metrics.clone(),
            Arc::new(AttemptHistory::new(self.writer.clone())),
        ]
    }

    /// Whether the loops of the receiver work.
    pub(super) fn is_live(&self) -> impl FnMut() -> bool + Send + 'static {
        let health = self.health.clone();
        move || health.is_live()
    }

    /// Reads the certificate again at each SIGHUP.
    pub(super) fn reload(
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
    pub(super) fn set_stopping(&self) {
        self.health.set_stopping();
    }

    /// Writes what is still waiting.
    pub(super) async fn stop(self) {
        self.writing.stop().await;
        #[cfg(feature = "otel")]
        if let Some(traces) = self.traces {
            traces.finish().await;
        }
    }
}

impl Arguments {
    /// Returns the environment variable with the token.
    pub(super) fn secret_variable(&self) -> Option<&str> {
        self.admin_token_env.as_deref()
    }

    /// Listens, if there is an address.
    pub(super) async fn bind(
        &self,
        watching: &Watching,
        pipeline: &Pipeline,
        destinations: &[Destination],
        media: impl FnOnce() -> Result<Client, Failure>,
        must_confirm: bool,
    ) -> Result<Option<AdminServer>, Failure> {
        watching.health.set_monitor(pipeline.monitor());
        let Some(addr) = self.admin else {
            return Ok(None);
        };
        let (store, metrics) = (watching.store.clone(), watching.metrics.clone());
        let mut admin = Admin::new(store.clone())
            .with_metrics(Scraper::new(store, metrics))
            .with_health(watching.health.clone())
            .with_feed(watching.feed.clone())
            .with_history(watching.history.clone())
            .with_media(media()?)
            .with_page();
        if let Some(name) = &self.admin_token_env {
            let token = environment::named_by("--admin-token-env", name)?;
            let token = AdminToken::new(token.trim()).map_err(|err| {
                Failure::usage(err).context("the variable named by --admin-token-env")
            })?;
            admin = admin.with_token(token);
        }
        for host in &self.admin_host {
            admin = admin.with_host(host);
        }
        if self.admin_open_metrics {
            admin = admin.with_open_metrics();
        }
        if must_confirm {
            admin = admin.with_confirmation();
        }
        if let Some(submitter) = pipeline.submitter() {
            admin = admin.with_submitter(submitter.clone());
        }
        for one in destinations {
            admin = match &one.handler {
                Handler::Forward(handler) => admin.with_destination(handler.clone()),
                Handler::Exec(handler) => admin.with_destination(handler.clone()),
                // It has no breaker: each file is tried by itself.
                Handler::Download(_) => admin,
            };
        }
        let server = admin.bind(addr).await;
        server.map(Some).map_err(Failure::usage)
    }
}
