//! Expected tasks as people see them: with times by the service's clock, where a store has durations of
//! its own clock.

use jiff::{SignedDuration, Timestamp};
use suno_callback::rules::is_decided;
use suno_callback::{EventRecord, Expectation, PollState, RecordedTask, Sibling};

use std::time::Duration;

/// Whether the provider need not be asked about a task with these events, even if it is expected.
pub(super) fn is_ended(events: &[EventRecord]) -> bool {
    let siblings: Vec<Sibling> = events.iter().map(EventRecord::sibling).collect();
    is_decided(&siblings)
}

/// Returns the time since which a task has been expected.
pub(super) fn since(expectation: &Expectation, now: Timestamp) -> Timestamp {
    before(now, expectation.age)
}

/// Returns the time at which the provider is asked about a task next. It has passed if the task is due,
/// and is the present if the provider is being asked. `None` if no request is due.
pub(super) fn due_at(recorded: &RecordedTask, is_ended: bool, now: Timestamp) -> Option<Timestamp> {
    let expectation = recorded.expectation.filter(|_| !is_ended)?;
    Some(match expectation.poll {
        PollState::Waiting { due_in } => now.saturating_add(signed(due_in)).unwrap_or(now),
        PollState::Due { due_for } => before(now, due_for),
        _ => now,
    })
}

fn before(now: Timestamp, time: Duration) -> Timestamp {
    now.saturating_sub(signed(time)).unwrap_or(now)
}

fn signed(duration: Duration) -> SignedDuration {
    SignedDuration::try_from(duration).unwrap_or(SignedDuration::MAX)
}
