//! Checks each entry as it is added to the history, so that a run stops where a promise is broken.

/// Records a broken promise, unless the condition holds or another promise was broken before.
macro_rules! promise {
    ($checker:expr, $row:ident: $holds:expr, $($text:tt)*) => {
        if !$holds {
            $checker.outcome.fail(stringify!($row), format!($($text)*));
        }
    };
}

mod claims;
mod readiness;
mod revisions;
mod tasks;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use suno_callback::bounds::LAPSES_SUSPECT;
use suno_callback::*;

use crate::history::*;
use crate::ids::key_of;
use crate::plan::*;

#[derive(Debug)]
struct Event {
    key: Key,
    shown: Shown,
    stored_at: Millis,
    /// The time at which it was stored, redriven or decided.
    open_since: Millis,
    /// The time at which it became or becomes claimable.
    ready_at: Millis,
    /// The same time, but ignoring what made it ready while it was already ready. A store may order
    /// by either.
    ready_first_at: Millis,
    /// The number of claims in a row that lapsed while their worker held no others.
    lone_lapses: u32,
    lease: Option<Lease>,
    /// The ticket of the latest claim, even if it is settled.
    latest: Option<Ticket>,
    settled_by: Option<Ticket>,
    begun: u32,
    /// The number of tracks of the latest handler, and whether a handler succeeded.
    handled: Option<(usize, bool)>,
    told_dead: bool,
    gave_up: Option<Ticket>,
    /// A person requested that it is handled although a later stage was.
    may_go_back: bool,
}

#[derive(Debug, Clone, Copy)]
struct Lease {
    ticket: Ticket,
    by: Process,
    until: Millis,
    /// The worker has held no other claim during this one.
    is_alone: bool,
}

#[derive(Debug, Default, Clone)]
struct Task {
    submitted_at: Option<Millis>,
    /// The time at which its submit was recorded. Its age is counted from then.
    intended_at: Option<Millis>,
    expected_at: Option<Millis>,
    is_told_given_up: bool,
    answers: u32,
    /// A terminal event was stored.
    has_end: bool,
    /// The second track was reported, and the callback was accepted.
    has_fuller: bool,
    /// More tracks than the task has were reported, and the callback was accepted.
    has_forged_fuller: bool,
    /// A handler was given both tracks of the completed task.
    is_fuller_handled: bool,
    /// The time at which a claim of it was last settled.
    free_since: Millis,
}

/// The history of one run, the state derived from it, and the first promise that was broken.
#[derive(Debug, Default)]
pub(crate) struct Checker {
    plan: Plan,
    /// The time of the current entry, and its process.
    at: Millis,
    by: Process,
    pub(crate) outcome: OperationOutcome,
    events: BTreeMap<EventId, Event>,
    tasks: Vec<Task>,
    committed: BTreeSet<u64>,
    /// The known keys, and whether a source other than a callback confirms them.
    stored: BTreeMap<Key, bool>,
    running: BTreeSet<Process>,
    /// The number of faults in progress that may delay events.
    faults: i64,
    /// The time until which such a fault lasted.
    excused_until: Millis,
    /// The time until which no healthy process had a free slot.
    full_until: Millis,
    /// The latest time since which an event of the current request was ready.
    granted_ready_at: Option<Millis>,
    /// The claims of the running handlers, and whether another worker has claimed their task since.
    handlers: BTreeMap<(Process, usize), (Ticket, bool)>,
}

impl Checker {
    pub(crate) fn new(plan: &Plan) -> Self {
        Self {
            plan: plan.clone(),
            tasks: vec![Task::default(); plan.tasks.len()],
            ..Self::default()
        }
    }

    pub(crate) fn take(&mut self, entry: Entry) {
        (self.at, self.by) = (entry.at, entry.by.unwrap_or_default());
        self.outcome.coverage.count(name(&entry.what));
        self.take_world(&entry);
        match &entry.what {
            What::Answered(body, 200) => {
                promise!(self, S1: self.committed.contains(body), "a 200 without a commit");
            }
            What::Accepted(key, body, is_unconfirmed, accepted) => {
                self.committed.insert(*body);
                if let Some((key, results)) = key {
                    self.accepted(*key, *is_unconfirmed, *accepted);
                    self.says_more(*key, *results);
                }
            }
            What::Granted(claim, is_repeated) => self.granted(claim, *is_repeated),
            What::Claimed => self.claimed(),
            What::Settled(ticket, end, settled) => self.settled(*ticket, end, *settled),
            What::Extended(ticket, lease, holds) => self.extended(*ticket, *lease, *holds),
            What::State(event, key, shown) => self.state(*event, *key, *shown),
            What::Gone(event) => self.gone(*event),
            What::Redriven(event, Redrive::EvenIfSuperseded, RedriveResult::Ready) => {
                self.change(event, |event| event.may_go_back = true);
            }
            what => {
                self.handler(what);
                self.ledger(what);
            }
        }
        self.outcome.history.push(entry);
    }

    /// Changes the known state of an event, unless it is forgotten.
    fn change(&mut self, event: &EventId, change: impl FnOnce(&mut Event)) {
        if let Some(event) = self.events.get_mut(event) {
            change(event);
        }
    }

    fn exempt(&mut self, why: &str) {
        self.outcome.coverage.count(format!("exemption of {why}"));
    }

