//! The events of one task.

use rusqlite::{CachedStatement, OptionalExtension, Row, Transaction, params};
use suno_types::Stage;

use crate::keys::Keys;

/// An event of a task, as far as it matters to its siblings.
pub(crate) struct Sibling {
    pub(crate) id: i64,
    pub(crate) stage: Stage,
    pub(crate) state: i64,
    pub(crate) due: i64,
}

/// Finds the events of tasks, any number of them in one transaction.
pub(crate) struct Siblings<'t> {
    merged: CachedStatement<'t>,
    event: CachedStatement<'t>,
}

impl<'t> Siblings<'t> {
    pub(crate) fn new(transaction: &'t Transaction<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            merged: Keys::merged(transaction)?,
            // An event that stands nowhere has no known state.
            event: transaction.prepare_cached(
                "SELECT id, stage,
                     coalesce(open.state, (SELECT state FROM settled WHERE event_id = id), -1),
                     coalesce(open.due, 0)
                 FROM events LEFT JOIN open ON event_id = id
                 WHERE id = ?1 AND task_id = ?2",
            )?,
        })
    }

    /// All events of a task, in the order of their arrival.
    pub(crate) fn of(
        &mut self,
        keys: &Keys,
        task_hash: i64,
        task_id: &str,
    ) -> rusqlite::Result<Vec<Sibling>> {
        let mut siblings = Vec::new();
        for event in keys.of_task(&mut self.merged, task_hash)? {
            let sibling = self
                .event
                .query_row(params![event, task_id], Sibling::read)
                .optional()?;
            siblings.extend(sibling);
        }
        Ok(siblings)
    }
}

impl Sibling {
    fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            id: row.get(0)?,
            stage: Stage::from(row.get_ref(1)?.as_str()?),
            state: row.get(2)?,
            due: row.get(3)?,
        })
    }
}
