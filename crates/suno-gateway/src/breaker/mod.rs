//! A circuit breaker for one destination: a state machine without a clock of its own.
//!
//! * **closed**: requests are sent, up to a limit at a time. Failures in a row open the breaker.
//! * **open**: the destination is down, or it is paused because it refuses every event. Nothing is
//!   sent but one probe at a time, and at most one in an interval. The interval of a paused
//!   destination is longer. [`Breaker::resume`] lets the next probe go at once.
//! * A probe that succeeds closes the breaker. Then one request is sent at a time, then two, four
//!   and so on up to the limit, and one failure opens it again.
//!
//! The right to send is a [`Pass`]. A probe's pass is a lease: if it is not given back in time, the
//! next probe may go. Every opening and closing begins a new epoch, and a pass of an earlier epoch
//! changes nothing when it is given back.
//!
//! Times are durations since some fixed moment, as `suno_callback::Clock::monotonic` returns them.
//!
//! ```
//! use std::time::Duration;
//! use suno_gateway::breaker::{Admission, Breaker, BreakerSettings, Report, Transition};
//!
//! let mut breaker = Breaker::new(BreakerSettings::new().with_failures_max(1));
//! let at = Duration::from_secs;
//! let Admission::Send(pass) = breaker.admit(at(0)) else { unreachable!() };
//! let opened = breaker.report(pass, Report::Failure, None, at(1));
//! assert_eq!(opened, Some(Transition::Opened));
//! // The next request waits for the interval of probes: 10 s.
//! assert_eq!(breaker.admit(at(2)), Admission::NotBefore(at(11)));
//! let Admission::Send(probe) = breaker.admit(at(11)) else { unreachable!() };
//! assert!(probe.is_probe());
//! assert_eq!(breaker.report(probe, Report::Success, None, at(12)), Some(Transition::Closed));
//! ```

mod settings;
#[cfg(test)]
mod tests;

use std::time::Duration;

pub use settings::BreakerSettings;

/// The state of a destination.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Breaker {
    settings: BreakerSettings,
    state: State,
    /// The number of openings and closings.
    epoch: u64,
    /// The number of the last probe.
    probes: u64,
    /// The time before which the destination asked to be left alone.
    held_until: Duration,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum State {
    Closed(Closed),
    Open(Open),
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Closed {
    /// The requests of this epoch that have not ended.
    in_flight: usize,
    /// The number of requests that may be sent at a time.
    limit: usize,
    /// The successes since the limit was raised.
    successes: usize,
    /// The failures in a row.
    failures: u32,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Open {
    is_paused: bool,
    /// The time before which no probe is sent.
    next_probe: Duration,
    /// The probe that has not ended, and the end of its lease.
    probe: Option<(u64, Duration)>,
}

/// The right to send one request. It must be given back with [`Breaker::report`] or
/// [`Breaker::abandon`].
#[derive(Debug, PartialEq, Eq)]
#[must_use = "a pass that is not given back takes up a place"]
pub struct Pass {
    epoch: u64,
    /// The number of the probe, if it is one.
    probe: Option<u64>,
}

impl Pass {
    /// Returns whether the request is the one probe of a destination that is down or paused.
    #[must_use]
    pub fn is_probe(&self) -> bool {
        self.probe.is_some()
    }
}

/// The answer to the question whether a request may be sent.
#[derive(Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Admission {
    /// It may be sent.
    Send(Pass),
    /// As many requests as allowed are being sent. Ask again after one of them has ended.
    Busy,
    /// Nothing may be sent before this time, as far as is known now. The attempt does not count.
    NotBefore(Duration),
}

/// The result of a request for the destination.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Report {
    /// The destination works, whatever it says about the event.
    Success,
    /// The destination failed.
    Failure,
    /// The destination works, and takes no more for now.
    Busy,
    /// The destination refuses every event: pause it.
    Pause,
}

/// A change of the state, for a log line and a metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Transition {
    /// The destination is down.
    Opened,
    /// The destination is paused, because it refuses every event.
    Paused,
    /// The destination works again.
    Closed,
}

/// The state as one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum BreakerState {
    /// Requests are sent.
    Closed,
    /// The destination is down: probes only.
    Open,
    /// The destination is paused: rare probes only.
    Paused,
}

impl BreakerState {
    /// Returns the state as one word: `closed`, `open` or `paused`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Open => "open",
            Self::Paused => "paused",
        }
    }
}

impl Breaker {
    /// Creates a breaker that is closed and has no ramp: after a start, the destination is assumed to
    /// work.
    #[must_use]
    pub fn new(settings: BreakerSettings) -> Self {
        Self {
            state: State::Closed(Closed::with_limit(settings.in_flight_max)),
            settings,
            epoch: 0,
            probes: 0,
            held_until: Duration::ZERO,
        }
    }

    /// Returns the state.
    #[must_use]
    pub fn state(&self) -> BreakerState {
        match &self.state {
            State::Closed(_) => BreakerState::Closed,
            State::Open(open) if open.is_paused => BreakerState::Paused,
            State::Open(_) => BreakerState::Open,
        }
    }

    /// Returns the number of requests that may be sent at a time.
    #[must_use]
    pub fn limit(&self) -> usize {
        match &self.state {
            State::Closed(closed) => closed.limit,
            State::Open(_) => 1,
        }
    }

