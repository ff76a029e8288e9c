//! Claims events and runs the handler on them, until each is settled.

mod lease;
mod retry;
mod running;
mod worker;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use worker::Worker;

use crate::handler::CallbackHandler;
use crate::inbox::Inbox;
use crate::running::Running;
use crate::store::bounds::LEASE_MAX;

/// Claims events and runs a [`CallbackHandler`] on them.
///
/// Events of one task are handled one at a time and in the order of their stages; different tasks
/// are handled at the same time. A failure is retried with back-off until the event is as old as
/// [`with_retry_for`](Self::with_retry_for) says; then it is a dead letter. A panic is a failure, and
/// so is a handler that takes longer than its [time-out](Self::with_handler_timeout).
///
/// A handler runs only while its claim certainly holds: it is cancelled, where it waits, when the
/// lease ends before it could be extended. So two handlers of one event do not run at the same time,
/// except that one which blocks its thread cannot be cancelled.
#[derive(Clone)]
pub struct Dispatcher {
    inbox: Inbox,
    handler: Arc<dyn CallbackHandler>,
    settings: Settings,
}

#[derive(Debug, Clone, Copy)]
struct Settings {
    handlers_max: usize,
    handler_timeout: Duration,
    retry_for: Duration,
    attempts_max: u32,
    lease: Duration,
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
    /// How long a handler may take for one event unless set otherwise.
    pub const HANDLER_TIMEOUT: Duration = Duration::from_secs(600);
    /// For how long a failing event is retried unless set otherwise: a day.
    pub const RETRY_FOR: Duration = Duration::from_secs(86_400);
    /// How long a claim lasts unless set otherwise. It is extended while the handler runs.
    pub const LEASE: Duration = Duration::from_secs(60);
    /// The shortest lease: it has to be extended in time.
    pub const LEASE_MIN: Duration = Duration::from_millis(100);
    /// How many claims of an event may lapse in a row: then handling it probably ends the process, and
    /// it is a dead letter. The first ones happen beside other events, the others while nothing else
    /// runs.
    pub const LAPSES_MAX: u32 = 5;
    /// How long handlers and settlements may take after a stop, unless set otherwise.
    pub const STOP_GRACE: Duration = Duration::from_secs(10);
    /// How long the first retry waits at most; each further one waits twice as long.
    pub const BACKOFF_MIN: Duration = Duration::from_secs(1);
    /// How long a retry waits at most.
    pub const BACKOFF_MAX: Duration = Duration::from_secs(600);
    /// How long the store may take for an operation.
    pub const STORE_TIMEOUT: Duration = Duration::from_secs(10);
    /// After how long without a free place for a handler that is logged, and how often.
    pub const FULL_WARNING: Duration = Duration::from_secs(60);

    /// A dispatcher of the events in `inbox` to `handler`.
    #[must_use]
    pub fn new(inbox: Inbox, handler: impl CallbackHandler) -> Self {
        Self {
            inbox,
            handler: Arc::new(handler),
            settings: Settings {
                handlers_max: Self::HANDLERS_MAX,
                handler_timeout: Self::HANDLER_TIMEOUT,
                retry_for: Self::RETRY_FOR,
                attempts_max: u32::MAX,
                lease: Self::LEASE,
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

    /// How long a handler may take for one event. It is cancelled then, which is a failure.
    #[must_use]
    pub fn with_handler_timeout(mut self, timeout: Duration) -> Self {
        self.settings.handler_timeout = timeout;
        self
    }

    /// For how long a failing event is retried, from when it was stored or redriven. The last attempt
    /// is made at the end of that time.
    #[must_use]
    pub fn with_retry_for(mut self, retry_for: Duration) -> Self {
        self.settings.retry_for = retry_for;
        self
    }

    /// How often an event is attempted at most, within the time that it is retried for. Without this
    /// setting, only the time counts.
    #[must_use]
    pub fn with_attempts_max(mut self, attempts_max: u32) -> Self {
        self.settings.attempts_max = attempts_max.max(1);
        self
    }

    /// How long a claim lasts, from 100 ms to an hour. If this process dies, its events are handled
    /// again after that.
    #[must_use]
    pub fn with_lease(mut self, lease: Duration) -> Self {
        self.settings.lease = lease.clamp(Self::LEASE_MIN, LEASE_MAX);
        self
    }

    /// How long handlers and settlements may take after a stop. Handlers that take longer are
    /// cancelled, and their events handled again after the next start.
    #[must_use]
    pub fn with_stop_grace(mut self, grace: Duration) -> Self {
        self.settings.stop_grace = grace;
        self
    }

    /// Starts on the current tokio runtime.
    ///
    /// A stop ends claiming, waits for the handlers that run, and settles what they did.
    pub fn start(self) -> Running {
        Running::start(|stopped| Worker::new(self).run(stopped))
    }
}
