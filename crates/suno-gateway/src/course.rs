//! The steps that are the same for requests and commands: wait for a place, record the attempt, and
//! decide what the dispatcher does with the event.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use suno_callback::{Clock, EventKey, HandlerError, SystemClock};

use crate::attempt::{Attempt, KeptText, Outcome};
use crate::body::{BodyForm, Message};
use crate::breaker::{BreakerSettings, BreakerState, Report, Transition};
use crate::destination::{Action, DestinationName, Failure, Policy, Step, Verdict};
use crate::gate::{Entered, Gate};
use crate::observe::Observer;
use crate::signing::MessageId;

/// The minimum by which the lease of a probe exceeds the time of an attempt.
const LEASE_EXCESS: Duration = Duration::from_secs(5);

/// The result of handing an event to a destination.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Delivered {
    /// The next step for the event.
    pub next: Next,
    /// The reason, for people, if it is not done. It has no body, URL or header value.
    pub reason: String,
    /// The attempt; `None` if none was made, because the destination is down or paused.
    pub attempt: Option<Attempt>,
}

/// The next step for an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Next {
    /// It is handled.
    Done,
    /// It is tried again after this time.
    Retry(Duration),
    /// It is a dead letter.
    DeadLetter,
    /// The destination takes nothing before this time has passed, as far as is known. The attempt does
    /// not count. The event may be handed over at once: then it waits for the destination.
    NotNow(Duration),
}

impl Delivered {
    /// Returns what a handler returns.
    ///
    /// # Errors
    ///
    /// A [`HandlerError`] unless the event is done.
    pub fn into_result(self) -> Result<(), HandlerError> {
        match self.next {
            Next::Done => Ok(()),
            Next::DeadLetter => Err(HandlerError::give_up(self.reason)),
            Next::Retry(wait) => Err(HandlerError::retry_after(wait, self.reason)),
            Next::NotNow(_) => Err(HandlerError::not_now(self.reason)),
        }
    }
}

/// The end of an attempt.
pub(crate) struct Ended {
    pub(crate) outcome: Outcome,
    pub(crate) verdict: Verdict,
    pub(crate) is_resent: bool,
}

/// An attempt that is being made.
struct Begun<'a> {
    /// `None` for a replay, which asks nobody.
    entered: Option<Entered<'a>>,
    started_at: Timestamp,
    start: Duration,
}

/// The part of a destination that requests and commands share.
pub(crate) struct Course {
    pub(crate) name: DestinationName,
    pub(crate) form: BodyForm,
    pub(crate) policy: Policy,
    pub(crate) gate: Gate,
    pub(crate) observer: Arc<dyn Observer>,
    pub(crate) clock: Arc<dyn Clock>,
    settings: BreakerSettings,
}

/// The settings that requests and commands share.
pub(crate) struct CourseSettings {
    pub(crate) name: DestinationName,
    pub(crate) form: BodyForm,
    pub(crate) policy: Policy,
    pub(crate) breaker: BreakerSettings,
    pub(crate) observer: Arc<dyn Observer>,
    pub(crate) clock: Arc<dyn Clock>,
}

impl CourseSettings {
    pub(crate) fn new(name: DestinationName, breaker: BreakerSettings) -> Self {
        Self {
            name,
            form: BodyForm::Full,
            policy: Policy::new(),
            breaker,
            observer: Arc::new(NoObserver),
            clock: Arc::new(SystemClock),
        }
    }

    /// Creates the course of attempts that take at most `attempt_max`.
    pub(crate) fn build(self, attempt_max: Duration) -> Course {
        let mut settings = self.breaker;
        settings.probe_lease = settings.probe_lease.max(attempt_max + LEASE_EXCESS);
        Course {
            name: self.name,
            form: self.form,
            policy: self.policy,
            gate: Gate::new(settings, self.clock.clone()),
            observer: self.observer,
            clock: self.clock,
            settings,
        }
    }
}

/// The setters of a builder with [`CourseSettings`].
macro_rules! course_setters {
    () => {
        /// Sets how much of an event is handed over. The default is everything.
        pub fn with_body_form(mut self, form: $crate::body::BodyForm) -> Self {
            self.course.form = form;
            self
        }

        /// Sets what an answer means, the waits before an event is tried again, and the attempts of one
        /// that is at fault. Commands do not use its table of statuses.
        pub fn with_policy(mut self, policy: $crate::destination::Policy) -> Self {
            self.course.policy = policy;
            self
        }

        /// Sets when the destination is left alone, and how many events it gets at a time. The lease of
        /// a probe is extended to more than an attempt can take.
        pub fn with_breaker(mut self, breaker: $crate::breaker::BreakerSettings) -> Self {
            self.course.breaker = breaker;
            self
        }

        /// Sets who receives every attempt and every change of state.
        pub fn with_observer(mut self, observer: std::sync::Arc<dyn $crate::Observer>) -> Self {
            self.course.observer = observer;
            self
        }

        /// Sets the clock, for tests.
        pub fn with_clock(mut self, clock: std::sync::Arc<dyn suno_callback::Clock>) -> Self {
            self.course.clock = clock;
            self
        }
    };
}
pub(crate) use course_setters;

impl Course {
    /// Makes an attempt as soon as there is a place, and decides what follows. `number` counts the attempts
    /// of the event.
    pub(crate) async fn deliver(
        &self,
        message: &Message,
        number: u32,
        attempt: impl Future<Output = Ended>,
    ) -> Delivered {
        let begun = match self.begin().await {
            Ok(begun) => begun,
            Err(instead) => return *instead,
        };
        let ended = attempt.await;
        self.finish(begun, message, number, ended)
    }

