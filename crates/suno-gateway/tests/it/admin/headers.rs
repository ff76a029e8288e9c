//! The headers of callbacks on their way to the API: whatever is sent, no secret arrives.

use std::io::{self, Write};
use std::sync::{Arc, Mutex};

use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use serde_json::Value;
use suno_callback::history::{History, HistoryEntry, HistoryWriter, MemoryHistory};
use suno_callback::{Inbox, Receiver, RedactedHeaders, Token, Verification};
use suno_gateway::admin::Admin;
use suno_types::TaskId;
use suno_types::signature::WebhookKey;
use tracing_subscriber::fmt::MakeWriter;

use super::{Running, now, store};
use crate::scene::{TASK, callback};

const KEY: &str = "whk-amber-otter";
const CALLBACK_TOKEN: &str = "aWs83_kd02-LmQzX71";
const SUBMIT: &str = "00112233445566778899aabbccddeeff";
/// A part of every value that must not be kept.
const CANARY: &[u8] = b"canary";

/// Log lines in memory.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Log {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}

/// A header line as it is sent.
type Line = (String, Vec<u8>);

/// What became of a callback.
struct Outcome {
    status: u16,
    /// The details of the history.
    details: Vec<String>,
    /// The history as the API shows it: of the task, then of the event.
    shown: [Value; 2],
    /// Everything that was answered, and logged.
    texts: [String; 3],
}

async fn outcome(lines: &[Line]) -> Outcome {
    let log = Log::default();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_ansi(false)
        .with_writer(log.clone())
        .finish();
    let _guard = tracing::subscriber::set_default(subscriber);
    let (store, history) = (store(), Arc::new(MemoryHistory::new()));
    let (writer, writing) = HistoryWriter::start(history.clone());
    let inbox = Inbox::start_observed(store.clone(), Arc::new(writer));
    let verification = Verification::webhook_key(KEY);
    let verification = verification.with_token(Token::new(CALLBACK_TOKEN).unwrap());
    let receiver = Receiver::new(inbox, verification);

    let target = format!("/suno/callback/{CALLBACK_TOKEN}/{SUBMIT}");
    let lines = lines
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_slice()));
    let body = callback(TASK, "complete", "Harbour");
    let answer = receiver.receive_plain("POST", &target, lines, body).await;
    writing.stop().await;

    let running = Running::start(Admin::new(store).with_history(history.clone())).await;
    let task = running.get(&format!("/v1/tasks/{TASK}")).await;
    let event = running.get("/v1/events/1").await;
    running.stop().await;
    let entries = history.of_task(&TaskId::new(TASK).unwrap()).await.unwrap();
    let logged = String::from_utf8_lossy(&log.0.lock().unwrap()).into_owned();
    Outcome {
        status: answer.status,
        details: entries
            .iter()
            .map(|entry| entry.detail().to_owned())
            .collect(),
        shown: [&task, &event].map(|answer| answer.json()["history"].take()),
        texts: [task.body, event.body, logged],
    }
}

/// The headers of a signed callback.
fn signed() -> Vec<Line> {
    let now = now().as_second().unsigned_abs();
    let signature = WebhookKey::new(KEY).sign(&TaskId::new(TASK).unwrap(), now);
    let line = |name: &str, value: String| (name.to_owned(), value.into_bytes());
    vec![
        line("X-Webhook-Timestamp", now.to_string()),
        line("X-Webhook-Signature", signature),
    ]
}

/// Random bytes. Nearly all of them are allowed in a header.
fn bytes() -> impl Strategy<Value = Vec<u8>> {
    let visible = || prop_oneof![0x20..=0x7e_u8, 0x80..=0xff_u8, Just(b'\t')];
    prop_oneof![
        8 => prop::collection::vec(visible(), 0..40),
        2 => prop::collection::vec(visible(), 400..600),
        1 => (visible(), 1_000..65_536_usize).prop_map(|(byte, length)| vec![byte; length]),
    ]
}

/// A header with a secret in it, whatever its name.
fn secret_line() -> impl Strategy<Value = Line> {
    const NAMES: &[&str] = &[
        "authorization",
        "cookie",
        "forwarded",
        "referer",
        "x-original-url",
        "x-forwarded-uri",
    ];
    let name = prop_oneof![
        prop::sample::select(NAMES).prop_map(str::to_owned),
        "[Xx]-own-[a-z0-9-]{0,20}",
        (1..5_000_usize).prop_map(|length| format!("x-own-{}", "n".repeat(length))),
        Just(format!("x-own-{CALLBACK_TOKEN}")),
    ];
    (name, bytes(), bytes()).prop_map(|(name, before, after)| {
        let value = [before.as_slice(), CANARY, after.as_slice()].concat();
        (name, value)
    })
}

/// A header whose value may be kept, unless it contains a secret of the URL.
fn open_line() -> impl Strategy<Value = Line> {
    const NAMES: &[&str] = &["User-Agent", "via", "X-Forwarded-For", "x-request-id"];
    const SECRETS: &[&str] = &["", "", CALLBACK_TOKEN, SUBMIT];
    let parts = (bytes(), prop::sample::select(SECRETS), bytes());
    let name = prop::sample::select(NAMES).prop_map(str::to_owned);
    (name, parts, any::<bool>()).prop_map(|(name, (before, secret, after), is_upper)| {
        let secret = match is_upper {
            true => secret.to_uppercase(),
            false => secret.to_owned(),
        };
        (
            name,
            [before.as_slice(), secret.as_bytes(), after.as_slice()].concat(),
        )
    })
}

