//! Purges old data in steps of a bounded number of rows.
//!
//! A step goes on where the last one has ended, so that it does not walk over the rows that were deleted
//! before it; once it finds nothing more, the next one begins at the start. Only one step runs at a time,
//! whichever process asks for it.

use std::time::Duration;

use suno_callback::{PurgeReport, PurgeRequest};
use tokio_postgres::Row;
use tokio_postgres::types::{ToSql, Type};

use crate::begin::{BEGIN, NOW};
use crate::columns::{DEAD, DONE, Micros, SUPERSEDED, micros};
use crate::connect::{Error, Session};
use crate::inner::Inner;
use crate::transaction::{Tried, roll_back, time};

/// The maximum number of rows of counts that are summed up in one step.
const COUNTS_MAX: i64 = 10_000;

const LOCK: &str = "SELECT FROM {schema}.mark WHERE name = 'purge' FOR UPDATE SKIP LOCKED";
const MARKS: &str = "SELECT name, through FROM {schema}.mark WHERE name IN ('keys', 'bodies')";
const OLD_KEYS: &str = "
    SELECT p.event_no, p.stored_at FROM {schema}.past p WHERE p.event_no > $1 AND p.state <> 4
    ORDER BY p.event_no LIMIT $2";
const OLD_BODIES: &str = "
    SELECT b.event_no, p.stored_at, p.state FROM {schema}.body b
        LEFT JOIN {schema}.past p ON p.event_no = b.event_no
    WHERE b.event_no > $1 ORDER BY b.event_no LIMIT $2";
const OLD_DEAD: &str = "
    SELECT p.event_no, p.stored_at FROM {schema}.past p WHERE p.state = 4 AND p.stored_at <= $1
    ORDER BY p.event_no LIMIT $2";
/// Locks the tasks of events. Those that others hold are left for the next step.
const LOCK_TASKS: &str = "
    SELECT t.no FROM {schema}.task t
    WHERE t.no IN (SELECT e.task_no FROM {schema}.event e WHERE e.no = ANY ($1))
    ORDER BY t.key FOR UPDATE SKIP LOCKED";
/// Deletes events that are still settled, and whose tasks are locked.
const FORGET: &str = "
    DELETE FROM {schema}.past p USING {schema}.event e
    WHERE p.event_no = ANY ($1) AND e.no = p.event_no AND e.task_no = ANY ($2)
        AND p.stored_at <= CASE p.state WHEN 4 THEN $4 ELSE $3 END
    RETURNING p.event_no, p.state";
const DELETE_BODIES: &str = "
    DELETE FROM {schema}.body b USING {schema}.event e, {schema}.past p
    WHERE b.event_no = ANY ($1) AND e.no = b.event_no AND e.task_no = ANY ($2)
        AND p.event_no = b.event_no AND p.state <> 4 RETURNING b.event_no";
const DELETE_BODIES_OF: &str = "
    DELETE FROM {schema}.body WHERE event_no = ANY ($1) RETURNING event_no";
const CLEAR_CONFLICTS: &str = "
    UPDATE {schema}.conflict c SET raw = NULL FROM {schema}.event e, {schema}.past p
    WHERE c.event_no = ANY ($1) AND e.no = c.event_no AND e.task_no = ANY ($2)
        AND p.event_no = c.event_no AND p.state <> 4 AND c.raw IS NOT NULL RETURNING c.event_no";
const DELETE_CONFLICTS_OF: &str = "
    DELETE FROM {schema}.conflict WHERE event_no = ANY ($1) RETURNING raw IS NOT NULL";
const DELETE_EVENTS: &str = "DELETE FROM {schema}.event WHERE no = ANY ($1)";
const DELETE_TASKS: &str = "
    DELETE FROM {schema}.task t WHERE t.no = ANY ($1)
        AND NOT EXISTS (SELECT FROM {schema}.event e WHERE e.task_no = t.no)";
const DELETE_QUARANTINED: &str = "
    DELETE FROM {schema}.quarantine WHERE no = ANY (ARRAY(
        SELECT q.no FROM {schema}.quarantine q WHERE q.stored_at <= $1 ORDER BY q.no LIMIT $2))
    RETURNING no";
const OLD_QUARANTINED: &str = "
    SELECT q.no FROM {schema}.quarantine q WHERE q.stored_at <= $1 ORDER BY q.no LIMIT $2";
const DELETE_INTENTS: &str = "
    DELETE FROM {schema}.intent WHERE no = ANY (ARRAY(
        SELECT i.no FROM {schema}.intent i WHERE i.stored_at <= $1 ORDER BY i.no LIMIT $2))";
