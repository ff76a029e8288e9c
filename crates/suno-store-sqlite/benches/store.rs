//! Accepting for each batch size, and claiming and settling, with the syncs of the disk that the
//! temporary folder is on.

#![allow(
    clippy::unwrap_used,
    missing_docs,
    reason = "a benchmark may panic, and is no library"
)]

use std::time::Duration;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use suno_callback::{
    Claim, ClaimRequest, Clock, Delivery, IdempotencyStore, Settlement, SystemClock, Ticket,
    WorkerId,
};
use suno_store_sqlite::SqliteStore;
use tokio::runtime::{Builder, Runtime};

const LEASE: Duration = Duration::from_secs(600);

fn delivery(number: u64) -> Delivery {
    let mixed = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let track = r#"{"audio_url":"https://media.example.com/a.mp3","duration":198.44,"id":"8551d662-0000-4000-8000-000000000001","prompt":"Rain on the harbour lights","title":"Harbour"}"#;
    let body = format!(
        r#"{{"code":200,"data":{{"callbackType":"complete","data":[{track},{track}],"task_id":"{mixed:016x}{number:016x}"}},"msg":"All generated successfully."}}"#
    );
    Delivery::decode(body.into(), SystemClock.now())
}

struct Scene {
    runtime: Runtime,
    store: SqliteStore,
    next: u64,
    requests: u64,
    _dir: tempfile::TempDir,
}

impl Scene {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        Self {
            runtime: Builder::new_current_thread().enable_all().build().unwrap(),
            store: SqliteStore::open(dir.path().join("suno.db")).unwrap(),
            next: 0,
            requests: 0,
            _dir: dir,
        }
    }

    fn batch(&mut self, size: u64) -> Vec<Delivery> {
        self.next += size;
        (self.next - size..self.next).map(delivery).collect()
    }

    fn accept(&self, batch: &[Delivery]) {
        self.runtime.block_on(self.store.accept(batch)).unwrap();
    }

    /// Settles claims and claims again, as a dispatcher does.
    fn claim(&mut self, events_max: usize, settled: &[Claim]) -> Vec<Claim> {
        let done = |claim: &Claim| -> (Ticket, Settlement) { (claim.ticket, Settlement::Done) };
        self.requests += 1;
        let request = ClaimRequest::new(WorkerId(1), self.requests, LEASE, events_max)
            .with_settlements(settled.iter().map(done).collect());
        self.runtime
            .block_on(self.store.claim(&request))
            .unwrap()
            .claims
    }
}

fn accepting(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("accept in SQLite");
    for size in [1, 8, 64, 512] {
        let mut scene = Scene::new();
        group.throughput(Throughput::Elements(size));
        group.bench_function(BenchmarkId::from_parameter(size), |bencher| {
            bencher.iter_custom(|times| {
                let batches: Vec<_> = (0..times).map(|_| scene.batch(size)).collect();
                let before = std::time::Instant::now();
                for batch in &batches {
                    scene.accept(batch);
                }
                before.elapsed()
            });
        });
    }
    group.finish();
}

fn settling(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("claim and settle in SQLite");
    for size in [1_u32, 16, 256] {
        let mut scene = Scene::new();
        group.throughput(Throughput::Elements(u64::from(size)));
        group.bench_function(BenchmarkId::from_parameter(size), |bencher| {
            bencher.iter_custom(|times| {
                for _ in 0..times {
                    let batch = scene.batch(u64::from(size));
                    scene.accept(&batch);
                }
                let before = std::time::Instant::now();
                let mut claims = Vec::new();
                for _ in 0..times {
                    claims = scene.claim(size as usize, &claims);
                    assert_eq!(claims.len(), size as usize);
                }
                scene.claim(0, &claims);
                before.elapsed()
            });
        });
    }
    group.finish();
}

criterion_group!(benches, accepting, settling);
criterion_main!(benches);
