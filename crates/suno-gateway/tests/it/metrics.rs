//! The text of the metrics: read by a parser that refuses what promtool does not see, and by
//! promtool where it is installed.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use suno_callback::{
    Clock, Event, HandlerError, IdempotencyStore, MemoryStore, Pipeline, SystemClock, Verification,
    handler_fn, http,
};
use suno_gateway::Observer;
use suno_gateway::attempt::{AnswerRecord, Attempt, KeptText, Outcome};
use suno_gateway::breaker::Transition;
use suno_gateway::destination::{Action, DestinationName};
use suno_gateway::metrics::{Metrics, Scraper};
use suno_gateway::signing::MessageId;
use suno_types::{Stage, TaskId};

use crate::scene::{TASK, callback};

/// The families that dashboards and alerts use.
const FAMILIES: [(&str, &str); 25] = [
    ("suno_requests_total", "counter"),
    ("suno_deliveries_total", "counter"),
    ("suno_accept_seconds", "histogram"),
    ("suno_commit_deliveries", "histogram"),
    ("suno_commit_failures_total", "counter"),
    ("suno_inbox_events", "gauge"),
    ("suno_inbox_oldest_pending_seconds", "gauge"),
    ("suno_quarantine_entries", "gauge"),
    ("suno_expected_tasks", "gauge"),
    ("suno_overdue_tasks", "gauge"),
    ("suno_open_intents", "gauge"),
    ("suno_handler_seconds", "histogram"),
    ("suno_handled_total", "counter"),
    ("suno_forwards_total", "counter"),
    ("suno_forward_seconds", "histogram"),
    ("suno_destination_up", "gauge"),
    ("suno_dead_letters_total", "counter"),
    ("suno_conflicts_total", "counter"),
    ("suno_recovered_total", "counter"),
    ("suno_claims_lost_total", "counter"),
    ("suno_store_bytes", "gauge"),
    ("suno_build_info", "gauge"),
    ("suno_tls_certificate_not_after_seconds", "gauge"),
    ("suno_history_dropped_total", "counter"),
    ("suno_scrape_errors_total", "counter"),
];

/// The samples by their name and labels, after everything that the format demands was checked.
fn parse(text: &str) -> BTreeMap<String, f64> {
    assert!(text.ends_with('\n'), "the last line must end");
    let mut types = BTreeMap::new();
    let mut helped = BTreeSet::new();
    let mut samples = BTreeMap::new();
    let mut family = "";
    for line in text.lines() {
        if let Some(help) = line.strip_prefix("# HELP ") {
            let (name, help) = help.split_once(' ').unwrap();
            assert!(helped.insert(name) && !help.is_empty(), "{line}");
            family = name;
        } else if let Some(kind) = line.strip_prefix("# TYPE ") {
            let (name, kind) = kind.split_once(' ').unwrap();
            assert_eq!(name, family, "HELP and TYPE belong together");
            assert!(types.insert(name, kind).is_none(), "{line}");
        } else {
            let (series, value) = line.rsplit_once(' ').unwrap();
            let name = series.split('{').next().unwrap();
            let is_histogram = types[family] == "histogram";
            let of = match name.strip_prefix(family).unwrap() {
                "" => !is_histogram,
                "_bucket" | "_sum" | "_count" => is_histogram,
                _ => false,
            };
            assert!(of, "{line} is not of the family {family}");
            let value: f64 = value.parse().unwrap();
            assert!(samples.insert(series.to_owned(), value).is_none(), "{line}");
        }
    }
    assert_eq!(types, BTreeMap::from(FAMILIES));
    check_histograms(text, &samples);
    samples
}

/// Buckets never fall, end with `+Inf`, and that one is the count.
fn check_histograms(text: &str, samples: &BTreeMap<String, f64>) {
    let mut last = 0.0;
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let (series, value) = line.rsplit_once(' ').unwrap();
        let Some((name, labels)) = series.split_once("_bucket{") else {
            continue;
        };
        let value: f64 = value.parse().unwrap();
        assert!(value >= last, "{line}");
        last = value;
        if let Some(labels) = labels.strip_suffix("le=\"+Inf\"}") {
            let labels = labels.trim_end_matches(',');
            let count = match labels {
                "" => format!("{name}_count"),
                labels => format!("{name}_count{{{labels}}}"),
            };
            assert_eq!(samples[&count], value, "{line}");
            last = 0.0;
        }
    }
    assert_eq!(last, 0.0, "the last bucket is +Inf");
}

/// Asks promtool, where it is installed.
fn ask_promtool(text: &str) {
    let promtool = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let Ok(mut promtool) = promtool else {
        // Past the capture of the test harness.
        let _ = writeln!(std::io::stderr(), "skipped: promtool is not installed");
        return;
    };
    let mut stdin = promtool.stdin.take().unwrap();
    stdin.write_all(text.as_bytes()).unwrap();
    drop(stdin);
    let output = promtool.wait_with_output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    assert!(output.status.success() && said.is_empty(), "{said}");
}

fn shop() -> DestinationName {
    DestinationName::new("shop").unwrap()
}

fn new() -> Arc<Metrics> {
    Arc::new(Metrics::new("1.2.3").with_destination(&shop()))
}

fn request(task: &str, word: &str, title: &str) -> http::Request<bytes::Bytes> {
    let now = SystemClock.now().as_second().unsigned_abs();
    let key = suno_types::signature::WebhookKey::new("whk_metrics");
    let signature = key.sign(&TaskId::new(task).unwrap(), now);
    http::Request::post("/suno/callback")
        .header("content-type", "application/json")
        .header("x-webhook-timestamp", now)
        .header("x-webhook-signature", signature)
        .body(callback(task, word, title).into())
        .unwrap()
}