    /// Asks whether a request may be sent now.
    pub fn admit(&mut self, now: Duration) -> Admission {
        if now < self.held_until {
            return Admission::NotBefore(self.held_until);
        }
        let probe = match &mut self.state {
            State::Closed(closed) if closed.in_flight >= closed.limit => return Admission::Busy,
            State::Closed(closed) => {
                closed.in_flight += 1;
                None
            }
            State::Open(open) => {
                match open.probe {
                    // It will probably end long before its lease, and then others may go.
                    Some((_, until)) if now < until => {
                        let soon = now.saturating_add(self.settings.interval);
                        return Admission::NotBefore(until.min(soon));
                    }
                    None if now < open.next_probe => {
                        return Admission::NotBefore(open.next_probe);
                    }
                    _ => {}
                }
                self.probes += 1;
                let lease = self.settings.probe_lease;
                open.probe = Some((self.probes, now.saturating_add(lease)));
                Some(self.probes)
            }
        };
        Admission::Send(Pass {
            epoch: self.epoch,
            probe,
        })
    }

    /// Gives a pass back and says how its request ended. `hold` is how long the destination asked to
    /// be left alone, already bounded. Returns the change of the state, if there is one.
    ///
    /// A pass of an earlier epoch, or of a probe whose lease was taken over, changes nothing.
    pub fn report(
        &mut self,
        pass: Pass,
        report: Report,
        hold: Option<Duration>,
        now: Duration,
    ) -> Option<Transition> {
        if !self.is_current(&pass) {
            return None;
        }
        if let Some(hold) = hold {
            self.held_until = self.held_until.max(now.saturating_add(hold));
        }
        match &mut self.state {
            State::Closed(closed) => {
                closed.in_flight = closed.in_flight.saturating_sub(1);
                match report {
                    Report::Success => {
                        closed.succeeded(self.settings.in_flight_max);
                        None
                    }
                    Report::Busy => None,
                    Report::Pause => Some(self.open(true, now)),
                    Report::Failure => {
                        closed.failures = closed.failures.saturating_add(1);
                        let is_ramping = closed.limit < self.settings.in_flight_max;
                        let opens = is_ramping || closed.failures >= self.settings.failures_max;
                        opens.then(|| self.open(false, now))
                    }
                }
            }
            State::Open(open) => {
                open.probe = None;
                match report {
                    Report::Success => Some(self.close()),
                    Report::Pause if !open.is_paused => Some(self.open(true, now)),
                    Report::Pause | Report::Failure | Report::Busy => {
                        let interval = self.settings.probe_interval(open.is_paused);
                        open.next_probe = now.saturating_add(interval);
                        None
                    }
                }
            }
        }
    }

    /// Gives a pass back whose request did not end: it was cancelled, or never sent. It counts
    /// neither as a success nor as a failure.
    pub fn abandon(&mut self, pass: Pass, now: Duration) {
        if !self.is_current(&pass) {
            return;
        }
        match &mut self.state {
            State::Closed(closed) => closed.in_flight = closed.in_flight.saturating_sub(1),
            State::Open(open) => {
                open.probe = None;
                let interval = self.settings.probe_interval(open.is_paused);
                open.next_probe = now.saturating_add(interval);
            }
        }
    }

    /// Ends a pause and a hold, for an operator who has repaired the destination: the next request is
    /// a probe that goes at once, unless one is under way. Returns whether anything changed.
    pub fn resume(&mut self, now: Duration) -> bool {
        let was_held = self.held_until > now;
        self.held_until = self.held_until.min(now);
        match &mut self.state {
            State::Closed(_) => was_held,
            State::Open(open) => {
                let changes = was_held || open.is_paused || open.next_probe > now;
                open.is_paused = false;
                open.next_probe = open.next_probe.min(now);
                changes
            }
        }
    }

    fn is_current(&self, pass: &Pass) -> bool {
        let probe = match &self.state {
            State::Closed(_) => None,
            State::Open(open) => open.probe.map(|(number, _)| number),
        };
        pass.epoch == self.epoch && pass.probe == probe
    }

    fn open(&mut self, is_paused: bool, now: Duration) -> Transition {
        self.epoch += 1;
        let interval = self.settings.probe_interval(is_paused);
        self.state = State::Open(Open {
            is_paused,
            next_probe: now.saturating_add(interval),
            probe: None,
        });
        match is_paused {
            true => Transition::Paused,
            false => Transition::Opened,
        }
    }

    fn close(&mut self) -> Transition {
        self.epoch += 1;
        self.state = State::Closed(Closed::with_limit(1));
        Transition::Closed
    }
}

impl Closed {
    fn with_limit(limit: usize) -> Self {
        Self {
            in_flight: 0,
            limit,
            successes: 0,
            failures: 0,
        }
    }

    /// Doubles the limit after as many successes as it allows at a time.
    fn succeeded(&mut self, limit_max: usize) {
        self.failures = 0;
        if self.limit >= limit_max {
            return;
        }
        self.successes += 1;
        if self.successes >= self.limit {
            self.limit = self.limit.saturating_mul(2).min(limit_max);
            self.successes = 0;
        }
    }
}
