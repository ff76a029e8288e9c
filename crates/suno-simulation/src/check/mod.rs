//! Checks each entry as it is added to the history, so that a run stops where a promise is broken.

mod claims;
mod ends;
mod handlers;
mod readiness;

use std::collections::{BTreeMap, BTreeSet};

use suno_callback::{Accepted, Redriven, StateName};

use crate::coverage::Coverage;
use crate::history::{Entry, EventNumber, Row, Shown, Ticket, Violation, What};
use crate::plan::{Millis, Plan, StageName};
use handlers::Handlers;
use readiness::Readiness;

/// What is known of an event from the operations on it.
#[derive(Debug)]
struct Event {
    task: usize,
    stage: StageName,
    shown: Shown,
    stored_at: Millis,
    /// When it was stored, redriven or decided.
    open_since: Millis,
    /// When it became claimable, or does.
    ready_at: Millis,
    /// The same, if what made it ready again does not count because it was ready already. A store may
    /// order by either.
    ready_first_at: Millis,
    attempts: u32,
    lapses: u32,
    /// How many claims have lapsed in a row beside which its worker held no others.
    lone_lapses: u32,
    claim: Option<Claim>,
    /// The ticket of the latest claim, also when it is settled.
    latest: Option<Ticket>,
    settled_by: Option<Ticket>,
    told_dead: bool,
    gave_up: Option<Ticket>,
    /// A person has said that it is handled although a later stage was.
    may_go_back: bool,
}

/// A claim that is not settled.
#[derive(Debug, Clone, Copy)]
struct Claim {
    ticket: Ticket,
    by: (usize, u32),
    until: Millis,
    is_alone: bool,
}

/// What is known of a task.
#[derive(Debug, Default, Clone)]
struct Task {
    is_submitted: bool,
    /// When its submit was written down, which its age is counted from.
    intended_at: Option<Millis>,
    expected_at: Option<Millis>,
    is_told_given_up: bool,
    answers: u32,
    /// An event of a last stage was stored.
    has_end: bool,
    /// When a claim of it was settled last.
    free_since: Millis,
}

/// The checks of one run.
#[derive(Debug)]
pub(crate) struct Checker {
    plan: Plan,
    events: BTreeMap<EventNumber, Event>,
    tasks: Vec<Task>,
    committed: BTreeSet<u64>,
    /// The keys that are known, and whether something else than a callback confirms them.
    stored: BTreeMap<(usize, StageName), bool>,
    readiness: Readiness,
    handlers: Handlers,
    pub(crate) coverage: Coverage,
}

impl Checker {
    pub(crate) fn new(plan: &Plan) -> Self {
        Self {
            plan: plan.clone(),
            events: BTreeMap::new(),
            tasks: vec![Task::default(); plan.tasks.len()],
            committed: BTreeSet::new(),
            stored: BTreeMap::new(),
            readiness: Readiness::new(plan),
            handlers: Handlers::default(),
            coverage: Coverage::default(),
        }
    }

    /// Takes in an entry.
    pub(crate) fn take(&mut self, entry: &Entry) -> Result<(), Violation> {
        let at = entry.at;
        self.coverage.take(entry);
        self.take_world(entry);
        match &entry.what {
            What::Submitted { task } => self.tasks[*task].is_submitted = true,
            What::Answered {
                body, status: 200, ..
            } if !self.committed.contains(body) => {
                return Err(Violation::new(Row::S1, "a 200 without a commit"));
            }
            What::Accepted { .. } => self.accepted(&entry.what)?,
            What::Granted(grant) => self.granted(at, entry.by.unwrap_or_default(), grant)?,
            What::Claimed { .. } => self.claimed(at)?,
            What::Settled {
                ticket,
                end,
                settled,
            } => self.settled(at, *ticket, *end, *settled)?,
            What::Extended {
                ticket,
                lease,
                is_extended,
            } => {
                self.extended(at, *ticket, *lease, *is_extended)?;
            }
            What::Redriven {
                event,
                even_if_superseded: true,
                redriven: Redriven::Ready,
            } => {
                self.events
                    .entry(*event)
                    .and_modify(|event| event.may_go_back = true);
            }
            What::State {
                event,
                task,
                stage,
                shown,
            } => {
                self.state(at, *event, *task, *stage, *shown);
            }
            What::Gone { event } => self.gone(at, *event)?,
            what => {
                self.handler(at, entry.by, what)?;
                self.ledger(at, what)?;
            }
        }
        Ok(())
    }

