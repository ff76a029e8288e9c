//! The pieces of work whose instructions are counted.

use std::fmt;
use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, ensure};
use bytes::Bytes;
use clap::ValueEnum;
use http::Request;
use jiff::Timestamp;
use suno_callback::{
    ClaimRequest, Clock, Delivery, IdempotencyStore, Inbox, MemoryStore, Receiver, Settlement,
    Verification, WorkerId,
};
use suno_store_sqlite::SqliteStore;
use suno_testkit::callback::body;
use suno_types::signature::{SignatureHeaders, WebhookKey, verify};
use suno_types::{Callback, CallbackRef, Peek, TaskId};

use crate::bench::delivery;

/// The size of the body that is decoded and verified.
const BODY_BYTES: usize = 1_700;
/// The size of the body of an event that is stored.
const EVENT_BODY_BYTES: usize = 1_150;
/// The number of deliveries in a commit, and of events in a claim.
const BATCH: usize = 32;
const KEY: &str = "whk-instructions";
const WORKER: WorkerId = WorkerId(1);
const NOW: u64 = 1_780_000_000;
const WINDOW: Duration = Duration::from_secs(300);

/// A piece of work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
#[non_exhaustive]
pub enum Piece {
    /// Decode a body of 1.7 kB to owned types.
    Decode,
    /// Decode a body of 1.7 kB to borrowed types.
    Read,
    /// Read the task id of a body of 1.7 kB.
    Peek,
    /// Verify the signature of a callback.
    Verify,
    /// Process a request up to its response, with the store in memory.
    Receive,
    /// Accept an event into the store in memory.
    AcceptMemory,
    /// Accept an event into the SQLite store.
    AcceptSqlite,
    /// Claim an event in the SQLite store, and settle it.
    ClaimSqlite,
}

impl fmt::Display for Piece {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = self.to_possible_value();
        f.pad(value.as_ref().map_or("", |value| value.get_name()))
    }
}

/// A piece of work, repeated a number of times.
#[derive(Debug, Clone, clap::Args)]
pub struct Work {
    /// Work to do
    piece: Piece,
    /// Number of repetitions
    times: usize,
    /// Number of repetitions to prepare for, so that the preparation does not depend on the
    /// number that is done
    prepared: usize,
}

impl Work {
    /// Does the work.
    ///
    /// # Errors
    ///
    /// Returns an error if the result is not as expected.
    pub async fn run(self) -> Result<()> {
        match self.piece {
            Piece::Decode => self.decode(),
            Piece::Read => self.read(),
            Piece::Peek => self.peek(),
            Piece::Verify => self.verify(),
            Piece::Receive => self.receive().await,
            Piece::AcceptMemory => self.accept(&MemoryStore::new()).await,
            Piece::AcceptSqlite => {
                let dir = tempfile::tempdir()?;
                self.accept(&SqliteStore::open(dir.path().join("suno.db"))?)
                    .await
            }
            Piece::ClaimSqlite => self.claim().await,
        }
    }

    fn decode(&self) -> Result<()> {
        let body = body(&task(0), BODY_BYTES);
        for _ in 0..self.times {
            black_box(Callback::decode(black_box(body.as_bytes()))?);
        }
        Ok(())
    }

    fn read(&self) -> Result<()> {
        let body = body(&task(0), BODY_BYTES);
        for _ in 0..self.times {
            black_box(CallbackRef::decode(black_box(body.as_bytes()))?);
        }
        Ok(())
    }

    fn peek(&self) -> Result<()> {
        let body = body(&task(0), BODY_BYTES);
        for _ in 0..self.times {
            black_box(Peek::callback(black_box(body.as_bytes()))?);
        }
        Ok(())
    }

    fn verify(&self) -> Result<()> {
        let task = task(0);
        let keys = [WebhookKey::new(KEY)];
        let signature = keys[0].sign(&TaskId::new(&*task)?, NOW);
        let timestamp = NOW.to_string();
        let headers = [
            ("x-webhook-timestamp", timestamp.as_bytes()),
            ("x-webhook-signature", signature.as_bytes()),
        ];
        for _ in 0..self.times {
            let headers = SignatureHeaders::find(black_box(headers))?;
            black_box(verify(&keys, &task, headers, NOW, WINDOW)?);
        }
        Ok(())
    }

    async fn receive(&self) -> Result<()> {
        let inbox = Inbox::start(Arc::new(MemoryStore::new()));
        let receiver = Receiver::new(inbox, Verification::webhook_key(KEY)).with_clock(At(NOW));
        let key = WebhookKey::new(KEY);
        let mut requests = Vec::with_capacity(self.prepared);
        for number in 0..self.prepared {
            requests.push(request(&key, &task(number))?);
        }
        for request in requests.into_iter().take(self.times) {
            let answer = receiver.receive(request).await;
            ensure!(answer.status() == 200, "answered with {}", answer.status());
        }
        Ok(())
    }

    async fn accept(&self, store: &dyn IdempotencyStore) -> Result<()> {
        for batch in self.deliveries()?[..self.times].chunks(BATCH) {
            store.accept(batch).await?;
        }
        Ok(())
    }

    async fn claim(&self) -> Result<()> {
        let dir = tempfile::tempdir()?;
        let store = SqliteStore::open(dir.path().join("suno.db"))?;
        for batch in self.deliveries()?.chunks(BATCH) {
            store.accept(batch).await?;
        }
        let mut settlements = Vec::new();
        for number in 1..=self.times / BATCH {
            let request = ClaimRequest::new(WORKER, number as u64, WINDOW, BATCH);
            let claims = store.claim(&request.with_settlements(settlements)).await?;
            let claimed = claims.claims.iter();
            settlements = claimed
                .map(|claim| (claim.ticket, Settlement::Done))
                .collect();
            let claimed = settlements.len();
            ensure!(claimed == BATCH, "only {claimed} were claimed");
        }
        Ok(())
    }

    fn deliveries(&self) -> Result<Vec<Delivery>> {
        (0..self.prepared)
            .map(|number| delivery(&task(number), EVENT_BODY_BYTES))
            .collect()
    }
}

/// Returns an id like the provider's: 32 random-looking characters.
fn task(number: usize) -> String {
    let mixed = (number as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    format!("{mixed:016x}{number:016x}")
}

fn request(key: &WebhookKey, task: &str) -> Result<Request<Bytes>> {
    Ok(Request::post(Receiver::PATH)
        .header("host", "localhost")
        .header("content-type", "application/json")
        .header("x-webhook-timestamp", NOW)
        .header("x-webhook-signature", key.sign(&TaskId::new(task)?, NOW))
        .body(Bytes::from(body(task, BODY_BYTES)))?)
}

/// A clock that does not advance.
#[derive(Debug)]
struct At(u64);

impl Clock for At {
    fn now(&self) -> Timestamp {
        Timestamp::from_second(self.0.cast_signed()).unwrap_or_default()
    }
}
