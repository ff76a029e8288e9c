//! What the tests share: a clock that is set by hand, signed requests, and a store that is watched and
//! can be made to fail.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use http::Request;
use jiff::Timestamp;
use suno_callback::{
    Acceptance, CallbackHandler, ClaimRequest, Claims, Clock, Delivery, Event, ExtendResult,
    IdempotencyStore, MemoryStore, SettleResult, Settlement, StoreError, StoreErrorKind, Ticket,
    handler_fn,
};
use suno_testkit::wrapper::{Faults, Wrapped, Wrapper};
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

/// A failure, as the provider reports it.
pub(crate) fn failure(task_id: &str) -> String {
    format!(
        r#"{{"code":501,"msg":"m","data":{{"callbackType":"error","task_id":"{task_id}","data":null}}}}"#
    )
}

/// A callback as it is stored.
pub(crate) fn delivery(task_id: &str, word: &str) -> Delivery {
    let body = match word {
        "failed" => failure(task_id),
        word => body(task_id, word),
    };
    Delivery::decode(body.into(), Timestamp::from_second(NOW).unwrap())
}

/// Counts the handlers of each event.
#[derive(Debug, Clone, Default)]
pub(crate) struct Meter(Arc<Mutex<Handlers>>);

#[derive(Debug, Default)]
struct Handlers {
    running: HashMap<TaskId, usize>,
    at_once_max: usize,
    begun: Vec<String>,
}

/// A handler that runs, until this is dropped.
pub(crate) struct RunningHandler(Meter, TaskId);

impl Drop for RunningHandler {
    fn drop(&mut self) {
        let mut handlers = self.0.0.lock().unwrap();
        *handlers.running.get_mut(&self.1).unwrap() -= 1;
    }
}

impl Meter {
    pub(crate) fn enter(&self, event: &Event) -> RunningHandler {
        let mut handlers = self.0.lock().unwrap();
        handlers.begun.push(event.key().to_string());
        let of_task = handlers.running.entry(event.task_id().clone()).or_default();
        *of_task += 1;
        let of_task = *of_task;
        handlers.at_once_max = handlers.at_once_max.max(of_task);
        RunningHandler(self.clone(), event.task_id().clone())
    }

    /// A handler that takes `time` for each event, and none for tasks whose name begins with `quick`.
    pub(crate) fn handler(&self, time: Duration) -> impl CallbackHandler {
        let meter = self.clone();
        handler_fn(move |event: Event| {
            let running = meter.enter(&event);
            async move {
                let _running = running;
                if !event.task_id().as_str().starts_with("quick") {
                    tokio::time::sleep(time).await;
                }
                Ok(())
            }
        })
    }

    /// How many handlers of one task have run at the same time at most.
    pub(crate) fn at_once_max(&self) -> usize {
        self.0.lock().unwrap().at_once_max
    }

    /// The events that were handled, in the order of their beginning.
    pub(crate) fn begun(&self) -> Vec<String> {
        self.0.lock().unwrap().begun.clone()
    }

    /// How many handlers run.
    pub(crate) fn running(&self) -> usize {
        self.0.lock().unwrap().running.values().sum()
    }
}

/// Lets time pass, on the clock of tokio and so on that of stores.
pub(crate) async fn pass(seconds: u64) {
    tokio::time::sleep(Duration::from_secs(seconds)).await;
}

/// A store in memory that can be made to fail, and that keeps what its operations came to.
pub(crate) type WatchedStore = Wrapped<Watched>;