    fn accepted(&mut self, what: &What) -> Result<(), Violation> {
        let What::Accepted {
            task,
            stage,
            body,
            unconfirmed,
            accepted,
        } = what
        else {
            return Ok(());
        };
        self.committed.insert(*body);
        let (Some(task), Some(stage)) = (task, stage) else {
            return Ok(());
        };
        let is_new = matches!(accepted, Accepted::New | Accepted::Late);
        let is_known = self.stored.contains_key(&(*task, *stage));
        if *accepted == Accepted::Late {
            self.is_late(*task, *stage)?;
        }
        if *accepted != Accepted::Quarantined {
            *self.stored.entry((*task, *stage)).or_default() |= !unconfirmed;
        }
        if is_new {
            self.tasks[*task].has_end |= stage.is_terminal();
        }
        if is_new && is_known {
            let text = format!("task {task} {stage:?} is stored and accepted as {accepted:?}");
            return Err(Violation::new(Row::S2, text));
        }
        if !is_new && *accepted != Accepted::Quarantined && !is_known {
            let text = format!("task {task} {stage:?} is accepted as {accepted:?} and not stored");
            return Err(Violation::new(Row::S7, text));
        }
        Ok(())
    }

    /// The state of an event that was recorded last.
    pub(crate) fn shown(&self, event: EventNumber) -> Option<Shown> {
        self.events.get(&event).map(|event| event.shown)
    }

    pub(crate) fn task_of(&self, event: EventNumber) -> Option<usize> {
        self.events.get(&event).map(|event| event.task)
    }

    pub(crate) fn events_of(&self, task: usize) -> impl Iterator<Item = EventNumber> {
        let of_task = self
            .events
            .iter()
            .filter(move |(_, event)| event.task == task);
        of_task.map(|(number, _)| *number)
    }

    /// A later stage that is confirmed or done makes an event late, and nothing else does.
    fn is_late(&self, task: usize, stage: StageName) -> Result<(), Violation> {
        let supersedes = |(of, other): &(usize, StageName), is_confirmed: bool| {
            let is_done = || {
                self.find(task, *other)
                    .is_some_and(|event| event.shown.state == StateName::Done)
            };
            *of == task && other.stage().supersedes(&stage.stage()) && (is_confirmed || is_done())
        };
        if self
            .stored
            .iter()
            .any(|(key, is_confirmed)| supersedes(key, *is_confirmed))
        {
            return Ok(());
        }
        let text = format!("task {task} {stage:?} is late because of what nothing has confirmed");
        Err(Violation::new(Row::S9, text))
    }

    fn find(&self, task: usize, stage: StageName) -> Option<&Event> {
        self.events
            .values()
            .find(|event| event.task == task && event.stage == stage)
    }

    fn state(
        &mut self,
        at: Millis,
        event: EventNumber,
        task: usize,
        stage: StageName,
        shown: Shown,
    ) {
        let ready_at = match shown.state {
            StateName::Claimed | StateName::Waiting => shown.until,
            _ => at,
        };
        let known = self.events.entry(event).or_insert_with(|| Event {
            task,
            stage,
            shown,
            stored_at: at,
            open_since: at,
            ready_at,
            ready_first_at: ready_at,
            attempts: 0,
            lapses: 0,
            lone_lapses: 0,
            claim: None,
            latest: None,
            settled_by: None,
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
            known.claim = None;
        }
        (known.attempts, known.lapses) = (shown.attempts, shown.lapses);
        known.shown = shown;
    }

    /// An event may only be forgotten when it is settled and old.
    fn gone(&mut self, at: Millis, event: EventNumber) -> Result<(), Violation> {
        let Some(event) = self.events.remove(&event) else {
            return Ok(());
        };
        self.stored.remove(&(event.task, event.stage));
        let kept_for = match event.shown.state {
            StateName::Done | StateName::Superseded => self.plan.knobs.keys_for_ms,
            StateName::Dead => 2 * self.plan.knobs.keys_for_ms,
            _ => Millis::MAX,
        };
        if at - event.stored_at >= kept_for {
            return Ok(());
        }
        let text = format!(
            "task {} {:?} was forgotten {} ms after it was stored",
            event.task,
            event.stage,
            at - event.stored_at
        );
        Err(Violation::new(Row::S2, text))
    }
}

pub(crate) fn is_open(state: StateName) -> bool {
    matches!(
        state,
        StateName::Ready | StateName::Claimed | StateName::Waiting
    )
}
