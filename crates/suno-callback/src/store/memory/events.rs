//! The events in memory, and what accepting a delivery does to them.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use bytes::Bytes;
use jiff::Timestamp;
use suno_types::{Code, TaskId};

use super::claims::LastRequest;
use super::ledger::Ledger;
use crate::delivery::{Content, Delivery, Fingerprint, Source, VerifiedBy};
use crate::event::EventKey;
use crate::simulation::{Mutation, mutated};
use crate::store::bounds::{
    CONFLICTS_OF_EVENT_MAX, EVENTS_OF_TASK_MAX, NUDGES_MAX, QUARANTINED_MAX,
};
use crate::store::{
    Accepted, DeadCause, EventId, EventState, QuarantinedDelivery, Sibling, WorkerId,
};

// It has no `Debug`, nor has an event: what is stored must not be logged by mistake.
#[derive(Default)]
pub(super) struct Events {
    /// In the order of their numbers.
    pub(super) by_id: BTreeMap<EventId, StoredEvent>,
    /// The events of each task, in the order of arrival.
    pub(super) of_task: HashMap<TaskId, Vec<EventId>>,
    /// Events that are or become claimable, by the moment at which they do. Those whose task has a
    /// claimed event are left out until it is settled.
    pub(super) queue: BTreeSet<(Duration, EventId)>,
    pub(super) quarantine: BTreeMap<EventId, QuarantineEntry>,
    /// What is in quarantine, by its bytes.
    pub(super) quarantined: HashMap<Fingerprint, EventId>,
    pub(super) dropped: u64,
    /// The last request of each worker, the latest last.
    pub(super) last_requests: Vec<LastRequest>,
    pub(super) ledger: Ledger,
    last_id: i64,
}

#[derive(Debug)]
pub(super) struct QuarantineEntry {
    pub(super) delivery: QuarantinedDelivery,
    pub(super) strict: Fingerprint,
    pub(super) stored_at: Duration,
}

/// The fingerprints of a body.
#[derive(Debug, Clone, Copy)]
pub(super) struct Print {
    strict: Fingerprint,
    semantic: Fingerprint,
}

impl Print {
    fn says_the_same(self, other: Self) -> bool {
        self.strict == other.strict || self.semantic == other.semantic
    }
}

/// What was delivered for an event and says something else.
pub(super) struct Conflict {
    print: Print,
    /// The body, until it is purged.
    pub(super) raw: Option<Bytes>,
}

pub(super) struct StoredEvent {
    pub(super) key: EventKey,
    pub(super) code: Code,
    /// The body, until it is purged.
    pub(super) raw: Option<Bytes>,
    pub(super) source: Source,
    pub(super) verified_by: VerifiedBy,
    pub(super) unconfirmed: bool,
    pub(super) received_at: Timestamp,
    print: Print,
    pub(super) conflicts: Vec<Conflict>,
    pub(super) state: State,
    /// The moment under which the event is in the queue.
    pub(super) queued_at: Option<Duration>,
    pub(super) stored_at: Duration,
    /// When it was stored or redriven.
    pub(super) open_since: Duration,
    pub(super) attempts: u32,
    pub(super) lapses: u32,
    pub(super) nudges: u32,
    pub(super) epoch: u32,
    pub(super) worker: WorkerId,
    pub(super) reason: Option<String>,
    pub(super) dead_cause: Option<DeadCause>,
}

/// The state of an event, with moments of the store's clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    Ready { since: Duration },
    Claimed { until: Duration },
    Waiting { until: Duration },
    Done,
    Dead,
    Superseded,
}

impl State {
    pub(super) fn at(self, now: Duration) -> EventState {
        match self {
            Self::Ready { .. } => EventState::Ready,
            Self::Claimed { until } => EventState::Claimed {
                holds_for: until.saturating_sub(now),
            },
            Self::Waiting { until } => EventState::Waiting {
                ready_in: until.saturating_sub(now),
            },
            Self::Done => EventState::Done,
            Self::Dead => EventState::Dead,
            Self::Superseded => EventState::Superseded,
        }
    }

