//! The vocabulary of the cases: deliveries, a store with short names for its operations, and
//! expectations whose messages describe what the store did instead.

use std::cell::Cell;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use jiff::Timestamp;
use suno_types::TaskId;

use super::{Bench, CaseResult, Failed};
use crate::delivery::Delivery;
use crate::key::EventId;
use crate::store::{
    Acceptance, Claim, ClaimRequest, Claims, Counts, DeadCause, EventRecord, ExtendResult,
    IdempotencyStore, Redrive, RedriveResult, SettleResult, Settlement, StateName, Ticket,
    WorkerId,
};

/// The lease of claims in the cases.
pub(super) const LEASE: Duration = Duration::from_secs(60);
/// The tolerance for measured durations, because the clock of a real store keeps running.
const TOLERANCE: Duration = Duration::from_secs(1);
/// The number of times in a row that a store may report that there is more. No case has so many
/// events.
const ROUNDS_MAX: usize = 10_000;

/// The worker that claims in the cases.
pub(super) const WORKER: WorkerId = WorkerId(1);
/// Another worker that claims.
pub(super) const OTHER: WorkerId = WorkerId(2);
/// A worker that only settles, so that the request numbers of the other workers do not change.
const CLERK: WorkerId = WorkerId(3);

/// Returns a time of receipt, in seconds after a fixed day.
pub(super) fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_780_000_000 + seconds).unwrap_or(Timestamp::UNIX_EPOCH)
}

/// Creates a delivery of a stage.
pub(super) fn delivery(task: &str, word: &str) -> Delivery {
    delivery_of(task, word, 10)
}

/// Creates a delivery of a stage with a track of `duration` seconds.
pub(super) fn delivery_of(task: &str, word: &str, duration: u32) -> Delivery {
    delivery_at(task, word, duration, 0)
}

/// Creates a delivery that was received at a given time.
pub(super) fn delivery_at(task: &str, word: &str, duration: u32, seconds: i64) -> Delivery {
    raw_delivery(body(task, word, duration, 1), seconds)
}

/// Creates a delivery of a stage with so many ready tracks.
pub(super) fn delivery_with(task: &str, word: &str, duration: u32, results: u16) -> Delivery {
    raw_delivery(body(task, word, duration, results), 0)
}

fn body(task: &str, word: &str, duration: u32, results: u16) -> String {
    let (code, word) = match word {
        "failed" => (501, "error"),
        word => (200, word),
    };
    let track = |number| {
        let url = "https://media.example.com/t";
        format!(r#"{{"id":"t{number}","audio_url":"{url}","duration":{duration}}}"#)
    };
    let tracks: Vec<_> = (0..results).map(track).collect();
    format!(
        r#"{{"code":{code},"msg":"m","data":{{"callbackType":"{word}","task_id":"{task}",
            "data":[{}]}}}}"#,
        tracks.join(",")
    )
}

/// Creates a delivery with any body.
pub(super) fn raw_delivery(body: impl Into<Bytes>, seconds: i64) -> Delivery {
    Delivery::decode(body.into(), at(seconds))
}

/// Creates a delivery of a stage that the provider's record must confirm.
pub(super) fn unconfirmed(task: &str, word: &str, duration: u32) -> Delivery {
    delivery_of(task, word, duration).with_unconfirmed(true)
}

pub(super) fn task_id(task: &str) -> Result<TaskId, Failed> {
    TaskId::new(task).map_err(|err| Failed::Wrong(format!("the case is broken: {err}")))
}

/// Creates a retry after some seconds.
pub(super) fn retry(seconds: u64) -> Settlement {
    Settlement::Retry {
        after: Duration::from_secs(seconds),
        reason: "no luck".to_owned(),
    }
}

pub(super) fn dead() -> Settlement {
    Settlement::Dead {
        cause: DeadCause::GivenUp,
        reason: "why".to_owned(),
    }
}

/// A store with short methods for its operations.
pub(super) struct Scene<'a> {
    pub(super) store: Arc<dyn IdempotencyStore>,
    pub(super) bench: &'a dyn Bench,
    last_number: Cell<u64>,
}

impl<'a> Scene<'a> {
    pub(super) async fn fresh(bench: &'a dyn Bench) -> Result<Self, Failed> {
        let (store, last_number) = (bench.fresh().await?, Cell::new(0));
        Ok(Self {
            store,
            bench,
            last_number,
        })
    }

