//! The JSON of tasks, attempts and the emulator itself.

use serde_json::{Value, json};

use crate::clock::Clock;
use crate::provider::TaskSummary;
use crate::runner::Runner;
use crate::task::TaskEnding;
use crate::task::attempt::{Attempt, AttemptOutcome};

/// Returns an overview of the emulator, without keys.
pub(super) fn overview(runner: &Runner) -> Value {
    let clock = clock(runner);
    let provider = runner.provider();
    json!({
        "clock": clock,
        "counts": provider.counts(),
        "provider": provider.profile().to_string(),
        "scenario": provider.default_scenario().words,
        "seed": provider.seed(),
        "version": env!("CARGO_PKG_VERSION"),
    })
}

pub(super) fn clock(runner: &Runner) -> Value {
    let now = runner.clock.now();
    let speed = match &runner.clock {
        Clock::Real { speed, .. } => Some(*speed),
        Clock::Driven { .. } => None,
    };
    json!({
        "at_ms": now.at_ms,
        "driven": runner.clock.is_driven(),
        "speed": speed,
        "unix_ms": now.unix_ms,
    })
}

pub(super) fn task(task: &TaskSummary) -> Value {
    let (ending, code) = match task.ending {
        TaskEnding::Open => ("open", None),
        TaskEnding::Complete => ("complete", None),
        TaskEnding::Failed { code } => ("failed", Some(code)),
    };
    json!({
        "credits_paid": whole_or_fraction(task.credits_paid),
        "ending": ending,
        "failure_code": code,
        "finished": task.is_finished,
        "number": task.number,
        "product": task.product,
        "status": task.status,
        "task_id": task.task_id,
        "title": task.title,
        "words": task.words,
    })
}

/// Writes an amount of credits without a fraction if it has none.
fn whole_or_fraction(credits: f64) -> Value {
    match credits.fract() == 0.0 {
        true => json!(credits as u64),
        false => json!(credits),
    }
}

pub(super) fn attempt(attempt: &Attempt) -> Value {
    let (outcome, detail) = match &attempt.outcome {
        AttemptOutcome::Answered { status } => ("answered", json!(status)),
        AttemptOutcome::TimedOut => ("timed-out", Value::Null),
        AttemptOutcome::Failed { reason } => ("failed", json!(reason)),
        AttemptOutcome::Dropped => ("dropped", Value::Null),
        AttemptOutcome::Withheld => ("withheld", Value::Null),
    };
    json!({
        "answer": String::from_utf8_lossy(&attempt.answer),
        "body": String::from_utf8_lossy(&attempt.body),
        "detail": detail,
        "duration_ms": attempt.duration.as_secs_f64() * 1000.0,
        "forged": attempt.is_forged,
        "number": attempt.number,
        "outcome": outcome,
        "post": attempt.callback,
        "serial": attempt.serial,
        "signature": attempt.signature,
        "task_id": attempt.task_id,
        "timestamp": attempt.timestamp,
        "unix_ms": attempt.unix_ms,
        "url": attempt.url,
    })
}
