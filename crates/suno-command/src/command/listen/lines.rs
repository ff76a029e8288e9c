//! Prints events, and what else happens to deliveries, as lines on stdout.

use std::future::pending;
use std::io;

use anyhow::anyhow;
use suno_callback::{
    Acceptance, CallbackHandler, Clock, Content, Delivery, Event, HandlerError, Source,
    SystemClock, handler_fn,
};
use suno_types::Callback;

use crate::acknowledging::Acknowledgements;
use crate::failure::Failure;
use crate::line::{HandledLine, Line, UnhandledLine};
use crate::printer::Printer;
use crate::{log, output};

/// The lines on stdout and their acknowledgements on stdin.
#[derive(Debug, Clone)]
pub(super) struct Lines {
    printer: Printer,
    acknowledgements: Option<Acknowledgements>,
    json: bool,
    /// Whether a line is written to stderr for each accepted callback.
    has_accepted: bool,
}

impl Lines {
    /// Starts the threads that read and write. `waits` says whether events are acknowledged.
    pub(super) fn start(
        printer: Printer,
        json: bool,
        waits: bool,
        quiet: bool,
    ) -> io::Result<Self> {
        let acknowledgements = waits.then(Acknowledgements::start).transpose()?;
        Ok(Self {
            printer,
            acknowledgements,
            json,
            has_accepted: !json && !quiet,
        })
    }

    /// Prints events and, with `--ack`, waits for their acknowledgement.
    pub(super) fn handler(&self) -> impl CallbackHandler {
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
    pub(super) fn observer(&self) -> impl Fn(&Delivery, Acceptance) + Send + Sync + 'static {
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
    pub(super) async fn failed(&self) -> Failure {
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
