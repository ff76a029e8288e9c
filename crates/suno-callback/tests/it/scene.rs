//! What the tests share: a clock that is set by hand, signed requests, and stores that fail.

use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use bytes::Bytes;
use http::Request;
use jiff::Timestamp;
use suno_callback::{
    Accepted, Claim, ClaimRequest, Clock, Delivery, Held, IdempotencyStore, MemoryStore,
    Settlement, StoreError, StoreErrorKind, Ticket,
};
use suno_types::TaskId;
use suno_types::signature::WebhookKey;

pub(crate) const KEY: &str = "whk-amber-otter";
pub(crate) const TASK: &str = "0f8c1b6de2a94c7f8e5d3b2a1c0f9e8d";
pub(crate) const NOW: i64 = 1_780_000_000;

/// A clock that is set by hand.
#[derive(Debug, Clone)]
pub(crate) struct HandClock(Arc<AtomicI64>);

impl HandClock {
    pub(crate) fn new() -> Self {
        Self(Arc::new(AtomicI64::new(NOW)))
    }

    pub(crate) fn advance(&self, seconds: i64) {
        self.0.fetch_add(seconds, Ordering::SeqCst);
    }
}

impl Clock for HandClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_second(self.0.load(Ordering::SeqCst)).unwrap()
    }
}

/// A callback of a stage, with one ready track.
pub(crate) fn body(task_id: &str, word: &str) -> String {
    format!(
        r#"{{"code":200,"msg":"ok","data":{{"callbackType":"{word}","task_id":"{task_id}",
            "data":[{{"id":"a","audio_url":"https://media.example.com/a.mp3","duration":12.5}}]}}}}"#
    )
}

pub(crate) fn post(path: &str) -> http::request::Builder {
    Request::post(path).header("content-type", "application/json")
}

/// A POST with a signature for `task_id` at [`NOW`].
pub(crate) fn signed(task_id: &str, body: &str) -> Request<Bytes> {
    signed_at(task_id, NOW.unsigned_abs(), body)
}

pub(crate) fn signed_at(task_id: &str, timestamp: u64, body: &str) -> Request<Bytes> {
    let signature = WebhookKey::new(KEY).sign(&TaskId::new(task_id).unwrap(), timestamp);
    post("/suno/callback")
        .header("x-webhook-timestamp", timestamp)
        .header("x-webhook-signature", signature)
        .body(Bytes::from(body.to_owned()))
        .unwrap()
}

/// A store in memory that can be made to fail, and that keeps what its operations came to.
#[derive(Debug, Default)]
pub(crate) struct WatchedStore {
    store: MemoryStore,
    pub(crate) down: AtomicBool,
    /// Panics when it is to accept.
    pub(crate) panics: AtomicBool,
    /// Takes no settlements.
    pub(crate) settles_nothing: AtomicBool,
    /// Says of every claim that is to be extended that it is lost.
    pub(crate) loses_claims: AtomicBool,
    /// Whoever holds this holds back what is claimed.
    pub(crate) claiming: tokio::sync::Mutex<()>,
    /// Whoever holds this holds back what is accepted.
    pub(crate) accepting: tokio::sync::Mutex<()>,
    /// Told of every batch that is to be accepted.
    pub(crate) asked: tokio::sync::Notify,
    /// Refuses every delivery whose body holds this, and every settlement whose reason does.
    pub(crate) poison: Mutex<Option<&'static str>>,
    pub(crate) accepted: Mutex<Vec<Accepted>>,
    /// Of each that was accepted, whether it must be confirmed.
    pub(crate) unconfirmed: Mutex<Vec<bool>>,
    pub(crate) batches: Mutex<Vec<usize>>,
    pub(crate) settled: Mutex<Vec<Settlement>>,
}

impl WatchedStore {
    fn check(&self) -> Result<(), StoreError> {
        Self::check_unless(&self.down)
    }

    fn check_unless(down: &AtomicBool) -> Result<(), StoreError> {
        if down.load(Ordering::SeqCst) {
            return Err(StoreError::new(StoreErrorKind::Full));
        }
        Ok(())
    }
}

#[async_trait]
impl IdempotencyStore for WatchedStore {
    async fn accept(&self, deliveries: &[Delivery]) -> Result<Vec<Accepted>, StoreError> {
        self.batches.lock().unwrap().push(deliveries.len());
        assert!(!self.panics.load(Ordering::SeqCst), "it was told to");
        self.check()?;
        let poison = *self.poison.lock().unwrap();
        let poisoned = |delivery: &Delivery| {
            poison.is_some_and(|poison| String::from_utf8_lossy(&delivery.raw).contains(poison))
        };
        if deliveries.iter().any(poisoned) {
            return Err(StoreError::new(StoreErrorKind::Refused));
        }
        // Others arrive while a real store writes.
        tokio::task::yield_now().await;
        self.asked.notify_one();
        let _held_back = self.accepting.lock().await;
        let accepted = self.store.accept(deliveries).await?;
        self.accepted.lock().unwrap().extend(&accepted);
        let unconfirmed = deliveries.iter().map(|delivery| delivery.unconfirmed);
        self.unconfirmed.lock().unwrap().extend(unconfirmed);
        Ok(accepted)
    }

    async fn claim(&self, request: ClaimRequest) -> Result<Vec<Claim>, StoreError> {
        self.check()?;
        let claims = self.store.claim(request).await;
        let _held_back = self.claiming.lock().await;
        claims
    }

    async fn extend(&self, tickets: &[Ticket], until: Timestamp) -> Result<Vec<Held>, StoreError> {
        self.check()?;
        if self.loses_claims.load(Ordering::SeqCst) {
            return Ok(vec![Held::Lost; tickets.len()]);
        }
        self.store.extend(tickets, until).await
    }

    async fn settle(&self, settled: &[(Ticket, Settlement)]) -> Result<Vec<Held>, StoreError> {
        self.check()?;
        Self::check_unless(&self.settles_nothing)?;
        let poison = *self.poison.lock().unwrap();
        let poisoned = |(_, settlement): &(Ticket, Settlement)| {
            matches!(settlement, Settlement::Dead { reason } | Settlement::RetryAt { reason, .. }
                if poison.is_some_and(|poison| reason.contains(poison)))
        };
        if settled.iter().any(poisoned) {
            return Err(StoreError::new(StoreErrorKind::Refused));
        }
        let held = self.store.settle(settled).await?;
        let settlements = settled.iter().map(|(_, settlement)| settlement.clone());
        self.settled.lock().unwrap().extend(settlements);
        Ok(held)
    }
}
