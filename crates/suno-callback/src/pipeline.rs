//! Wires, starts and stops all parts between the provider and a handler.

use std::fmt;
#[cfg(feature = "hyper")]
use std::future::Future;
use std::sync::Arc;

use crate::background::{BackgroundTask, TaskMonitor};
use crate::dispatch::Dispatcher;
use crate::handler::CallbackHandler;
use crate::inbox::{Inbox, InboxMonitor};
use crate::observe::{NoObserver, Observer};
use crate::receiver::Receiver;
use crate::reconcile::{Reconciler, RecordInfo};
#[cfg(feature = "client")]
use crate::reconcile::{SubmitError, Submitter};
use crate::retention::Retention;
use crate::store::IdempotencyStore;
use crate::verify::Verification;

/// A change to the settings of one part.
type Change<T> = Box<dyn FnOnce(T) -> T + Send>;

/// A receiver and a dispatcher on one store, with the background tasks they need.
///
/// This is the usual way to use the crate. It purges old events ([`Retention`]) and, with a client,
/// asks the provider about tasks whose callbacks are missing ([`Reconciler`]). The parts can also
/// be wired by hand.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use std::sync::Arc;
///
/// use suno_callback::{Event, MemoryStore, Pipeline, Verification, handler_fn};
///
/// let handler = handler_fn(async |event: Event| {
///     println!("{} has {} tracks", event.key(), event.tracks().len());
///     Ok(())
/// });
/// let verification = Verification::webhook_key("whk_demo_key");
/// // In production: a durable store, such as the one in suno-store-sqlite.
/// let store = Arc::new(MemoryStore::new());
/// let pipeline = Pipeline::builder(store, handler, verification).start()?;
///
/// // Serve `pipeline.receiver()`, or call `pipeline.serve(listener, stop)`.
///
/// pipeline.stop().await;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
#[must_use = "dropping the pipeline stops everything it started"]
pub struct Pipeline {
    inbox: Inbox,
    receiver: Receiver,
    dispatcher: BackgroundTask,
    reconciler: Option<BackgroundTask>,
    retention: Option<BackgroundTask>,
    #[cfg(feature = "client")]
    submitter: Option<Submitter>,
}

/// Tells which parts of a [`Pipeline`] still do their work. It does not keep them running.
#[derive(Debug, Clone)]
pub struct PipelineMonitor {
    inbox: InboxMonitor,
    dispatcher: TaskMonitor,
    reconciler: Option<TaskMonitor>,
    retention: Option<TaskMonitor>,
}

impl PipelineMonitor {
    /// Returns each part that was started and whether it still does its work: `inbox`,
    /// `dispatcher`, `reconciler` and `retention`. None of them does after the stop.
    pub fn parts(&self) -> impl Iterator<Item = (&'static str, bool)> {
        let optional = [
            ("reconciler", &self.reconciler),
            ("retention", &self.retention),
        ];
        let optional = optional
            .into_iter()
            .filter_map(|(name, part)| Some((name, part.as_ref()?.is_running())));
        [
            ("inbox", self.inbox.is_running()),
            ("dispatcher", self.dispatcher.is_running()),
        ]
        .into_iter()
        .chain(optional)
    }
}

/// The settings of a [`Pipeline`], in any order.
#[must_use = "the pipeline does nothing before `start`"]
pub struct PipelineBuilder {
    store: Arc<dyn IdempotencyStore>,
    handler: Arc<dyn CallbackHandler>,
    verification: Verification,
    records: Option<Arc<dyn RecordInfo>>,
    #[cfg(feature = "client")]
    client: Option<suno_client::Client>,
    must_confirm: bool,
    has_retention: bool,
    observer: Arc<dyn Observer>,
    receiver: Change<Receiver>,
    dispatcher: Change<Dispatcher>,
    reconciler: Change<Reconciler>,
    retention: Change<Retention>,
}

/// An error: the settings of a [`Pipeline`] contradict each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidPipeline {
    /// Confirmation is on, but there is no source of records to confirm events with.
    #[error(
        "confirmation needs the provider's records; pass a client to with_client, or another source \
         to with_records"
    )]
    NoRecords,
}

