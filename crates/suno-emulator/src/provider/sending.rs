//! Sending callbacks: the next attempt, its signature, and its result.

use bytes::Bytes;

use super::Provider;
use crate::body::{BodyStyle, callback};
use crate::clock::Moment;
use crate::secret::Secret;
use crate::sender::sign::signature;
use crate::task::attempt::{Attempt, AttemptInFlight, AttemptResult};
use crate::task::facts::Facts;
use crate::task::outbox::{QueuedCallback, RetryDecision, RetryRule};
use crate::task::plan::{PlannedCallback, SigningMode};

/// The age of a stale timestamp, in seconds.
const STALE_SECONDS: u64 = 3600;

impl Provider {
    /// Returns the time at which the next task has something to do.
    pub(crate) fn due_at(&self) -> Option<u64> {
        self.schedule.first().map(|(at_ms, _)| at_ms)
    }

    /// Whether no task has anything left to do.
    pub(crate) fn is_idle(&self) -> bool {
        self.finished.len() == self.tasks.len()
    }

    /// Executes everything that is due, up to the next callback to send, and returns that attempt.
    pub(crate) fn next_attempt(&mut self, now: Moment) -> Option<AttemptInFlight> {
        while let Some((at_ms, number)) = self.schedule.first() {
            if at_ms > now.at_ms {
                return None;
            }
            if let Some(attempt) = self.advance_task(number, now) {
                return Some(attempt);
            }
        }
        None
    }

    /// Executes everything that is due for one task. Returns the attempt to make, if there is one.
    pub(super) fn advance_task(&mut self, number: u64, now: Moment) -> Option<AttemptInFlight> {
        let Some(entry) = self.tasks.get_mut(&number) else {
            self.schedule.put(number, None);
            return None;
        };
        let context = AttemptContext {
            generation: self.generation,
            task_number: number,
            now,
            retry: &self.settings.retry,
        };
        let due = entry.task.advance(now);
        if let Some(paid) = due.refund {
            self.credits.refund(paid);
        }
        for callback in &due.callbacks {
            let queued = render(&entry.task.facts, callback, &self.settings.style);
            let unsent = if callback.is_dropped {
                Err(queued)
            } else {
                entry.task.outbox.push(queued)
            };
            if let Err(unsent) = unsent {
                let attempt = context.attempt(&entry.task.facts, unsent);
                self.log.push(attempt.to_attempt(AttemptResult::dropped()));
            }
        }
        let attempt = entry.task.outbox.take(now.at_ms).map(|queued| {
            let signing = queued.signing;
            let mut attempt = context.attempt(&entry.task.facts, queued);
            if let Some(key) = &self.settings.webhook_key {
                sign(&mut attempt, &mut entry.signed_at_seconds, signing, key);
            }
            attempt
        });
        self.reschedule(number);
        attempt
    }

    /// Queues the latest callback of this name again. Returns `None` if the task is not found, and
    /// `false` if it had no such callback or its queue is full.
    pub(crate) fn deliver_again(&mut self, task_id: &str, name: &str) -> Option<bool> {
        let number = *self.numbers.get(task_id)?;
        let task = &mut self.tasks.get_mut(&number)?.task;
        let Some(callback) = task
            .life
            .past_callbacks()
            .rfind(|callback| callback.name == name)
        else {
            return Some(false);
        };
        let queued = render(&task.facts, callback, &self.settings.style);
        task.outbox.resume();
        let is_queued = task.outbox.push(queued).is_ok();
        self.reschedule(number);
        Some(is_queued)
    }

    /// Returns the attempts that were logged since the last call. Always empty without an observer.
    pub(crate) fn take_unobserved(&mut self) -> Vec<Attempt> {
        self.log.take_unobserved()
    }

    /// Records the result of an attempt, and schedules the retry if there is one.
    pub(crate) fn finish_attempt(
        &mut self,
        now: Moment,
        attempt: &AttemptInFlight,
        result: AttemptResult,
    ) {
        if attempt.generation != self.generation {
            return;
        }
        let is_delivered = result.outcome.is_delivered();
        self.log.push(attempt.to_attempt(result));
        if let Some(entry) = self.tasks.get_mut(&attempt.task_number) {
            let outbox = &mut entry.task.outbox;
            let decision = outbox.finish_attempt(now.at_ms, is_delivered, &self.settings.retry);
            if decision == RetryDecision::GivenUp {
                tracing::info!(
                    task_id = attempt.task_id,
                    callback = attempt.callback,
                    "gave up"
                );
            }
            self.reschedule(attempt.task_number);
        }
    }

    /// Updates the schedule and the list of finished tasks after a task changed.
    pub(super) fn reschedule(&mut self, number: u64) {
        let Some(entry) = self.tasks.get_mut(&number) else {
            return;
        };
        self.schedule.put(number, entry.task.due_at());
        let is_finished = entry.task.is_finished();
        if is_finished == entry.is_listed_as_finished {
            return;
        }
        entry.is_listed_as_finished = is_finished;
        if is_finished {
            self.finished.push_back(number);
        } else {
            self.finished.retain(|other| *other != number);
        }
    }
}

/// Renders a planned callback as a body to send.
fn render(facts: &Facts, callback: &PlannedCallback, style: &BodyStyle) -> QueuedCallback {
    let body = callback::render(facts, &callback.content, style);
    QueuedCallback {
        name: callback.name.clone().into_owned(),
        body: Bytes::from(body.to_string()),
        signing: callback.signing,
        attempts: 0,
    }
}

/// The values of the provider that an attempt needs.
struct AttemptContext<'a> {
    generation: u64,
    task_number: u64,
    now: Moment,
    retry: &'a RetryRule,
}

impl AttemptContext<'_> {
    /// Creates an attempt without a signature.
    fn attempt(&self, facts: &Facts, queued: QueuedCallback) -> AttemptInFlight {
        AttemptInFlight {
            generation: self.generation,
            task_number: self.task_number,
            task_id: facts.task_id.clone(),
            callback: queued.name,
            number: queued.attempts,
            attempts_max: self.retry.attempts_max(queued.signing),
            unix_ms: self.now.unix_ms,
            // A task without a URL has no callbacks.
            url: facts.submission.callback_url.clone().unwrap_or_default(),
            timestamp: None,
            signature: None,
            is_forged: queued.signing == SigningMode::Copied,
            body: queued.body,
        }
    }
}

/// Signs an attempt with a fresh timestamp, unless a fault asks for something else.
/// `signed_at_seconds` is the last timestamp that was signed for the task.
fn sign(
    attempt: &mut AttemptInFlight,
    signed_at_seconds: &mut Option<u64>,
    signing: SigningMode,
    key: &Secret,
) {
    let is_flawed = |attempts| attempt.number <= attempts;
    let mut seconds = attempt.unix_ms / 1000;
    let mut key = key.reveal().to_owned();
    match signing {
        SigningMode::Wrong { attempts } if is_flawed(attempts) => key.push_str("-of-someone-else"),
        SigningMode::Stale { attempts } if is_flawed(attempts) => {
            seconds = seconds.saturating_sub(STALE_SECONDS);
        }
        SigningMode::Missing { attempts } if is_flawed(attempts) => return,
        SigningMode::Copied => seconds = signed_at_seconds.unwrap_or(seconds),
        _ => *signed_at_seconds = Some(seconds),
    }
    let timestamp = seconds.to_string();
    attempt.signature = Some(signature(&key, &attempt.task_id, &timestamp));
    attempt.timestamp = Some(timestamp);
}