const SET_MARK: &str = "UPDATE {schema}.mark SET through = $2 WHERE name = $1";
/// Sums the counts of many transactions up.
const SUM_UP: &str = "
    WITH old AS (
        DELETE FROM {schema}.tally WHERE ctid = ANY (ARRAY(
            SELECT t.ctid FROM {schema}.tally t LIMIT $1 FOR UPDATE SKIP LOCKED))
        RETURNING done, superseded, dropped
    )
    INSERT INTO {schema}.tally (done, superseded, dropped)
    SELECT sum(done) - $2, sum(superseded) - $3, sum(dropped)
    FROM (SELECT * FROM old UNION ALL SELECT 0, 0, 0) o";

/// Rows that are old enough.
struct Old {
    events: Vec<i64>,
    /// Where the next step goes on; zero at the end.
    through: i64,
    more: bool,
}

/// Takes the rows up to the first that is not old enough. `is_left` are rows that stay, whatever their
/// age, and that a step walks over.
fn old(
    rows: &[Row],
    before: Micros,
    max: usize,
    is_left: impl Fn(&Row) -> Result<bool, Error>,
) -> Result<Old, Error> {
    let mut old = Old {
        events: Vec::new(),
        through: 0,
        more: false,
    };
    let mut through = 0;
    for row in rows {
        let event: i64 = row.try_get(0)?;
        if !is_left(row)? {
            let stored_at: Micros = row.try_get(1)?;
            if stored_at > before {
                return Ok(old);
            }
            if old.events.len() >= max {
                (old.through, old.more) = (through, true);
                return Ok(old);
            }
            old.events.push(event);
        }
        through = event;
    }
    if rows.len() > max {
        (old.through, old.more) = (through, true);
    }
    Ok(old)
}

/// Purges one step.
pub(crate) async fn purge(
    store: &Inner,
    session: Session,
    request: &PurgeRequest,
) -> Result<Tried<PurgeReport>, Error> {
    let sent = store.clock.reading();
    let begun = session.batch(BEGIN);
    let locked = session.query(LOCK, &[]);
    let marks = session.query(MARKS, &[]);
    let now = session.query(NOW, &[]);
    let (_, locked, marks, now) = tokio::try_join!(biased; begun, locked, marks, now)?;
    let Some(now) = time(&store.clock, &now, sent)? else {
        return roll_back(&session, Tried::ClockMoved).await;
    };
    if locked.is_empty() {
        return roll_back(&session, Tried::Done(PurgeReport::default())).await;
    }
    let mut step = Step {
        session,
        request,
        now,
        purged: PurgeReport::default(),
        done: 0,
        superseded: 0,
    };
    let (mut keys, mut bodies) = (0, 0);
    for row in &marks {
        let through: i64 = row.try_get(1)?;
        match row.try_get(0)? {
            "keys" => keys = through,
            _ => bodies = through,
        }
    }
    step.purge_events(keys).await?;
    step.purge_bodies(bodies).await?;
    step.purge_others().await?;
    let purged = step.finish().await?;
    Ok(Tried::Done(purged))
}

struct Step<'a> {
    session: Session,
    request: &'a PurgeRequest,
    now: Duration,
    purged: PurgeReport,
    done: i64,
    superseded: i64,
}

