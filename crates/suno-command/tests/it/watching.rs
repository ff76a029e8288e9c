//! The admin address of a receiver, its certificate files, and the page beside an emulator.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Stdio;
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::process::{KEY, PATIENCE, Process, TASK, post, status, suno, talk};

/// The pause between two looks at what must change.
const LOOK_INTERVAL: Duration = Duration::from_millis(20);
const BODY: &str = r#"{"code":200,"data":{"callbackType":"complete","task_id":"0f8c1b6de2a94c7f8e5d3b2a1c0f9e8d","data":[]}}"#;

fn get(address: SocketAddr, path: &str) -> (u16, String) {
    let request = format!("GET {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n");
    let answer = talk(address, request.as_bytes());
    let body = answer.split_once("\r\n\r\n").unwrap_or_default().1;
    (status(&answer), body.to_owned())
}

/// The address in a URL.
fn address(url: &str) -> SocketAddr {
    let rest = url.split_once("://").unwrap().1;
    rest.split('/').next().unwrap().parse().unwrap()
}

/// Starts `suno listen --json` with an admin address, and returns its first line.
fn listen(dir: &Path, more: &[&str]) -> (Process, Value) {
    let store = format!("sqlite:{}", dir.join("suno.db").display());
    let options = [
        "listen",
        "--addr",
        "127.0.0.1:0",
        "--json",
        "--store",
        &store,
        "--webhook-key-env",
        "TEST_WEBHOOK_KEY",
        "--admin",
        "127.0.0.1:0",
    ];
    let mut command = suno(&[&options[..], more].concat());
    command.env("TEST_WEBHOOK_KEY", KEY).stderr(Stdio::null());
    let process = Process::start(command);
    let listening = process.json();
    (process, listening)
}

/// The value of a metric without labels.
fn metric(admin: SocketAddr, name: &str) -> f64 {
    let (_, metrics) = get(admin, "/metrics");
    let mut values = metrics
        .lines()
        .filter_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    values.next().unwrap().parse().unwrap()
}

#[test]
fn the_admin_address_shows_health_metrics_events_and_a_page_until_the_stop() {
    let dir = tempfile::tempdir().unwrap();
    let (process, listening) = listen(dir.path(), &[]);
    let url = |name: &str| address(listening[name].as_str().unwrap());
    let (receiver, admin) = (url("url"), url("admin"));
    assert_eq!(post(receiver, TASK, BODY), 200);
    assert_eq!(process.json()["stage"], "complete");

    for path in ["/livez", "/readyz", "/", "/openapi.json", "/v1/stats"] {
        assert_eq!(get(admin, path).0, 200, "{path}");
    }
    let (_, metrics) = get(admin, "/metrics");
    for line in [
        "suno_deliveries_total{outcome=\"new\"} 1\n",
        "suno_handled_total{outcome=\"done\"} 1\n",
        "suno_history_dropped_total 0\n",
    ] {
        assert!(metrics.contains(line), "{line} is not in {metrics}");
    }
    assert!(metric(admin, "suno_store_bytes") > 0.0);
    let deadline = Instant::now() + PATIENCE;
    let kinds = loop {
        let (_, shown) = get(admin, "/v1/events/1");
        let shown: Value = serde_json::from_str(&shown).unwrap();
        let history = shown["history"].as_array().unwrap();
        let kinds: Vec<_> = history.iter().map(|entry| entry["kind"].clone()).collect();
        // The history is written a little later than the event.
        if kinds.len() == 2 || Instant::now() > deadline {
            break kinds;
        }
        sleep(LOOK_INTERVAL);
    };
    assert_eq!(kinds, ["delivery", "handled"]);
    assert_eq!(process.terminate().0, 0);
}

