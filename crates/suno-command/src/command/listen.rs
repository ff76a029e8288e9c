//! `suno listen`: receives callbacks, stores them durably, and prints every handled event.

use std::future::pending;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::anyhow;
use suno_callback::serve::{Serve, bind};
use suno_callback::{
    Acceptance, CallbackHandler, CallbackService, Clock, Content, Delivery, Event, HandlerError,
    IdempotencyStore, Pipeline, Receiver, Source, SystemClock, Token, TokenPlace, Verification,
    handler_fn,
};
use suno_client::Client;
use suno_types::{Callback, Route};
use tokio::sync::oneshot;
use tokio::time::timeout_at;

use crate::acknowledging::Acknowledgements;
use crate::failure::Failure;
use crate::line::{HandledLine, Line, UnhandledLine};
use crate::output;
use crate::printer::Printer;
use crate::shutdown::Shutdown;
use crate::span::Span;
use crate::{address, environment, log, provider, store};

/// The time that lines already being written may take after a stop.
const PRINTING: Duration = Duration::from_secs(2);
/// The part of the time for a stop that is reserved for closing the store.
const CLOSING: Duration = Duration::from_secs(2);
/// The store, if no option names one.
const DEFAULT_STORE: &str = "sqlite:suno.db";

/// Receive callbacks, store them durably, and print every handled event.
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
/// A signature covers the task and the second, not the body: anyone who has seen one signed callback can
/// send another body for the same task within five minutes. --confirm asks the provider's record before
/// an event is printed; "verified_by" in each line names what verified it. On sunoapi.org, which signs
/// nothing, a token in the callback URL proves the sender: --token-env names it, and --token-in says
/// where it is. What else the URL has after the path is printed as "path" and "query". A delivery that contradicts
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
/// Old events are purged: their bodies after 14 days and their keys after 30 days. Dead letters and
/// quarantined deliveries are kept for 90 days. An event that still has to be handled is never purged.
#[derive(Debug, clap::Args)]
#[command(mut_arg("store", |store| store.default_value(DEFAULT_STORE)))]
#[command(after_help = "\
Example:
  export SUNO_WEBHOOK_KEY=…            # from the provider's settings page
  suno listen --webhook-key-env SUNO_WEBHOOK_KEY --json")]
pub(crate) struct Arguments {
    /// Address to listen on
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:3000", value_parser = address::parse)]
    addr: SocketAddr,
    /// Path of the callback URL; a token, further segments and a query may follow it
    #[arg(long, value_name = "PATH", default_value = Receiver::PATH)]
    path: CallbackPath,
    /// Environment variable with a webhook key; give it twice during a key rotation
    #[arg(long, value_name = "NAME")]
    webhook_key_env: Vec<String>,
    /// Environment variable with the token in the callback URL; give it twice during a rotation
    #[arg(long, value_name = "NAME")]
    token_env: Vec<String>,
    /// Place of the token in the callback URL: path, or query: and the name of a parameter
    #[arg(
        long,
        value_name = "PLACE",
        default_value = "path",
        requires = "token_env"
    )]
    token_in: TokenPlace,
    /// Largest body of a callback, such as 4M; from 64K to 64M
    #[arg(long, value_name = "SIZE", default_value = "4M")]
    body_max: BodyMax,
    /// Accept callbacks without verifying them; for experiments only
    #[arg(long, conflicts_with_all = ["webhook_key_env", "token_env"])]
    insecure_accept_unverified: bool,
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
    #[arg(long)]
    ack: bool,
    /// Check each event against the provider's record before it is printed; needs SUNO_API_KEY
    #[arg(long)]
    confirm: bool,
    #[command(flatten)]
    provider: provider::Arguments,
    #[command(flatten)]
    store: store::Arguments,
}

/// A path that starts with a slash.
#[derive(Debug, Clone)]
struct CallbackPath(String);

impl std::str::FromStr for CallbackPath {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let plain = |c: char| c.is_ascii_graphic() && !matches!(c, '?' | '#' | '%');
        if text.starts_with('/') && text.chars().all(plain) {
            Ok(Self(text.to_owned()))
        } else {
            Err("the path must start with '/' and must not contain '?', '#', '%' or spaces")
        }
    }
}

/// The largest body of a callback, in bytes.
#[derive(Debug, Clone, Copy)]
struct BodyMax(usize);

impl BodyMax {
    const MIN: usize = 64 << 10;
    const MAX: usize = CallbackService::LARGE_BODIES_BYTES_MAX;
}

