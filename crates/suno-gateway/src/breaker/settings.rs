//! The settings of a breaker.

use std::time::Duration;

/// The limits and intervals of a breaker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct BreakerSettings {
    /// The number of failures in a row that open it. The default is 5.
    pub failures_max: u32,
    /// The minimum time between probes of a destination that is down. The default is 10 s.
    pub interval: Duration,
    /// The minimum time between probes of a destination that is paused. The default is 10 min.
    pub paused_interval: Duration,
    /// The time after which a probe that has not ended is given up, and the next one may go. It must
    /// be longer than a request may take. The default is 60 s.
    pub probe_lease: Duration,
    /// The maximum number of requests at a time. The default is 16.
    pub in_flight_max: usize,
    /// The maximum time that an event waits in a handler for a destination that takes nothing. After
    /// that it is given back, and the attempt does not count. The default is 30 s.
    pub patience: Duration,
}

impl Default for BreakerSettings {
    fn default() -> Self {
        Self::new()
    }
}

impl BreakerSettings {
    /// Returns the defaults.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            failures_max: 5,
            interval: Duration::from_secs(10),
            paused_interval: Duration::from_secs(600),
            probe_lease: Duration::from_secs(60),
            in_flight_max: 16,
            patience: Duration::from_secs(30),
        }
    }

    /// Sets [`failures_max`](Self::failures_max); 0 counts as 1.
    #[must_use]
    pub fn with_failures_max(mut self, failures: u32) -> Self {
        self.failures_max = failures.max(1);
        self
    }

    /// Sets [`interval`](Self::interval).
    #[must_use]
    pub fn with_interval(mut self, interval: Duration) -> Self {
        self.interval = interval;
        self
    }

    /// Sets [`paused_interval`](Self::paused_interval).
    #[must_use]
    pub fn with_paused_interval(mut self, interval: Duration) -> Self {
        self.paused_interval = interval;
        self
    }

    /// Sets [`probe_lease`](Self::probe_lease).
    #[must_use]
    pub fn with_probe_lease(mut self, lease: Duration) -> Self {
        self.probe_lease = lease;
        self
    }

    /// Sets [`in_flight_max`](Self::in_flight_max); 0 counts as 1.
    #[must_use]
    pub fn with_in_flight_max(mut self, requests: usize) -> Self {
        self.in_flight_max = requests.max(1);
        self
    }

    /// Sets [`patience`](Self::patience).
    #[must_use]
    pub fn with_patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    pub(super) fn probe_interval(&self, is_paused: bool) -> Duration {
        match is_paused {
            true => self.paused_interval,
            false => self.interval,
        }
    }
}
