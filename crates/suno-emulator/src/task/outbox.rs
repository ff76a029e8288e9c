//! The one worker of a task: what it has to deliver, one callback after the other, with retries.
//!
//! A state machine without a network: it says what to send and is told how that went. That a
//! callback waits until the one before it was settled is an assumption; so is the spacing of
//! retries, which is a setting. Three retries and then silence is documented (`PROTOCOL.md 2.3`).

use std::collections::VecDeque;

use bytes::Bytes;

use crate::task::plan::Signing;

/// A callback that is ready to be sent.
#[derive(Clone, Debug)]
pub(crate) struct Parcel {
    pub(crate) post: String,
    pub(crate) body: Bytes,
    pub(crate) signing: Signing,
    /// How many attempts were begun.
    pub(crate) attempts: u32,
}

/// How often and how soon a failed callback is sent again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RetryRule {
    /// The pause before each retry in milliseconds; as many retries as pauses.
    pub(crate) pauses_ms: Vec<u64>,
    /// Whether a callback that failed for good silences the rest of the task.
    pub(crate) gives_up_task: bool,
}

impl RetryRule {
    /// How many attempts a callback gets at most, if all fail.
    pub(crate) fn attempts_max(&self, signing: Signing) -> u32 {
        match signing {
            // A stranger tries once.
            Signing::Copied => 1,
            _ => u32::try_from(self.pauses_ms.len())
                .unwrap_or(u32::MAX)
                .saturating_add(1),
        }
    }
}

/// What a settled attempt led to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Settled {
    Delivered,
    /// It is sent again at this time.
    Again {
        at_ms: u64,
    },
    /// It is not sent again.
    GivenUp,
}

/// The callbacks of one task that have become due and are not settled.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    waiting: VecDeque<Parcel>,
    sending: bool,
    not_before_ms: u64,
    unreachable: bool,
    silenced: bool,
}

/// How many parcels may wait; what comes on top is not sent.
pub(crate) const PARCELS_MAX: usize = 256;

impl Outbox {
    /// Adds a callback, or gives it back if it will not be sent: the task fell silent, or too many
    /// wait.
    pub(crate) fn push(&mut self, parcel: Parcel) -> Result<(), Parcel> {
        if self.silenced || self.waiting.len() >= PARCELS_MAX {
            return Err(parcel);
        }
        self.waiting.push_back(parcel);
        Ok(())
    }

    /// When something can be sent, if anything waits and nothing is on its way.
    pub(crate) fn due_at(&self) -> Option<u64> {
        (!self.sending && !self.waiting.is_empty()).then_some(self.not_before_ms)
    }

    /// The next attempt, if one is due. It is on its way until it is settled.
    pub(crate) fn take(&mut self, now_ms: u64) -> Option<Parcel> {
        if self.due_at()? > now_ms {
            return None;
        }
        let parcel = self.waiting.front_mut()?;
        parcel.attempts = parcel.attempts.saturating_add(1);
        self.sending = true;
        Some(parcel.clone())
    }

    /// Says how the attempt that was taken went.
    pub(crate) fn settle(&mut self, now_ms: u64, delivered: bool, rule: &RetryRule) -> Settled {
        self.sending = false;
        let front = self.waiting.front();
        let attempts = front.map_or(0, |parcel| parcel.attempts);
        // A stranger tries once, and what comes of it is not the provider's business.
        if delivered || front.is_some_and(|parcel| parcel.signing == Signing::Copied) {
            self.waiting.pop_front();
            return Settled::Delivered;
        }
        let retry = usize::try_from(attempts)
            .unwrap_or(usize::MAX)
            .saturating_sub(1);
        if let Some(pause_ms) = rule.pauses_ms.get(retry) {
            self.not_before_ms = now_ms.saturating_add(*pause_ms);
            return Settled::Again {
                at_ms: self.not_before_ms,
            };
        }
        self.waiting.pop_front();
        self.unreachable = true;
        if rule.gives_up_task {
            self.silenced = true;
            self.waiting.clear();
        }
        Settled::GivenUp
    }

    /// Whether a callback could not be delivered, which a poll then shows.
    pub(crate) fn is_unreachable(&self) -> bool {
        self.unreachable
    }

    /// Lets a silent task speak again, for a delivery that is asked for by hand.
    pub(crate) fn unsilence(&mut self) {
        self.silenced = false;
    }

    pub(crate) fn is_idle(&self) -> bool {
        !self.sending && self.waiting.is_empty()
    }
}
