//! What an event says, what its conflicts say, and what another delivery of it changes.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use jiff::Timestamp;

use super::{StoredEvent, StoredState};
use crate::content::{Content, Fingerprint};
use crate::delivery::Delivery;
use crate::simulation::{Mutation, mutated};
use crate::store::bounds::{CONFLICTS_OF_EVENT_MAX, NUDGES_MAX};
use crate::store::ledger::KnownSubmit;
use crate::store::{Acceptance, ConflictRecord};

/// The fingerprints of a body that could be decoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct StoredPrint {
    /// The fingerprint of the bytes.
    pub strict: Fingerprint,
    /// The fingerprint of the reported content.
    pub semantic: Fingerprint,
}

impl StoredPrint {
    /// Creates the fingerprints that a store has read.
    #[must_use]
    pub fn new(strict: Fingerprint, semantic: Fingerprint) -> Self {
        Self { strict, semantic }
    }

    /// Returns the fingerprints of a body of another store. A body that this version cannot decode, or
    /// that is purged, is the same only as itself.
    #[must_use]
    pub fn of_body(raw: Option<&Bytes>) -> Self {
        let delivery = raw.map(|raw| Delivery::decode(raw.clone(), Timestamp::UNIX_EPOCH));
        let strict = delivery.as_ref().map(|delivery| delivery.strict);
        let strict = strict.unwrap_or(Fingerprint([0; 16]));
        let decoded = delivery.as_ref().and_then(Self::of);
        decoded.unwrap_or(Self::new(strict, strict))
    }

    /// Returns the fingerprints of a delivery, or `None` if it could not be decoded.
    #[must_use]
    pub fn of(delivery: &Delivery) -> Option<Self> {
        match &delivery.content {
            Content::Event { semantic, .. } => Some(Self {
                strict: delivery.strict,
                semantic: *semantic,
            }),
            Content::Quarantined { .. } => None,
        }
    }

    fn says_the_same(self, other: Self) -> bool {
        self.strict == other.strict || self.semantic == other.semantic
    }
}

/// A delivery for an event with different content.
#[derive(Clone)]
#[non_exhaustive]
pub struct StoredConflict {
    /// Its fingerprints.
    pub print: StoredPrint,
    /// What is shown to people, with the body until it is purged.
    pub record: ConflictRecord,
}

impl StoredConflict {
    /// Creates a conflict that a store has read.
    #[must_use]
    pub fn new(print: StoredPrint, record: ConflictRecord) -> Self {
        Self { print, record }
    }
}

/// Leaves out the body.
impl fmt::Debug for StoredConflict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoredConflict")
            .field("print", &self.print)
            .finish_non_exhaustive()
    }
}

impl StoredEvent {
    /// Whether the event has one of the fingerprints of a delivery.
    #[must_use]
    pub fn is_same(&self, delivery: &Delivery) -> bool {
        StoredPrint::of(delivery).is_some_and(|print| self.print.says_the_same(print))
    }

    /// Whether a conflict of the event has one of the fingerprints of a delivery.
    #[must_use]
    pub fn has_conflict(&self, delivery: &Delivery) -> bool {
        StoredPrint::of(delivery).is_some_and(|print| self.knows_conflict(print))
    }

    fn knows_conflict(&self, print: StoredPrint) -> bool {
        let is_known = |conflict: &StoredConflict| conflict.print.says_the_same(print);
        self.conflicts.iter().any(is_known)
    }

    /// Accepts another delivery of the event (A3, A4, A8), and returns the outcome and the number of
    /// bodies dropped.
    pub fn accept_again(&mut self, delivery: &Delivery, now: Duration) -> (Acceptance, u64) {
        let Some(print) = StoredPrint::of(delivery) else {
            return (Acceptance::Quarantined, 0);
        };
        self.nudge(now);
        let record = ConflictRecord::new(Some(delivery.raw.clone())).with_origin(
            delivery.received_at,
            delivery.source,
            delivery.verified_by,
        );
        let accepted = self.add_conflict(record, print);
        (accepted, u64::from(accepted == Acceptance::Dropped))
    }

    /// Ends the wait of an unconfirmed event.
    fn nudge(&mut self, now: Duration) {
        let waits = matches!(self.state, StoredState::Waiting { until } if until > now);
        if self.unconfirmed && waits && self.nudges < NUDGES_MAX {
            self.nudges += 1;
            self.state = StoredState::Ready { since: now };
        }
    }

    /// Keeps a delivery with different content.
    pub(super) fn add_conflict(
        &mut self,
        record: ConflictRecord,
        print: StoredPrint,
    ) -> Acceptance {
        if self.print.says_the_same(print) || self.knows_conflict(print) {
            return Acceptance::Duplicate;
        }
        if self.conflicts.len() >= CONFLICTS_OF_EVENT_MAX {
            return Acceptance::Dropped;
        }
        self.conflicts.push(StoredConflict { print, record });
        Acceptance::Conflict
    }

    /// Replaces the unconfirmed body by a confirmed one (A7), and returns the outcome and the number
    /// of bodies dropped.
    pub fn confirm(
        &mut self,
        delivery: &Delivery,
        submit: &KnownSubmit,
        now: Duration,
    ) -> (Acceptance, u64) {
        let Content::Event {
            code,
            semantic,
            product,
            results,
            ..
        } = &delivery.content
        else {
            return (Acceptance::Quarantined, 0);
        };
        let print = StoredPrint {
            strict: delivery.strict,
            semantic: *semantic,
        };
        let former = ConflictRecord::new(self.raw.replace(delivery.raw.clone())).with_origin(
            self.received_at,
            self.source,
            self.verified_by,
        );
        let former_print = std::mem::replace(&mut self.print, print);
        self.conflicts
            .retain(|conflict| !conflict.print.says_the_same(print));
        self.code = *code;
        self.product = product.clone();
        self.results = *results;
        self.source = delivery.source;
        self.verified_by = delivery.verified_by;
        if self.submit.is_none() {
            self.submit = delivery.submit;
            self.reference.clone_from(&submit.reference);
            self.kind.clone_from(&submit.kind);
        }
        let was_denied = self.unconfirmed && self.key.revision() > 0;
        self.unconfirmed = false;
        match self.state {
            // If its wait has ended, it has been ready since then (C6).
            StoredState::Waiting { until } => {
                self.state = StoredState::Ready {
                    since: until.min(now),
                }
            }
            StoredState::Dead if !mutated(Mutation::TenAttempts) => self.redrive(now),
            StoredState::Done if was_denied => self.redrive(now),
            _ => {}
        }
        let kept = self.add_conflict(former, former_print);
        let dropped = u64::from(kept == Acceptance::Dropped);
        (Acceptance::Confirmed, dropped)
    }
}
