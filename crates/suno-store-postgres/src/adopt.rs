//! Adopts events of another store.

use std::collections::BTreeMap;

use suno_callback::{AdoptedEvent, Adoption, ConflictRecord, EventId, VerifiedBy};
use tokio_postgres::types::{ToSql, Type};

use crate::accept::{LOCK_TASKS, NUMBERS};
use crate::begin::{BEGIN, BEGIN_READING};
use crate::columns::{self as columns, Columns, task_key};
use crate::connect::{Error, Session};
use crate::inner::Inner;
use crate::load::{CONFLICTS_OF_KEYS, EVENTS_OF_KEYS, Tasks};
use crate::transaction::{Tried, commit, roll_back, time};
use crate::write::Changes;

const CONFLICTS: &str = "
    SELECT raw, received_at, source, verified_by FROM {schema}.conflict
    WHERE event_no = $1 ORDER BY no NULLS FIRST";

/// Stores events as they were in another store, in one transaction.
pub(crate) async fn adopt(
    store: &Inner,
    session: Session,
    events: &[AdoptedEvent],
) -> Result<Tried<Vec<Adoption>>, Error> {
    let ids = events.iter().map(|event| event.record.key.task_id());
    // Locked in the order of their keys.
    let tasks: BTreeMap<_, _> = ids.map(|id| (task_key(id), id.as_str())).collect();
    let keys: Vec<_> = tasks.keys().map(|key| key.to_vec()).collect();
    let ids: Vec<_> = tasks.values().map(|id| (*id).to_owned()).collect();
    let count = i64::try_from(events.len()).unwrap_or(i64::MAX);
    let keys: (&(dyn ToSql + Sync), Type) = (&keys, Type::BYTEA_ARRAY);
    let lock_parameters = [keys.clone(), (&ids as _, Type::TEXT_ARRAY)];
    let load_parameters = [keys];
    let number_parameters: [(&(dyn ToSql + Sync), Type); 1] = [(&count, Type::INT8)];
    let sent = store.clock.reading();
    let begun = session.batch(BEGIN);
    let locked = session.query(LOCK_TASKS, &lock_parameters);
    let stored = session.query(EVENTS_OF_KEYS, &load_parameters);
    let conflicts = session.query(CONFLICTS_OF_KEYS, &load_parameters);
    let numbers = session.query(NUMBERS, &number_parameters);
    let (_, _, stored, conflicts, numbers) =
        tokio::try_join!(biased; begun, locked, stored, conflicts, numbers)?;
    let Some(now) = time(&store.clock, &numbers, sent)? else {
        return roll_back(&session, Tried::ClockMoved).await;
    };
    let numbers: Vec<i64> = match numbers.first() {
        Some(row) => row.try_get::<_, Option<_>>(1)?.unwrap_or_default(),
        None => Vec::new(),
    };
    let mut tasks = Tasks::read(&stored, &conflicts, now)?;
    let mut adoptions = Vec::with_capacity(events.len());
    for (event, number) in events.iter().zip(numbers) {
        let task = tasks.of(event.record.key.task_id());
        let task = task.ok_or(Error::Damaged("a task that was locked is not there"))?;
        adoptions.push(match task.events.adopt(EventId(number), event, now) {
            true => Adoption::Adopted,
            false => Adoption::Known,
        });
    }
    commit(&session, &Changes::of(&tasks, None)?).await?;
    Ok(Tried::Done(adoptions))
}

/// Returns the conflicts of an event.
pub(crate) async fn conflicts(
    session: Session,
    event: EventId,
) -> Result<Vec<ConflictRecord>, Error> {
    let parameters: [(&(dyn ToSql + Sync), Type); 1] = [(&event.0, Type::INT8)];
    let begun = session.batch(BEGIN_READING);
    let conflicts = session.query(CONFLICTS, &parameters);
    let ended = session.batch("COMMIT");
    let (_, rows, ()) = tokio::try_join!(biased; begun, conflicts, ended)?;
    rows.iter().map(read).collect()
}

fn read(row: &tokio_postgres::Row) -> Result<ConflictRecord, Error> {
    let mut columns = Columns::of(row);
    let raw: Option<Vec<u8>> = columns.next()?;
    let received_at: Option<i64> = columns.next()?;
    let source: Option<i16> = columns.next()?;
    let verified_by: Option<i16> = columns.next()?;
    let record = ConflictRecord::new(raw.map(Into::into));
    let Some(received_at) = received_at else {
        return Ok(record);
    };
    let verified_by = verified_by.unwrap_or_default().to_le_bytes()[0];
    Ok(record.with_origin(
        columns::time(received_at)?,
        columns::source(source.unwrap_or_default()),
        VerifiedBy::from_bits(verified_by),
    ))
}
