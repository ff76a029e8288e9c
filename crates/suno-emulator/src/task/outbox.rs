//! The one worker of a task: what it has to deliver, one callback after the other, with retries.
//!
//! A state machine without a network: it says what to send and is told how that went. That a
//! callback waits until the one before it was settled is an assumption; so is the spacing of
//! retries, which is a setting. Three retries and then silence is documented (`PROTOCOL.md 2.3`).

use std::collections::VecDeque;

use bytes::Bytes;

use crate::task::plan::SigningMode;

/// A callback that is ready to be sent.
#[derive(Clone, Debug)]
pub(crate) struct QueuedCallback {
    pub(crate) name: String,
    pub(crate) body: Bytes,
    pub(crate) signing: SigningMode,
    /// How many attempts were begun.
    pub(crate) attempts: u32,
}

/// How often and how soon a failed callback is sent again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RetryRule {
    /// The pause before each retry in milliseconds; as many retries as pauses.
    pub(crate) pauses_ms: Vec<u64>,
    /// Whether a callback that failed for good silences the rest of the task.
    pub(crate) is_task_silenced: bool,
}

impl RetryRule {
    /// How many attempts a callback gets at most, if all fail.
    pub(crate) fn attempts_max(&self, signing: SigningMode) -> u32 {
        match signing {
            // A stranger tries once.
            SigningMode::Copied => 1,
            _ => u32::try_from(self.pauses_ms.len())
                .unwrap_or(u32::MAX)
                .saturating_add(1),
        }
    }
}

/// What a settled attempt led to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RetryDecision {
    Delivered,
    /// It is sent again at this time.
    Retry {
        at_ms: u64,
    },
    /// It is not sent again.
    GivenUp,
}

/// The callbacks of one task that have become due and are not settled.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    waiting: VecDeque<QueuedCallback>,
    is_sending: bool,
    not_before_ms: u64,
    is_unreachable: bool,
    is_silenced: bool,
}

/// How many parcels may wait; what comes on top is not sent.
pub(crate) const QUEUED_MAX: usize = 256;

impl Outbox {
    /// Adds a callback, or gives it back if it will not be sent: the task fell silent, or too many
    /// wait.
    pub(crate) fn push(&mut self, queued: QueuedCallback) -> Result<(), QueuedCallback> {
        if self.is_silenced || self.waiting.len() >= QUEUED_MAX {
            return Err(queued);
        }
        self.waiting.push_back(queued);
        Ok(())
    }

    /// When something can be sent, if anything waits and nothing is on its way.
    pub(crate) fn due_at(&self) -> Option<u64> {
        (!self.is_sending && !self.waiting.is_empty()).then_some(self.not_before_ms)
    }

    /// The next attempt, if one is due. It is on its way until it is settled.
    pub(crate) fn take(&mut self, now_ms: u64) -> Option<QueuedCallback> {
        if self.due_at()? > now_ms {
            return None;
        }
        let queued = self.waiting.front_mut()?;
        queued.attempts = queued.attempts.saturating_add(1);
        self.is_sending = true;
        Some(queued.clone())
    }

    /// Says how the attempt that was taken went.
    pub(crate) fn finish_attempt(
        &mut self,
        now_ms: u64,
        is_delivered: bool,
        rule: &RetryRule,
    ) -> RetryDecision {
        self.is_sending = false;
        let front = self.waiting.front();
        let attempts = front.map_or(0, |queued| queued.attempts);
        // A stranger tries once, and what comes of it is not the provider's business.
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

    /// Whether a callback could not be delivered, which a poll then shows.
    pub(crate) fn is_unreachable(&self) -> bool {
        self.is_unreachable
    }

    /// Lets a silent task speak again, for a delivery that is asked for by hand.
    pub(crate) fn resume(&mut self) {
        self.is_silenced = false;
    }

    pub(crate) fn is_idle(&self) -> bool {
        !self.is_sending && self.waiting.is_empty()
    }
}