#[derive(Debug, Default)]
pub(crate) struct Watched {
    store: Arc<MemoryStore>,
    pub(crate) faults: Faults,
    pub(crate) down: AtomicBool,
    /// Panics when it is to accept.
    pub(crate) panics: AtomicBool,
    /// Refuses requests that settle something.
    pub(crate) settles_nothing: AtomicBool,
    /// Says of every claim that is to be extended that it is lost.
    pub(crate) loses_claims: AtomicBool,
    /// Whoever holds this holds back what is accepted.
    pub(crate) accepting: tokio::sync::Mutex<()>,
    /// Told of every batch that is to be accepted.
    pub(crate) asked: tokio::sync::Notify,
    /// Refuses every delivery whose body holds this, and every settlement whose reason does.
    pub(crate) poison: Mutex<Option<&'static str>>,
    pub(crate) accepted: Mutex<Vec<Acceptance>>,
    /// Of each that was accepted, whether it must be confirmed.
    pub(crate) unconfirmed: Mutex<Vec<bool>>,
    pub(crate) batches: Mutex<Vec<usize>>,
    pub(crate) settled: Mutex<Vec<Settlement>>,
    /// What became of settlements.
    pub(crate) answers: Mutex<Vec<SettleResult>>,
    /// The numbers of claim requests.
    pub(crate) numbers: Mutex<Vec<u64>>,
}

impl Watched {
    /// What another process has of the same store.
    pub(crate) fn of(store: Arc<MemoryStore>) -> WatchedStore {
        Wrapped(Self {
            store,
            ..Self::default()
        })
    }

    /// The store without faults.
    pub(crate) fn memory(&self) -> &Arc<MemoryStore> {
        &self.store
    }

    fn check(&self) -> Result<(), StoreError> {
        Self::check_unless(&self.down)
    }

    fn check_unless(down: &AtomicBool) -> Result<(), StoreError> {
        if down.load(Ordering::SeqCst) {
            return Err(StoreError::new(StoreErrorKind::Full));
        }
        Ok(())
    }

    fn refuse_if(&self, is_poisoned: impl Fn(&str) -> bool) -> Result<(), StoreError> {
        let poison = *self.poison.lock().unwrap();
        if poison.is_some_and(is_poisoned) {
            return Err(StoreError::new(StoreErrorKind::Refused));
        }
        Ok(())
    }
}

#[async_trait]
impl Wrapper for Watched {
    fn inner(&self) -> &dyn IdempotencyStore {
        &*self.store
    }

    fn faults(&self) -> &Faults {
        &self.faults
    }

    async fn accept(&self, deliveries: &[Delivery]) -> Result<Vec<Acceptance>, StoreError> {
        self.batches.lock().unwrap().push(deliveries.len());
        assert!(!self.panics.load(Ordering::SeqCst), "it was told to");
        self.check()?;
        self.refuse_if(|poison| {
            let mut bodies = deliveries.iter().map(|delivery| &delivery.raw);
            bodies.any(|body| String::from_utf8_lossy(body).contains(poison))
        })?;
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

    async fn claim(&self, request: &ClaimRequest) -> Result<Claims, StoreError> {
        self.numbers.lock().unwrap().push(request.number);
        self.check()?;
        if !request.settlements.is_empty() {
            Self::check_unless(&self.settles_nothing)?;
        }
        self.refuse_if(|poison| {
            let mut settlements = request.settlements.iter();
            settlements.any(|(_, settlement)| {
                matches!(settlement, Settlement::Dead { reason, .. } | Settlement::Retry { reason, .. }
                    if reason.contains(poison))
            })
        })?;
        let claims = self.store.claim(request).await?;
        for ((_, settlement), answer) in request.settlements.iter().zip(&claims.settled) {
            self.answers.lock().unwrap().push(*answer);
            if *answer == SettleResult::Settled {
                self.settled.lock().unwrap().push(settlement.clone());
            }
        }
        Ok(claims)
    }

    async fn extend(
        &self,
        tickets: &[Ticket],
        lease: Duration,
    ) -> Result<Vec<ExtendResult>, StoreError> {
        self.check()?;
        if self.loses_claims.load(Ordering::SeqCst) {
            return Ok(vec![ExtendResult::Lost; tickets.len()]);
        }
        self.store.extend(tickets, lease).await
    }
}
