//! The limits named in the contract. They are the same in every store, so that a limit does not
//! depend on which store is used.

use std::time::Duration;

/// The maximum number of events of one task whose stages have no [rank](suno_types::Stage::rank): words
/// that this version does not know. Stages with a rank do not count, so that no number of others keeps
/// out the end of a task.
pub const UNRANKED_EVENTS_MAX: usize = 32;
/// The maximum number of revisions of one stage of a task, besides its first event. The provider
/// makes two songs for a task, so that one revision is usual.
pub const REVISIONS_MAX: u32 = 4;
/// The maximum number of conflicting deliveries that are kept with one event.
pub const CONFLICTS_OF_EVENT_MAX: usize = 16;
/// The maximum number of deliveries in quarantine.
pub const QUARANTINED_MAX: usize = 4_096;
/// The maximum number of deliveries that end the wait of one unconfirmed event early.
pub const NUDGES_MAX: u32 = 16;
/// The number of lapsed claims in a row after which an event is claimed alone, because handling it
/// may crash the process. A single lapse is a normal effect of a restart.
pub const LAPSES_SUSPECT: u32 = 2;
/// The maximum length of a lease.
pub const LEASE_MAX: Duration = Duration::from_secs(3_600);
/// The maximum wait before a retry, whatever the handler asks for.
pub const RETRY_AFTER_MAX: Duration = Duration::from_secs(86_400);
/// The time for which a task must have been due, without being asked about, until it counts as overdue.
pub const OVERDUE_AFTER: Duration = Duration::from_secs(60);
/// The number at which a store may stop to count expected tasks, overdue ones, and open intents.
pub const LEDGER_COUNTED_MAX: u64 = 10_000;
/// The maximum time by which a due task is postponed.
pub const POSTPONE_MAX: Duration = Duration::from_secs(86_400);
