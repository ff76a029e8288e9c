//! Reads the events of tasks, so that the rules can be applied to them.
//!
//! Every reading that decides anything is a statement after the one that locks the tasks: a statement
//! that has waited for a lock still sees the rows of before.

use std::collections::HashMap;
use std::time::Duration;

use bytes::Bytes;
use suno_callback::rules::{StoredConflict, StoredEvent, StoredPrint, StoredState, TaskEvents};
use suno_callback::{ConflictRecord, EventId, EventKey, Settlement, Ticket, VerifiedBy};
use suno_types::{Code, Stage, TaskId};
use tokio_postgres::Row;

use crate::columns::{self as columns, Columns, since_start};
use crate::connect::Error;

/// The columns of an event with its task and its state.
macro_rules! events {
    ($from:literal where $where:literal) => {
        concat!(
            "SELECT t.no, t.id, e.no, e.stage, e.revision, e.code, e.product, e.results, e.suffix,
                e.submit, e.reference, e.kind, e.source, e.verified_by, e.unconfirmed,
                e.received_at, e.stored_at, e.strict, e.semantic,
                coalesce(w.state, p.state), w.due, w.at, coalesce(w.open_since, p.open_since),
                coalesce(w.attempts, p.attempts), coalesce(w.lapses, p.lapses),
                coalesce(w.epoch, p.epoch), coalesce(w.worker, p.worker),
                coalesce(w.nudges, p.nudges), coalesce(w.reason, p.reason), p.cause, w.request,
                m.epoch, m.worker,
                EXISTS (SELECT FROM {schema}.body b WHERE b.event_no = e.no) ",
            $from,
            " LEFT JOIN {schema}.work w ON w.event_no = e.no
              LEFT JOIN {schema}.past p ON p.event_no = e.no
              LEFT JOIN {schema}.settled_in m ON m.event_no = e.no ",
            $where,
            " ORDER BY e.no"
        )
    };
}