impl std::str::FromStr for BodyMax {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (digits, shift) = match text.as_bytes().last() {
            Some(b'K' | b'k') => (&text[..text.len() - 1], 10),
            Some(b'M' | b'm') => (&text[..text.len() - 1], 20),
            _ => (text, 0),
        };
        let number = digits.parse::<usize>().ok();
        let bytes = number.and_then(|number| number.checked_mul(1 << shift));
        bytes
            .filter(|bytes| (Self::MIN..=Self::MAX).contains(bytes))
            .map(Self)
            .ok_or("the size must be a number of bytes, or one with K or M, from 64K to 64M")
    }
}

pub(crate) async fn run(arguments: Arguments) -> Result<(), Failure> {
    let verification = verification(&arguments)?;
    let client = match arguments.confirm {
        true => Some(arguments.provider.client(Route::Direct)?),
        false => None,
    };
    let shutdown = Shutdown::listen(arguments.stop_grace.0)?;
    let listener = bind(arguments.addr).map_err(|err| {
        Failure::usage(err).context(format!(
            "cannot listen on {}; choose another address with --addr",
            arguments.addr
        ))
    })?;
    let store = arguments.store.open().await?;
    let store = store.ok_or_else(|| Failure::usage(anyhow!("no store is named; use --store")))?;
    let address = listener.local_addr().map_err(Failure::failed)?;
    let url = format!("http://{address}{}", arguments.path.0.trim_end_matches('/'));
    let lines = Lines::start(&arguments, &url).map_err(Failure::failed)?;

    let pipeline = pipeline(&arguments, store, &lines, verification, client)?;
    let (stop, stopped) = oneshot::channel::<()>();
    let server = Serve::new(listener, pipeline.receiver())
        .with_stop_grace(arguments.stop_grace.0.saturating_sub(CLOSING))
        .run(async { drop(stopped.await) });
    let server = tokio::spawn(server);

    let (ended, deadline) = tokio::select! {
        deadline = shutdown.clone().requested() => (Ok(()), deadline),
        failure = lines.failed() => {
            shutdown.ask();
            (Err(failure), shutdown.requested().await)
        }
    };
    drop(stop);
    let all = async { tokio::join!(server, pipeline.stop()) };
    if timeout_at(deadline, all).await.is_err() {
        tracing::warn!(
            "stopped before everything had finished; the unfinished work is repeated after a restart"
        );
    }
    ended
}

/// Starts everything but the server.
fn pipeline(
    arguments: &Arguments,
    store: Arc<dyn IdempotencyStore>,
    lines: &Lines,
    verification: Verification,
    client: Option<Client>,
) -> Result<Pipeline, Failure> {
    let (path, body_max) = (arguments.path.0.clone(), arguments.body_max.0);
    let lease = arguments.lease.0;
    let printing = PRINTING.min(arguments.stop_grace.0);
    let builder = Pipeline::builder(store, lines.handler(), verification)
        .with_observer(lines.observer())
        .receiver(move |receiver| receiver.with_path(&path).with_body_bytes_max(body_max))
        .dispatcher(move |dispatcher| {
            dispatcher
                .with_lease(lease)
                // A reader may pause as long as it likes: its events wait.
                .with_handler_timeout(Duration::MAX)
                .with_stop_grace(printing)
        });
    let builder = match client {
        Some(client) => builder.with_client(client).with_confirmation(),
        None => builder,
    };
    builder.start().map_err(Failure::failed)
}

/// The lines on stdout and their acknowledgements on stdin.
#[derive(Debug, Clone)]
struct Lines {
    printer: Printer,
    acknowledgements: Option<Acknowledgements>,
    json: bool,
    /// Whether a line is written to stderr for each accepted callback.
    has_accepted: bool,
}

impl Lines {
    fn start(arguments: &Arguments, url: &str) -> io::Result<Self> {
        let json = arguments.json || arguments.ack;
        announce(url, json)?;
        let acknowledgements = arguments.ack.then(Acknowledgements::start).transpose()?;
        Ok(Self {
            printer: Printer::start()?,
            acknowledgements,
            json,
            has_accepted: !json && !arguments.quiet,
        })
    }

