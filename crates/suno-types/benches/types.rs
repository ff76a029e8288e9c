//! Decoding and peeking for each payload, the signature, and `TaskProgress`.

#![allow(
    clippy::unwrap_used,
    missing_docs,
    reason = "a benchmark may panic, and is no library"
)]

use std::hint::black_box;
use std::time::Duration;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use suno_types::signature::{SignatureHeaders, WebhookKey, verify};
use suno_types::{Callback, Envelope, Peek, TaskId, TaskProgress, TaskRecord};

const TASK: &str = "5c79000000000000000000000000be8e";
const NOW: u64 = 1_780_000_000;

/// A track as callbacks spell it, with lyrics of about 200 characters.
fn track(place: u8) -> String {
    let lyrics = "Rain on the harbour lights, ".repeat(7);
    format!(
        r#"{{"audio_url":"https://media.example.com/{TASK}-{place}.mp3","createTime":1780000000000,"duration":198.44,"id":"8551d662-0000-4000-8000-00000000000{place}","image_url":"https://media.example.com/{TASK}-{place}.jpeg","model_name":"chirp-v5","prompt":"{lyrics}","source_audio_url":"https://cdn.example.com/{TASK}-{place}.mp3","stream_audio_url":"https://stream.example.com/{TASK}-{place}","tags":"warm, acoustic","title":"Harbour"}}"#
    )
}

fn callback(stage: &str, tracks: u8) -> String {
    let tracks: Vec<String> = (0..tracks).map(track).collect();
    format!(
        r#"{{"code":200,"data":{{"callbackType":"{stage}","data":[{}],"task_id":"{TASK}"}},"msg":"All generated successfully."}}"#,
        tracks.join(",")
    )
}

fn failed() -> String {
    format!(
        r#"{{"code":501,"data":{{"callbackType":"error","data":null,"task_id":"{TASK}"}},"msg":"Failed."}}"#
    )
}

fn record() -> String {
    let track = |place: u8| {
        track(place)
            .replace("audio_url", "audioUrl")
            .replace("source_audioUrl", "sourceAudioUrl")
            .replace("stream_audioUrl", "streamAudioUrl")
            .replace("image_url", "imageUrl")
            .replace("model_name", "modelName")
    };
    format!(
        r#"{{"code":200,"msg":"success","data":{{"taskId":"{TASK}","status":"SUCCESS","response":{{"taskId":"{TASK}","sunoData":[{},{}]}},"errorCode":null}}}}"#,
        track(0),
        track(1)
    )
}

fn payloads() -> [(&'static str, String); 4] {
    [
        ("text", callback("text", 0)),
        ("first", callback("first", 1)),
        ("complete", callback("complete", 2)),
        ("failed", failed()),
    ]
}

fn decoding(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("decode");
    for (name, body) in payloads() {
        group.throughput(Throughput::Bytes(body.len() as u64));
        group.bench_function(name, |bencher| {
            bencher.iter(|| Callback::decode(black_box(body.as_bytes())).unwrap());
        });
    }
    let record = record();
    group.throughput(Throughput::Bytes(record.len() as u64));
    group.bench_function("record", |bencher| {
        bencher.iter(|| Envelope::<TaskRecord>::decode(black_box(record.as_bytes())).unwrap());
    });
    group.finish();
}

fn peeking(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("peek");
    for (name, body) in payloads() {
        group.throughput(Throughput::Bytes(body.len() as u64));
        group.bench_function(name, |bencher| {
            bencher.iter(|| Peek::callback(black_box(body.as_bytes())).unwrap());
        });
    }
    group.finish();
}

fn verifying(criterion: &mut Criterion) {
    let keys = ["whk-old", "whk-new"].map(WebhookKey::new);
    let signature = keys[1].sign(&TaskId::new(TASK).unwrap(), NOW);
    let timestamp = NOW.to_string();
    let headers = [
        ("x-webhook-timestamp", timestamp.as_bytes()),
        ("x-webhook-signature", signature.as_bytes()),
    ];
    let mut group = criterion.benchmark_group("verify");
    for (name, keys) in [("one key", &keys[1..]), ("the second of two keys", &keys)] {
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                let headers = SignatureHeaders::find(black_box(headers)).unwrap();
                verify(keys, TASK, headers, NOW, Duration::from_secs(300)).unwrap()
            });
        });
    }
    group.finish();
}

fn progress(criterion: &mut Criterion) {
    let callbacks: Vec<Callback> = payloads()
        .iter()
        .take(3)
        .map(|(_, body)| Callback::decode(body.as_bytes()).unwrap())
        .collect();
    let record = Envelope::<TaskRecord>::decode(record().as_bytes()).unwrap();
    let record = record.data.unwrap();
    criterion.bench_function("progress of a whole task", |bencher| {
        bencher.iter(|| {
            let mut progress = TaskProgress::new();
            for callback in &callbacks {
                progress.absorb_callback(black_box(callback));
            }
            progress.absorb_record(black_box(&record));
            progress
        });
    });
}

criterion_group!(benches, decoding, peeking, verifying, progress);
criterion_main!(benches);
