//! Decides when a wait polls next and when it ends. No clock, no network.

use std::time::Duration;

use suno_types::{Outcome, Product, TaskKind, TaskRecord};

use crate::ClientError;
use crate::time::stretch;

/// The largest part of the interval that is added to a pause at random, so that waits that started
/// together do not poll together.
const JITTER: f64 = 0.1;

/// The maximum number of intervals that a pause grows to after errors.
const BACK_OFF_MAX: u32 = 4;

/// The time in which a result follows a status that says success (`PROTOCOL.md 4.9`).
const RESULT_WITHIN: Duration = Duration::from_secs(120);

/// The time before the deadline at which the last poll starts, so that its answer can arrive in
/// time. A tenth of the deadline is used if that is shorter.
const LAST_POLL: Duration = Duration::from_secs(5);

/// The settings of a wait.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Plan {
    pub(crate) deadline: Duration,
    pub(crate) interval: Duration,
    pub(crate) first_poll_after: Duration,
    pub(crate) visible_within: Duration,
    pub(crate) errors_max: u32,
}

/// The progress of a wait. Times are counted from its start.
#[derive(Debug)]
pub(crate) struct Course {
    plan: Plan,
    errors_in_a_row: u32,
    was_visible: bool,
    /// When the task was first said to have succeeded without a result, if it was said ever since.
    without_result_since: Option<Duration>,
}

/// The result of a poll.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Heard {
    Outcome(Outcome),
    /// The task is said to have succeeded, without a result.
    WithoutResult,
    NotVisible,
    Error {
        retryable: bool,
        retry_after: Option<Duration>,
    },
}

impl Heard {
    /// What a poll of a task of this kind says.
    pub(crate) fn of(polled: &Result<Option<TaskRecord>, ClientError>, kind: &TaskKind) -> Self {
        match polled {
            Ok(Some(record)) if kind.product == Product::VOICE_PHRASE => {
                Self::Outcome(phrase_outcome(record))
            }
            Ok(Some(record)) if record.is_without_result() => Self::WithoutResult,
            Ok(Some(record)) => Self::Outcome(record.outcome()),
            Ok(None) => Self::NotVisible,
            Err(err) => Self::Error {
                retryable: err.is_retryable(),
                retry_after: err.retry_after(),
            },
        }
    }
}

