//! Metrics as an observer of a pipeline and of its destinations.

use std::sync::atomic::Ordering;
use std::time::Duration;

use suno_callback::{
    Acceptance, CommitReport, DeadLetter, Delivery, EventId, EventKey, HandledReport,
    ResponseReport, Source,
};

use super::family::float;
use super::{Metrics, NO_REASON};
use crate::attempt::{Attempt, Outcome};
use crate::breaker::Transition;
use crate::destination::DestinationName;
use crate::signing::MessageId;

impl suno_callback::Observer for Metrics {
    fn on_response(&self, response: &ResponseReport) {
        let status = response.status.as_str().to_owned().into();
        let reason = response.reason.clone().unwrap_or(NO_REASON.into());
        self.requests.with([status, reason], |count| *count += 1);
        if let Some(took) = response.took {
            self.accept_seconds.observe_time(took);
        }
    }

    fn on_commit(&self, commit: &CommitReport) {
        let deliveries = u64::try_from(commit.deliveries).unwrap_or(u64::MAX);
        self.commit_deliveries.observe(float(deliveries));
        if commit.stored < commit.deliveries {
            self.commit_failures.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn on_delivery(&self, delivery: &Delivery, accepted: Acceptance) {
        let outcome = accepted.as_str();
        self.deliveries.with([outcome.into()], |count| *count += 1);
        if accepted == Acceptance::Conflict {
            self.conflicts.fetch_add(1, Ordering::Relaxed);
        }
        let is_event = matches!(accepted, Acceptance::New | Acceptance::Revised);
        if is_event && delivery.source == Source::Poll {
            self.recovered.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn on_handled(&self, handled: &HandledReport<'_>) {
        self.handler_seconds.observe_time(handled.took);
        let outcome = handled.outcome.as_str().into();
        self.handled.with([outcome], |count| *count += 1);
    }

    fn on_dead_letter(&self, _: &DeadLetter) {
        self.dead_letters.fetch_add(1, Ordering::Relaxed);
    }

    fn on_claim_lost(&self, _: EventId) {
        self.claims_lost.fetch_add(1, Ordering::Relaxed);
    }
}

impl crate::Observer for Metrics {
    fn on_attempt(&self, _: &MessageId, _: &EventKey, attempt: &Attempt) {
        let name = || attempt.destination.clone().into();
        let class = status_class(&attempt.outcome).into();
        self.forwards.with([name(), class], |count| *count += 1);
        let took = Duration::from_millis(attempt.duration_ms);
        self.forward_seconds
            .with([name()], |seconds| seconds.0.observe_time(took));
    }

    fn on_transition(&self, destination: &DestinationName, transition: Transition) {
        self.note_transition(destination, transition);
    }
}

/// Returns one of [`STATUS_CLASSES`](super::STATUS_CLASSES).
fn status_class(outcome: &Outcome) -> &'static str {
    match outcome {
        Outcome::Answered(answer) => match answer.status / 100 {
            1 => "1xx",
            2 => "2xx",
            3 => "3xx",
            4 => "4xx",
            _ => "5xx",
        },
        Outcome::Exited(exit) if exit.code == Some(0) => "exit_zero",
        Outcome::Exited(_) => "exit_other",
        Outcome::Saved(saved) if saved.missing == 0 => "saved",
        Outcome::Saved(_) => "not_saved",
        Outcome::NotAnswered { .. } | Outcome::Other => "unanswered",
    }
}