    /// Prints events and, with `--ack`, waits for their acknowledgement.
    fn handler(&self) -> impl CallbackHandler {
        let lines = self.clone();
        handler_fn(move |event: Event| {
            let (printer, line) = (lines.printer.clone(), line(&event, lines.json));
            let acknowledgements = lines.acknowledgements.as_ref();
            let unacknowledged = acknowledgements.map(|all| all.expect(event.id()));
            async move {
                printer.print(line?).await;
                match unacknowledged {
                    Some(unacknowledged) => unacknowledged.outcome().await,
                    None => Ok(()),
                }
            }
        })
    }

    /// Prints deliveries that are not handled. They are also kept in the store, because a slow reader may
    /// miss a line. For people, every accepted callback is a line on stderr.
    fn observer(&self) -> impl Fn(&Delivery, Acceptance) + Send + Sync + 'static {
        let Self {
            printer,
            json,
            has_accepted,
            ..
        } = self.clone();
        move |delivery, accepted| {
            if has_accepted && delivery.source == Source::Callback {
                log::line(&output::accepted(delivery, accepted, SystemClock.now()));
            }
            if json && let Some(line) = unhandled(delivery, accepted) {
                printer.print_if_possible(line);
            }
        }
    }

    /// Resolves when stdout is closed, or when stdin has ended and there can be no more
    /// acknowledgements.
    async fn failed(&self) -> Failure {
        let stdin_ended = async {
            match &self.acknowledgements {
                Some(acknowledgements) => acknowledgements.ended().await,
                None => pending().await,
            }
        };
        tokio::select! {
            err = self.printer.failed() => {
                Failure::unread(err).context("stdout cannot be written")
            }
            () = stdin_ended => Failure::unread(anyhow!(
                "stdin has ended, so no more events can be acknowledged; unacknowledged events are \
                 printed again after a restart"
            )),
        }
    }
}

/// Builds the line about a delivery that is not handled, although it says something that no handled
/// event says.
fn unhandled(delivery: &Delivery, accepted: Acceptance) -> Option<String> {
    let is_end = match &delivery.content {
        Content::Event { key, .. } => key.stage().is_terminal(),
        _ => false,
    };
    if matches!(
        accepted,
        Acceptance::New | Acceptance::Revised | Acceptance::Duplicate
    ) {
        // Nearly every delivery: it need not be decoded again.
        return None;
    }
    let callback = Callback::decode(&delivery.raw).ok();
    let line = || Box::new(UnhandledLine::new(delivery, callback.as_ref()));
    let line = match accepted {
        Acceptance::Conflict => Line::Conflict(line()),
        Acceptance::Late if is_end => Line::Contradiction(line()),
        Acceptance::Late => Line::Late(line()),
        Acceptance::Quarantined => Line::Quarantined(line()),
        _ => return None,
    };
    output::json_line(&line).ok()
}

fn verification(arguments: &Arguments) -> Result<Verification, Failure> {
    let keys = arguments.webhook_key_env.iter();
    let keys = keys.map(|name| environment::named_by("--webhook-key-env", name));
    let keys = keys.collect::<Result<Vec<_>, _>>()?;
    let tokens = arguments.token_env.iter();
    let tokens = tokens.map(|name| token(&environment::named_by("--token-env", name)?));
    let tokens = tokens.collect::<Result<Vec<_>, _>>()?;
    if arguments.insecure_accept_unverified {
        tracing::warn!("callbacks are not verified: anyone who can reach the URL can forge them");
        return Ok(Verification::dangerous_none());
    }
    let verification = Verification::new(keys, tokens);
    let verification = verification.map(|all| all.with_token_in(arguments.token_in.clone()));
    verification.map_err(|err| {
        Failure::usage(err).context(format!(
            "no verification method is configured; put the webhook key into an environment variable and \
             name it with --webhook-key-env {}, or a token with --token-env NAME (for experiments, pass \
             --insecure-accept-unverified)",
            environment::WEBHOOK_KEY
        ))
    })
}

fn token(text: &str) -> Result<Token, Failure> {
    Token::new(text).map_err(|err| {
        Failure::usage(err)
            .context("the variable named by --token-env does not contain a valid token")
    })
}

fn announce(url: &str, json: bool) -> io::Result<()> {
    if json {
        output::json(&Line::Listening { url })
    } else {
        output::line(&format!("listening on {url}"))
    }
}

/// Builds the line about a handled event.
fn line(event: &Event, json: bool) -> Result<String, HandlerError> {
    if json {
        Ok(output::json_line(&Line::Handled(Box::new(
            HandledLine::new(event),
        )))?)
    } else {
        Ok(output::sentence(event))
    }
}
