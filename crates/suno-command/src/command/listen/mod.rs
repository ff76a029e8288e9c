//! `suno listen`: receives callbacks, stores them durably, and hands every event on.

mod admin;
mod attempts;
mod destinations;
mod gateway;
mod lines;
mod receiving;
mod serving;

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::anyhow;
use suno_callback::{CallbackHandler, Dispatcher, Observer, Pipeline, Verification};
use suno_gateway::admin::AdminServer;
use suno_types::Route;
use tokio::time::timeout_at;

use self::attempts::Attempts;
use self::gateway::{Dispatching, Gateway};
use self::lines::Lines;
use self::serving::{Door, Serving, stop};
use crate::failure::Failure;
use crate::line::Line;
use crate::notify::Notifier;
use crate::printer::{HANDLERS_WAITING_MAX, LINES_WAITING_MAX, Printer};
use crate::shutdown::Shutdown;
use crate::span::Span;
use crate::watching::Watching;
use crate::{config, output, provider, store, tls};

/// The time that lines already being written may take after a stop.
const PRINTING: Duration = Duration::from_secs(2);
/// The part of the time for a stop that is reserved for closing the store.
const CLOSING: Duration = Duration::from_secs(2);
/// The store, if no option names one.
const DEFAULT_STORE: &str = "sqlite:suno.db";

/// Receive callbacks, store them durably, and hand every event on: to a service, to a command, or to stdout.
///
/// A callback is answered with 200 when it is on disk. Without --ack, an event counts as handled when
/// its line is written to stdout. Lines in the pipe that the reader had not read when it ended are not
/// written again, so beyond the last line read, delivery is at most once.
///
/// With --ack, an event counts as handled when the reader writes a line to stdin: {"ack":ID}, or
/// {"retry":ID,"after":"10s"}, or {"dead":ID,"reason":"…"}, where ID is the "id" of the event's line.
/// Events that are not acknowledged are printed again after a restart, so the reader must remember what
/// it has done. At most 16 events are unacknowledged at a time.
///
/// A signature covers the task id and the timestamp, not the body: anyone who has seen one signed callback can
/// send another body for the same task within five minutes. With --confirm, an event is handed on only as the
/// provider's record shows it; "verified_by" in each line says how it was verified. sunoapi.org does not sign, so
/// a token in the callback URL proves the sender: --token-env names its variable, and --token-in says
/// where it is in the URL. The rest of the URL after the path is printed as "path" and "query". A delivery that contradicts
/// an earlier one is printed as a line of its own ("event":"conflict" or "contradiction") and logged as
/// a warning. So are an earlier stage that arrives after a later one ("late") and a delivery that could not
/// be decoded ("quarantined"). None of these is repeated after a restart, and a slow reader may miss one.
///
/// Without --json or --ack, each stored callback is a line on stderr: the time in UTC, the first
/// characters of the task id, the stage, how it was accepted (new, revised, duplicate, late, conflict,
/// confirmed, quarantined, dropped), and how long storing it took. Callbacks that are rejected or could not be
/// stored are warnings: a few for each reason in 10 s, and the rest is counted.
///
/// Read stderr, or redirect it to a file: lines that are not read are dropped and counted.
///
/// With --forward-to, each event is sent as a signed POST in the form of Standard Webhooks: "webhook-id" is
/// the same on every attempt and after a restart, so that a consumer can leave out what it has done. 2xx is
/// done. 400, 413, 415 and 422 are the event's fault: it is tried three times, minutes apart, and is then a
/// dead letter. 3xx, 401, 403, 404, 405 and 410 are the destination's fault: it is paused, its events wait,
/// and one is sent every 10 min until it works. Anything else is tried again with back-off, for three days,
/// and Retry-After is respected. --on-status changes this. A destination that fails five times in a row gets
/// one request every 10 s until it works; the others, and the attempts of its events, are not affected.
///
/// With --exec, a command gets each event on stdin. Its exit code decides: 0 done; 75 try again; 65 a bad
/// event; 126 and 127 pause; any other code and a time-out: try again. It does not inherit the variables
/// that options name for keys, tokens and headers.
///
/// With --download, the files of finished tasks are archived in a folder, each by itself: one that cannot
/// be had stops no other, and is tried again while the provider keeps it. The dead letter lists what is
/// missing.
///
/// Two or more destinations have a queue each: a store of its own beside the main one, sqlite:FILE.queue-NAME
/// or the schema SCHEMA_queue_NAME of PostgreSQL, which can be inspected and redriven like any store. What
/// one of them has done is not repeated because another failed. With a destination, a closed stdout or
/// a slow reader of it stops nothing.
///
/// Old events are purged: their bodies after 14 days and their keys after 30 days. Dead letters and
/// quarantined deliveries are kept for 90 days. An event that still has to be handled is never purged.
#[derive(Debug, clap::Args)]
#[command(mut_arg("store", |store| store.default_value(DEFAULT_STORE)))]
#[command(after_help = "\
Example:
  export SUNO_WEBHOOK_KEY=…            # from the provider's settings page
  suno listen --webhook-key-env SUNO_WEBHOOK_KEY --json

  export SHOP_KEY=$(suno signing-key)  # the shop verifies with it
  suno listen --webhook-key-env SUNO_WEBHOOK_KEY \\
    --forward-to http://127.0.0.1:8080/suno --signing-key-env SHOP_KEY")]
