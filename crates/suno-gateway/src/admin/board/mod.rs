//! The list of tasks, newest first. A store lists events, oldest first; a person looks for tasks. So the
//! latest tasks are kept in memory, within a bound, and are brought up to date when somebody asks.

mod index;
mod row;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde_json::{Value, json};
use suno_callback::{
    Clock, EventFilter, EventId, EventRecord, IdempotencyStore, ListRequest, Page, StoreError,
};
use suno_types::TaskId;
use tokio::sync::Mutex;
use tokio::sync::broadcast::{Receiver, error::TryRecvError};

use super::feed::{Change, Feed};
use index::Index;
pub(super) use row::Filter;
use row::Row;

/// The number of events that are looked at when the first list is asked for: the latest ones.
const EVENTS_MAX: i64 = 40_000;
/// The number of events that the store is asked for at a time.
const STEP: u32 = 500;
/// The number of events that are listed again, because a store with several writers may show an event
/// after one with a larger number.
const WINDOW: i64 = 256;
/// The number of open tasks that are looked at again, because other processes and time change them.
const OPEN_MAX: usize = 500;
/// The time between two such looks.
const OPEN_INTERVAL: Duration = Duration::from_secs(2);

/// The latest tasks of a store.
#[derive(Debug)]
pub(super) struct Board {
    state: Mutex<State>,
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
            epoch: clock.now().as_millisecond(),
        }
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
        state.catch_up(store, feed, clock).await?;
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
                for task in &selected.tasks {
                    if !state.index.has_bodies(task) {
                        state.read(task, store).await?;
                    }
                }
                let last = selected.tasks.last().filter(|_| selected.has_more);
                let last = last.and_then(|task| state.index.row(task));
                head["next"] = json!(last.map(|row| row.first_id.to_string()));
                head["total"] = json!(selected.total);
                (selected.tasks, version)
            }
            Question::Changes { after, rows_max } => match self.version(after) {
                Some(after) if after <= state.index.version() => {
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
    ) -> Result<(), StoreError> {
        let mut changed = BTreeSet::new();
        let mut must_look = self.drain(feed, &mut changed);
        if !self.is_filled {
            self.fill(store).await?;
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
        }
        for task in &changed {
            self.read(task.as_str(), store).await?;
        }
        Ok(())
    }

    /// Lists the latest events without their bodies. The bodies of a row are read when it is asked for.
    async fn fill(&mut self, store: &dyn IdempotencyStore) -> Result<(), StoreError> {
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
        // The oldest first: that is the order of their versions, and the oldest go if there are too
        // many.
        let mut rows: Vec<_> = tasks
            .iter()
            .filter_map(|(task, events)| Some((task, Row::of(events)?)))
            .collect();
        rows.sort_by_key(|(_, row)| row.first_id);
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

    /// Reads a task anew.
    async fn read(&mut self, task: &str, store: &dyn IdempotencyStore) -> Result<(), StoreError> {
        let Ok(id) = TaskId::new(task) else {
            return Ok(());
        };
        match Row::of(&store.find(&id).await?) {
            Some(row) => self.index.put(task, row, true),
            None => self.index.remove(task),
        }
        Ok(())
    }
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
