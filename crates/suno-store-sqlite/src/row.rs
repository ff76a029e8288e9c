//! Converts values to columns and back.

use jiff::Timestamp;
use sha2::{Digest, Sha256};
use suno_callback::{EventState, Reference, Source, UrlSuffix, WorkerId};
use suno_types::{Product, TaskId, TaskKind};

use crate::clock::{Micros, left};
use crate::error::{Error, Result};

pub(crate) const READY: i64 = 0;
pub(crate) const CLAIMED: i64 = 1;
pub(crate) const WAITING: i64 = 2;
pub(crate) const DONE: i64 = 3;
pub(crate) const DEAD: i64 = 4;
pub(crate) const SUPERSEDED: i64 = 5;

/// Reads the current state from the columns `state` and `due`.
pub(crate) fn state(state: i64, due: Micros, now: Micros) -> Result<EventState> {
    Ok(match state {
        READY => EventState::Ready,
        CLAIMED => EventState::Claimed {
            holds_for: left(now, due),
        },
        WAITING => EventState::Waiting {
            ready_in: left(now, due),
        },
        DONE => EventState::Done,
        DEAD => EventState::Dead,
        SUPERSEDED => EventState::Superseded,
        _ => return Err(Error::Damaged("an event has no known state")),
    })
}

/// Converts a caller's time to its stored form: microseconds since 1970.
pub(crate) fn time_column(at: Timestamp) -> i64 {
    at.as_microsecond()
}

/// Reads a caller's time.
pub(crate) fn time(column: i64) -> Result<Timestamp> {
    Timestamp::from_microsecond(column).map_err(|_| Error::Damaged("a stored time is out of range"))
}

/// Reads a task id.
pub(crate) fn task_id(column: String) -> Result<TaskId> {
    TaskId::new(column).map_err(|_| Error::Damaged("a stored task id is not valid"))
}

/// Reads a reference.
pub(crate) fn reference(column: Option<String>) -> Result<Option<Reference>> {
    let reference = column.map(Reference::new).transpose();
    reference.map_err(|_| Error::Damaged("a stored reference is not valid"))
}

/// Reads the kind of a task.
pub(crate) fn kind(column: &str) -> Result<TaskKind> {
    let kind = column.parse();
    kind.map_err(|_| Error::Damaged("a stored kind of task is not valid"))
}

/// Reads the part of the callback URL that the application chose.
pub(crate) fn suffix(column: Option<String>) -> Option<UrlSuffix> {
    column.map(|text| UrlSuffix::from_text(&text))
}

/// Converts a product to its stored form: null for songs, which are nearly all.
pub(crate) fn product_column(product: &Product) -> Option<&str> {
    (*product != Product::SONG).then_some(product.as_str())
}

/// Reads a product.
pub(crate) fn product(column: Option<String>) -> Product {
    column.map_or(Product::SONG, |word| Product::from(&*word))
}

/// Converts a source to its stored form.
pub(crate) fn source_column(source: Source) -> i64 {
    match source {
        Source::Poll => 1,
        _ => 0,
    }
}

/// Reads a source.
pub(crate) fn source(column: i64) -> Source {
    match column {
        1 => Source::Poll,
        _ => Source::Callback,
    }
}

/// Converts a worker to its stored form.
pub(crate) fn worker_column(worker: WorkerId) -> i64 {
    worker.0.cast_signed()
}

/// Reads a worker.
pub(crate) fn worker(column: i64) -> WorkerId {
    WorkerId(column.cast_unsigned())
}

/// Returns 64 bits of a hash of a task id. Several ids may have the same: compare the ids
/// as well.
pub(crate) fn task_hash(task_id: &TaskId) -> i64 {
    let hash = Sha256::digest(task_id.as_str());
    let mut bytes = [0; 8];
    bytes.copy_from_slice(&hash[..8]);
    i64::from_be_bytes(bytes)
}
