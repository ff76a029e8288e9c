//! The history of a task's events, for people: each delivery, each run of a handler, each redrive, and
//! each request for the task's record that said nothing new.
//!
//! It is diagnostics and not a promise: entries can be missing after a crash or under load. Nothing
//! that this crate decides depends on it. A history of its own never delays a delivery or makes one
//! fail.

mod detail;
mod entry;
mod memory;
mod writer;

use std::fmt;

use async_trait::async_trait;
use jiff::Timestamp;
use suno_types::TaskId;

pub use entry::{HistoryEntry, HistoryKind};
pub use memory::MemoryHistory;
pub use writer::HistoryWriter;

use crate::store::StoreError;

/// A memory of what happened to events, for people.
///
/// # Contract
///
/// * [`record`](Self::record) keeps entries in their order, behind the earlier ones of their tasks.
/// * A task keeps its latest [`ENTRIES_OF_TASK_MAX`] entries. The oldest ones are removed first.
/// * Of these, at most [`POLLS_OF_TASK_MAX`] are polls, so that a task that is asked about for days keeps
///   its deliveries. The oldest polls are removed first.
/// * [`of_task`](Self::of_task) returns the entries of a task and of no other, oldest first, as they
///   were recorded.
/// * [`purge`](Self::purge) removes entries from before a time and no others, at most
///   [`PURGED_MAX`] in a call.
///
/// ```
/// use suno_callback::history::{History, HistoryEntry, HistoryKind, MemoryHistory};
/// use suno_types::TaskId;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let history = MemoryHistory::new();
/// let task_id = TaskId::new("5c79be8e")?;
/// let entry = HistoryEntry::new(task_id.clone(), HistoryKind::REDRIVE, jiff::Timestamp::now())
///     .with_detail(&serde_json::json!({"by": "a person"}));
/// history.record(&[entry]).await?;
/// assert_eq!(history.of_task(&task_id).await?[0].kind.as_str(), "redrive");
/// # Ok(())
/// # }
/// ```
#[async_trait]
pub trait History: fmt::Debug + Send + Sync {
    /// Keeps entries.
    ///
    /// # Errors
    ///
    /// Returns [`StoreError`] if entries were not kept, or if that is unknown. An entry that is
    /// recorded again appears twice.
    async fn record(&self, entries: &[HistoryEntry]) -> Result<(), StoreError>;

    /// Returns the entries of a task, oldest first.
    ///
    /// # Errors
    ///
    /// Returns [`StoreError`] if the history cannot be read.
    async fn of_task(&self, task_id: &TaskId) -> Result<Vec<HistoryEntry>, StoreError>;

    /// Removes entries from before `before`, and returns how many. If that is [`PURGED_MAX`], there
    /// may be more.
    ///
    /// # Errors
    ///
    /// Returns [`StoreError`] if nothing was removed, or if that is unknown.
    async fn purge(&self, before: Timestamp) -> Result<u64, StoreError>;
}

/// The maximum number of entries of a task.
pub const ENTRIES_OF_TASK_MAX: usize = 256;

/// The maximum number of entries of a task that are [polls](HistoryKind::POLL).
pub const POLLS_OF_TASK_MAX: usize = 64;

/// The maximum number of entries that one purge removes.
pub const PURGED_MAX: u32 = 1_000;
