//! Converts values to columns and back.

use std::time::Duration;

use jiff::Timestamp;
use sha2::{Digest, Sha256};
use suno_callback::bounds::LEASE_MAX;
use suno_callback::rules::StoredState;
use suno_callback::{Fingerprint, Reference, Source, SubmitId, UrlSuffix, WorkerId};
use suno_types::{Product, TaskId, TaskKind};
use tokio_postgres::Row;
use tokio_postgres::types::FromSql;

use crate::connect::Error;

pub(crate) const READY: i16 = 0;
pub(crate) const CLAIMED: i16 = 1;
pub(crate) const WAITING: i16 = 2;
pub(crate) const DONE: i16 = 3;
pub(crate) const DEAD: i16 = 4;
pub(crate) const SUPERSEDED: i16 = 5;

/// A time of the store's clock, in microseconds.
pub(crate) type Micros = i64;

/// Reads the columns of a row in their order.
pub(crate) struct Columns<'a> {
    row: &'a Row,
    place: usize,
}

impl<'a> Columns<'a> {
    pub(crate) fn of(row: &'a Row) -> Self {
        Self { row, place: 0 }
    }

    pub(crate) fn next<T: FromSql<'a>>(&mut self) -> Result<T, Error> {
        let place = self.place;
        self.place += 1;
        Ok(self.row.try_get(place)?)
    }

    /// Skips columns that an outer join left empty.
    pub(crate) fn skip(&mut self, columns: usize) {
        self.place += columns;
    }
}

/// Converts a duration to microseconds. A part of a microsecond counts as a whole one, so that no
/// lease ends at the moment at which it begins.
pub(crate) fn micros(duration: Duration) -> Micros {
    Micros::try_from(duration.as_nanos().div_ceil(1_000)).unwrap_or(Micros::MAX)
}

/// Bounds a lease: none ends at the moment at which it begins.
pub(crate) fn lease_within_bounds(lease: Duration) -> Duration {
    const LEASE_MIN: Duration = Duration::from_micros(1);
    lease.clamp(LEASE_MIN, LEASE_MAX)
}

/// Reads a time of the store's clock.
pub(crate) fn since_start(column: Micros) -> Duration {
    Duration::from_micros(column.max(0).unsigned_abs())
}

/// Converts a state to its number and its time.
pub(crate) fn state_columns(state: StoredState) -> Result<(i16, Micros), Error> {
    Ok(match state {
        StoredState::Ready { since } => (READY, micros(since)),
        StoredState::Claimed { until } => (CLAIMED, micros(until)),
        StoredState::Waiting { until } => (WAITING, micros(until)),
        StoredState::Done => (DONE, 0),
        StoredState::Dead => (DEAD, 0),
        StoredState::Superseded => (SUPERSEDED, 0),
        _ => return Err(Error::Refused("the store does not know this state")),
    })
}

/// Reads a state.
pub(crate) fn state(state: i16, due: Micros) -> Result<StoredState, Error> {
    let at = since_start(due);
    Ok(match state {
        READY => StoredState::Ready { since: at },
        CLAIMED => StoredState::Claimed { until: at },
        WAITING => StoredState::Waiting { until: at },
        DONE => StoredState::Done,
        DEAD => StoredState::Dead,
        SUPERSEDED => StoredState::Superseded,
        _ => return Err(Error::Damaged("an event has no known state")),
    })
}

/// Converts a caller's time to microseconds since 1970.
pub(crate) fn time_column(at: Timestamp) -> i64 {
    at.as_microsecond()
}

/// Reads a caller's time.
pub(crate) fn time(column: i64) -> Result<Timestamp, Error> {
    Timestamp::from_microsecond(column).map_err(|_| Error::Damaged("a stored time is out of range"))
}

/// Reads a task id.
pub(crate) fn task_id(column: String) -> Result<TaskId, Error> {
    TaskId::new(column).map_err(|_| Error::Damaged("a stored task id is not valid"))
}

