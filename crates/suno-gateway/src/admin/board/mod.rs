//! The list of tasks, newest first, from their submit on. A store lists events, oldest first; a person
//! looks for tasks. So the latest tasks are kept in memory, within a bound, and are brought up to date when
//! somebody asks.

mod index;
mod row;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use jiff::Timestamp;

use serde_json::{Value, json};
use suno_callback::{
    Clock, EventFilter, EventId, EventRecord, IdempotencyStore, ListRequest, Page, RecordedTask,
    StoreError,
};
use suno_types::TaskId;
use tokio::sync::Mutex;
use tokio::sync::broadcast::{Receiver, error::TryRecvError};

use super::feed::{Change, Feed};
use index::Index;
use row::Row;
pub(super) use row::{EXPECTED, Filter};

/// The number of events that are looked at when the first list is asked for: the latest ones.
const EVENTS_MAX: i64 = 40_000;
/// The number of events that the store is asked for at a time.
const STEP: u32 = 500;
/// The number of events that are listed again, because a store with several writers may show an event
/// after one with a larger number.
const WINDOW: i64 = 256;
/// The number of open tasks that are looked at again, because other processes and time change them.
const OPEN_MAX: usize = 500;
/// The number of expected tasks that are looked at again: as many of the latest ones, among which are
/// those that other processes have submitted, as of those that are due first.
const EXPECTED_MAX: u32 = 500;
/// The time between two such looks.
const OPEN_INTERVAL: Duration = Duration::from_secs(2);

/// The latest tasks of a store.
#[derive(Debug)]
pub(super) struct Board {
    state: Mutex<State>,
    /// Whether a task was submitted since the last look.
    has_submits: AtomicBool,
    /// Tells versions of different processes apart.
    epoch: i64,
}

#[derive(Debug, Default)]
struct State {
    index: Index,
    /// The last event that was seen.
    cursor: Option<EventId>,
    /// The events of the window that were seen.
    seen: BTreeSet<EventId>,
    is_filled: bool,
    changes: Option<Receiver<Change>>,
    deliveries: Option<Receiver<TaskId>>,
    open_at: Duration,
}

/// What a list shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Question {
    /// Rows that match, older than a row.
    Page {
        filter: Filter,
        before: Option<i64>,
        rows_max: usize,
    },
    /// Rows that changed after a version that an earlier answer has.
    Changes { after: String, rows_max: usize },
}

impl Board {
    pub(super) fn new(clock: &dyn Clock) -> Self {
        Self {
            state: Mutex::default(),
            has_submits: AtomicBool::new(false),
            epoch: clock.now().as_millisecond(),
        }
    }

    /// Shows tasks that this process has just submitted in the next answer.
    pub(super) fn note_submit(&self) {
        self.has_submits.store(true, Ordering::Release);
    }

    /// Answers with rows as JSON.
    ///
    /// # Errors
    ///
    /// Returns [`StoreError`] if the store cannot be read.
    pub(super) async fn answer(
        &self,
        question: &Question,
        store: &dyn IdempotencyStore,
        feed: &Feed,
        clock: &dyn Clock,
    ) -> Result<Value, StoreError> {
        let mut state = self.state.lock().await;
        let must_look = self.has_submits.swap(false, Ordering::Acquire);
        let caught_up = state.catch_up(store, feed, clock, must_look).await;
        if caught_up.is_err() && must_look {
            self.note_submit();
        }
        caught_up?;
        let mut head = json!({
            "cursor": state.cursor.unwrap_or(EventId(0)).to_string(),
            "resync": false,
            "more": false,
        });
        let (tasks, version) = match question {
            Question::Page {
                filter,
                before,
                rows_max,
            } => {
                let version = state.index.version();
                let selected = state.index.select(filter, *before, *rows_max);
                let unread = selected.tasks.iter();
                let unread = unread.filter(|task| !state.index.has_bodies(task));
                let unread = unread
                    .filter_map(|task| TaskId::new(&**task).ok())
                    .collect();
                state.read(&unread, store, clock.now()).await?;
                let last = selected.tasks.last().filter(|_| selected.has_more);
                let last = last.and_then(|task| state.index.row(task));
                head["next"] = json!(last.map(|row| row.order.to_string()));
                head["total"] = json!(selected.total);
                (selected.tasks, version)
            }
            Question::Changes { after, rows_max } => match self.version(after) {
                Some(after)
                    if after <= state.index.version() && !state.index.is_outdated(after) =>
                {
                    let (tasks, last) = state.index.changed(after, *rows_max);
                    head["more"] = json!(last < state.index.version());
                    (tasks, last)
                }
                _ => {
                    head["resync"] = json!(true);
                    (Vec::new(), state.index.version())
                }
            },
        };
        let rows = tasks.iter().filter_map(|task| state.index.row(task));
        head["tasks"] = rows.map(Row::json).collect();
        head["version"] = json!(format!("{}.{version}", self.epoch));
        head["needs_person"] = json!(state.index.needing_person());
        Ok(head)
    }