impl Pipeline {
    /// Creates a pipeline that stores what `verification` accepts in `store` and passes it to
    /// `handler`.
    pub fn builder(
        store: Arc<dyn IdempotencyStore>,
        handler: impl CallbackHandler,
        verification: Verification,
    ) -> PipelineBuilder {
        PipelineBuilder {
            store,
            handler: Arc::new(handler),
            verification,
            records: None,
            #[cfg(feature = "client")]
            client: None,
            must_confirm: false,
            has_retention: true,
            observer: Arc::new(NoObserver),
            receiver: Box::new(|receiver| receiver),
            dispatcher: Box::new(|dispatcher| dispatcher),
            reconciler: Box::new(|reconciler| reconciler),
            retention: Box::new(|retention| retention),
        }
    }

    /// Returns the receiver, for your own server. Clones accept into the same store.
    #[must_use]
    pub fn receiver(&self) -> Receiver {
        self.receiver.clone()
    }

    /// Returns the store.
    #[must_use]
    pub fn store(&self) -> &Arc<dyn IdempotencyStore> {
        self.inbox.store()
    }

    /// Submits a task; see [`Submitter::submit`].
    ///
    /// # Errors
    ///
    /// Returns [`SubmitError`] if the submit failed, or if the pipeline has no client.
    #[cfg(feature = "client")]
    pub async fn submit(
        &self,
        request: &impl suno_types::Request,
    ) -> Result<suno_types::SubmittedTask, SubmitError> {
        match &self.submitter {
            Some(submitter) => submitter.submit(request).await,
            None => Err(SubmitError::no_client()),
        }
    }

    /// Submits a task and records the application's own name for it; see
    /// [`Submitter::submit_for`].
    ///
    /// # Errors
    ///
    /// Returns [`SubmitError`] if the submit failed, or if the pipeline has no client.
    #[cfg(feature = "client")]
    pub async fn submit_for(
        &self,
        reference: &str,
        request: &impl suno_types::Request,
    ) -> Result<suno_types::SubmittedTask, SubmitError> {
        match &self.submitter {
            Some(submitter) => submitter.submit_for(reference, request).await,
            None => Err(SubmitError::no_client()),
        }
    }

    /// Returns the submitter if the pipeline has a client. Clones can be moved to other tasks.
    #[cfg(feature = "client")]
    #[must_use]
    pub fn submitter(&self) -> Option<&Submitter> {
        self.submitter.as_ref()
    }

    /// Returns a monitor of the parts, for a health check.
    #[must_use]
    pub fn monitor(&self) -> PipelineMonitor {
        let monitor = |part: &Option<BackgroundTask>| part.as_ref().map(BackgroundTask::monitor);
        PipelineMonitor {
            inbox: self.inbox.monitor(),
            dispatcher: self.dispatcher.monitor(),
            reconciler: monitor(&self.reconciler),
            retention: monitor(&self.retention),
        }
    }

    /// Serves callbacks over HTTP until `stop` resolves, with the defaults of
    /// [`Serve`](crate::serve::Serve). Finishes requests in progress before it returns. The other
    /// parts keep running until [`stop`](Self::stop).
    #[cfg(feature = "hyper")]
    pub async fn serve(&self, listener: tokio::net::TcpListener, stop: impl Future<Output = ()>) {
        crate::serve::serve(listener, self.receiver(), stop).await;
    }

    /// Stops everything: claims no more events, waits for the running handlers, and settles their
    /// events. Stop the server first, so that callbacks that it answers with 200 can still be
    /// dispatched.
    ///
    /// Events that are unhandled by then are handled after a restart.
    pub async fn stop(self) {
        let stop = async |part: Option<BackgroundTask>| {
            if let Some(part) = part {
                part.stop().await;
            }
        };
        tokio::join!(
            self.dispatcher.stop(),
            stop(self.reconciler),
            stop(self.retention),
        );
    }
}

impl PipelineBuilder {
    /// Submits with this client, and uses it to ask the provider about tasks whose callbacks are
    /// missing.
    #[cfg(feature = "client")]
    pub fn with_client(mut self, client: suno_client::Client) -> Self {
        self.records = Some(Arc::new(client.clone()));
        self.client = Some(client);
        self
    }

    /// Uses `records` to ask about tasks whose callbacks are missing.
    pub fn with_records(mut self, records: impl RecordInfo) -> Self {
        self.records = Some(Arc::new(records));
        self
    }

