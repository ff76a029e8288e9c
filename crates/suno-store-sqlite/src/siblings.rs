//! Reads the events of one task.

use rusqlite::{CachedStatement, OptionalExtension, Row, Transaction, params};
use suno_callback::Sibling;
use suno_types::Stage;

use crate::clock::Micros;
use crate::error::Result;
use crate::keys::Keys;
use crate::row::{DONE, state};

/// An event of a task, as it is stored.
pub(crate) struct StoredSibling {
    pub(crate) id: i64,
    pub(crate) stage: Stage,
    pub(crate) unconfirmed: bool,
    pub(crate) state: i64,
    pub(crate) revision: u32,
    pub(crate) results: u16,
    due: Micros,
}

/// Finds the events of any number of tasks in one transaction.
pub(crate) struct Siblings<'t> {
    merged: CachedStatement<'t>,
    event: CachedStatement<'t>,
    task_id: CachedStatement<'t>,
}

impl<'t> Siblings<'t> {
    pub(crate) fn new(transaction: &'t Transaction<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            merged: Keys::merged(transaction)?,
            // An event without a state is damaged.
            event: transaction.prepare_cached(
                "SELECT id, stage, events.unconfirmed,
                     coalesce(later.state,
                         (SELECT 0 FROM ready WHERE event_id = id),
                         (SELECT state FROM settled WHERE event_id = id),
                         (SELECT 4 FROM dead WHERE event_id = id),
                         -1),
                     coalesce(due, since, 0), revision, results
                 FROM events LEFT JOIN later ON event_id = id
                 WHERE id = ?1 AND task_id = ?2",
            )?,
            task_id: transaction.prepare_cached("SELECT task_id FROM events WHERE id = ?1")?,
        })
    }

    /// Returns all events of the task of an event, in the order of their arrival.
    pub(crate) fn of_event(
        &mut self,
        keys: &Keys,
        task_hash: i64,
        event: i64,
    ) -> rusqlite::Result<Vec<StoredSibling>> {
        let task_id: String = self.task_id.query_row([event], |row| row.get(0))?;
        self.of(keys, task_hash, &task_id)
    }

    /// Returns all events of a task, in the order of their arrival.
    pub(crate) fn of(
        &mut self,
        keys: &Keys,
        task_hash: i64,
        task_id: &str,
    ) -> rusqlite::Result<Vec<StoredSibling>> {
        let mut siblings = Vec::new();
        for event in keys.of_task(&mut self.merged, task_hash)? {
            let sibling = self
                .event
                .query_row(params![event, task_id], StoredSibling::read)
                .optional()?;
            siblings.extend(sibling);
        }
        Ok(siblings)
    }
}

impl StoredSibling {
    fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            id: row.get(0)?,
            stage: Stage::from(row.get_ref(1)?.as_str()?),
            unconfirmed: row.get(2)?,
            state: row.get(3)?,
            due: row.get(4)?,
            revision: row.get(5)?,
            results: row.get(6)?,
        })
    }

    /// Whether other events depend on this one: it is confirmed, or the first of its stage and done.
    pub(crate) fn counts(&self) -> bool {
        !self.unconfirmed || (self.state == DONE && self.revision == 0)
    }

    /// Whether this event makes a new one of a stage late.
    pub(crate) fn makes_late(&self, stage: &Stage) -> bool {
        self.counts() && self.stage.supersedes(stage)
    }

    /// Whether this event supersedes another one of its task.
    pub(crate) fn supersedes(&self, other: &Self) -> bool {
        let is_revision = self.stage == other.stage && self.revision > other.revision;
        self.counts() && (is_revision || self.stage.supersedes(&other.stage))
    }

    /// Returns the event as the rules of the contract see it.
    pub(crate) fn at(&self, now: Micros) -> Result<Sibling> {
        let state = state(self.state, self.due, now)?;
        let sibling = Sibling::new(self.stage.clone(), state, self.unconfirmed);
        Ok(sibling
            .with_revision(self.revision)
            .with_results(self.results))
    }
}

/// Converts all of them.
pub(crate) fn at(siblings: &[StoredSibling], now: Micros) -> Result<Vec<Sibling>> {
    siblings.iter().map(|sibling| sibling.at(now)).collect()
}
