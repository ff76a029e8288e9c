//! The clocks of a world: the wall clock of each node, which can be set, and the store's.

use std::iter;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use suno_callback::Clock;
use tokio::time::Instant;

use crate::plan::{FaultKind, Millis, Plan, millis};

pub(crate) const START_MS: u64 = 1_790_000_000_000;
const UPTIME_MS: u64 = 86_400_000;
/// The largest step of a server's clock that the store in PostgreSQL does not notice.
const STEP_UNNOTICED_MS: u64 = 2_000;

#[derive(Debug, Clone)]
pub(crate) struct MachineClock {
    start: Instant,
    /// The time at which the wall clock is ahead of the true time, and by how much.
    ahead: Arc<[(Range<Millis>, i64)]>,
    /// The monotonic time follows the wall clock, which is an injected bug.
    pub(crate) follows_wall: bool,
}

impl MachineClock {
    /// The clock of a node, or one that is never set.
    pub(crate) fn new(plan: &Plan, node: Option<usize>) -> Self {
        Self::with_steps(plan, node, |_| true)
    }

    /// The wall clock of a database server, on the machine of the first node. Small steps are left out,
    /// because the store takes them for time that has passed.
    pub(crate) fn of_server(plan: &Plan) -> Self {
        Self::with_steps(plan, Some(0), |by_ms| {
            by_ms.unsigned_abs() > STEP_UNNOTICED_MS
        })
    }

    fn with_steps(plan: &Plan, node: Option<usize>, is_made: fn(i64) -> bool) -> Self {
        let wall_ms = node.map_or(0, |node| plan.nodes[node].wall_ms);
        let its = plan.faults.iter().filter(|fault| fault.node == node);
        let steps = its.filter_map(|fault| match fault.kind {
            FaultKind::WallStep(by_ms) if is_made(by_ms) => {
                Some((fault.at_ms..plan.end_of(fault), by_ms))
            }
            _ => None,
        });
        let ahead = iter::once((0..Millis::MAX, wall_ms)).chain(steps).collect();
        Self {
            start: Instant::now(),
            ahead,
            follows_wall: false,
        }
    }

    fn wall(&self, origin: u64) -> u64 {
        let now = millis(self.start.elapsed());
        let is_now = |(when, _): &&(Range<Millis>, i64)| when.contains(&now);
        let ahead: i64 = self.ahead.iter().filter(is_now).map(|(_, by)| by).sum();
        (origin + now).saturating_add_signed(ahead)
    }
}

impl Clock for MachineClock {
    fn now(&self) -> Timestamp {
        let now = i64::try_from(self.wall(START_MS)).unwrap_or(i64::MAX);
        Timestamp::from_millisecond(now).unwrap_or_default()
    }

    fn monotonic(&self) -> Duration {
        match self.follows_wall {
            true => Duration::from_millis(self.wall(UPTIME_MS)),
            false => Duration::from_millis(UPTIME_MS) + self.start.elapsed(),
        }
    }
}