/// The columns of the conflicts of events.
macro_rules! conflicts {
    ($of:literal) => {
        concat!(
            "SELECT c.event_no, c.strict, c.semantic, c.raw IS NOT NULL
             FROM {schema}.conflict c WHERE c.event_no = ANY (ARRAY(",
            $of,
            "))"
        )
    };
}

pub(crate) use {conflicts, events};

/// The events of tasks with these keys.
pub(crate) const EVENTS_OF_KEYS: &str = events!(
    "FROM {schema}.task t LEFT JOIN {schema}.event e ON e.task_no = t.no"
    where "WHERE t.key = ANY ($1)"
);
/// The conflicts of the events of tasks with these keys.
pub(crate) const CONFLICTS_OF_KEYS: &str = conflicts!(
    "SELECT e.no FROM {schema}.task t JOIN {schema}.event e ON e.task_no = t.no
     WHERE t.key = ANY ($1)"
);
/// The events of these tasks.
pub(crate) const EVENTS_OF_TASKS: &str = events!(
    "FROM {schema}.task t LEFT JOIN {schema}.event e ON e.task_no = t.no"
    where "WHERE t.no = ANY ($1)"
);

/// What is known of an event before an operation.
#[derive(Debug)]
pub(crate) struct Former {
    pub(crate) event: StoredEvent,
    /// Its place in the queue.
    pub(crate) at: Option<i64>,
    /// The number of the request that was granted its latest claim.
    pub(crate) request: Option<i64>,
    /// Whether a user's transaction has settled it.
    pub(crate) settled_in: bool,
}

/// A task with its events, before and after an operation.
#[derive(Debug)]
pub(crate) struct Task {
    pub(crate) no: i64,
    pub(crate) id: TaskId,
    pub(crate) events: TaskEvents,
    pub(crate) former: Vec<Former>,
}

/// The tasks of an operation.
#[derive(Debug, Default)]
pub(crate) struct Tasks {
    pub(crate) tasks: Vec<Task>,
    by_id: HashMap<TaskId, usize>,
    by_event: HashMap<EventId, usize>,
}

impl Tasks {
    /// Reads tasks. What users' transactions have settled is done from `now` on.
    pub(crate) fn read(events: &[Row], conflicts: &[Row], now: Duration) -> Result<Self, Error> {
        let mut tasks = Self::default();
        tasks.add(events, conflicts, now)?;
        Ok(tasks)
    }

    /// Reads further tasks.
    pub(crate) fn add(
        &mut self,
        events: &[Row],
        conflicts: &[Row],
        now: Duration,
    ) -> Result<(), Error> {
        let mut conflicts = read_conflicts(conflicts)?;
        let first_new = self.tasks.len();
        for row in events {
            let mut columns = Columns::of(row);
            let no: i64 = columns.next()?;
            let id = columns::task_id(columns.next()?)?;
            let place = *self.by_id.entry(id.clone()).or_insert(self.tasks.len());
            if place == self.tasks.len() {
                self.tasks.push(Task {
                    no,
                    id,
                    events: TaskEvents::default(),
                    former: Vec::new(),
                });
            }
            let task = &mut self.tasks[place];
            if let Some(mut former) = read_event(&mut columns, &task.id)? {
                let event = former.event.id;
                former.event.conflicts = conflicts.remove(&event).unwrap_or_default();
                self.by_event.insert(event, place);
                task.events.events.push(former.event.clone());
                task.former.push(former);
            }
        }
        for task in &mut self.tasks[first_new..] {
            task.take_notice(now);
        }
        Ok(())
    }

    /// Returns the task with this id.
    pub(crate) fn of(&mut self, id: &TaskId) -> Option<&mut Task> {
        Some(&mut self.tasks[*self.by_id.get(id)?])
    }

    /// Returns the task of an event.
    pub(crate) fn of_event(&mut self, event: EventId) -> Option<&mut Task> {
        Some(&mut self.tasks[*self.by_event.get(&event)?])
    }

    /// Returns whether a task was read already.
    pub(crate) fn contains(&self, no: i64) -> bool {
        self.tasks.iter().any(|task| task.no == no)
    }

    /// Returns the events as they are now, in the order of their numbers.
    pub(crate) fn into_events(self) -> Vec<StoredEvent> {
        let tasks = self.tasks.into_iter();
        let mut events: Vec<_> = tasks.flat_map(|task| task.events.events).collect();
        events.sort_unstable_by_key(|event| event.id);
        events
    }
}

impl Task {
    /// Settles the events that a user's transaction has settled.
    fn take_notice(&mut self, now: Duration) {
        for former in &self.former {
            if former.settled_in {
                let event = &former.event;
                let ticket = Ticket {
                    event: event.id,
                    epoch: event.epoch,
                    worker: event.worker,
                };
                self.events.settle(&ticket, &Settlement::Done, now);
            }
        }
    }

    /// Returns what an event was before the operation.
    pub(crate) fn former(&self, event: EventId) -> Option<&Former> {
        self.former.iter().find(|former| former.event.id == event)
    }
}

fn read_conflicts(rows: &[Row]) -> Result<HashMap<EventId, Vec<StoredConflict>>, Error> {
    let mut conflicts: HashMap<_, Vec<_>> = HashMap::new();
    for row in rows {
        let mut columns = Columns::of(row);
        let event = EventId(columns.next()?);
        let conflict = StoredConflict::new(
            read_print(&mut columns)?,
            ConflictRecord::new(body(columns.next()?)),
        );
        conflicts.entry(event).or_default().push(conflict);
    }
    Ok(conflicts)
}

fn read_print(columns: &mut Columns<'_>) -> Result<StoredPrint, Error> {
    let strict = columns::fingerprint(columns.next()?)?;
    Ok(StoredPrint::new(
        strict,
        columns::fingerprint(columns.next()?)?,
    ))
}

/// What stands for a body that is there: the rules ask only whether it is.
fn body(is_there: bool) -> Option<Bytes> {
    is_there.then(Bytes::new)
}

/// Reads an event, or `None` if the task has none.
fn read_event(columns: &mut Columns<'_>, task_id: &TaskId) -> Result<Option<Former>, Error> {
    let Some(no) = columns.next::<Option<i64>>()? else {
        return Ok(None);
    };
    let stage = Stage::from(&*columns::word(columns.next()?));
    let revision: i16 = columns.next()?;
    let key = EventKey::new(task_id.clone(), stage).with_revision(revision.unsigned_abs().into());
    // The fingerprints and the state come later.
    let code = Code(columns.next()?);
    let product = columns::product(columns.next()?);
    let results: i32 = columns.next()?;
    let suffix = columns::suffix(columns.next()?);
    let submit = columns::submit(columns.next()?)?;
    let reference = columns::reference(columns.next()?)?;
    let kind: Option<&str> = columns.next()?;
    let source = columns::source(columns.next()?);
    let verified_by: i16 = columns.next()?;
    let unconfirmed = columns.next()?;
    let received_at = columns::time(columns.next()?)?;
    let stored_at = since_start(columns.next()?);
    let print = read_print(columns)?;
    let mut event = StoredEvent::ready(EventId(no), key, print, stored_at);
    event.code = code;
    event.product = product;
    event.results = u16::try_from(results).unwrap_or(u16::MAX);
    event.suffix = suffix;
    event.submit = submit;
    event.reference = reference;
    event.kind = kind.map(columns::kind).transpose()?;
    event.source = source;
    event.verified_by = VerifiedBy::from_bits(verified_by.to_le_bytes()[0]);
    event.unconfirmed = unconfirmed;
    event.received_at = received_at;
    let at = read_state(columns, &mut event)?;
    let request = columns.next()?;
    let settled_in = read_settled_in(columns, &event)?;
    event.raw = body(columns.next()?);
    Ok(Some(Former {
        event,
        at,
        request,
        settled_in,
    }))
}

/// Reads the state of an event, and returns its place in the queue.
fn read_state(columns: &mut Columns<'_>, event: &mut StoredEvent) -> Result<Option<i64>, Error> {
    let Some(state) = columns.next::<Option<i16>>()? else {
        return Err(Error::Damaged("an event has no state"));
    };
    let due: Option<i64> = columns.next()?;
    event.state = columns::state(state, due.unwrap_or_default())?;
    let at = columns.next()?;
    event.open_since = since_start(columns.next()?);
    event.attempts = columns::number(columns.next()?);
    event.lapses = columns::number(columns.next()?);
    event.epoch = columns::number(columns.next()?);
    event.worker = columns::worker(columns.next()?);
    let nudges: i32 = columns.next()?;
    event.nudges = nudges.unsigned_abs();
    event.reason = columns.next()?;
    let cause: Option<&str> = columns.next()?;
    event.dead_cause = cause.and_then(suno_callback::DeadCause::from_word);
    Ok(at)
}

/// Returns whether a user's transaction has settled the latest claim of the event.
fn read_settled_in(columns: &mut Columns<'_>, event: &StoredEvent) -> Result<bool, Error> {
    let epoch: Option<i64> = columns.next()?;
    let worker: Option<i64> = columns.next()?;
    let is_claimed = matches!(event.state, StoredState::Claimed { .. });
    Ok(is_claimed
        && epoch == Some(event.epoch.into())
        && worker == Some(columns::worker_column(event.worker)))
}
