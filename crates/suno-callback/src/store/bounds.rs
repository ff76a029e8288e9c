//! The bounds that the contract names. They hold in every store, so that a limit does not depend on
//! which one is used.

use std::time::Duration;

/// How many events one task has at most. The provider sends three or four; other products may add a
/// few.
pub const EVENTS_OF_TASK_MAX: usize = 32;
/// How many conflicting deliveries are kept beside one event.
pub const CONFLICTS_OF_EVENT_MAX: usize = 16;
/// How many deliveries are in quarantine at most.
pub const QUARANTINED_MAX: usize = 4_096;
/// How often deliveries make one unconfirmed event ready before its wait ends.
pub const NUDGES_MAX: u32 = 16;
/// After how many lapsed claims in a row an event is claimed alone: handling it may be what ends
/// the process. One lapse is what any restart causes.
pub const LAPSES_SUSPECT: u32 = 2;
/// How long a lease is at most.
pub const LEASE_MAX: Duration = Duration::from_secs(3_600);
/// How long a retry waits at most, whatever the handler asks for.
pub const RETRY_AFTER_MAX: Duration = Duration::from_secs(86_400);
/// How long a due task is postponed at most.
pub const POSTPONE_MAX: Duration = Duration::from_secs(86_400);