#[tokio::test]
async fn every_family_is_there_before_anything_has_happened() {
    let scraper = Scraper::new(Arc::new(MemoryStore::new()), new()).with_store_bytes(|| Some(4096));
    let text = scraper.scrape().await;
    let samples = parse(&text);
    let is_zero = |(series, value): &(&String, &f64)| {
        let is_set = ["suno_build_info", "suno_destination_up", "suno_store_bytes"];
        **value == 0.0 || is_set.iter().any(|name| series.starts_with(name))
    };
    assert!(samples.iter().all(|sample| is_zero(&sample)), "{text}");
    assert_eq!(samples["suno_build_info{version=\"1.2.3\"}"], 1.0);
    assert_eq!(samples["suno_destination_up{destination=\"shop\"}"], 1.0);
    assert_eq!(samples["suno_inbox_events{state=\"dead\"}"], 0.0);
    ask_promtool(&text);
}

#[tokio::test]
async fn traffic_is_counted_and_the_number_of_series_stays_the_same() {
    let metrics = new();
    let store = Arc::new(MemoryStore::new());
    let (handled, mut ends) = tokio::sync::mpsc::unbounded_channel();
    let handler = handler_fn(move |event: Event| {
        let handled = handled.clone();
        async move {
            handled.send(())?;
            match event.stage() {
                Stage::Text => Err(HandlerError::give_up("no")),
                _ => Ok(()),
            }
        }
    });
    let observers: Vec<Arc<dyn suno_callback::Observer>> = vec![metrics.clone()];
    let pipeline = Pipeline::builder(
        store.clone(),
        handler,
        Verification::webhook_key("whk_metrics"),
    )
    .with_observer(observers)
    .start()
    .unwrap();
    let receiver = pipeline.receiver();
    for (word, title, status) in [
        ("text", "Harbour", 200),
        ("complete", "Harbour", 200),
        ("complete", "Harbour", 200),
    ] {
        let answer = receiver.receive(request(TASK, word, title)).await;
        assert_eq!(answer.status(), status);
    }
    for _ in 0..2 {
        ends.recv().await.unwrap();
    }
    let mut unsigned = request(TASK, "complete", "x");
    unsigned.headers_mut().remove("x-webhook-signature");
    assert_eq!(receiver.receive(unsigned).await.status(), 401);
    pipeline.stop().await;

    let key = suno_callback::EventKey::new(TaskId::new(TASK).unwrap(), Stage::Complete);
    let answer = AnswerRecord::new(204, KeptText::default());
    let outcome = Outcome::Answered(answer);
    let mut attempt = Attempt::new("shop", 1, SystemClock.now(), outcome, Action::Done);
    attempt.duration_ms = 70;
    metrics.on_attempt(&MessageId::of(&key), &key, &attempt);
    metrics.on_transition(&shop(), Transition::Paused);

    let scraper = Scraper::new(store, metrics).with_store_bytes(|| Some(4096));
    let text = scraper.scrape().await;
    let samples = parse(&text);
    for (series, value) in [
        ("suno_requests_total{status=\"200\",reason=\"none\"}", 3.0),
        ("suno_deliveries_total{outcome=\"new\"}", 2.0),
        ("suno_deliveries_total{outcome=\"duplicate\"}", 1.0),
        ("suno_accept_seconds_count", 3.0),
        ("suno_handled_total{outcome=\"done\"}", 1.0),
        ("suno_handled_total{outcome=\"dead\"}", 1.0),
        ("suno_dead_letters_total", 1.0),
        ("suno_inbox_events{state=\"done\"}", 1.0),
        ("suno_inbox_events{state=\"dead\"}", 1.0),
        ("suno_handler_seconds_count", 2.0),
        (
            "suno_forwards_total{destination=\"shop\",status_class=\"2xx\"}",
            1.0,
        ),
        (
            "suno_forward_seconds_bucket{destination=\"shop\",le=\"0.05\"}",
            0.0,
        ),
        (
            "suno_forward_seconds_bucket{destination=\"shop\",le=\"0.1\"}",
            1.0,
        ),
        ("suno_destination_up{destination=\"shop\"}", 0.0),
    ] {
        assert_eq!(samples[series], value, "{series}");
    }
    assert!(!text.contains(TASK), "no task id is a label");
    let empty = Scraper::new(Arc::new(MemoryStore::new()), new()).with_store_bytes(|| Some(0));
    // The refused request has a series of its own.
    assert_eq!(samples.len(), parse(&empty.scrape().await).len() + 1);
    ask_promtool(&text);
}

#[tokio::test(start_paused = true)]
async fn gauges_are_read_again_after_a_few_seconds_only() {
    let store = Arc::new(MemoryStore::new());
    let scraper = Scraper::new(store.clone(), new());
    let ready = async || scraper.gauges().await.counts.unwrap().ready;
    assert_eq!(ready().await, 0);
    let received_at = SystemClock.now() - Duration::from_secs(90);
    let body = callback(TASK, "complete", "a");
    let delivery = suno_callback::Delivery::decode(body.into(), received_at);
    store.accept(&[delivery]).await.unwrap();
    assert_eq!(ready().await, 0);
    tokio::time::advance(Scraper::CACHED_FOR).await;
    assert_eq!(ready().await, 1);
    let age = scraper.gauges().await.oldest_pending.unwrap();
    assert!((90..100).contains(&age.as_secs()), "{age:?}");
}