    /// Reopens the store, as after the end of its process.
    pub(super) async fn reopen(self) -> Result<Self, Failed> {
        let store = self.bench.reopen(self.store).await?;
        Ok(Self {
            store: store.ok_or(Failed::NotApplicable)?,
            ..self
        })
    }

    /// Opens another instance of the store, as another process would.
    pub(super) async fn another(&self) -> Result<Arc<dyn IdempotencyStore>, Failed> {
        let another = self.bench.another(&self.store).await?;
        another.ok_or(Failed::NotApplicable)
    }

    pub(super) async fn pass(&self, seconds: u64) {
        self.bench.pass(Duration::from_secs(seconds)).await;
    }

    /// Accepts one delivery.
    pub(super) async fn accept(&self, delivery: Delivery) -> Result<Acceptance, Failed> {
        let accepted = self.store.accept(&[delivery]).await?;
        only(&accepted, "deliveries")
    }

    /// Accepts stages of a task, one after the other.
    pub(super) async fn accept_stages(&self, task: &str, words: &[&str]) -> CaseResult {
        for word in words {
            self.accept(delivery(task, word)).await?;
        }
        Ok(())
    }

    /// Accepts the terminal stage of each task.
    pub(super) async fn accept_tasks(&self, tasks: &[&str]) -> CaseResult {
        for task in tasks {
            self.accept(delivery(task, "complete")).await?;
        }
        Ok(())
    }

    /// Creates the next request of [`WORKER`].
    pub(super) fn request(&self, events_max: usize) -> ClaimRequest {
        self.last_number.set(self.last_number.get() + 1);
        ClaimRequest::new(WORKER, self.last_number.get(), LEASE, events_max)
    }

    /// Sends one request, and checks that the answer has at most the requested size.
    pub(super) async fn ask(&self, request: &ClaimRequest) -> Result<Claims, Failed> {
        let claims = self.store.claim(request).await?;
        let is_bounded = claims.claims.len() <= request.events_max;
        expect("no more claims than asked for", is_bounded, true)?;
        let answers = claims.settled.len();
        expect("answers to settlements", answers, request.settlements.len())?;
        Ok(claims)
    }

    /// Claims at most `events_max` events, in as many requests as the store needs.
    pub(super) async fn claim(&self, events_max: usize) -> Result<Vec<Claim>, Failed> {
        let mut claims: Vec<Claim> = Vec::new();
        for _ in 0..ROUNDS_MAX {
            let wanted = events_max - claims.len();
            let request = self.request(wanted).with_running(claims.len());
            let answer = self.ask(&request).await?;
            claims.extend(answer.claims);
            if claims.len() == events_max || !answer.more {
                return Ok(claims);
            }
        }
        wrong("the store says without end that there may be more to claim")
    }

    /// Claims events and returns their keys.
    pub(super) async fn claim_keys(&self, events_max: usize) -> Result<Vec<String>, Failed> {
        Ok(keys(&self.claim(events_max).await?))
    }

    /// Claims the given number of events.
    pub(super) async fn claim_exactly<const N: usize>(&self) -> Result<[Claim; N], Failed> {
        let claims = self.claim(N).await?;
        claims.try_into().or_else(|claims: Vec<_>| {
            wrong(format!("expected {N} claims, got {:?}", keys(&claims)))
        })
    }

    /// Claims the only event that is ready.
    pub(super) async fn claim_one(&self) -> Result<Claim, Failed> {
        let claims = self.claim(10).await?;
        let [claim] = <[Claim; 1]>::try_from(claims)
            .or_else(|claims| wrong(format!("expected one claim, got {:?}", keys(&claims))))?;
        Ok(claim)
    }

    /// Claims the only event that is ready, which must have this key.
    pub(super) async fn claim_key(&self, key: &str) -> Result<Claim, Failed> {
        let claim = self.claim_one().await?;
        expect("the claimed event", claim.key.to_string(), key.to_owned())?;
        Ok(claim)
    }

    /// Expects that no event can be claimed.
    pub(super) async fn expect_no_claim(&self, when: &str) -> CaseResult {
        let keys = self.claim_keys(10).await?;
        expect(&format!("claims {when}"), keys, Vec::new())
    }

    /// Settles one claim without claiming.
    pub(super) async fn settle(
        &self,
        ticket: Ticket,
        settlement: Settlement,
    ) -> Result<SettleResult, Failed> {
        let mut request = self.request(0).with_settlements(vec![(ticket, settlement)]);
        request.worker = CLERK;
        only(&self.ask(&request).await?.settled, "settlements")
    }

