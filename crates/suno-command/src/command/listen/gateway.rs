//! Runs the destinations: one takes the events of the main store itself, several have a queue each.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use suno_callback::{CallbackHandler, Dispatcher, Observer};
use suno_gateway::fan_out::{FanOut, PartsHandler, Queue};

use super::destinations::{Destination, Handler};
use crate::failure::Failure;
use crate::line::Line;
use crate::printer::Printer;
use crate::store::Stores;
use crate::{output, song};

/// The time within which a destination must take a connection, to be called reachable at the start.
const CONNECT_MAX: Duration = Duration::from_secs(3);
/// The number of events that are put into queues at a time.
const HAND_OVERS_MAX: usize = 64;

/// The settings of every dispatcher that hands events to destinations.
#[derive(Debug, Clone, Copy)]
pub(super) struct Dispatching {
    pub(super) lease: Duration,
    pub(super) stop_grace: Duration,
}

/// The running destinations.
#[derive(Debug)]
pub(super) struct Gateway {
    destinations: Vec<Destination>,
    queues: Vec<Queue>,
    dispatching: Dispatching,
}

impl Dispatching {
    fn apply(self, dispatcher: Dispatcher, handlers_max: usize, retry_for: Duration) -> Dispatcher {
        dispatcher
            .with_handlers_max(handlers_max)
            // Each request and each command has a time limit of its own.
            .with_handler_timeout(Duration::MAX)
            .with_retry_for(retry_for)
            .with_lease(self.lease)
            .with_stop_grace(self.stop_grace)
    }
}

impl Gateway {
    /// Opens and starts the queues that are needed. A destination that has a queue keeps it, also when
    /// it is the only one: there may be events in it.
    pub(super) async fn start(
        destinations: Vec<Destination>,
        stores: &Stores,
        dispatching: Dispatching,
        observer: Arc<dyn Observer>,
    ) -> Result<Self, Failure> {
        let known = stores.queues().await?;
        let has_queues = destinations.len() > 1
            || destinations
                .iter()
                .any(|one| known.iter().any(|name| name == one.name.as_str()));
        for one in &destinations {
            if let Handler::Download(handler) = &one.handler {
                song::make_folder(Some(handler.folder()))?;
            }
        }
        let mut queues = Vec::new();
        for one in destinations.iter().filter(|_| has_queues) {
            let store = stores.open_queue(&one.name).await?;
            let change = |dispatcher| dispatching.apply(dispatcher, one.concurrency, one.retry_for);
            let start = |handler: Arc<dyn PartsHandler>| {
                let observer = observer.clone();
                Queue::start_observed(one.name.clone(), store, handler, observer, change)
            };
            queues.push(start(one.handler.parts()));
        }
        for name in known {
            if destinations.iter().any(|one| one.name.as_str() == name) {
                continue;
            }
            let open = stores.open_events(&name).await;
            tracing::warn!(
                queue = name,
                open,
                "there is a queue for a destination that is not configured; its open events wait until it is configured again"
            );
        }
        Ok(Self {
            destinations,
            queues,
            dispatching,
        })
    }

    /// Returns the destinations.
    pub(super) fn destinations(&self) -> &[Destination] {
        &self.destinations
    }

    /// Returns the handler of the main store's events.
    pub(super) fn handler(&self) -> Arc<dyn CallbackHandler> {
        match &self.destinations[..] {
            [only] if self.queues.is_empty() => match &only.handler {
                Handler::Forward(handler) => handler.clone(),
                Handler::Exec(handler) => handler.clone(),
                Handler::Download(handler) => handler.clone(),
            },
            _ => Arc::new(FanOut::new(self.queues.iter().map(Queue::entrance))),
        }
    }

    /// Returns what the dispatcher of the main store may do.
    pub(super) fn dispatcher(&self) -> impl FnOnce(Dispatcher) -> Dispatcher + Send + 'static {
        let (handlers_max, retry_for) = match &self.destinations[..] {
            [only] if self.queues.is_empty() => (only.concurrency, only.retry_for),
            // Only a mistake in a program can fail here for so long.
            _ => (HAND_OVERS_MAX, Dispatcher::RETRY_FOR),
        };
        let dispatching = self.dispatching;
        move |dispatcher| dispatching.apply(dispatcher, handlers_max, retry_for)
    }

    /// Prints each destination, and whether a service took a connection.
    pub(super) async fn announce(&self, printer: &Printer, json: bool) -> io::Result<()> {
        for one in &self.destinations {
            let reached = match &one.handler {
                Handler::Forward(handler) => Some(handler.connect(CONNECT_MAX).await),
                Handler::Exec(_) | Handler::Download(_) => None,
            };
            let (name, target) = (one.name.as_str(), output::visible(&one.target));
            if json {
                printer.print_if_possible(output::json_line(&Line::Destination {
                    name,
                    kind: one.handler.kind(),
                    target: &target,
                    is_reachable: reached.map(|reached| reached.is_ok()),
                })?);
                continue;
            }
            let mut text = output::visible(&one.sentence());
            match reached {
                Some(Ok(())) => text += ", which takes connections",
                Some(Err(why)) => {
                    let why = output::visible(&why);
                    text += &format!(", which does not answer ({why}): events wait in the store");
                }
                None => {}
            }
            printer.print_if_possible(text);
        }
        Ok(())
    }

    /// Lets no event wait for a destination any more.
    pub(super) fn close(&self) {
        self.destinations.iter().for_each(|one| one.handler.close());
    }

    /// Stops the queues. The main pipeline must have stopped.
    pub(super) async fn stop(self) {
        for queue in self.queues {
            queue.stop().await;
        }
    }
}

impl Handler {
    fn parts(&self) -> Arc<dyn PartsHandler> {
        match self {
            Self::Forward(handler) => handler.clone(),
            Self::Exec(handler) => handler.clone(),
            Self::Download(handler) => handler.clone(),
        }
    }
}
