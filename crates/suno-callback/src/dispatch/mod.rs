//! Claims events and runs the handler on them until each is settled.

mod lease;
mod retry;
mod running;
mod worker;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use worker::Worker;

use crate::background::BackgroundTask;
use crate::handler::CallbackHandler;
use crate::inbox::Inbox;
use crate::store::bounds::LEASE_MAX;

/// Claims events and runs a [`CallbackHandler`] on them.
///
/// Events of one task are handled one at a time and in the order of their stages; different tasks
/// are handled concurrently. A failed event is retried with back-off until it reaches the age set
/// with [`with_retry_for`](Self::with_retry_for); then it becomes a dead letter. A panic counts as
/// a failure, and so does a handler that exceeds its [time-out](Self::with_handler_timeout).
///
/// A handler runs only while its claim certainly holds: if the lease ends before it could be
/// extended, the handler is cancelled at its next await point. So two handlers never run for one
/// event at the same time, unless one blocks its thread and cannot be cancelled.
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
    /// The default maximum number of handlers that run at the same time.
    pub const HANDLERS_MAX: usize = 16;
    /// The default time limit for a handler and one event.
    pub const HANDLER_TIMEOUT: Duration = Duration::from_secs(600);
    /// The default time for which a failing event is retried: a day.
    pub const RETRY_FOR: Duration = Duration::from_secs(86_400);
    /// The minimum number of attempts before an event is given up because of its age. An event may have
    /// waited for longer than that before it could be tried at all.
    pub const ATTEMPTS_MIN: u32 = 3;
    /// The default lease of a claim. It is extended while the handler runs.
    pub const LEASE: Duration = Duration::from_secs(60);
    /// The minimum lease, which leaves enough time to extend it.
    pub const LEASE_MIN: Duration = Duration::from_millis(100);
    /// The number of claims in a row that may lapse. After that, handling the event probably
    /// crashes the process, so it becomes a dead letter. The first of these claims run beside other
    /// events, the later ones alone.
    pub const LAPSES_MAX: u32 = 5;
    /// The default time limit for handlers and settlements after a stop.
    pub const STOP_GRACE: Duration = Duration::from_secs(10);
    /// The maximum wait before the first retry; it doubles with each further retry.
    pub const BACKOFF_MIN: Duration = Duration::from_secs(1);
    /// The maximum wait before any retry.
    pub const BACKOFF_MAX: Duration = Duration::from_secs(600);
    /// The time limit for an operation of the store.
    pub const STORE_TIMEOUT: Duration = Duration::from_secs(10);
    /// The time without a free handler slot after which a warning is logged, and the interval at
    /// which it is repeated.
    pub const FULL_WARNING: Duration = Duration::from_secs(60);

    /// The maximum time between two turns of the loop. After that the loop is blocked, and
    /// [`BackgroundTask::is_running`] returns false. A turn can wait for the store, for
    /// [`STORE_TIMEOUT`](Self::STORE_TIMEOUT).
    pub const TURN_MAX: Duration = Duration::from_secs(30);

    /// Creates a dispatcher that passes the events in `inbox` to `handler`.
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

    /// Sets the maximum number of handlers that run at the same time.
    #[must_use]
    pub fn with_handlers_max(mut self, handlers_max: usize) -> Self {
        self.settings.handlers_max = handlers_max.max(1);
        self
    }

    /// Sets the time limit for a handler and one event. A handler that exceeds it is cancelled,
    /// which counts as a failure.
    #[must_use]
    pub fn with_handler_timeout(mut self, timeout: Duration) -> Self {
        self.settings.handler_timeout = timeout;
        self
    }

    /// Sets how long a failing event is retried, counted from when it was stored or redriven. The
    /// last attempt is made at the end of that time. There are at least
    /// [`ATTEMPTS_MIN`](Self::ATTEMPTS_MIN), unless [`with_attempts_max`](Self::with_attempts_max)
    /// allows fewer.
    #[must_use]
    pub fn with_retry_for(mut self, retry_for: Duration) -> Self {
        self.settings.retry_for = retry_for;
        self
    }

    /// Sets the maximum number of attempts within the time for retries. By default only the time is
    /// limited.
    #[must_use]
    pub fn with_attempts_max(mut self, attempts_max: u32) -> Self {
        self.settings.attempts_max = attempts_max.max(1);
        self
    }

    /// Sets the lease of a claim, from 100 ms to an hour. If this process dies, its events are
    /// handled again after that time.
    #[must_use]
    pub fn with_lease(mut self, lease: Duration) -> Self {
        self.settings.lease = lease.clamp(Self::LEASE_MIN, LEASE_MAX);
        self
    }

    /// Sets the time limit for handlers and settlements after a stop. Handlers that exceed it are
    /// cancelled, and their events are handled again after a restart.
    #[must_use]
    pub fn with_stop_grace(mut self, grace: Duration) -> Self {
        self.settings.stop_grace = grace;
        self
    }

    /// Starts dispatching on the current tokio runtime.
    ///
    /// A stop ends claiming, waits for the running handlers, and settles their events.
    pub fn start(self) -> BackgroundTask {
        BackgroundTask::start_beating(Self::TURN_MAX, |stopped, pulse| {
            Worker::new(self, pulse).run(stopped)
        })
    }
}
