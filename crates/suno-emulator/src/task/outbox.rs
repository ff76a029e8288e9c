//! The queue of a task's callbacks: sent one after the other, with retries.
//!
//! It is a state machine without a network: it returns the callback to send and receives the
//! result. It is an assumption that a callback waits until the previous one is delivered or given
//! up. The pauses before retries are a setting. Three retries and then no more attempts are
//! documented (`PROTOCOL.md 2.3`).

use std::collections::VecDeque;

use bytes::Bytes;

use crate::task::plan::SigningMode;

/// A rendered callback that waits to be sent.
#[derive(Clone, Debug)]
pub(crate) struct QueuedCallback {
    pub(crate) name: String,
    pub(crate) body: Bytes,
    pub(crate) signing: SigningMode,
    /// The number of attempts started so far.
    pub(crate) attempts: u32,
}

/// The number of retries of a failed callback and the pauses before them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RetryRule {
    /// The pause before each retry, in milliseconds. There are as many retries as pauses.
    pub(crate) pauses_ms: Vec<u64>,
    /// Whether the task sends no more callbacks after the last retry of one failed.
    pub(crate) is_task_silenced: bool,
}

impl RetryRule {
    /// Returns the maximum number of attempts of a callback, if all fail.
    pub(crate) fn attempts_max(&self, signing: SigningMode) -> u32 {
        match signing {
            // A forged callback is sent once.
            SigningMode::Copied => 1,
            _ => u32::try_from(self.pauses_ms.len())
                .unwrap_or(u32::MAX)
                .saturating_add(1),
        }
    }
}

/// The next step of a callback after an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RetryDecision {
    Delivered,
    /// The callback is sent again at this time.
    Retry {
        at_ms: u64,
    },
    /// The callback is not sent again.
    GivenUp,
}

/// The callbacks of a task that are due and neither delivered nor given up.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    waiting: VecDeque<QueuedCallback>,
    is_sending: bool,
    not_before_ms: u64,
    is_unreachable: bool,
    is_silenced: bool,
}

/// The maximum number of callbacks that wait. Further ones are not sent.
pub(crate) const QUEUED_MAX: usize = 256;

impl Outbox {
    /// Appends a callback, or returns it if it will not be sent: the task was given up, or the
    /// queue is full.
    pub(crate) fn push(&mut self, queued: QueuedCallback) -> Result<(), QueuedCallback> {
        if self.is_silenced || self.waiting.len() >= QUEUED_MAX {
            return Err(queued);
        }
        self.waiting.push_back(queued);
        Ok(())
    }

    /// Returns the time of the next attempt, unless nothing waits or an attempt is in flight.
    pub(crate) fn due_at(&self) -> Option<u64> {
        (!self.is_sending && !self.waiting.is_empty()).then_some(self.not_before_ms)
    }

    /// Starts the next attempt, if one is due. `finish_attempt` must be called when it ends.
    pub(crate) fn take(&mut self, now_ms: u64) -> Option<QueuedCallback> {
        if self.due_at()? > now_ms {
            return None;
        }
        let queued = self.waiting.front_mut()?;
        queued.attempts = queued.attempts.saturating_add(1);
        self.is_sending = true;
        Some(queued.clone())
    }

    /// Records the result of the attempt in flight and decides about a retry.
    pub(crate) fn finish_attempt(
        &mut self,
        now_ms: u64,
        is_delivered: bool,
        rule: &RetryRule,
    ) -> RetryDecision {
        self.is_sending = false;
        let front = self.waiting.front();
        let attempts = front.map_or(0, |queued| queued.attempts);
        // A forged callback is sent once, and its result does not affect the task.
        if is_delivered || front.is_some_and(|queued| queued.signing == SigningMode::Copied) {
            self.waiting.pop_front();
            return RetryDecision::Delivered;
        }
        let retry = usize::try_from(attempts)
            .unwrap_or(usize::MAX)
            .saturating_sub(1);
        if let Some(pause_ms) = rule.pauses_ms.get(retry) {
            self.not_before_ms = now_ms.saturating_add(*pause_ms);
            return RetryDecision::Retry {
                at_ms: self.not_before_ms,
            };
        }
        self.waiting.pop_front();
        self.is_unreachable = true;
        if rule.is_task_silenced {
            self.is_silenced = true;
            self.waiting.clear();
        }
        RetryDecision::GivenUp
    }

    /// Whether the last retry of a callback failed, which polls then show.
    pub(crate) fn is_unreachable(&self) -> bool {
        self.is_unreachable
    }

    /// Allows callbacks again after the task was given up, for a delivery by hand.
    pub(crate) fn resume(&mut self) {
        self.is_silenced = false;
    }

    pub(crate) fn is_idle(&self) -> bool {
        !self.is_sending && self.waiting.is_empty()
    }
}