impl Step<'_> {
    /// Data stored at this time or earlier has reached the given age.
    fn before(&self, age: Duration) -> Micros {
        micros(self.now).saturating_sub(micros(age))
    }

    async fn query<const N: usize>(
        &self,
        sql: &'static str,
        parameters: [(&(dyn ToSql + Sync), Type); N],
    ) -> Result<Vec<Row>, Error> {
        self.session.query(sql, &parameters).await
    }

    async fn set_mark(&self, name: &str, through: i64) -> Result<(), Error> {
        self.query(SET_MARK, [(&name, Type::TEXT), (&through, Type::INT8)])
            .await?;
        Ok(())
    }

    /// Locks the tasks of events.
    async fn lock(&self, events: &Vec<i64>) -> Result<Vec<i64>, Error> {
        let rows = self.query(LOCK_TASKS, [(events, Type::INT8_ARRAY)]).await?;
        rows.iter().map(|row| Ok(row.try_get(0)?)).collect()
    }

    /// Purges keys and dead letters.
    async fn purge_events(&mut self, through: i64) -> Result<(), Error> {
        let max = self.request.events_max as usize;
        let keys_before = self.before(self.request.keys_after);
        let dead_before = self.before(self.request.dead_after);
        let limit = i64::from(self.request.events_max) + 1;
        let rows = self
            .query(OLD_KEYS, [(&through, Type::INT8), (&limit, Type::INT8)])
            .await?;
        let keys = old(&rows, keys_before, max, |_| Ok(false))?;
        self.set_mark("keys", keys.through).await?;
        self.purged.more |= keys.more;
        let mut events = keys.events;
        let rows = self
            .query(OLD_DEAD, [(&dead_before, Type::INT8), (&limit, Type::INT8)])
            .await?;
        for row in &rows {
            if events.len() >= max {
                self.purged.more = true;
                break;
            }
            events.push(row.try_get(0)?);
        }
        if !events.is_empty() {
            self.forget(events, keys_before, dead_before).await?;
        }
        Ok(())
    }

    /// Deletes events with all that belongs to them.
    async fn forget(
        &mut self,
        events: Vec<i64>,
        keys_before: Micros,
        dead_before: Micros,
    ) -> Result<(), Error> {
        let tasks = self.lock(&events).await?;
        let rows = self
            .query(
                FORGET,
                [
                    (&events, Type::INT8_ARRAY),
                    (&tasks, Type::INT8_ARRAY),
                    (&keys_before, Type::INT8),
                    (&dead_before, Type::INT8),
                ],
            )
            .await?;
        let mut forgotten: Vec<i64> = Vec::with_capacity(rows.len());
        for row in &rows {
            forgotten.push(row.try_get(0)?);
            match row.try_get(1)? {
                DEAD => self.purged.dead += 1,
                state => {
                    self.purged.keys += 1;
                    self.done += i64::from(state == DONE);
                    self.superseded += i64::from(state == SUPERSEDED);
                }
            }
        }
        let bodies = self.query(DELETE_BODIES_OF, [(&forgotten, Type::INT8_ARRAY)]);
        let conflicts = self.query(DELETE_CONFLICTS_OF, [(&forgotten, Type::INT8_ARRAY)]);
        let events = self.query(DELETE_EVENTS, [(&forgotten, Type::INT8_ARRAY)]);
        let tasks = self.query(DELETE_TASKS, [(&tasks, Type::INT8_ARRAY)]);
        let (bodies, conflicts, _, _) = tokio::try_join!(biased; bodies, conflicts, events, tasks)?;
        self.purged.bodies += bodies.len() as u64;
        for row in &conflicts {
            self.purged.bodies += u64::from(row.try_get::<_, bool>(0)?);
        }
        Ok(())
    }

    /// Purges the bodies of events whose keys are kept.
    async fn purge_bodies(&mut self, through: i64) -> Result<(), Error> {
        let max = self.request.events_max as usize;
        let before = self.before(self.request.bodies_after);
        let limit = i64::from(self.request.events_max) + 1;
        let rows = self
            .query(OLD_BODIES, [(&through, Type::INT8), (&limit, Type::INT8)])
            .await?;
        let bodies = old(&rows, before, max, |row| {
            let state: Option<i16> = row.try_get(2)?;
            Ok(state.is_none_or(|state| state == DEAD))
        })?;
        self.set_mark("bodies", bodies.through).await?;
        self.purged.more |= bodies.more;
        if bodies.events.is_empty() {
            return Ok(());
        }
        let tasks = self.lock(&bodies.events).await?;
        let parameters = || -> [(&(dyn ToSql + Sync), Type); 2] {
            [
                (&bodies.events, Type::INT8_ARRAY),
                (&tasks, Type::INT8_ARRAY),
            ]
        };
        let conflicts = self.query(CLEAR_CONFLICTS, parameters());
        let deleted = self.query(DELETE_BODIES, parameters());
        let (conflicts, deleted) = tokio::try_join!(biased; conflicts, deleted)?;
        self.purged.bodies += (conflicts.len() + deleted.len()) as u64;
        Ok(())
    }

    /// Purges the quarantine and intents.
    async fn purge_others(&mut self) -> Result<(), Error> {
        let before = self.before(self.request.quarantined_after);
        let limit = i64::from(self.request.events_max);
        let one: i64 = 1;
        let intents_before = self.before(self.request.keys_after);
        let entries = self.query(
            DELETE_QUARANTINED,
            [(&before, Type::INT8), (&limit, Type::INT8)],
        );
        let left = self.query(OLD_QUARANTINED, [(&before, Type::INT8), (&one, Type::INT8)]);
        let intents = self.query(
            DELETE_INTENTS,
            [(&intents_before, Type::INT8), (&limit, Type::INT8)],
        );
        let (entries, left, _) = tokio::try_join!(biased; entries, left, intents)?;
        self.purged.quarantined += entries.len() as u64;
        self.purged.more |= !left.is_empty();
        Ok(())
    }

    /// Sums the counts up, and commits.
    async fn finish(self) -> Result<PurgeReport, Error> {
        let summed_up = self.query(
            SUM_UP,
            [
                (&COUNTS_MAX, Type::INT8),
                (&self.done, Type::INT8),
                (&self.superseded, Type::INT8),
            ],
        );
        let ended = self.session.batch("COMMIT");
        tokio::try_join!(biased; summed_up, ended)?;
        Ok(self.purged)
    }
}
