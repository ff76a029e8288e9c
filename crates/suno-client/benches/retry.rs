//! The retry decision. It is private, so this file includes its module and the one that it uses.

#![allow(
    clippy::unwrap_used,
    missing_docs,
    reason = "a benchmark may panic, and is no library"
)]

use std::hint::black_box;
use std::time::Duration;

use criterion::{Criterion, criterion_group, criterion_main};
use suno_client::{ClientError, ErrorKind};

#[allow(
    dead_code,
    unreachable_pub,
    reason = "only the decision is called here"
)]
#[path = "../src/retry.rs"]
mod retry;
#[allow(
    dead_code,
    unreachable_pub,
    unused_imports,
    reason = "only what the decision needs is called here, and no tests"
)]
#[path = "../src/time.rs"]
mod time;

use retry::{Failure, Retry};

fn deciding(criterion: &mut Criterion) {
    let retry = Retry::new();
    let failure = Failure {
        retryable: true,
        is_busy: true,
        retry_after: Some(Duration::from_secs(1)),
    };
    criterion.bench_function("retry decision", |bencher| {
        bencher.iter(|| black_box(&retry).decide(black_box(2), black_box(failure), 0.5));
    });
}

criterion_group!(benches, deciding);
criterion_main!(benches);
