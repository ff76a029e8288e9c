//! Accepting, for each event and batch size, and receiving a request, with the store in memory: what
//! is left without a disk.

#![allow(
    clippy::unwrap_used,
    missing_docs,
    reason = "a benchmark may panic, and is no library"
)]

use std::hint::black_box;
use std::sync::Arc;

use bytes::Bytes;
use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use http::Request;
use jiff::Timestamp;
use suno_callback::{
    Clock, Delivery, IdempotencyStore, Inbox, MemoryStore, Receiver, SystemClock, Verification,
};
use suno_types::TaskId;
use suno_types::signature::WebhookKey;
use tokio::runtime::{Builder, Runtime};

const KEY: &str = "whk-bench";

fn body(number: u64) -> Bytes {
    let mixed = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let track = r#"{"audio_url":"https://media.example.com/a.mp3","duration":198.44,"id":"8551d662-0000-4000-8000-000000000001","prompt":"Rain on the harbour lights","title":"Harbour"}"#;
    Bytes::from(format!(
        r#"{{"code":200,"data":{{"callbackType":"complete","data":[{track},{track}],"task_id":"{mixed:016x}{number:016x}"}},"msg":"All generated successfully."}}"#
    ))
}

fn delivery(number: u64) -> Delivery {
    Delivery::decode(body(number), Timestamp::UNIX_EPOCH)
}

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

fn deciding(criterion: &mut Criterion) {
    let body = body(1);
    criterion.bench_function("delivery", |bencher| {
        bencher.iter(|| Delivery::decode(black_box(body.clone()), Timestamp::UNIX_EPOCH));
    });
}

fn accepting(criterion: &mut Criterion) {
    let runtime = runtime();
    let mut group = criterion.benchmark_group("accept in memory");
    for size in [1, 8, 64, 512] {
        let store = MemoryStore::new();
        let mut next = 0;
        group.throughput(Throughput::Elements(size));
        group.bench_function(BenchmarkId::from_parameter(size), |bencher| {
            bencher.iter_batched(
                || {
                    next += size;
                    (next - size..next).map(delivery).collect::<Vec<_>>()
                },
                |batch| runtime.block_on(store.accept(&batch)).unwrap(),
                BatchSize::SmallInput,
            );
        });
    }
    group.finish();
}

fn receiving(criterion: &mut Criterion) {
    let runtime = runtime();
    let receiver = {
        let _inside = runtime.enter();
        let inbox = Inbox::start(Arc::new(MemoryStore::new()));
        Receiver::new(inbox, Verification::webhook_key(KEY))
    };
    let key = WebhookKey::new(KEY);
    let now = SystemClock.now().as_second().unsigned_abs();
    let mut next = 0_u64;
    let mut request = || {
        next += 1;
        let mixed = next.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let task = TaskId::new(format!("{mixed:016x}{next:016x}")).unwrap();
        Request::post(Receiver::PATH)
            .header("content-type", "application/json")
            .header("x-webhook-timestamp", now)
            .header("x-webhook-signature", key.sign(&task, now))
            .body(body(next))
            .unwrap()
    };
    criterion.bench_function("receive in memory", |bencher| {
        bencher.iter_batched(
            &mut request,
            |request| {
                let answer = runtime.block_on(receiver.receive(request));
                assert_eq!(answer.status(), 200);
            },
            BatchSize::SmallInput,
        );
    });
}

criterion_group!(benches, deciding, accepting, receiving);
criterion_main!(benches);
