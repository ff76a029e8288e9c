//! Claims events: answers repeated requests, and reports when there is something to claim.

use rusqlite::{OptionalExtension, Transaction};
use suno_callback::{ClaimRequest, Claims, Ticket};

use crate::clock::{Micros, left};
use crate::error::Result;
use crate::grant::grant;
use crate::lease::{Event, Lease};
use crate::settle::settle;
use crate::work::Work;

/// Applies the settlements, and claims the events whose turn it is.
pub(crate) fn claim(work: &mut Work<'_>, request: &ClaimRequest) -> Result<Claims> {
    let settled = request
        .settlements
        .iter()
        .map(|(ticket, settlement)| settle(work, ticket, settlement))
        .collect::<Result<_>>()?;
    let mut claims = match granted_before(work, request) {
        Some(granted) => still_held(work, &granted)?,
        None => {
            let claims = grant(work, request)?;
            work.requests.remember(request, &claims.claims);
            claims
        }
    };
    claims.settled = settled;
    if !claims.more {
        claims.next_due = next_due(work.transaction, work.now)?;
    }
    Ok(claims)
}

/// Returns the claims that the request was granted, if it was answered before.
fn granted_before(work: &Work<'_>, request: &ClaimRequest) -> Option<Vec<Ticket>> {
    let last = work.requests.of(request.worker)?;
    match last.number.cmp(&request.number) {
        std::cmp::Ordering::Less => None,
        std::cmp::Ordering::Equal => Some(last.granted.clone()),
        std::cmp::Ordering::Greater => Some(Vec::new()),
    }
}

fn still_held(work: &mut Work<'_>, granted: &[Ticket]) -> Result<Claims> {
    let mut claims = Claims::default();
    let mut statement = Event::statement(work.transaction)?;
    for ticket in granted {
        let lease = Lease::of(work.transaction, ticket.event.0)?;
        if let Some(lease) = lease.filter(|lease| lease.is_held_by(ticket, work.now)) {
            let event = Event::read(&mut statement, ticket.event.0)?;
            claims
                .claims
                .push(lease.claim(ticket.event, event, work.now));
        }
    }
    claims.more = true;
    Ok(claims)
}

/// Returns the time until the next event becomes ready; zero if one is ready.
pub(crate) fn next_due(
    transaction: &Transaction<'_>,
    now: Micros,
) -> Result<Option<std::time::Duration>> {
    let ready: Option<i64> = transaction
        .prepare_cached("SELECT event_id FROM ready LIMIT 1")?
        .query_row((), |row| row.get(0))
        .optional()?;
    if ready.is_some() {
        return Ok(Some(std::time::Duration::ZERO));
    }
    let due: Option<Micros> = transaction
        .prepare_cached("SELECT due FROM later WHERE due IS NOT NULL ORDER BY due LIMIT 1")?
        .query_row((), |row| row.get(0))
        .optional()?;
    Ok(due.map(|due| left(now, due)))
}