/// Returns the key of a task: 16 bytes of a hash, which nobody can find twice.
pub(crate) fn task_key(task_id: &TaskId) -> [u8; 16] {
    let hash = Sha256::digest(task_id.as_str());
    let mut key = [0; 16];
    key.copy_from_slice(&hash[..16]);
    key
}

/// Reads a fingerprint.
pub(crate) fn fingerprint(column: &[u8]) -> Result<Fingerprint, Error> {
    let bytes = column.try_into();
    let bytes = bytes.map_err(|_| Error::Damaged("a stored fingerprint is not valid"))?;
    Ok(Fingerprint(bytes))
}

/// Reads the id of a submit.
pub(crate) fn submit(column: Option<&[u8]>) -> Result<Option<SubmitId>, Error> {
    let bytes = column.map(<[u8; 16]>::try_from).transpose();
    let bytes = bytes.map_err(|_| Error::Damaged("a stored submit is not valid"))?;
    Ok(bytes.map(SubmitId::from_bytes))
}

/// Reads a reference.
pub(crate) fn reference(column: Option<&str>) -> Result<Option<Reference>, Error> {
    let reference = column.map(Reference::new).transpose();
    reference.map_err(|_| Error::Damaged("a stored reference is not valid"))
}

/// Reads the kind of a task.
pub(crate) fn kind(column: &str) -> Result<TaskKind, Error> {
    let kind = column.parse();
    kind.map_err(|_| Error::Damaged("a stored kind of task is not valid"))
}

/// Reads the part of the callback URL that the application chose.
pub(crate) fn suffix(column: Option<&str>) -> Option<UrlSuffix> {
    column.map(|text| UrlSuffix::from_text(&word(text)))
}

/// Converts a product to its stored form: null for songs, which are nearly all.
pub(crate) fn product_column(product: &Product) -> Option<String> {
    (*product != Product::SONG).then(|| word_column(product.as_str()))
}

/// Reads a product.
pub(crate) fn product(column: Option<&str>) -> Product {
    column.map_or(Product::SONG, |text| Product::from(&*word(text)))
}

/// Converts a source to its stored form.
pub(crate) fn source_column(source: Source) -> i16 {
    match source {
        Source::Poll => 1,
        _ => 0,
    }
}

/// Reads a source.
pub(crate) fn source(column: i16) -> Source {
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

/// Converts a word that a sender chose. PostgreSQL has no zero bytes in texts.
pub(crate) fn word_column(word: &str) -> String {
    word.replace('\\', r"\\").replace('\0', r"\0")
}

/// Reads a word that a sender chose.
pub(crate) fn word(column: &str) -> String {
    let mut word = String::with_capacity(column.len());
    let mut letters = column.chars();
    while let Some(letter) = letters.next() {
        word.push(match letter {
            '\\' => match letters.next() {
                Some('0') => '\0',
                _ => '\\',
            },
            letter => letter,
        });
    }
    word
}

/// Converts a text for people.
pub(crate) fn prose_column(text: &str) -> String {
    text.replace('\0', "\u{fffd}")
}

/// Reads a number that is never negative.
pub(crate) fn number(column: i64) -> u32 {
    u32::try_from(column).unwrap_or(if column < 0 { 0 } else { u32::MAX })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_with_zero_bytes_is_read_as_it_was_sent() {
        for sent in ["first", "", "a\0b", r"a\0b", "\\\0\\\\0", "ü"] {
            let column = word_column(sent);
            assert!(!column.contains('\0'));
            assert_eq!(word(&column), sent);
        }
    }

    #[test]
    fn a_part_of_a_microsecond_counts_as_a_whole_one() {
        assert_eq!(micros(Duration::from_nanos(1)), 1);
        assert_eq!(micros(Duration::from_micros(5)), 5);
        assert_eq!(micros(Duration::MAX), Micros::MAX);
    }
}