    /// Reads a version of this process.
    fn version(&self, text: &str) -> Option<u64> {
        let (epoch, version) = text.split_once('.')?;
        version
            .parse()
            .ok()
            .filter(|_| epoch.parse() == Ok(self.epoch))
    }
}

impl State {
    async fn catch_up(
        &mut self,
        store: &dyn IdempotencyStore,
        feed: &Feed,
        clock: &dyn Clock,
        mut must_look: bool,
    ) -> Result<(), StoreError> {
        let mut changed = BTreeSet::new();
        must_look |= self.drain(feed, &mut changed);
        if !self.is_filled {
            self.fill(store, clock.now()).await?;
        }
        let mut after = self.cursor.map(|cursor| EventId(cursor.0 - WINDOW));
        loop {
            let page = list(store, after).await?;
            for event in &page.records {
                if self.note(event.id) {
                    changed.insert(event.key.task_id().clone());
                }
            }
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        let now = clock.monotonic();
        must_look |= now.saturating_sub(self.open_at) >= OPEN_INTERVAL;
        if must_look {
            self.open_at = now;
            let open = self.index.open(OPEN_MAX);
            changed.extend(open.iter().filter_map(|task| TaskId::new(&**task).ok()));
            self.look_at_expected(store, clock.now(), &mut changed)
                .await?;
        }
        self.read(&changed, store, clock.now()).await
    }

    /// Looks at expected tasks, and adds those whose events must be read.
    async fn look_at_expected(
        &mut self,
        store: &dyn IdempotencyStore,
        now: Timestamp,
        changed: &mut BTreeSet<TaskId>,
    ) -> Result<(), StoreError> {
        let mut recorded = store.expected_tasks(None, EXPECTED_MAX).await?;
        let listed: BTreeSet<_> = recorded.iter().map(|task| task.task_id.as_str()).collect();
        let others = self.index.expected().into_iter().map(|(_, task)| task);
        let others = others.filter(|task| !listed.contains(task));
        let others: Vec<_> = others
            .take(EXPECTED_MAX as usize)
            .filter_map(|task| TaskId::new(task).ok())
            .collect();
        recorded.extend(store.recorded_tasks(&others).await?);
        for task in recorded {
            let id = task.task_id.as_str();
            match self.index.row(id) {
                // Forgotten without an event: it was given up, or an event has just arrived.
                Some(row) if !row.has_events() && task.expectation.is_none() => {
                    changed.insert(task.task_id);
                }
                Some(row) => {
                    let row = row.with_recorded(&task, now);
                    self.index.put(id, row, false);
                }
                None => {
                    let row = Row::of(&[], &task, now);
                    if row.is_some_and(|row| self.index.takes(row.order)) {
                        changed.insert(task.task_id);
                    }
                }
            }
        }
        Ok(())
    }

    /// Lists the latest events without their bodies, and the latest expected tasks. The bodies of a row
    /// are read when it is asked for.
    async fn fill(
        &mut self,
        store: &dyn IdempotencyStore,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let mut tasks = BTreeMap::<TaskId, Vec<EventRecord>>::new();
        let mut after = first_cursor(store).await?;
        loop {
            let page = list(store, after).await?;
            for event in page.records {
                self.note(event.id);
                let task = tasks.entry(event.key.task_id().clone());
                task.or_default().push(event);
            }
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        let mut latest: Vec<_> = tasks.keys().cloned().collect();
        latest.sort_by_key(|task| std::cmp::Reverse(tasks[task].first().map(|event| event.id)));
        latest.truncate(Index::TASKS_MAX);
        let mut recorded = expected(store).await?;
        for some in latest.chunks(STEP as usize) {
            recorded.extend(store.recorded_tasks(some).await?);
        }
        let recorded = recorded
            .into_iter()
            .map(|task| (task.task_id.clone(), task));
        let recorded: BTreeMap<TaskId, RecordedTask> = recorded.collect();
        // The oldest first: that is the order of their versions, and the oldest go if there are too
        // many. Ties are in the order of the ids, as after every start.
        let mut rows: Vec<_> = recorded
            .values()
            .filter_map(|task| {
                let events = tasks.get(&task.task_id).map_or(&[][..], Vec::as_slice);
                Row::of(events, task, now).map(|row| (&task.task_id, row))
            })
            .collect();
        rows.sort_by_key(|(_, row)| row.order);
        for (task, row) in rows {
            self.index.put(task.as_str(), row, false);
        }
        self.is_filled = true;
        Ok(())
    }

    /// Remembers an event. Returns false if it was seen before.
    fn note(&mut self, event: EventId) -> bool {
        let is_new = self.seen.insert(event);
        self.cursor = self.cursor.max(Some(event));
        while self
            .seen
            .first()
            .is_some_and(|first| first.0 <= self.cursor.map_or(0, |c| c.0) - WINDOW)
        {
            self.seen.pop_first();
        }
        is_new
    }

    /// Takes what this process has changed. Returns true if it may have missed something.
    fn drain(&mut self, feed: &Feed, changed: &mut BTreeSet<TaskId>) -> bool {
        let changes = self.changes.get_or_insert_with(|| feed.changes());
        let missed_change = drain(changes, |change| {
            changed.insert(change.key.task_id().clone());
        });
        let deliveries = self.deliveries.get_or_insert_with(|| feed.deliveries());
        let missed_delivery = drain(deliveries, |task| {
            changed.insert(task);
        });
        missed_change || missed_delivery
    }

    /// Reads tasks anew.
    async fn read(
        &mut self,
        tasks: &BTreeSet<TaskId>,
        store: &dyn IdempotencyStore,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let tasks: Vec<_> = tasks.iter().cloned().collect();
        for some in tasks.chunks(STEP as usize) {
            for task in store.recorded_tasks(some).await? {
                let events = store.find(&task.task_id).await?;
                match Row::of(&events, &task, now) {
                    Some(row) => self.index.put(task.task_id.as_str(), row, true),
                    None => self.index.forget(task.task_id.as_str()),
                }
            }
        }
        Ok(())
    }
}

/// Lists the latest expected tasks, as many as there can be rows.
async fn expected(store: &dyn IdempotencyStore) -> Result<Vec<RecordedTask>, StoreError> {
    let mut tasks: Vec<RecordedTask> = Vec::new();
    while tasks.len() < Index::TASKS_MAX {
        let last = tasks.last().and_then(|task| task.expectation);
        let page = store
            .expected_tasks(last.map(|last| last.number), STEP)
            .await?;
        let is_end = page.len() < STEP as usize;
        tasks.extend(page);
        if is_end {
            break;
        }
    }
    Ok(tasks)
}

/// Takes everything that waits. Returns true if something was missed.
fn drain<T: Clone>(waiting: &mut Receiver<T>, mut take: impl FnMut(T)) -> bool {
    loop {
        match waiting.try_recv() {
            Ok(one) => take(one),
            Err(TryRecvError::Lagged(_)) => return true,
            Err(TryRecvError::Empty | TryRecvError::Closed) => return false,
        }
    }
}

async fn list(
    store: &dyn IdempotencyStore,
    after: Option<EventId>,
) -> Result<Page<EventRecord>, StoreError> {
    let mut request = ListRequest::first(STEP, EventFilter::default());
    request.after = after;
    store.list(&request).await
}

/// Returns where the latest events begin. Numbers rise, so their end is found by halving.
async fn first_cursor(store: &dyn IdempotencyStore) -> Result<Option<EventId>, StoreError> {
    let (mut low, mut high) = (0, i64::MAX);
    while low < high {
        let middle = low + (high - low) / 2;
        let request = ListRequest::first(1, EventFilter::default()).with_after(EventId(middle));
        match store.list(&request).await?.records.is_empty() {
            true => high = middle,
            false => low = middle + 1,
        }
    }
    Ok((low > EVENTS_MAX).then(|| EventId(low - EVENTS_MAX)))
}