    /// Makes an attempt whatever the state of the destination is. `number` counts the replays of the
    /// event.
    pub(crate) async fn replay(
        &self,
        message: &Message,
        number: u32,
        attempt: impl Future<Output = Ended>,
    ) -> Delivered {
        let begun = self.begun(None);
        let ended = attempt.await;
        self.finish(begun, message, number, ended)
    }

    /// Waits for a place. The error is the result if no attempt can be made.
    async fn begin(&self) -> Result<Begun<'_>, Box<Delivered>> {
        match self.gate.enter().await {
            Some(entered) => Ok(self.begun(Some(entered))),
            None => Err(Box::new(Delivered {
                next: Next::NotNow(self.gate.wait()),
                reason: format!("not sent: {}", self.why_not()),
                attempt: None,
            })),
        }
    }

    fn begun<'a>(&self, entered: Option<Entered<'a>>) -> Begun<'a> {
        Begun {
            entered,
            started_at: self.clock.now(),
            start: self.clock.monotonic(),
        }
    }

    /// The end of an attempt without an answer.
    pub(crate) fn not_answered(&self, failure: Failure, detail: KeptText) -> Ended {
        Ended {
            verdict: self.policy.judge_failure(failure),
            outcome: Outcome::NotAnswered { failure, detail },
            is_resent: false,
        }
    }

    /// Records an attempt and decides what follows. `number` counts the attempts of the event, or its
    /// replays.
    fn finish(&self, begun: Begun<'_>, message: &Message, number: u32, ended: Ended) -> Delivered {
        let Ended {
            outcome,
            verdict,
            is_resent,
        } = ended;
        let is_replay = begun.entered.is_none();
        let is_probe = begun.entered.as_ref().is_some_and(Entered::is_probe);
        let hold = verdict
            .holds_destination
            .then(|| self.policy.floor(&verdict, number));
        let report = report(&verdict, &outcome);
        // A replay says nothing about the destination: it was not the turn of its event.
        let transition = begun
            .entered
            .and_then(|entered| entered.report(report, hold));
        let reason = match verdict.action {
            Action::Done => String::new(),
            _ => self.reason(&outcome),
        };
        let next = match self.policy.step(&verdict, number, fastrand::f64()) {
            Step::Done => Next::Done,
            // The destination is still down, which says nothing about the event.
            Step::Retry(_) if is_probe && report != Report::Success => {
                Next::NotNow(self.gate.wait())
            }
            Step::Retry(wait) => Next::Retry(wait),
            Step::DeadLetter => Next::DeadLetter,
            Step::Wait => Next::NotNow(self.gate.wait()),
        };
        let action = verdict.action;
        let mut attempt = Attempt::new(
            self.name.as_str(),
            number,
            begun.started_at,
            outcome,
            action,
        );
        attempt.duration_ms = millis(self.clock.monotonic().saturating_sub(begun.start));
        attempt.is_probe = is_probe;
        attempt.is_resent = is_resent;
        attempt.is_replay = is_replay;
        attempt.retry_in_ms = match next {
            _ if is_replay => None,
            Next::Retry(wait) | Next::NotNow(wait) => Some(millis(wait)),
            Next::Done | Next::DeadLetter => None,
        };
        if let Some(ignored) = verdict.ignored {
            tracing::debug!(destination = %self.name, %ignored, "Retry-After is ignored");
        }
        self.observer
            .on_attempt(&message.id, &message.key, &attempt);
        // After its cause.
        if let Some(transition) = transition {
            self.log(transition, &reason);
            self.observer.on_transition(&self.name, transition);
        }
        Delivered {
            next,
            reason,
            attempt: Some(attempt),
        }
    }

    fn why_not(&self) -> String {
        let name = &self.name;
        match self.gate.state() {
            BreakerState::Open => format!("the destination {name} is down"),
            BreakerState::Paused => format!("the destination {name} is paused"),
            BreakerState::Closed => format!("the destination {name} takes no more for now"),
        }
    }

    fn reason(&self, outcome: &Outcome) -> String {
        let name = &self.name;
        match outcome {
            Outcome::Answered(_) | Outcome::Other => format!("{name} {outcome}"),
            _ => format!("{name}: {outcome}"),
        }
    }

    fn log(&self, transition: Transition, reason: &str) {
        let destination = &self.name;
        let (interval, paused) = (self.settings.interval, self.settings.paused_interval);
        match transition {
            Transition::Opened => tracing::warn!(
                %destination, reason,
                "the destination is down: its events wait, and one is sent every {interval:?} until it works",
            ),
            Transition::Paused => tracing::error!(
                %destination, reason,
                "the destination refuses every event and is paused: its events wait; correct its URL, its credentials or its secret, then resume it; one event is sent every {paused:?}",
            ),
            Transition::Closed => tracing::info!(%destination, "the destination works again"),
        }
    }
}

/// An observer that ignores everything.
struct NoObserver;

impl Observer for NoObserver {
    fn on_attempt(&self, _: &MessageId, _: &EventKey, _: &Attempt) {}

    fn on_transition(&self, _: &DestinationName, _: Transition) {}
}

/// Derives from an attempt whether the destination works.
fn report(verdict: &Verdict, outcome: &Outcome) -> Report {
    let is_busy = matches!(outcome, Outcome::Answered(answer) if answer.status == 429);
    match verdict.action {
        Action::Done | Action::BadEvent | Action::Abandon => Report::Success,
        Action::Pause => Report::Pause,
        Action::Retry if is_busy => Report::Busy,
        // A command that asks to be retried works.
        Action::Retry if is_temporary_exit(outcome) => Report::Success,
        Action::Retry => Report::Failure,
    }
}

/// The exit code with which a command asks to be run again later.
pub(crate) const EXIT_RETRY: i32 = 75;

fn is_temporary_exit(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::Exited(exit) if exit.code == Some(EXIT_RETRY))
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