    /// The moment at which the event is or becomes claimable.
    fn due(self) -> Option<Duration> {
        match self {
            Self::Ready { since: due }
            | Self::Claimed { until: due }
            | Self::Waiting { until: due } => Some(due),
            Self::Done | Self::Dead | Self::Superseded => None,
        }
    }
}

impl Events {
    pub(super) fn next_id(&mut self) -> EventId {
        self.last_id += 1;
        EventId(self.last_id)
    }

    /// The events of a task as they stand now, in the order of their arrival.
    pub(super) fn siblings(&self, task_id: &TaskId, now: Duration) -> Vec<(EventId, Sibling)> {
        let ids = self.of_task.get(task_id).into_iter().flatten();
        ids.filter_map(|id| Some((*id, self.by_id.get(id)?.sibling(now))))
            .collect()
    }

    /// Changes the state of an event, and its place in the queue.
    pub(super) fn set_state(&mut self, id: EventId, state: State) {
        let Some(event) = self.by_id.get_mut(&id) else {
            return;
        };
        if let Some(queued_at) = event.queued_at.take() {
            self.queue.remove(&(queued_at, id));
        }
        event.state = state;
        event.queued_at = state.due();
        if let Some(due) = event.queued_at {
            self.queue.insert((due, id));
        }
    }

    pub(super) fn accept(&mut self, delivery: &Delivery, now: Duration) -> Accepted {
        self.ledger.meet(delivery, now);
        match &delivery.content {
            Content::Event {
                key,
                code,
                semantic,
            } => self.accept_event(delivery, key, *code, *semantic, now),
            Content::Quarantined { reason, .. } => {
                self.put_in_quarantine(delivery, reason.to_string(), now)
            }
        }
    }

    fn accept_event(
        &mut self,
        delivery: &Delivery,
        key: &EventKey,
        code: Code,
        semantic: Fingerprint,
        now: Duration,
    ) -> Accepted {
        let siblings = self.siblings(key.task_id(), now);
        let known = siblings
            .iter()
            .find(|(_, sibling)| sibling.stage == *key.stage());
        if let Some((id, _)) = known {
            return self.accept_again(*id, delivery, code, semantic, now);
        }
        if siblings.len() >= EVENTS_OF_TASK_MAX {
            let reason = "the task has too many events".to_owned();
            return self.put_in_quarantine(delivery, reason, now);
        }
        let is_late = siblings
            .iter()
            .any(|(_, sibling)| sibling.supersedes(key.stage()));
        let id = self.next_id();
        let event = StoredEvent::new(delivery, key, code, semantic, now);
        self.by_id.insert(id, event);
        self.of_task
            .entry(key.task_id().clone())
            .or_default()
            .push(id);
        if is_late {
            self.set_state(id, State::Superseded);
            Accepted::Late
        } else {
            self.set_state(id, State::Ready { since: now });
            Accepted::New
        }
    }

    /// Another delivery of a known key.
    fn accept_again(
        &mut self,
        id: EventId,
        delivery: &Delivery,
        code: Code,
        semantic: Fingerprint,
        now: Duration,
    ) -> Accepted {
        let Some(event) = self.by_id.get_mut(&id) else {
            return Accepted::Dropped;
        };
        let print = Print {
            strict: delivery.strict,
            semantic,
        };
        if event.unconfirmed && !delivery.unconfirmed {
            if event.confirm(delivery, code, print) == Accepted::Dropped {
                self.dropped += 1;
            }
            match event.state {
                State::Waiting { .. } => self.set_state(id, State::Ready { since: now }),
                State::Dead if !mutated(Mutation::TenAttempts) => self.reopen(id, now),
                _ => {}
            }
            return Accepted::Confirmed;
        }
        let accepted = event.add_conflict(Some(delivery.raw.clone()), print);
        let nudge = event.unconfirmed && event.nudges < NUDGES_MAX;
        if nudge && matches!(event.state, State::Waiting { until } if until > now) {
            event.nudges += 1;
            self.set_state(id, State::Ready { since: now });
        }
        if accepted == Accepted::Dropped {
            self.dropped += 1;
        }
        accepted
    }

