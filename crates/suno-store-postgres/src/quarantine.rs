//! Deliveries that could be trusted but not understood.

use std::collections::HashSet;
use std::time::Duration;

use suno_callback::bounds::QUARANTINED_MAX;
use suno_callback::{Acceptance, Delivery, EventId, Page, QuarantinedDelivery, VerifiedBy};
use tokio_postgres::types::{ToSql, Type};

use crate::columns::{
    self as columns, Columns, micros, prose_column, source_column, time_column, word_column,
};
use crate::connect::{Error, Session};
use crate::rows::{Raw, Rows, table};
use crate::write::Sending;

/// Only one transaction at a time changes the quarantine, so that its bound holds.
const LOCK: &str = "SELECT FROM {schema}.mark WHERE name = 'quarantine' FOR UPDATE";
const TAKE: &str = "DELETE FROM {schema}.quarantine WHERE no = $1 RETURNING no";
const COUNT: &str = "SELECT count(*) FROM {schema}.quarantine";
const KNOWN: &str = "SELECT strict FROM {schema}.quarantine WHERE strict = ANY ($1)";
const KEEP: &str = "
    INSERT INTO {schema}.quarantine (no, strict, stored_at, received_at, source, verified_by, task_id,
        submit, suffix, reason, raw)
    SELECT * FROM unnest($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)";
const PAGE: &str = "
    SELECT no, received_at, source, verified_by, task_id, submit, suffix, reason, raw
    FROM {schema}.quarantine WHERE no > $1 ORDER BY no LIMIT $2";

/// The quarantine, locked by a transaction.
#[derive(Debug, Default)]
pub(crate) struct Quarantine {
    /// Whether the entry that was to be taken was there.
    pub(crate) had_entry: bool,
    count: i64,
    known: HashSet<Vec<u8>>,
    kept: Entries,
}

table!(Entries {
    no: i64 = INT8_ARRAY,
    strict: Vec<u8> = BYTEA_ARRAY,
    stored_at: i64 = INT8_ARRAY,
    received_at: i64 = INT8_ARRAY,
    source: i16 = INT2_ARRAY,
    verified_by: i16 = INT2_ARRAY,
    task_id: Option<String> = TEXT_ARRAY,
    submit: Option<Vec<u8>> = BYTEA_ARRAY,
    suffix: Option<String> = TEXT_ARRAY,
    reason: String = TEXT_ARRAY,
    raw: Raw = BYTEA_ARRAY,
});

impl Quarantine {
    /// Locks the quarantine, takes `entry` out of it, and looks for deliveries in it.
    pub(crate) async fn lock(
        &mut self,
        session: &Session,
        entry: Option<EventId>,
        deliveries: &[(usize, EventId, &Delivery)],
    ) -> Result<(), Error> {
        let strict = deliveries.iter().map(|(_, _, it)| it.strict.0.to_vec());
        let strict: Vec<_> = strict.collect();
        let entry = entry.map_or(-1, |entry| entry.0);
        let take_parameters: [(&(dyn ToSql + Sync), Type); 1] = [(&entry, Type::INT8)];
        let known_parameters: [(&(dyn ToSql + Sync), Type); 1] = [(&strict, Type::BYTEA_ARRAY)];
        let locked = session.query(LOCK, &[]);
        let taken = session.query(TAKE, &take_parameters);
        let count = session.query(COUNT, &[]);
        let known = session.query(KNOWN, &known_parameters);
        let (_, taken, count, known) = tokio::try_join!(biased; locked, taken, count, known)?;
        self.had_entry = !taken.is_empty();
        self.count = match count.first() {
            Some(row) => row.try_get(0)?,
            None => 0,
        };
        for row in &known {
            self.known.insert(row.try_get(0)?);
        }
        Ok(())
    }

    /// Keeps a delivery once for each strict fingerprint and within the limit (A9, A11). Returns the
    /// outcome and the number of bodies dropped.
    pub(crate) fn keep(
        &mut self,
        id: EventId,
        delivery: &Delivery,
        now: Duration,
    ) -> (Acceptance, u64) {
        let strict = delivery.strict.0.to_vec();
        if self.known.contains(&strict) {
            return (Acceptance::Quarantined, 0);
        }
        if self.count >= i64::try_from(QUARANTINED_MAX).unwrap_or(i64::MAX) {
            return (Acceptance::Dropped, 1);
        }
        self.count += 1;
        self.known.insert(strict.clone());
        self.kept.push(id, delivery, now);
        (Acceptance::Quarantined, 0)
    }

    /// Sends the new entries.
    pub(crate) fn send<'a>(&'a self, session: &'a Session) -> Vec<Sending<'a>> {
        if self.kept.is_empty() {
            return Vec::new();
        }
        let keep = async move { session.query(KEEP, &self.kept.parameters()).await };
        vec![Box::pin(keep)]
    }
}

impl Entries {
    fn push(&mut self, id: EventId, delivery: &Delivery, now: Duration) {
        let entry = QuarantinedDelivery::of(id, delivery);
        self.no.push(id.0);
        self.strict.push(delivery.strict.0.to_vec());
        self.stored_at.push(micros(now));
        self.received_at.push(time_column(entry.received_at));
        self.source.push(source_column(entry.source));
        self.verified_by.push(entry.verified_by.bits().into());
        self.task_id
            .push(entry.task_id.map(|id| id.as_str().to_owned()));
        self.submit
            .push(entry.submit.map(|submit| submit.bytes().to_vec()));
        let suffix = entry.suffix.map(|suffix| word_column(&suffix.to_string()));
        self.suffix.push(suffix);
        self.reason.push(prose_column(&entry.reason));
        self.raw.push(Raw::of(&Some(entry.raw)));
    }
}

/// Returns a page of the quarantine.
pub(crate) async fn page(
    session: Session,
    after: Option<EventId>,
    entries_max: u32,
) -> Result<Page<QuarantinedDelivery>, Error> {
    let after = after.map_or(i64::MIN, |after| after.0);
    // One more shows whether the list continues.
    let limit = i64::from(entries_max) + 1;
    let parameters: [(&(dyn ToSql + Sync), Type); 2] = [(&after, Type::INT8), (&limit, Type::INT8)];
    let rows = session.query(PAGE, &parameters).await?;
    let entries: Result<Vec<_>, _> = rows.iter().map(read).collect();
    Ok(Page::first_of(entries?, entries_max, |entry| entry.id))
}

fn read(row: &tokio_postgres::Row) -> Result<QuarantinedDelivery, Error> {
    let mut columns = Columns::of(row);
    let id = EventId(columns.next()?);
    let received_at = columns::time(columns.next()?)?;
    let source = columns::source(columns.next()?);
    let verified_by: i16 = columns.next()?;
    let task_id: Option<String> = columns.next()?;
    let task_id = task_id.map(columns::task_id).transpose()?;
    let submit = columns::submit(columns.next()?)?;
    let suffix = columns::suffix(columns.next()?);
    let reason: String = columns.next()?;
    let raw: Vec<u8> = columns.next()?;
    let mut entry = QuarantinedDelivery::new(id, task_id, reason, received_at, raw);
    entry.source = source;
    entry.verified_by = VerifiedBy::from_bits(verified_by.to_le_bytes()[0]);
    entry.submit = submit;
    entry.suffix = suffix;
    Ok(entry)
}