    fn accepted(&mut self, key: Key, is_unconfirmed: bool, accepted: Acceptance) {
        if accepted == Acceptance::Quarantined {
            return;
        }
        let may_be = accepted != Acceptance::Late || self.is_superseded(key);
        promise!(self, S9: may_be, "{key:?} is late because of unconfirmed events");
        // A late one may be a revision.
        let is_revision = accepted == Acceptance::Revised
            || accepted == Acceptance::Late && self.stored.contains_key(&key);
        let is_new = matches!(accepted, Acceptance::New | Acceptance::Late) && !is_revision;
        let is_known = self.stored.contains_key(&key);
        *self.stored.entry(key).or_default() |= !is_unconfirmed;
        if is_new {
            self.tasks[key.task].has_end |= key.stage.stage().is_terminal();
            promise!(self, S2: !is_known, "{key:?} is known, and accepted as {accepted:?}");
        } else {
            promise!(self, S7: is_known, "{key:?} is unknown, and accepted as {accepted:?}");
        }
    }

    /// An event is late only because of a later stage that is confirmed or done.
    fn is_superseded(&self, key: Key) -> bool {
        let is_done = |key: Key| self.find(key, |event| event.shown.state == StateName::Done);
        self.stored.iter().any(|(other, is_confirmed)| {
            other.task == key.task
                && other.stage.stage().supersedes(&key.stage.stage())
                && (*is_confirmed || is_done(*other))
        })
    }

    fn find(&self, key: Key, is: impl Fn(&Event) -> bool) -> bool {
        let mut events = self.events.values();
        events.any(|event| event.key.is_of_stage(key) && is(event))
    }

    /// The task of an event, and how often its handlers have started.
    pub(crate) fn event(&self, event: EventId) -> Option<(usize, u32)> {
        let event = self.events.get(&event)?;
        Some((event.key.task, event.begun))
    }

    pub(crate) fn submitted_at(&self, task: usize) -> Option<Millis> {
        self.tasks.get(task)?.submitted_at
    }

    pub(crate) fn changes(&self, now: Millis, task: usize, records: &[EventRecord]) -> Vec<What> {
        let mut changes = Vec::new();
        for record in records {
            let before = self.events.get(&record.id).map(|event| event.shown);
            let shown = shown(record, now, before);
            if before != Some(shown) {
                changes.push(What::State(record.id, key_of(&record.key), shown));
            }
        }
        let is_shown = |id: &EventId| records.iter().any(|record| record.id == *id);
        let of_task = self
            .events
            .iter()
            .filter(|(_, event)| event.key.task == task);
        let gone = of_task.filter(|(id, _)| !is_shown(id));
        changes.extend(gone.map(|(id, _)| What::Gone(*id)));
        changes
    }

    fn state(&mut self, event: EventId, key: Key, shown: Shown) {
        let at = self.at;
        let mut others = self.events.iter();
        let other = others.find(|(id, other)| **id != event && other.key == key);
        promise!(self, S2: other.is_none(), "{key:?} is two events");
        let ready_at = match shown.state {
            StateName::Claimed | StateName::Waiting => shown.until,
            _ => at,
        };
        let known = self.events.entry(event).or_insert_with(|| Event {
            key,
            shown,
            stored_at: at,
            open_since: at,
            ready_at,
            ready_first_at: ready_at,
            lone_lapses: 0,
            lease: None,
            latest: None,
            settled_by: None,
            begun: 0,
            handled: None,
            told_dead: false,
            gave_up: None,
            may_go_back: false,
        });
        let was_open = is_open(known.shown.state);
        if known.shown.state != shown.state || shown.until != known.shown.until {
            let was_ready = known.shown.state == StateName::Waiting && known.shown.until <= at;
            known.ready_at = ready_at;
            if !(was_ready && shown.state == StateName::Ready) {
                known.ready_first_at = ready_at;
            }
        }
        if !was_open && is_open(shown.state) {
            (known.open_since, known.told_dead, known.lone_lapses) = (at, false, 0);
        }
        if shown.state != StateName::Claimed {
            known.lease = None;
        }
        known.shown = shown;
    }

    /// An event may be forgotten only if it is settled and old.
    fn gone(&mut self, event: EventId) {
        let Some(event) = self.events.remove(&event) else {
            return;
        };
        if !self.find(event.key, |_| true) {
            let first = Key::first(event.key.task, event.key.stage);
            self.stored.remove(&first);
        }
        let kept_for = match event.shown.state {
            StateName::Done | StateName::Superseded => self.plan.knobs.keys_for_ms,
            StateName::Dead => 2 * self.plan.knobs.keys_for_ms,
            _ => Millis::MAX,
        };
        let (key, age) = (event.key, self.at - event.stored_at);
        promise!(self, S2: age >= kept_for, "{key:?} was forgotten after {age} ms");
    }
}

fn is_open(state: StateName) -> bool {
    use StateName::{Claimed, Ready, Waiting};
    matches!(state, Ready | Claimed | Waiting)
}

/// The state that a record shows. A state that has ended keeps its end.
fn shown(record: &EventRecord, now: Millis, before: Option<Shown>) -> Shown {
    let state = StateName::from(record.state);
    let ended = before.filter(|before| before.state == state && before.until <= now);
    let left = match record.state {
        EventState::Claimed { holds_for: left } | EventState::Waiting { ready_in: left } => left,
        _ => Duration::MAX,
    };
    let until = match (millis(left), ended) {
        (Millis::MAX, _) => 0,
        (0, Some(ended)) => ended.until,
        (left, _) => now + left,
    };
    Shown {
        state,
        until,
        attempts: record.attempts,
        lapses: record.lapses,
        results: record.results,
    }
}
