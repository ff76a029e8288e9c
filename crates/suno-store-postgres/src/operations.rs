//! Operations of people and tools on events: redriving and deciding.

use std::time::Duration;

use suno_callback::{Decision, EventId, Redrive, RedriveResult};
use suno_types::{Stage, TaskId};
use tokio_postgres::types::{ToSql, Type};

use crate::begin::{BEGIN, NOW};
use crate::columns::task_key;
use crate::connect::{Error, Session};
use crate::inner::Inner;
use crate::load::{CONFLICTS_OF_KEYS, EVENTS_OF_KEYS, Tasks, conflicts, events};
use crate::transaction::{Tried, commit, roll_back, time};
use crate::write::Changes;

const LOCK_TASK: &str = "SELECT t.no FROM {schema}.task t WHERE t.key = ANY ($1) FOR NO KEY UPDATE";
const LOCK_OF_EVENTS: &str = "
    SELECT t.no FROM {schema}.task t
    WHERE t.no IN (SELECT e.task_no FROM {schema}.event e WHERE e.no = ANY ($1))
    ORDER BY t.key FOR NO KEY UPDATE";
const EVENTS_OF_EVENTS: &str = events!(
    "FROM {schema}.task t JOIN {schema}.event e ON e.task_no = t.no"
    where "WHERE t.no IN (SELECT o.task_no FROM {schema}.event o WHERE o.no = ANY ($1))"
);
const CONFLICTS_OF_EVENTS: &str = conflicts!(
    "SELECT e.no FROM {schema}.event e WHERE e.task_no IN
        (SELECT o.task_no FROM {schema}.event o WHERE o.no = ANY ($1))"
);

/// The statements that lock tasks and read their events, with one parameter.
struct Of {
    lock: &'static str,
    events: &'static str,
    conflicts: &'static str,
}

/// Locks tasks, reads them, changes them, and commits.
async fn change<T>(
    store: &Inner,
    session: &Session,
    of: Of,
    parameter: (&(dyn ToSql + Sync), Type),
    change: impl FnOnce(&mut Tasks, Duration) -> T,
) -> Result<Tried<T>, Error> {
    let parameters = [parameter];
    let sent = store.clock.reading();
    let begun = session.batch(BEGIN);
    let locked = session.query(of.lock, &parameters);
    let events = session.query(of.events, &parameters);
    let conflicts = session.query(of.conflicts, &parameters);
    let now = session.query(NOW, &[]);
    let (_, _, events, conflicts, now) =
        tokio::try_join!(biased; begun, locked, events, conflicts, now)?;
    let Some(now) = time(&store.clock, &now, sent)? else {
        return roll_back(session, Tried::ClockMoved).await;
    };
    let mut tasks = Tasks::read(&events, &conflicts, now)?;
    let changed = change(&mut tasks, now);
    commit(session, &Changes::of(&tasks, None)?).await?;
    Ok(Tried::Done(changed))
}

/// Makes settled events ready again.
pub(crate) async fn redrive(
    store: &Inner,
    session: Session,
    ids: &[EventId],
    redrive: Redrive,
) -> Result<Tried<Vec<RedriveResult>>, Error> {
    let numbers: Vec<i64> = ids.iter().map(|id| id.0).collect();
    let of = Of {
        lock: LOCK_OF_EVENTS,
        events: EVENTS_OF_EVENTS,
        conflicts: CONFLICTS_OF_EVENTS,
    };
    let parameter = (&numbers as &(dyn ToSql + Sync), Type::INT8_ARRAY);
    change(store, &session, of, parameter, |tasks, now| {
        let redriven = ids.iter().map(|id| match tasks.of_event(*id) {
            Some(task) => task.events.redrive(*id, redrive, now),
            None => RedriveResult::Gone,
        });
        redriven.collect()
    })
    .await
}

/// Decides for one terminal stage of a task.
pub(crate) async fn decide(
    store: &Inner,
    session: Session,
    task_id: &TaskId,
    stage: &Stage,
) -> Result<Tried<Decision>, Error> {
    let keys = vec![task_key(task_id).to_vec()];
    let of = Of {
        lock: LOCK_TASK,
        events: EVENTS_OF_KEYS,
        conflicts: CONFLICTS_OF_KEYS,
    };
    let parameter = (&keys as &(dyn ToSql + Sync), Type::BYTEA_ARRAY);
    change(store, &session, of, parameter, |tasks, now| {
        match tasks.of(task_id) {
            Some(task) => task.events.decide(stage, now),
            None => Decision::Gone,
        }
    })
    .await
}

/// Returns which of these tasks the provider need not be asked about (L5).
pub(crate) async fn decided(
    session: &Session,
    keys: &[Vec<u8>],
    now: Duration,
) -> Result<Vec<TaskId>, Error> {
    let parameters: [(&(dyn ToSql + Sync), Type); 1] = [(&keys, Type::BYTEA_ARRAY)];
    let events = session.query(EVENTS_OF_KEYS, &parameters).await?;
    let tasks = Tasks::read(&events, &[], now)?.tasks.into_iter();
    let decided = tasks.filter(|task| task.events.is_decided(now));
    Ok(decided.map(|task| task.id).collect())
}