    /// Makes a settled event ready, with everything counted from zero.
    pub(super) fn reopen(&mut self, id: EventId, now: Duration) {
        if let Some(event) = self.by_id.get_mut(&id) {
            (event.attempts, event.lapses, event.open_since) = (0, 0, now);
            event.dead_cause = None;
            self.set_state(id, State::Ready { since: now });
        }
    }

    pub(super) fn put_in_quarantine(
        &mut self,
        delivery: &Delivery,
        reason: String,
        now: Duration,
    ) -> Accepted {
        if self.quarantined.contains_key(&delivery.strict) {
            return Accepted::Quarantined;
        }
        if self.quarantine.len() >= QUARANTINED_MAX {
            self.dropped += 1;
            return Accepted::Dropped;
        }
        let id = self.next_id();
        let mut quarantined = QuarantinedDelivery::new(
            id,
            delivery.task_id().cloned(),
            reason,
            delivery.received_at,
            delivery.raw.clone(),
        );
        quarantined.source = delivery.source;
        quarantined.verified_by = delivery.verified_by;
        let entry = QuarantineEntry {
            delivery: quarantined,
            strict: delivery.strict,
            stored_at: now,
        };
        self.quarantined.insert(delivery.strict, id);
        self.quarantine.insert(id, entry);
        Accepted::Quarantined
    }
}

impl StoredEvent {
    fn new(
        delivery: &Delivery,
        key: &EventKey,
        code: Code,
        semantic: Fingerprint,
        now: Duration,
    ) -> Self {
        Self {
            key: key.clone(),
            code,
            raw: Some(delivery.raw.clone()),
            source: delivery.source,
            verified_by: delivery.verified_by,
            unconfirmed: delivery.unconfirmed,
            received_at: delivery.received_at,
            print: Print {
                strict: delivery.strict,
                semantic,
            },
            conflicts: Vec::new(),
            state: State::Ready { since: now },
            queued_at: None,
            stored_at: now,
            open_since: now,
            attempts: 0,
            lapses: 0,
            nudges: 0,
            epoch: 0,
            worker: WorkerId::default(),
            reason: None,
            dead_cause: None,
        }
    }

    pub(super) fn sibling(&self, now: Duration) -> Sibling {
        Sibling::new(
            self.key.stage().clone(),
            self.state.at(now),
            self.unconfirmed,
        )
    }

    /// Keeps what says something else.
    fn add_conflict(&mut self, raw: Option<Bytes>, print: Print) -> Accepted {
        let is_known = |conflict: &Conflict| conflict.print.says_the_same(print);
        if self.print.says_the_same(print) || self.conflicts.iter().any(is_known) {
            return Accepted::Duplicate;
        }
        if self.conflicts.len() >= CONFLICTS_OF_EVENT_MAX {
            return Accepted::Dropped;
        }
        self.conflicts.push(Conflict { print, raw });
        Accepted::Conflict
    }

    /// Puts a confirmed body in the place of the unconfirmed one, and returns what became of that.
    fn confirm(&mut self, delivery: &Delivery, code: Code, print: Print) -> Accepted {
        let former = self.raw.replace(delivery.raw.clone());
        let former_print = std::mem::replace(&mut self.print, print);
        self.conflicts
            .retain(|conflict| !conflict.print.says_the_same(print));
        self.code = code;
        self.source = delivery.source;
        self.verified_by = delivery.verified_by;
        self.unconfirmed = false;
        self.add_conflict(former, former_print)
    }
}
