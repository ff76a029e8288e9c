//! Settles and claims in one round trip.
//!
//! The SQL function `claim_v1` does so if each event concerned is the only open one of its task, which
//! nearly all are. Otherwise it changes nothing, and the request goes the general way.

use std::collections::HashSet;
use std::time::Duration;

use suno_callback::bounds::RETRY_AFTER_MAX;
use suno_callback::{
    Claim, ClaimRequest, Claims, EventId, EventKey, SettleResult, Settlement, Ticket, VerifiedBy,
};
use suno_types::Stage;
use tokio_postgres::Row;
use tokio_postgres::types::{ToSql, Type};

use crate::columns::{
    self as columns, Columns, DEAD, DONE, Micros, WAITING, lease_within_bounds, micros,
    prose_column, since_start, worker_column,
};
use crate::connect::{Error, Session};
use crate::inner::Inner;
use crate::rows::{Rows, table};
use crate::transaction::Tried;

const CLAIM: &str =
    "SELECT * FROM {schema}.claim_v1($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12,
    $13)";

table!(Settlements {
    event: i64 = INT8_ARRAY,
    epoch: i64 = INT8_ARRAY,
    worker: i64 = INT8_ARRAY,
    kind: i16 = INT2_ARRAY,
    wait: i64 = INT8_ARRAY,
    cause: Option<&'static str> = TEXT_ARRAY,
    reason: Option<String> = TEXT_ARRAY,
});

impl Settlements {
    /// Returns `None` if a settlement makes its event ready at once, because this request may claim it
    /// then, or if two are about one event.
    pub(crate) fn of(request: &ClaimRequest) -> Option<Self> {
        let mut rows = Self::default();
        let mut events = HashSet::new();
        for (ticket, settlement) in &request.settlements {
            if !events.insert(ticket.event) {
                return None;
            }
            let (kind, wait, cause, reason) = match settlement {
                Settlement::Done => (DONE, Duration::ZERO, None, None),
                Settlement::Retry { after, reason } if !after.is_zero() => {
                    (WAITING, *after, None, Some(reason))
                }
                Settlement::Dead { cause, reason } => {
                    (DEAD, Duration::ZERO, Some(cause.as_str()), Some(reason))
                }
                _ => return None,
            };
            rows.event.push(ticket.event.0);
            rows.epoch.push(ticket.epoch.into());
            rows.worker.push(worker_column(ticket.worker));
            rows.kind.push(kind);
            rows.wait.push(micros(wait.min(RETRY_AFTER_MAX)));
            rows.cause.push(cause);
            rows.reason.push(reason.map(|reason| prose_column(reason)));
        }
        Some(rows)
    }
}

/// Settles and claims. Returns `None` if nothing was changed because the request is not plain.
pub(crate) async fn claim(
    store: &Inner,
    session: Session,
    request: &ClaimRequest,
    settlements: &Settlements,
) -> Result<Tried<Option<Claims>>, Error> {
    let sent = store.clock.reading();
    let expected = store.clock.expected();
    let claimer = worker_column(request.worker);
    let number = request.number.cast_signed();
    let lease = micros(lease_within_bounds(request.lease));
    let most = i64::try_from(request.events_max).unwrap_or(i64::MAX);
    let first = store.first_ready.get();
    let mut parameters: Vec<(&(dyn ToSql + Sync), Type)> = vec![(&expected, Type::INT8)];
    parameters.extend(settlements.parameters());
    let numbers = [&claimer, &number, &lease, &most, &first];
    parameters.extend(numbers.map(|number| (number as &(dyn ToSql + Sync), Type::INT8)));
    let rows = session.query(CLAIM, &parameters).await?;
    let Some((header, rows)) = rows.split_last() else {
        return Err(Error::Damaged("an answer of the server is not complete"));
    };
    let header = Header::read(header)?;
    if !header.is_plain {
        return Ok(Tried::Done(None));
    }
    // It is done: the function has compared the time.
    let _ = store.clock.check(header.now, sent);
    if first == i64::MIN {
        store.first_ready.set(header.next, header.now);
    }
    let mut claims = Claims::default();
    let settled = header.settled.iter().map(|result| match result {
        2 => SettleResult::AlreadySettled,
        _ => SettleResult::Settled,
    });
    claims.settled = settled.collect();
    for row in rows {
        claims
            .claims
            .push(read_claim(row, request, header.now, lease)?);
    }
    claims.more = header.more;
    let next = header.next.filter(|_| !header.more);
    claims.next_due = next.map(|next| since_start(next).saturating_sub(since_start(header.now)));
    Ok(Tried::Done(Some(claims)))
}

/// The row about the request as a whole.
struct Header {
    now: Micros,
    is_plain: bool,
    settled: Vec<i16>,
    more: bool,
    next: Option<Micros>,
}

impl Header {
    fn read(row: &Row) -> Result<Self, Error> {
        let mut columns = Columns::of(row);
        Ok(Self {
            now: columns.next()?,
            is_plain: columns.next()?,
            settled: columns.next::<Option<_>>()?.unwrap_or_default(),
            more: columns.next()?,
            next: columns.next()?,
        })
    }
}

fn read_claim(
    row: &Row,
    request: &ClaimRequest,
    now: Micros,
    lease: Micros,
) -> Result<Claim, Error> {
    let mut columns = Columns::of(row);
    columns.skip(5);
    let event = EventId(columns.next()?);
    let ticket = Ticket {
        event,
        epoch: columns::number(columns.next()?),
        worker: request.worker,
    };
    let attempt = columns::number(columns.next()?);
    let lapses = columns::number(columns.next()?);
    let open_since = since_start(columns.next()?);
    let task_id = columns::task_id(columns.next()?)?;
    let stage = Stage::from(&*columns::word(columns.next()?));
    let revision: i16 = columns.next()?;
    let key = EventKey::new(task_id, stage).with_revision(revision.unsigned_abs().into());
    let mut claim = Claim::new(ticket, key, bytes::Bytes::new());
    claim.attempt = attempt;
    claim.lapses = lapses;
    claim.holds_for = since_start(lease);
    claim.age = since_start(now).saturating_sub(open_since);
    claim.source = columns::source(columns.next()?);
    let verified_by: i16 = columns.next()?;
    claim.verified_by = VerifiedBy::from_bits(verified_by.to_le_bytes()[0]);
    claim.unconfirmed = columns.next()?;
    claim.received_at = columns::time(columns.next()?)?;
    claim.suffix = columns::suffix(columns.next()?);
    claim.submit = columns::submit(columns.next()?)?;
    claim.reference = columns::reference(columns.next()?)?;
    let kind: Option<&str> = columns.next()?;
    claim.kind = kind.map(columns::kind).transpose()?;
    let raw: Vec<u8> = columns.next()?;
    claim.raw = raw.into();
    Ok(claim)
}