pub(crate) struct Arguments {
    #[command(flatten)]
    config: config::Arguments,
    #[command(flatten)]
    receiving: receiving::Arguments,
    /// Lease: how long before another process may take over the events of a crashed one, such as 60s;
    /// from 100ms to 1h
    #[arg(long, value_name = "TIME", default_value = "60s")]
    lease: Span,
    /// Time limit for a stop; work that is unfinished by then is repeated after a restart
    #[arg(long, value_name = "TIME", default_value = "20s")]
    stop_grace: Span,
    /// Print one JSON object per line
    #[arg(long)]
    json: bool,
    /// Do not write lines about accepted callbacks to stderr; warnings are still written
    #[arg(long)]
    quiet: bool,
    /// Treat an event as handled only when it is acknowledged on stdin; implies --json
    #[arg(long, conflicts_with_all = ["forward_to", "exec", "download"])]
    ack: bool,
    /// Ask the provider about submitted tasks whose callbacks are missing; needs SUNO_API_KEY
    #[arg(long)]
    reconcile: bool,
    /// Hand on nothing but what the provider's record of the task shows; implies --reconcile
    #[arg(long)]
    confirm: bool,
    #[command(flatten)]
    destinations: destinations::Arguments,
    #[command(flatten)]
    tls: tls::Arguments,
    #[command(flatten)]
    admin: admin::Arguments,
    #[command(flatten)]
    provider: provider::Arguments,
    #[command(flatten)]
    store: store::Arguments,
}

pub(crate) async fn run(arguments: Arguments) -> Result<(), Failure> {
    let verification = arguments.receiving.verification()?;
    let is_gateway = !arguments.destinations.is_empty();
    let json = arguments.json || arguments.ack;
    let printer = Printer::start(match is_gateway {
        true => LINES_WAITING_MAX,
        false => HANDLERS_WAITING_MAX,
    });
    let printer = printer.map_err(Failure::failed)?;
    let attempts = Arc::new(Attempts::new(printer.clone(), json));
    let destinations = arguments.build_destinations(&(attempts.clone() as _))?;
    let notifier = Notifier::from_environment();
    let certificate = arguments.tls.load()?;
    let shutdown = arguments.shutdown(certificate.is_some())?;
    let door = Door::open(&arguments, certificate)?;

    let stores = arguments.store.open_stores().await?;
    let stores = stores.ok_or_else(|| Failure::usage(anyhow!("no store is named; use --store")))?;
    let names = destinations.iter().map(|one| &one.name);
    let watching = Watching::start(stores.main(), stores.history()?, stores.file(), names)?;
    attempts.tell(watching.of_destinations());
    let gateway = match is_gateway {
        true => {
            let (dispatching, observer) = (arguments.dispatching(), watching.of_queues());
            Some(Gateway::start(destinations, &stores, dispatching, observer).await?)
        }
        false => None,
    };
    let lines = Lines::start(printer.clone(), json, arguments.ack, arguments.quiet);
    let lines = lines.map_err(Failure::failed)?;
    let mut observers = watching.of_pipeline(is_gateway);
    observers.push(Arc::new(lines.observer()));
    let pipeline = arguments.pipeline(
        stores.main(),
        match &gateway {
            Some(gateway) => gateway.handler(),
            None => Arc::new(lines.handler()),
        },
        observers,
        verification,
        arguments.dispatcher(gateway.as_ref()),
    )?;
    let all = gateway.as_ref().map_or(&[][..], Gateway::destinations);
    let media = || arguments.provider.client_for_media();
    let admin = &arguments.admin;
    let admin = admin.bind(&watching, &pipeline, all, media, arguments.confirm);
    let admin = admin.await?;

    // Last, when everything that can be refused is known to be right.
    let url = door.url.clone();
    announce(&url, admin.as_ref(), json).map_err(Failure::failed)?;
    let grace = arguments.stop_grace.0.saturating_sub(CLOSING);
    let serving = door.serve(&pipeline, grace, &watching, &notifier)?;
    let admin = admin.map(|admin| Serving::spawn(|stopped| admin.run(stopped)));
    // It goes on until the process ends, since a stop may take longer than the watchdog waits.
    drop(notifier.spawn_watchdog(watching.is_live()));
    notifier.status(&format!("listening on {url}"));
    notifier.ready();

    let (ended, deadline) = tokio::select! {
        deadline = shutdown.clone().requested() => (Ok(()), deadline),
        failure = lines.failed(), if !is_gateway => {
            shutdown.ask();
            (Err(failure), shutdown.requested().await)
        }
        () = announced(gateway.as_ref(), &printer, json) => unreachable!("it waits for ever"),
    };
    notifier.stopping();
    let all = stop(serving, pipeline, gateway, watching, admin);
    if timeout_at(deadline, all).await.is_err() {
        tracing::warn!(
            "stopped before everything had finished; the unfinished work is repeated after a restart"
        );
    }
    ended
}