fn lines() -> impl Strategy<Value = Vec<Line>> {
    let line = || prop_oneof![secret_line(), open_line()];
    let few = prop::collection::vec(line(), 0..30);
    // So many that most of them do not fit.
    let many = (prop::collection::vec(line(), 1..10), 10..50_usize)
        .prop_map(|(lines, times)| vec![lines; times].concat());
    let invalid = (prop::collection::vec(line(), 0..5), 0..0x20_u8)
        .prop_filter("a tab may stand in a header", |(_, byte)| *byte != b'\t')
        .prop_map(|(mut lines, byte)| {
            lines.push(("via".to_owned(), vec![b'a', byte, b'b']));
            lines
        });
    prop_oneof![6 => few, 2 => many, 1 => invalid]
}

/// Whether a text contains another one, in either case of its letters.
fn contains(text: &str, part: &str) -> bool {
    text.to_lowercase().contains(&part.to_lowercase())
}

fn check(sent: &[Line], outcome: &Outcome) -> Result<(), TestCaseError> {
    for text in outcome.texts.iter().chain(&outcome.details) {
        prop_assert!(!contains(text, "canary"), "{}", text);
        prop_assert!(!contains(text, CALLBACK_TOKEN), "{}", text);
        let signature = std::str::from_utf8(&sent[1].1).unwrap();
        prop_assert!(!text.contains(signature), "{}", text);
    }
    let is_valid = |byte: &u8| *byte == b'\t' || *byte >= b' ' && *byte != 0x7f;
    if !sent.iter().all(|(_, value)| value.iter().all(is_valid)) {
        prop_assert_eq!(outcome.status, 400);
        prop_assert_eq!(outcome.details.len(), 0);
        return Ok(());
    }
    prop_assert_eq!(outcome.status, 200);
    prop_assert_eq!(outcome.details.len(), 1);
    let detail = &outcome.details[0];
    prop_assert!(detail.len() <= HistoryEntry::DETAIL_BYTES_MAX);
    prop_assert!(!contains(detail, SUBMIT), "{}", detail);
    let detail: Value = serde_json::from_str(detail).unwrap();
    for shown in &outcome.shown {
        prop_assert_eq!(&shown[0]["detail"], &detail);
    }
    prop_assert_eq!(&detail["accepted"], "new");
    let lines = detail["headers"].as_array().unwrap();
    let omitted = detail.get("headers_omitted").map_or(0, |omitted| {
        usize::try_from(omitted.as_u64().unwrap()).unwrap()
    });
    prop_assert_eq!(lines.len() + omitted, sent.len());
    prop_assert!(lines.len() <= RedactedHeaders::HEADERS_MAX);
    let mut bytes = 0;
    for line in lines {
        let name = line[0].as_str().unwrap();
        let value = line[1].as_str().unwrap_or_default();
        prop_assert!(value.len() <= RedactedHeaders::VALUE_BYTES_MAX);
        prop_assert!(value.bytes().all(|byte| (b' '..=b'~').contains(&byte)));
        bytes += name.len() + value.len();
        let was_sent = |(sent, _): &Line| sent.eq_ignore_ascii_case(name);
        prop_assert!(sent.iter().any(was_sent), "{}", name);
    }
    prop_assert!(bytes <= RedactedHeaders::BYTES_MAX);
    Ok(())
}

#[test]
fn whatever_headers_are_sent_no_secret_reaches_history_api_or_logs() {
    // One that takes everything lives as long as the process. Otherwise a line of code that another
    // test reaches at the wrong moment is taken for one that nobody wants to log.
    let _ = tracing::subscriber::set_global_default(tracing_subscriber::registry());
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let mut runner = TestRunner::new(ProptestConfig {
        // A failure is shown, and its seed printed; files beside the tests are not wanted.
        failure_persistence: None,
        cases: 64,
        ..ProptestConfig::default()
    });
    let result = runner.run(&lines(), |more| {
        let sent = [signed(), more].concat();
        let outcome = runtime.block_on(outcome(&sent));
        check(&sent, &outcome)
    });
    assert!(result.is_ok(), "{}", result.unwrap_err());
}

#[tokio::test]
async fn the_api_shows_the_headers_of_a_delivery() {
    let agent = ("User-Agent".to_owned(), b"otter/1".to_vec());
    let key = ("X-Api-Key".to_owned(), b"canary".to_vec());
    let sent = [signed(), vec![agent, key]].concat();
    let outcome = outcome(&sent).await;
    assert_eq!(outcome.status, 200);
    let timestamp = std::str::from_utf8(&sent[0].1).unwrap();
    let expected = serde_json::json!([
        ["x-webhook-timestamp", timestamp],
        ["x-webhook-signature", null],
        ["user-agent", "otter/1"],
        ["x-api-key", null],
    ]);
    for shown in &outcome.shown {
        assert_eq!(shown[0]["kind"], "delivery");
        assert_eq!(shown[0]["detail"]["headers"], expected);
    }
    assert!(
        outcome.texts[2].contains("callback accepted"),
        "{}",
        outcome.texts[2]
    );
}