/// The outcome of a task that asks for a phrase: it is finished when the phrase is there, although
/// the voice is not (`PROTOCOL.md 1.58`).
fn phrase_outcome(record: &TaskRecord) -> Outcome {
    match record.status.as_str() {
        "wait_validating" if record.outcome() == Outcome::Running => Outcome::Succeeded,
        "processing_validate_fail" => Outcome::Failed,
        _ => record.outcome(),
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    PollAt(Duration),
    Succeeded,
    Failed,
    WithoutResult,
    NotVisible,
    CouldNotAsk,
    Deadline,
}

impl Course {
    pub(crate) fn new(plan: Plan) -> Self {
        Self {
            plan,
            errors_in_a_row: 0,
            was_visible: false,
            without_result_since: None,
        }
    }

    /// The time of the first poll.
    pub(crate) fn first(&self) -> Duration {
        self.plan.first_poll_after.min(self.last())
    }

    /// The time of the last poll.
    fn last(&self) -> Duration {
        let deadline = self.plan.deadline;
        deadline.saturating_sub(LAST_POLL.min(deadline / 10))
    }

    pub(crate) fn deadline(&self) -> Duration {
        self.plan.deadline
    }

    /// Decides the next step after a poll that ended at `now`. `random` is at least 0 and less than
    /// 1.
    pub(crate) fn hear(&mut self, now: Duration, heard: Heard, random: f64) -> Step {
        let mut intervals = 1;
        let mut floor = Duration::ZERO;
        let without_result_since = self.without_result_since.take();
        match heard {
            Heard::Outcome(Outcome::Succeeded) => return Step::Succeeded,
            Heard::Outcome(Outcome::Failed) => return Step::Failed,
            Heard::Outcome(_) => {
                self.errors_in_a_row = 0;
                self.was_visible = true;
            }
            Heard::WithoutResult => {
                self.errors_in_a_row = 0;
                self.was_visible = true;
                let since = without_result_since.unwrap_or(now);
                if now.saturating_sub(since) >= RESULT_WITHIN {
                    return Step::WithoutResult;
                }
                self.without_result_since = Some(since);
            }
            Heard::NotVisible => {
                self.errors_in_a_row = 0;
                if !self.was_visible && now >= self.plan.visible_within {
                    return Step::NotVisible;
                }
            }
            Heard::Error {
                retryable,
                retry_after,
            } => {
                // It says nothing about the task.
                self.without_result_since = without_result_since;
                self.errors_in_a_row += 1;
                if !retryable || self.errors_in_a_row >= self.plan.errors_max {
                    return Step::CouldNotAsk;
                }
                intervals = self.errors_in_a_row.min(BACK_OFF_MAX);
                floor = retry_after.unwrap_or_default();
            }
        }
        if now >= self.last() {
            return Step::Deadline;
        }
        let factor = f64::from(intervals) * (1.0 + JITTER * random.clamp(0.0, 1.0));
        let pause = stretch(self.plan.interval, factor).max(floor);
        Step::PollAt(now.saturating_add(pause).min(self.last()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAN: Plan = Plan {
        deadline: Duration::from_secs(600),
        interval: Duration::from_secs(30),
        first_poll_after: Duration::ZERO,
        visible_within: Duration::from_secs(120),
        errors_max: 6,
    };
    const ERROR: Heard = Heard::Error {
        retryable: true,
        retry_after: None,
    };
    const RUNNING: Heard = Heard::Outcome(Outcome::Running);

    fn secs(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn a_running_task_is_polled_again_after_the_interval_and_a_little() {
        let mut course = Course::new(PLAN);
        assert_eq!(course.first(), Duration::ZERO);
        assert_eq!(course.hear(secs(1), RUNNING, 0.0), Step::PollAt(secs(31)));
        assert_eq!(course.hear(secs(31), RUNNING, 1.0), Step::PollAt(secs(64)));
    }

    #[test]
    fn the_last_poll_is_shortly_before_the_deadline_and_none_comes_after() {
        let mut course = Course::new(PLAN);
        assert_eq!(
            course.hear(secs(590), RUNNING, 0.5),
            Step::PollAt(secs(595))
        );
        assert_eq!(course.hear(secs(595), RUNNING, 0.5), Step::Deadline);
    }

    #[test]
    fn a_first_poll_that_is_asked_for_late_is_still_made_before_the_deadline() {
        let course = Course::new(Plan {
            first_poll_after: secs(900),
            ..PLAN
        });
        assert_eq!(course.first(), secs(595));
    }

    #[test]
    fn what_is_heard_at_the_deadline_still_counts() {
        let mut course = Course::new(PLAN);
        let done = Heard::Outcome(Outcome::Succeeded);
        assert_eq!(course.hear(secs(600), done, 0.0), Step::Succeeded);
        let failed = Heard::Outcome(Outcome::Failed);
        assert_eq!(course.hear(secs(600), failed, 0.0), Step::Failed);
    }

    #[test]
    fn a_success_whose_result_does_not_follow_is_an_end_of_its_own() {
        let mut course = Course::new(PLAN);
        let polled = |course: &mut Course, now, heard| course.hear(secs(now), heard, 0.0);
        let again = |now: u64| Step::PollAt(secs(now + 30));
        assert_eq!(polled(&mut course, 10, Heard::WithoutResult), again(10));
        assert_eq!(polled(&mut course, 129, Heard::WithoutResult), again(129));
        assert_eq!(polled(&mut course, 130, ERROR), again(130));
        let end = polled(&mut course, 140, Heard::WithoutResult);
        assert_eq!(end, Step::WithoutResult);

        let mut course = Course::new(PLAN);
        polled(&mut course, 10, Heard::WithoutResult);
        polled(&mut course, 40, RUNNING);
        assert_eq!(polled(&mut course, 140, Heard::WithoutResult), again(140));
    }

    #[test]
    fn a_task_that_never_becomes_visible_is_an_end_of_its_own() {
        let mut course = Course::new(PLAN);
        let step = course.hear(secs(119), Heard::NotVisible, 0.0);
        assert_eq!(step, Step::PollAt(secs(149)));
        let step = course.hear(secs(149), Heard::NotVisible, 0.0);
        assert_eq!(step, Step::NotVisible);
    }

    #[test]
    fn a_task_that_was_seen_once_may_be_out_of_sight() {
        let mut course = Course::new(PLAN);
        course.hear(secs(10), RUNNING, 0.0);
        let step = course.hear(secs(300), Heard::NotVisible, 0.0);
        assert_eq!(step, Step::PollAt(secs(330)));
    }

    #[test]
    fn errors_in_a_row_end_the_wait_and_a_good_answer_forgives_them() {
        let mut course = Course::new(PLAN);
        for _ in 0..5 {
            assert!(matches!(course.hear(secs(1), ERROR, 0.0), Step::PollAt(_)));
        }
        course.hear(secs(1), RUNNING, 0.0);
        for _ in 0..5 {
            assert!(matches!(course.hear(secs(1), ERROR, 0.0), Step::PollAt(_)));
        }
        assert_eq!(course.hear(secs(1), ERROR, 0.0), Step::CouldNotAsk);
    }

    #[test]
    fn an_answer_that_knows_no_task_forgives_errors_as_well() {
        let mut course = Course::new(PLAN);
        for _ in 0..3 {
            for _ in 0..5 {
                assert!(matches!(course.hear(secs(1), ERROR, 0.0), Step::PollAt(_)));
            }
            let step = course.hear(secs(1), Heard::NotVisible, 0.0);
            assert_eq!(step, Step::PollAt(secs(31)));
        }
    }

    #[test]
    fn pauses_grow_with_errors_up_to_a_bound() {
        let mut course = Course::new(PLAN);
        let pauses: Vec<Step> = (0..5).map(|_| course.hear(secs(0), ERROR, 0.0)).collect();
        let expected = [30, 60, 90, 120, 120].map(|s| Step::PollAt(secs(s)));
        assert_eq!(pauses, expected);
    }

    #[test]
    fn retry_after_is_a_floor_below_the_deadline() {
        let asked = |seconds| Heard::Error {
            retryable: true,
            retry_after: Some(secs(seconds)),
        };
        let mut course = Course::new(PLAN);
        assert_eq!(course.hear(secs(0), asked(7), 0.0), Step::PollAt(secs(30)));
        let mut course = Course::new(PLAN);
        assert_eq!(course.hear(secs(0), asked(45), 0.0), Step::PollAt(secs(45)));
        let step = course.hear(secs(0), asked(u64::MAX), 0.0);
        assert_eq!(step, Step::PollAt(secs(595)));
    }

    #[test]
    fn an_interval_without_an_end_leaves_the_last_poll() {
        let plan = |interval| Plan { interval, ..PLAN };
        for interval in [Duration::MAX, Duration::MAX / 2] {
            let mut course = Course::new(plan(interval));
            for heard in [RUNNING, ERROR, ERROR] {
                let step = course.hear(secs(1), heard, 1.0);
                assert_eq!(step, Step::PollAt(secs(595)));
            }
        }
    }

    #[test]
    fn an_error_that_does_not_pass_ends_the_wait_at_once() {
        let mut course = Course::new(PLAN);
        let refused = Heard::Error {
            retryable: false,
            retry_after: None,
        };
        assert_eq!(course.hear(secs(0), refused, 0.0), Step::CouldNotAsk);
    }
}
