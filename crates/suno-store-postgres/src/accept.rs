//! Stores deliveries.
//!
//! Two round trips: one locks the tasks of the deliveries and reads their events, the other writes what
//! the rules have changed and commits. Tasks are locked in the order of their keys, then intents in the
//! order of their submits, then the quarantine.

use std::collections::BTreeMap;

use suno_callback::{Acceptance, Content, Delivery, EventId};
use tokio_postgres::types::{ToSql, Type};

use crate::begin::BEGIN;
use crate::columns::task_key;
use crate::connect::{Error, Session};
use crate::inner::Inner;
use crate::intents::Intents;
use crate::load::{CONFLICTS_OF_KEYS, EVENTS_OF_KEYS, Tasks};
use crate::quarantine::Quarantine;
use crate::transaction::{Tried, commit_with, roll_back, time};
use crate::write::Changes;

/// Adds the tasks that are not there, and locks all of them. A task that is there is locked by the
/// action for a conflict even if its condition is false; so nothing is written, but a commit that waits
/// for a standby does so for duplicates, too.
pub(crate) const LOCK_TASKS: &str = "
    INSERT INTO {schema}.task AS t (key, id)
    SELECT d.key, d.id FROM unnest($1, $2) AS d (key, id) ORDER BY d.key
    ON CONFLICT (key) DO UPDATE SET id = t.id WHERE false";

/// Returns the store's time with numbers for the deliveries.
pub(crate) const NUMBERS: &str = "
    SELECT {schema}.clock(), array_agg(nextval('{schema}.numbers')) FROM generate_series(1, $1)";

/// Stores deliveries, one after the other, in one transaction. With `entry`, removes this entry of the
/// quarantine in the same transaction, and stores nothing (`None`) if there is none.
pub(crate) async fn accept(
    store: &Inner,
    session: Session,
    deliveries: &[Delivery],
    entry: Option<EventId>,
) -> Result<Tried<Option<Vec<Acceptance>>>, Error> {
    let tasks = Keys::of(deliveries);
    let submits = Intents::named_by(deliveries);
    let count = i64::try_from(deliveries.len()).unwrap_or(i64::MAX);
    let keys: (&(dyn ToSql + Sync), Type) = (&tasks.keys, Type::BYTEA_ARRAY);
    let lock_parameters = [keys.clone(), (&tasks.ids as _, Type::TEXT_ARRAY)];
    let load_parameters = [keys];
    let number_parameters: [(&(dyn ToSql + Sync), Type); 1] = [(&count, Type::INT8)];
    let sent = store.clock.reading();
    let begun = session.batch(BEGIN);
    let locked = session.query(LOCK_TASKS, &lock_parameters);
    let events = session.query(EVENTS_OF_KEYS, &load_parameters);
    let conflicts = session.query(CONFLICTS_OF_KEYS, &load_parameters);
    let intents = Intents::lock(&session, &submits);
    let numbers = session.query(NUMBERS, &number_parameters);
    let (_, _, events, conflicts, mut intents, numbers) =
        tokio::try_join!(biased; begun, locked, events, conflicts, intents, numbers)?;
    let Some(now) = time(&store.clock, &numbers, sent)? else {
        return roll_back(&session, Tried::ClockMoved).await;
    };
    let numbers: Vec<i64> = match numbers.first() {
        Some(row) => row.try_get::<_, Option<_>>(1)?.unwrap_or_default(),
        None => Vec::new(),
    };
    let mut tasks = Tasks::read(&events, &conflicts, now)?;
    let mut dropped = 0;
    let mut accepted = Vec::with_capacity(deliveries.len());
    let mut undecoded = Vec::new();
    for (delivery, number) in deliveries.iter().zip(numbers) {
        let submit = intents.meet(delivery);
        let id = EventId(number);
        let in_task = match &delivery.content {
            Content::Event { key, .. } => tasks
                .of(key.task_id())
                .and_then(|task| task.events.accept(id, delivery, &submit, now)),
            _ => None,
        };
        let (answer, bodies) = in_task.unwrap_or_else(|| {
            undecoded.push((accepted.len(), id, delivery));
            (Acceptance::Quarantined, 0)
        });
        accepted.push(answer);
        dropped += bodies;
    }
    let mut quarantine = Quarantine::default();
    if !undecoded.is_empty() || entry.is_some() {
        quarantine.lock(&session, entry, &undecoded).await?;
        if entry.is_some() && !quarantine.had_entry {
            return roll_back(&session, Tried::Done(None)).await;
        }
        for (place, id, delivery) in undecoded {
            let (answer, bodies) = quarantine.keep(id, delivery, now);
            accepted[place] = answer;
            dropped += bodies;
        }
    }
    let mut changes = Changes::of(&tasks, None)?;
    changes.dropped = i64::try_from(dropped).unwrap_or(i64::MAX);
    let mut further = intents.send(&session);
    further.extend(quarantine.send(&session));
    commit_with(&session, &changes, further).await?;
    Ok(Tried::Done(Some(accepted)))
}

/// The tasks of deliveries, in the order of their keys.
struct Keys {
    keys: Vec<Vec<u8>>,
    ids: Vec<String>,
}

impl Keys {
    fn of(deliveries: &[Delivery]) -> Self {
        let ids = deliveries.iter().filter_map(|it| match &it.content {
            Content::Event { key, .. } => Some(key.task_id()),
            _ => None,
        });
        let tasks: BTreeMap<_, _> = ids.map(|id| (task_key(id), id.as_str())).collect();
        Self {
            keys: tasks.keys().map(|key| key.to_vec()).collect(),
            ids: tasks.values().map(|id| (*id).to_owned()).collect(),
        }
    }
}
