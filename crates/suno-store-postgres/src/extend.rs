//! Extends claims.

use std::collections::HashSet;
use std::time::Duration;

use suno_callback::{ExtendResult, Ticket};
use tokio_postgres::types::{ToSql, Type};

use crate::begin::{BEGIN, NOW};
use crate::columns::{lease_within_bounds, micros, worker_column};
use crate::connect::{Error, Session};
use crate::inner::Inner;
use crate::transaction::{Tried, roll_back, time};

/// Extends the claims of tickets that hold. The rows are locked in the order of their numbers; a user's
/// transaction in `settle_in` does not hold this up.
const EXTEND: &str = "
    WITH held AS MATERIALIZED (
        SELECT w.event_no FROM {schema}.work w
            JOIN unnest($1, $2, $3) AS d (event_no, epoch, worker) ON w.event_no = d.event_no
        WHERE w.epoch = d.epoch AND w.worker = d.worker AND w.state = 1
            AND NOT EXISTS (SELECT FROM {schema}.settled_in m WHERE m.event_no = w.event_no)
        ORDER BY w.event_no FOR NO KEY UPDATE OF w
    )
    UPDATE {schema}.work w SET due = c.now + $4, at = c.now + $4
    FROM held, (SELECT {schema}.clock() AS now) c
    WHERE w.event_no = held.event_no AND w.state = 1
    RETURNING w.event_no, w.epoch, w.worker";

/// Extends claims to `lease` from now.
pub(crate) async fn extend(
    store: &Inner,
    session: Session,
    tickets: &[Ticket],
    lease: Duration,
) -> Result<Tried<Vec<ExtendResult>>, Error> {
    let events: Vec<i64> = tickets.iter().map(|ticket| ticket.event.0).collect();
    let epochs: Vec<i64> = tickets.iter().map(|ticket| ticket.epoch.into()).collect();
    let workers = tickets.iter().map(|ticket| worker_column(ticket.worker));
    let workers: Vec<i64> = workers.collect();
    let lease = micros(lease_within_bounds(lease));
    let parameters: [(&(dyn ToSql + Sync), Type); 4] = [
        (&events, Type::INT8_ARRAY),
        (&epochs, Type::INT8_ARRAY),
        (&workers, Type::INT8_ARRAY),
        (&lease, Type::INT8),
    ];
    let sent = store.clock.reading();
    let begun = session.batch(BEGIN);
    let extended = session.query(EXTEND, &parameters);
    let now = session.query(NOW, &[]);
    let (_, extended, now) = tokio::try_join!(biased; begun, extended, now)?;
    if time(&store.clock, &now, sent)?.is_none() {
        return roll_back(&session, Tried::ClockMoved).await;
    }
    session.batch("COMMIT").await?;
    let mut held = HashSet::new();
    for row in &extended {
        let ticket: (i64, i64, i64) = (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
        held.insert(ticket);
    }
    let extended = tickets.iter().map(|ticket| {
        let (epoch, worker) = (ticket.epoch.into(), worker_column(ticket.worker));
        match held.contains(&(ticket.event.0, epoch, worker)) {
            true => ExtendResult::Extended,
            false => ExtendResult::Lost,
        }
    });
    Ok(Tried::Done(extended.collect()))
}