#[test]
fn an_admin_address_that_others_can_reach_is_refused_without_a_token() {
    let dir = tempfile::tempdir().unwrap();
    let store = format!("sqlite:{}", dir.path().join("suno.db").display());
    let options = [
        "--addr",
        "127.0.0.1:0",
        "--store",
        &store,
        "--webhook-key-env",
        "TEST_WEBHOOK_KEY",
        "--admin",
        "0.0.0.0:0",
    ];
    for command in ["listen", "check-config"] {
        let mut command = suno(&[&[command], &options[..]].concat());
        let (code, stdout, stderr) = crate::process::run(command.env("TEST_WEBHOOK_KEY", KEY));
        assert_eq!((code, stdout.contains("listening")), (2, false), "{stdout}");
        assert!(stderr.contains("set a token"), "{stderr}");
    }
}

#[test]
#[cfg(unix)]
fn certificate_files_are_served_and_a_hang_up_reads_them_again_instead_of_stopping() {
    let dir = tempfile::tempdir().unwrap();
    let file = |name: &str| dir.path().join(name).display().to_string();
    let issue = |year| {
        let mut params = rcgen::CertificateParams::new(["localhost".to_owned()]).unwrap();
        params.not_after = rcgen::date_time_ymd(year, 1, 1);
        let key = rcgen::KeyPair::generate().unwrap();
        fs::write(file("chain.pem"), params.self_signed(&key).unwrap().pem()).unwrap();
        fs::write(file("key.pem"), key.serialize_pem()).unwrap();
    };
    issue(2040);
    let (chain, key) = (file("chain.pem"), file("key.pem"));
    let (process, listening) = listen(dir.path(), &["--tls-cert", &chain, "--tls-key", &key]);
    let url = |name: &str| listening[name].as_str().unwrap().to_owned();
    assert!(url("url").starts_with("https://"), "{listening}");
    // A handshake is what it waits for, so a plain request is not answered.
    let receiver = address(&url("url"));
    let plain = format!("GET /healthz HTTP/1.1\r\nhost: {receiver}\r\n\r\n");
    let answer = suno_testkit::http::talk(receiver, plain.as_bytes(), PATIENCE);
    assert!(answer.is_err() || !answer.unwrap().starts_with(b"HTTP/1.1 200"));

    let admin = address(&url("admin"));
    let not_after = || metric(admin, "suno_tls_certificate_not_after_seconds");
    assert_eq!(not_after(), 2_208_988_800.0);
    issue(2041);
    process.signal("HUP");
    let deadline = Instant::now() + PATIENCE;
    while not_after() != 2_240_611_200.0 {
        assert!(
            Instant::now() < deadline,
            "the certificate was not reloaded"
        );
        sleep(LOOK_INTERVAL);
    }
    assert_eq!(process.terminate().0, 0);
}

#[test]
fn an_emulator_shows_a_page_whose_form_makes_tasks_that_a_receiver_handles() {
    let mut command = suno(&[
        "emulate",
        "--addr",
        "127.0.0.1:0",
        "--speed",
        "200x",
        "--page",
        "127.0.0.1:0",
    ]);
    command.stderr(Stdio::null());
    let process = Process::start(command);
    let line = process.line();
    let url = line.strip_prefix("SUNO_PAGE=").unwrap();
    let page = address(url);
    assert_eq!(get(page, "/").0, 200);
    let body = r#"{"title":"Quay","scenario":"duplicate"}"#;
    let request = format!(
        "POST /v1/emulator/tasks HTTP/1.1\r\nhost: {page}\r\nconnection: close\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    assert_eq!(status(&talk(page, request.as_bytes())), 202);
    let deadline = Instant::now() + PATIENCE;
    loop {
        let (_, list) = get(page, "/v1/tasks");
        let list: Value = serde_json::from_str(&list).unwrap();
        let stages = list["tasks"][0]["stages"].as_array().map_or(0, Vec::len);
        if stages == 3 && list["tasks"][0]["title"] == "Quay" {
            break;
        }
        assert!(Instant::now() < deadline, "{list}");
        sleep(LOOK_INTERVAL);
    }
    assert_eq!(process.terminate().0, 0);
}