    /// Checks each event against the provider's record before it is handled, because a signature
    /// does not cover the body; see [`Reconciler::confirm`]. Needs a client or another source of
    /// records.
    pub fn with_confirmation(mut self) -> Self {
        self.must_confirm = true;
        self
    }

    /// Disables purging, for when another process purges the store or it may grow without bound.
    pub fn without_retention(mut self) -> Self {
        self.has_retention = false;
        self
    }

    /// Reports every step to `observer`: an [`Observer`], or a closure that is called for every
    /// committed delivery.
    pub fn with_observer(mut self, observer: impl Observer) -> Self {
        self.observer = Arc::new(observer);
        self
    }

    /// Changes the settings of the receiver, such as its path.
    ///
    /// ```
    /// # use std::sync::Arc;
    /// # use suno_callback::{MemoryStore, Pipeline, Verification, handler_fn};
    /// # let store = Arc::new(MemoryStore::new());
    /// # let handler = handler_fn(async |_| Ok(()));
    /// # let verification = Verification::webhook_key("whk_demo_key");
    /// let builder = Pipeline::builder(store, handler, verification)
    ///     .receiver(|receiver| receiver.with_path("/hooks/suno"))
    ///     .dispatcher(|dispatcher| dispatcher.with_handlers_max(4));
    /// # let _ = builder;
    /// ```
    pub fn receiver(mut self, change: impl FnOnce(Receiver) -> Receiver + Send + 'static) -> Self {
        self.receiver = Box::new(change);
        self
    }

    /// Changes the settings of the dispatcher, such as how many handlers run at the same time.
    pub fn dispatcher(
        mut self,
        change: impl FnOnce(Dispatcher) -> Dispatcher + Send + 'static,
    ) -> Self {
        self.dispatcher = Box::new(change);
        self
    }

    /// Changes the settings of the reconciler.
    pub fn reconciler(
        mut self,
        change: impl FnOnce(Reconciler) -> Reconciler + Send + 'static,
    ) -> Self {
        self.reconciler = Box::new(change);
        self
    }

    /// Changes the settings of the retention, such as how long bodies are kept.
    pub fn retention(
        mut self,
        change: impl FnOnce(Retention) -> Retention + Send + 'static,
    ) -> Self {
        self.retention = Box::new(change);
        self
    }

    /// Starts everything on the current tokio runtime.
    ///
    /// # Errors
    ///
    /// Returns [`InvalidPipeline`] if settings contradict each other; nothing has been started
    /// then.
    pub fn start(self) -> Result<Pipeline, InvalidPipeline> {
        if self.must_confirm && self.records.is_none() {
            return Err(InvalidPipeline::NoRecords);
        }
        let inbox = Inbox::start_observed(self.store.clone(), self.observer);
        let reconciler = self.records.map(|records| {
            let reconciler = Reconciler::new(inbox.clone(), records);
            (self.reconciler)(reconciler.with_handler(self.handler.clone()))
        });
        let handler: Arc<dyn CallbackHandler> = match &reconciler {
            Some(reconciler) if self.must_confirm => Arc::new(reconciler.confirm(self.handler)),
            _ => self.handler,
        };
        let receiver = Receiver::new(inbox.clone(), self.verification);
        let dispatcher = Dispatcher::new(inbox.clone(), handler);
        let retention = self
            .has_retention
            .then(|| (self.retention)(Retention::new(self.store.clone())).start());
        #[cfg(feature = "client")]
        let submitter = self.client.map(|client| {
            let submitter = Submitter::new(client, self.store);
            match &reconciler {
                Some(reconciler) => submitter.with_reconciler(reconciler),
                None => submitter,
            }
        });
        Ok(Pipeline {
            receiver: (self.receiver)(receiver),
            dispatcher: (self.dispatcher)(dispatcher).start(),
            reconciler: reconciler.map(Reconciler::start),
            retention,
            #[cfg(feature = "client")]
            submitter,
            inbox,
        })
    }
}

/// Leaves out the settings of the parts: they are functions that have not run yet.
impl fmt::Debug for PipelineBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PipelineBuilder")
            .field("verification", &self.verification)
            .field("records", &self.records)
            .field("must_confirm", &self.must_confirm)
            .field("has_retention", &self.has_retention)
            .finish_non_exhaustive()
    }
}
