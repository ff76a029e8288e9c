//! How values stand in rows.

use jiff::Timestamp;
use sha2::{Digest, Sha256};
use suno_callback::{EventState, Source, StoreError};
use suno_types::TaskId;

use crate::error::damaged;

// The first three stand in the table `open`, the others in `settled`.
const READY: i64 = 0;
const CLAIMED: i64 = 1;
const WAITING: i64 = 2;
const DONE: i64 = 3;
const DEAD: i64 = 4;
const SUPERSEDED: i64 = 5;

/// `state` and `due` of an event.
pub(crate) fn state_columns(state: EventState) -> (i64, i64) {
    match state {
        EventState::Claimed { until } => (CLAIMED, micros(until)),
        EventState::Waiting { at } => (WAITING, micros(at)),
        EventState::Done => (DONE, 0),
        EventState::Dead => (DEAD, 0),
        EventState::Superseded => (SUPERSEDED, 0),
        _ => (READY, 0),
    }
}

/// The state that stands in `state` and `due`.
pub(crate) fn state(state: i64, due: i64) -> Result<EventState, StoreError> {
    Ok(match state {
        READY => EventState::Ready,
        CLAIMED => EventState::Claimed {
            until: moment(due)?,
        },
        WAITING => EventState::Waiting { at: moment(due)? },
        DONE => EventState::Done,
        DEAD => EventState::Dead,
        SUPERSEDED => EventState::Superseded,
        _ => return Err(damaged("an event has an unknown state")),
    })
}

/// A moment as it is stored: microseconds since 1970.
pub(crate) fn micros(at: Timestamp) -> i64 {
    at.as_microsecond()
}

/// A stored moment.
pub(crate) fn moment(micros: i64) -> Result<Timestamp, StoreError> {
    Timestamp::from_microsecond(micros).map_err(|_| damaged("a stored time is out of range"))
}

/// A source as it is stored.
pub(crate) fn source_column(source: Source) -> i64 {
    match source {
        Source::Poll => 1,
        _ => 0,
    }
}

/// A stored source.
pub(crate) fn source(column: i64) -> Source {
    match column {
        1 => Source::Poll,
        _ => Source::Callback,
    }
}

/// 64 bits of a hash of a task id. Ids may share them: the id decides.
pub(crate) fn task_hash(task_id: &TaskId) -> i64 {
    let hash = Sha256::digest(task_id.as_str());
    let mut bytes = [0; 8];
    bytes.copy_from_slice(&hash[..8]);
    i64::from_be_bytes(bytes)
}
