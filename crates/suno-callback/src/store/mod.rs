//! The durable memory of events: what every store must do.

mod claim;
mod error;
mod inspect;
mod ledger;
mod memory;
mod turn;

use std::fmt;

use async_trait::async_trait;
use jiff::Timestamp;

pub(crate) use claim::later;
pub use claim::{Claim, ClaimRequest, Held, Settlement, Ticket};
pub use error::{StoreError, StoreErrorKind};
pub use inspect::{Counts, Inspect, Page, PurgeRequest, Purged, Quarantined, Record, Redriven};
pub use ledger::{
    Due, DueRequest, DueTicket, Expected, Intent, InvalidSubmitId, SubmitId, TaskLedger,
};
pub use memory::MemoryStore;
pub use turn::{EventState, Turn, turn};

use crate::delivery::Delivery;

/// A durable memory of events, shared by every process that receives them.
///
/// Every operation is atomic: it happens whole or not at all, also when the process dies in it.
/// Times are passed in by the caller. Durable stores must run the suite of this crate's
/// `conformance` feature.
///
/// # Contract
///
/// Accepting:
///
/// * [`accept`](Self::accept) returns only after what it accepted would survive a power cut; if it
///   fails, none of the slice was stored.
/// * One key is one event, however many deliveries, threads or processes bring it.
/// * A delivery with the key of a known event is [`Duplicate`](Accepted::Duplicate) if its strict
///   or its semantic fingerprint is one that the event has, and otherwise
///   [`Conflict`](Accepted::Conflict): it is kept beside the event, which does not change.
/// * An event whose task has an event of a later stage is [`Late`](Accepted::Late): stored, never
///   claimed. Complete and failed are both the last stage: whichever comes second is late.
/// * A quarantined delivery is kept once for each strict fingerprint.
///
/// Claiming:
///
/// * Of any number of concurrent claims of one event, one is granted.
/// * A live claim is never taken; from the moment its lease ends it can be, and its ticket is
///   worthless from the moment another claim is granted.
/// * Each claim counts an attempt, so that an event that ends the process is counted too.
/// * Events of one task are never claimed at the same time, and are claimed in the order of their
///   stages; stages without a rank in the order of their arrival, before later ranks. One whose
///   claim has lapsed comes before its siblings, since its ticket holds until it is claimed again.
/// * A stage that waits for another attempt does not hold up a later stage of its task: it is
///   superseded when the later one is claimed.
/// * Among tasks, what came first is claimed first.
///
/// Settling:
///
/// * Only the ticket of the latest claim can extend or settle; any other is
///   [`Lost`](Held::Lost) and changes nothing, also after the event was settled.
#[async_trait]
pub trait IdempotencyStore: fmt::Debug + Send + Sync {
    /// Stores deliveries durably, and says of each, in order, what it was.
    ///
    /// Deliveries of one slice count as having come one after the other.
    ///
    /// # Errors
    ///
    /// [`StoreError`]; nothing was stored then.
    async fn accept(&self, deliveries: &[Delivery]) -> Result<Vec<Accepted>, StoreError>;

    /// Claims events that are ready to be handled.
    ///
    /// # Errors
    ///
    /// [`StoreError`]; nothing was claimed then.
    async fn claim(&self, request: ClaimRequest) -> Result<Vec<Claim>, StoreError>;

    /// Moves the end of claims to `until`.
    ///
    /// # Errors
    ///
    /// [`StoreError`]; no claim was extended then.
    async fn extend(&self, tickets: &[Ticket], until: Timestamp) -> Result<Vec<Held>, StoreError>;

    /// Records how claims ended.
    ///
    /// # Errors
    ///
    /// [`StoreError`]; no claim was settled then.
    async fn settle(&self, settled: &[(Ticket, Settlement)]) -> Result<Vec<Held>, StoreError>;
}

/// The store's number of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct EventId(pub i64);

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What became of a delivery. All of them are durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Accepted {
    /// A new event.
    New,
    /// A new event that comes after a later stage of its task: recorded as superseded.
    Late,
    /// An event that was known.
    Duplicate,
    /// A known key that says something else; kept beside the event.
    Conflict,
    /// Trusted but not understood; kept raw.
    Quarantined,
}