    /// Claims the only event that is ready, and settles it.
    pub(super) async fn handle(&self, settlement: Settlement) -> Result<Ticket, Failed> {
        let ticket = self.claim_one().await?.ticket;
        let settled = self.settle(ticket, settlement).await?;
        expect("settled", settled, SettleResult::Settled)?;
        Ok(ticket)
    }

    /// Claims the only event that is ready and lets its lease end, the given number of times.
    pub(super) async fn lapse(&self, times: u32) -> CaseResult {
        for _ in 0..times {
            self.claim_one().await?;
            self.pass(LEASE.as_secs()).await;
        }
        Ok(())
    }

    /// Extends one claim.
    pub(super) async fn extend(
        &self,
        ticket: Ticket,
        seconds: u64,
    ) -> Result<ExtendResult, Failed> {
        let lease = Duration::from_secs(seconds);
        only(&self.store.extend(&[ticket], lease).await?, "extensions")
    }

    /// Returns the events of a task.
    pub(super) async fn find(&self, task: &str) -> Result<Vec<EventRecord>, Failed> {
        Ok(self.store.find(&task_id(task)?).await?)
    }

    /// Returns the first event of a task.
    pub(super) async fn find_one(&self, task: &str) -> Result<EventRecord, Failed> {
        let found = self.find(task).await?.into_iter().next();
        found.ok_or_else(|| Failed::Wrong(format!("the task {task} has no event")))
    }

    /// Returns the event of a task's stage.
    pub(super) async fn find_stage(&self, task: &str, word: &str) -> Result<EventRecord, Failed> {
        self.find_key(task, &format!("{task}/{word}")).await
    }

    /// Returns the event with this key.
    pub(super) async fn find_key(&self, task: &str, key: &str) -> Result<EventRecord, Failed> {
        let mut found = self.find(task).await?.into_iter();
        let found = found.find(|event| event.key.to_string() == key);
        found.ok_or_else(|| Failed::Wrong(format!("there is no event {key}")))
    }

    /// Redrives one event.
    pub(super) async fn redrive(
        &self,
        event: EventId,
        how: Redrive,
    ) -> Result<RedriveResult, Failed> {
        only(&self.store.redrive(&[event], how).await?, "redrives")
    }

    /// Expects that a task has these stages, in the order of arrival, in these states. A revision is
    /// written as `complete/1`.
    pub(super) async fn expect_states(
        &self,
        task: &str,
        expected: &[(&str, StateName)],
    ) -> CaseResult {
        let found = self.find(task).await?;
        let keys: Vec<_> = found.iter().map(|event| event.key.to_string()).collect();
        let stages = keys.iter().map(|key| &key[task.len() + 1..]);
        let states = found.iter().map(|event| StateName::from(event.state));
        let found: Vec<_> = stages.zip(states).collect();
        expect(&format!("events of {task}"), found, expected.to_vec())
    }

    pub(super) async fn counts(&self) -> Result<Counts, Failed> {
        Ok(self.store.counts().await?)
    }
}

fn only<T: Copy>(answers: &[T], what: &str) -> Result<T, Failed> {
    match answers {
        [answer] => Ok(*answer),
        _ => wrong(format!("{} answers to one of the {what}", answers.len())),
    }
}

/// Returns the keys of claims, in their order.
pub(super) fn keys(claims: &[Claim]) -> Vec<String> {
    claims.iter().map(|claim| claim.key.to_string()).collect()
}

/// Returns the keys of the terminal stages of tasks.
pub(super) fn complete(tasks: &[&str]) -> Vec<String> {
    tasks
        .iter()
        .map(|task| format!("{task}/complete"))
        .collect()
}

pub(super) fn wrong<T>(what: impl Into<String>) -> Result<T, Failed> {
    Err(Failed::Wrong(what.into()))
}

/// Fails unless both values are equal.
pub(super) fn expect<T: PartialEq + fmt::Debug>(what: &str, found: T, expected: T) -> CaseResult {
    if found == expected {
        return Ok(());
    }
    wrong(format!("{what}: expected {expected:?}, got {found:?}"))
}

/// Fails unless a duration is the given number of seconds, plus or minus one.
pub(super) fn expect_near(what: &str, found: Duration, seconds: u64) -> CaseResult {
    let expected = Duration::from_secs(seconds);
    if found.abs_diff(expected) <= TOLERANCE {
        return Ok(());
    }
    wrong(format!(
        "{what}: expected about {expected:?}, got {found:?}"
    ))
}