/// A change to the settings of a dispatcher.
type Change = Box<dyn FnOnce(Dispatcher) -> Dispatcher + Send>;

impl Arguments {
    /// Returns the file of `--config`.
    pub(crate) fn config_file(&self) -> Option<&Path> {
        self.config.config.as_deref()
    }

    /// Checks what can be checked without a store and a socket, and says what would be done.
    pub(crate) fn plan(&self) -> Result<Vec<String>, Failure> {
        self.receiving.verification()?;
        if self.reconcile || self.confirm {
            self.provider.client(Route::Direct)?;
        }
        let nobody: Arc<dyn suno_gateway::Observer> =
            Arc::new(Vec::<Arc<dyn suno_gateway::Observer>>::new());
        let destinations = self.build_destinations(&nobody)?;
        let (addr, path) = (
            self.receiving.addr,
            self.receiving.path.0.trim_end_matches('/'),
        );
        let scheme = match self.tls.load()? {
            Some(_) => "https",
            None => "http",
        };
        let mut plan = vec![format!("listens on {scheme}://{addr}{path}")];
        plan.extend(self.admin.plan()?);
        if self.confirm {
            plan.push("asks the provider's record before an event is handed on".to_owned());
        }
        if self.reconcile || self.confirm {
            plan.push("asks the provider about tasks whose callbacks are missing".to_owned());
        }
        plan.extend(destinations.iter().map(destinations::Destination::sentence));
        match destinations.len() {
            0 => plan.push("prints each event".to_owned()),
            1 => {}
            _ => plan.push("keeps a queue for each destination beside the store".to_owned()),
        }
        Ok(plan)
    }

    /// Returns the variables with secrets that no command of a destination needs.
    fn secret_variables(&self) -> Vec<String> {
        let mut variables = self.receiving.secret_variables();
        variables.extend(self.admin.secret_variable().map(str::to_owned));
        variables
    }

    fn build_destinations(
        &self,
        observer: &Arc<dyn suno_gateway::Observer>,
    ) -> Result<Vec<destinations::Destination>, Failure> {
        let client = || self.provider.client_for_media();
        self.destinations
            .build(observer, &self.secret_variables(), client)
    }

    /// Begins to listen to signals. With a certificate, SIGHUP is for that.
    fn shutdown(&self, has_certificate: bool) -> Result<Shutdown, Failure> {
        match has_certificate {
            true => Shutdown::listen_without_hang_up(self.stop_grace.0),
            false => Shutdown::listen(self.stop_grace.0),
        }
    }

    fn dispatching(&self) -> Dispatching {
        Dispatching {
            lease: self.lease.0,
            stop_grace: self.stop_grace.0.saturating_sub(CLOSING),
        }
    }

    fn dispatcher(&self, gateway: Option<&Gateway>) -> Change {
        if let Some(gateway) = gateway {
            return Box::new(gateway.dispatcher());
        }
        let lease = self.lease.0;
        let printing = PRINTING.min(self.stop_grace.0);
        Box::new(move |dispatcher| {
            dispatcher
                .with_lease(lease)
                // A reader may pause as long as it likes: its events wait.
                .with_handler_timeout(Duration::MAX)
                .with_stop_grace(printing)
        })
    }

    /// Starts everything but the server and the queues.
    fn pipeline(
        &self,
        store: Arc<dyn suno_callback::IdempotencyStore>,
        handler: Arc<dyn CallbackHandler>,
        observers: Vec<Arc<dyn Observer>>,
        verification: Verification,
        dispatcher: Change,
    ) -> Result<Pipeline, Failure> {
        let (path, body_max) = (self.receiving.path.0.clone(), self.receiving.body_max.0);
        let builder = Pipeline::builder(store, handler, verification)
            .with_observer(observers)
            .receiver(move |receiver| receiver.with_path(&path).with_body_bytes_max(body_max))
            .dispatcher(dispatcher);
        let builder = match self.reconcile || self.confirm {
            true => builder.with_client(self.provider.client(Route::Direct)?),
            false => builder,
        };
        let builder = match self.confirm {
            true => builder.with_confirmation(),
            false => builder,
        };
        builder.start().map_err(Failure::failed)
    }
}

/// Prints the destinations. Never resolves.
async fn announced(gateway: Option<&Gateway>, printer: &Printer, json: bool) {
    if let Some(gateway) = gateway
        && let Err(err) = gateway.announce(printer, json).await
    {
        tracing::error!(%err, "the destinations cannot be printed");
    }
    std::future::pending().await
}

fn announce(url: &str, admin: Option<&AdminServer>, json: bool) -> io::Result<()> {
    let admin = admin.map(|admin| format!("http://{}", admin.local_addr()));
    if json {
        let admin = admin.as_deref();
        return output::json(&Line::Listening { url, admin });
    }
    output::line(&format!("listening on {url}"))?;
    match admin {
        Some(admin) => output::line(&format!("admin service on {admin}")),
        None => Ok(()),
    }
}
