//! Claims events and runs the handler on them, until each is settled.

mod worker;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use worker::Worker;

use crate::clock::{Clock, SystemClock};
use crate::handler::CallbackHandler;
use crate::inbox::Inbox;
use crate::running::Running;

/// Claims events and runs a [`CallbackHandler`] on them.
///
/// Events of one task are handled one at a time and in the order of their stages; different tasks
/// are handled at the same time. A failure is tried again with back-off; after
/// [`with_attempts_max`](Self::with_attempts_max) attempts the event is a dead letter. A panic
/// counts as a failure.
#[derive(Clone)]
pub struct Dispatcher {
    inbox: Inbox,
    handler: Arc<dyn CallbackHandler>,
    clock: Arc<dyn Clock>,
    settings: Settings,
}

#[derive(Debug, Clone, Copy)]
struct Settings {
    handlers_max: usize,
    attempts_max: u32,
    lease: Duration,
    poll_interval: Duration,
    stop_grace: Duration,
}

impl fmt::Debug for Dispatcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dispatcher")
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}

impl Dispatcher {
    /// How many handlers run at the same time unless set otherwise.
    pub const HANDLERS_MAX: usize = 16;
    /// How often an event is tried unless set otherwise.
    pub const ATTEMPTS_MAX: u32 = 10;
    /// How long a claim lasts unless set otherwise. It is extended while the handler runs.
    pub const LEASE: Duration = Duration::from_secs(60);
    /// The shortest lease: it has to be extended in time.
    pub const LEASE_MIN: Duration = Duration::from_millis(100);
    /// How often the store is asked without a hint, unless set otherwise: for retries that are
    /// due, and events that another process received.
    pub const POLL_INTERVAL: Duration = Duration::from_secs(1);
    /// How long handlers and settlements may take after a stop, unless set otherwise.
    pub const STOP_GRACE: Duration = Duration::from_secs(10);
    /// How long the first retry waits at most; each further one twice as long.
    pub const BACKOFF_MIN: Duration = Duration::from_secs(1);
    /// How long a retry waits at most.
    pub const BACKOFF_MAX: Duration = Duration::from_secs(300);

    /// A dispatcher of the events in `inbox` to `handler`.
    #[must_use]
    pub fn new(inbox: Inbox, handler: impl CallbackHandler) -> Self {
        Self {
            inbox,
            handler: Arc::new(handler),
            clock: Arc::new(SystemClock),
            settings: Settings {
                handlers_max: Self::HANDLERS_MAX,
                attempts_max: Self::ATTEMPTS_MAX,
                lease: Self::LEASE,
                poll_interval: Self::POLL_INTERVAL,
                stop_grace: Self::STOP_GRACE,
            },
        }
    }

    /// How many handlers run at the same time.
    #[must_use]
    pub fn with_handlers_max(mut self, handlers_max: usize) -> Self {
        self.settings.handlers_max = handlers_max.max(1);
        self
    }

    /// How often an event is tried.
    #[must_use]
    pub fn with_attempts_max(mut self, attempts_max: u32) -> Self {
        self.settings.attempts_max = attempts_max.max(1);
        self
    }

    /// How long a claim lasts. If this process dies, its events are handled again after that.
    #[must_use]
    pub fn with_lease(mut self, lease: Duration) -> Self {
        self.settings.lease = lease.max(Self::LEASE_MIN);
        self
    }

    /// How often the store is asked without a hint.
    #[must_use]
    pub fn with_poll_interval(mut self, interval: Duration) -> Self {
        self.settings.poll_interval = interval;
        self
    }

    /// How long handlers and settlements may take after a stop. Handlers that take longer are
    /// cancelled, and their events handled again after the next start.
    #[must_use]
    pub fn with_stop_grace(mut self, grace: Duration) -> Self {
        self.settings.stop_grace = grace;
        self
    }

    /// Where the time comes from.
    #[must_use]
    pub fn with_clock(mut self, clock: impl Clock + 'static) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// Starts on the current tokio runtime.
    ///
    /// A stop ends claiming, waits for the handlers that run, and settles what they did.
    pub fn start(self) -> Running {
        Running::start(|stopped| Worker::new(self).run(stopped))
    }
}
