//! What the cases are written in: deliveries, moments, and expectations that say what came.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use jiff::Timestamp;
use suno_types::{DecodeError, TaskId};

use super::{Bench, Failed, Verdict};
use crate::delivery::Delivery;
use crate::store::{
    Accepted, Claim, ClaimRequest, EventState, Inspect, Record, Settlement, Ticket,
};
use crate::verify::Verification;

/// How long claims last in the cases.
pub(super) const LEASE: Duration = Duration::from_secs(60);

/// A moment, in seconds after the beginning of a case.
pub(super) fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_780_000_000 + seconds).unwrap_or(Timestamp::UNIX_EPOCH)
}

/// A delivery of a stage that says that the track lasts `duration` seconds.
pub(super) fn delivery_of(task: &str, word: &str, duration: u32) -> Result<Delivery, Failed> {
    delivery_at(task, word, duration, 0)
}

/// The same, received at a moment.
pub(super) fn delivery_at(
    task: &str,
    word: &str,
    duration: u32,
    seconds: i64,
) -> Result<Delivery, Failed> {
    let (code, word) = match word {
        "failed" => (501, "error"),
        word => (200, word),
    };
    raw_delivery(
        format!(
            r#"{{"code":{code},"msg":"m","data":{{"callbackType":"{word}","task_id":"{task}",
                "data":[{{"id":"t","audio_url":"https://media.example.com/t","duration":{duration}}}]}}}}"#
        ),
        seconds,
    )
}

/// A delivery of any body.
pub(super) fn raw_delivery(body: impl Into<Bytes>, seconds: i64) -> Result<Delivery, Failed> {
    let none = Verification::dangerous_none();
    let verified = none
        .verify(None, &http::HeaderMap::new(), body.into(), 0)
        .map_err(|refusal| Failed::Wrong(format!("the case is broken: {refusal}")))?;
    Delivery::decode(verified, at(seconds))
        .map_err(|err: DecodeError| Failed::Wrong(format!("the case is broken: {err}")))
}

/// A delivery of a stage.
pub(super) fn delivery(task: &str, word: &str) -> Result<Delivery, Failed> {
    delivery_of(task, word, 10)
}

/// A store and short words for what is done with it.
pub(super) struct Scene {
    pub(super) store: Arc<dyn Inspect>,
}

impl Scene {
    pub(super) async fn fresh(bench: &dyn Bench) -> Result<Self, Failed> {
        let store = bench.fresh().await?;
        Ok(Self { store })
    }

    /// The store after its process has ended.
    pub(super) async fn reopen(self, bench: &dyn Bench) -> Result<Self, Failed> {
        match bench.reopen(self.store).await? {
            Some(store) => Ok(Self { store }),
            None => Err(Failed::NotApplicable),
        }
    }

    /// Accepts one delivery.
    pub(super) async fn accept(&self, delivery: Delivery) -> Result<Accepted, Failed> {
        let accepted = self.store.accept(&[delivery]).await?;
        match accepted[..] {
            [accepted] => Ok(accepted),
            _ => Err(Failed::Wrong(format!(
                "one delivery, {} answers",
                accepted.len()
            ))),
        }
    }

    /// Accepts stages of a task, one after the other.
    pub(super) async fn accept_stages(&self, task: &str, words: &[&str]) -> Verdict {
        for word in words {
            self.accept(delivery(task, word)?).await?;
        }
        Ok(())
    }

    /// Claims at most `events_max` events.
    pub(super) async fn claim(
        &self,
        seconds: i64,
        events_max: usize,
    ) -> Result<Vec<Claim>, Failed> {
        let request = ClaimRequest::new(at(seconds), LEASE, events_max);
        Ok(self.store.claim(request).await?)
    }

    /// Claims the one event that there is to claim.
    pub(super) async fn claim_one(&self, seconds: i64) -> Result<Claim, Failed> {
        let mut claims = self.claim(seconds, 10).await?;
        match (claims.pop(), claims.is_empty()) {
            (Some(claim), true) => Ok(claim),
            (last, _) => {
                let keys: Vec<_> = claims.iter().chain(&last).map(key_of).collect();
                Err(Failed::Wrong(format!("expected one claim, got {keys:?}")))
            }
        }
    }

    /// Expects that there is nothing to claim.
    pub(super) async fn expect_no_claim(&self, seconds: i64, when: &str) -> Verdict {
        let keys: Vec<_> = self.claim(seconds, 10).await?.iter().map(key_of).collect();
        expect(&format!("claims {when}"), keys, Vec::new())
    }

    /// Settles one claim.
    pub(super) async fn settle(
        &self,
        ticket: Ticket,
        settlement: Settlement,
    ) -> Result<crate::Held, Failed> {
        let held = self.store.settle(&[(ticket, settlement)]).await?;
        held.first()
            .copied()
            .ok_or_else(|| Failed::Wrong("one settlement, no answer".to_owned()))
    }

    /// Extends one claim to a moment.
    pub(super) async fn extend(&self, ticket: Ticket, until: i64) -> Result<crate::Held, Failed> {
        let held = self.store.extend(&[ticket], at(until)).await?;
        held.first()
            .copied()
            .ok_or_else(|| Failed::Wrong("one extension, no answer".to_owned()))
    }

    /// The events of a task.
    pub(super) async fn find(&self, task: &str) -> Result<Vec<Record>, Failed> {
        let task_id =
            TaskId::new(task).map_err(|err| Failed::Wrong(format!("the case is broken: {err}")))?;
        Ok(self.store.find(&task_id).await?)
    }

    /// The first event of a task.
    pub(super) async fn find_one(&self, task: &str) -> Result<Record, Failed> {
        let found = self.find(task).await?.into_iter().next();
        found.ok_or_else(|| Failed::Wrong(format!("no event of the task {task} is there")))
    }

    /// The events of a task, which must be so many.
    pub(super) async fn find_exactly<const N: usize>(
        &self,
        task: &str,
    ) -> Result<[Record; N], Failed> {
        self.find(task).await?.try_into().map_err(|found: Vec<_>| {
            Failed::Wrong(format!(
                "expected {N} events of {task}, got {}",
                found.len()
            ))
        })
    }

    /// Claims so many events.
    pub(super) async fn claim_exactly<const N: usize>(
        &self,
        seconds: i64,
    ) -> Result<[Claim; N], Failed> {
        self.claim(seconds, N)
            .await?
            .try_into()
            .map_err(|claims: Vec<_>| {
                Failed::Wrong(format!("expected {N} claims, got {}", claims.len()))
            })
    }

    /// Expects the stages of a task to stand so.
    pub(super) async fn expect_states(&self, task: &str, states: &[(&str, EventState)]) -> Verdict {
        let found = self.find(task).await?;
        let found: Vec<_> = found
            .iter()
            .map(|record| (record.key.stage().as_str(), record.state))
            .collect();
        expect("events of the task", found, states.to_vec())
    }
}

/// What a claim is of, in words.
pub(super) fn key_of(claim: &Claim) -> String {
    claim.key.to_string()
}

/// Another attempt, `seconds` after the beginning.
pub(super) fn retry_at(seconds: i64) -> Settlement {
    Settlement::RetryAt {
        at: at(seconds),
        reason: "no luck".to_owned(),
    }
}

/// Fails with what came instead.
pub(super) fn expect<T: PartialEq + fmt::Debug>(what: &str, came: T, expected: T) -> Verdict {
    if came == expected {
        return Ok(());
    }
    Err(Failed::Wrong(format!(
        "{what}: expected {expected:?}, got {came:?}"
    )))
}
