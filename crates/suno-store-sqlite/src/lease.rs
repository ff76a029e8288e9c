//! Reads a claim: the accepted delivery and its lease.

use jiff::Timestamp;
use rusqlite::{CachedStatement, OptionalExtension, Transaction};
use suno_callback::{
    Claim, EventId, EventKey, Reference, Source, SubmitId, Ticket, UrlSuffix, VerifiedBy, WorkerId,
};
use suno_types::{Stage, TaskKind};

use crate::clock::{Micros, left};
use crate::error::{Error, Result};
use crate::row::{self, CLAIMED, source, task_id, time, worker};
use crate::state::ClaimedReady;

/// The accepted delivery.
pub(crate) struct Event {
    key: EventKey,
    source: Source,
    verified_by: VerifiedBy,
    pub(crate) unconfirmed: bool,
    received_at: Timestamp,
    suffix: Option<UrlSuffix>,
    submit: Option<SubmitId>,
    reference: Option<Reference>,
    kind: Option<TaskKind>,
    raw: Vec<u8>,
}

impl Event {
    /// The statement that [`read`](Self::read) needs.
    pub(crate) fn statement<'t>(
        transaction: &'t Transaction<'_>,
    ) -> rusqlite::Result<CachedStatement<'t>> {
        transaction.prepare_cached(
            "SELECT task_id, stage, source, verified_by, unconfirmed, received_at, revision,
                 suffix, submit, reference, kind, raw
             FROM events WHERE id = ?1",
        )
    }

    pub(crate) fn read(statement: &mut CachedStatement<'_>, event: i64) -> Result<Self> {
        let mut rows = statement.query([event])?;
        let row = rows.next()?.ok_or(Error::Damaged("an event is missing"))?;
        let task_id = task_id(row.get(0)?)?;
        let stage = row.get_ref(1)?.as_str().map_err(rusqlite::Error::from)?;
        let kind: Option<String> = row.get(10)?;
        let raw: Option<Vec<u8>> = row.get(11)?;
        Ok(Self {
            key: EventKey::new(task_id, Stage::from(stage)).with_revision(row.get(6)?),
            source: source(row.get(2)?),
            verified_by: VerifiedBy::from_bits(row.get(3)?),
            unconfirmed: row.get(4)?,
            received_at: time(row.get(5)?)?,
            suffix: row::suffix(row.get(7)?),
            submit: row.get::<_, Option<_>>(8)?.map(SubmitId::from_bytes),
            reference: row::reference(row.get(9)?)?,
            kind: kind.as_deref().map(row::kind).transpose()?,
            raw: raw.ok_or(Error::Damaged("an event has no body"))?,
        })
    }
}

/// A claim as it is stored.
pub(crate) struct Lease {
    state: i64,
    due: Option<Micros>,
    attempts: u32,
    lapses: u32,
    epoch: u32,
    worker: WorkerId,
    open_since: Micros,
}

impl Lease {
    /// Creates the first claim of an event.
    pub(crate) fn first(claimed: &ClaimedReady) -> Self {
        Self {
            state: CLAIMED,
            due: Some(claimed.until),
            attempts: 1,
            lapses: 0,
            epoch: 1,
            worker: claimed.worker,
            open_since: claimed.since,
        }
    }

    pub(crate) fn of(transaction: &Transaction<'_>, event: i64) -> Result<Option<Self>> {
        let lease = transaction
            .prepare_cached(
                "SELECT state, due, attempts, lapses, epoch, worker, open_since
                 FROM later WHERE event_id = ?1",
            )?
            .query_row([event], |row| {
                Ok(Self {
                    state: row.get(0)?,
                    due: row.get(1)?,
                    attempts: row.get(2)?,
                    lapses: row.get(3)?,
                    epoch: row.get(4)?,
                    worker: worker(row.get(5)?),
                    open_since: row.get(6)?,
                })
            })
            .optional()?;
        Ok(lease)
    }

    pub(crate) fn is_held_by(&self, ticket: &Ticket, now: Micros) -> bool {
        self.state == CLAIMED
            && self.epoch == ticket.epoch
            && self.worker == ticket.worker
            && self.due.is_some_and(|due| due > now)
    }

    pub(crate) fn claim(self, id: EventId, event: Event, now: Micros) -> Claim {
        let ticket = Ticket {
            event: id,
            epoch: self.epoch,
            worker: self.worker,
        };
        let mut claim = Claim::new(ticket, event.key, event.raw);
        claim.holds_for = left(now, self.due.unwrap_or(now));
        claim.attempt = self.attempts;
        claim.lapses = self.lapses;
        claim.age = left(self.open_since, now);
        claim.source = event.source;
        claim.verified_by = event.verified_by;
        claim.unconfirmed = event.unconfirmed;
        claim.received_at = event.received_at;
        claim.suffix = event.suffix;
        claim.submit = event.submit;
        claim.reference = event.reference;
        claim.kind = event.kind;
        claim
    }
}
