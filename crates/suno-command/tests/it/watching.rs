//! The admin address of a receiver, its certificate files, and the page beside an emulator.

use std::fs;
use std::net::SocketAddr;
use std::process::Stdio;

use serde_json::Value;

use crate::process::{KEY, PATIENCE, Process, TASK, post, status, suno, talk};

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

#[test]
fn the_admin_address_shows_health_metrics_events_and_a_page_until_the_stop() {
    let dir = tempfile::tempdir().unwrap();
    let store = format!("sqlite:{}", dir.path().join("suno.db").display());
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
    let mut command = suno(&options);
    command.env("TEST_WEBHOOK_KEY", KEY).stderr(Stdio::null());
    let process = Process::start(command);
    let listening = process.json();
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
    assert!(!metrics.contains("suno_store_bytes 0\n"), "{metrics}");
    let deadline = std::time::Instant::now() + PATIENCE;
    let kinds = loop {
        let (_, shown) = get(admin, "/v1/events/1");
        let shown: Value = serde_json::from_str(&shown).unwrap();
        let history = shown["history"].as_array().unwrap();
        let kinds: Vec<_> = history.iter().map(|entry| entry["kind"].clone()).collect();
        // The history is written a little later than the event.
        if kinds.len() == 2 || std::time::Instant::now() > deadline {
            break kinds;
        }
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
    let issued = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    fs::write(file("chain.pem"), issued.cert.pem()).unwrap();
    fs::write(file("key.pem"), issued.signing_key.serialize_pem()).unwrap();
    let (chain, key) = (file("chain.pem"), file("key.pem"));
    let store = format!("sqlite:{}", file("suno.db"));
    let mut command = suno(&[
        "listen",
        "--addr",
        "127.0.0.1:0",
        "--json",
        "--store",
        &store,
        "--webhook-key-env",
        "TEST_WEBHOOK_KEY",
        "--tls-cert",
        &chain,
        "--tls-key",
        &key,
    ]);
    command.env("TEST_WEBHOOK_KEY", KEY).stderr(Stdio::null());
    let process = Process::start(command);
    let listening = process.json();
    let url = listening["url"].as_str().unwrap();
    assert!(url.starts_with("https://"), "{url}");
    let address = address(url);
    // A handshake is what it waits for, so a plain request is not answered.
    let plain = format!("GET /healthz HTTP/1.1\r\nhost: {address}\r\n\r\n");
    let answer = suno_testkit::http::talk(address, plain.as_bytes(), PATIENCE);
    assert!(answer.is_err() || !answer.unwrap().starts_with(b"HTTP/1.1 200"));
    process.signal("HUP");
    process.signal("HUP");
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
    let deadline = std::time::Instant::now() + PATIENCE;
    loop {
        let (_, list) = get(page, "/v1/tasks");
        let list: Value = serde_json::from_str(&list).unwrap();
        let stages = list["tasks"][0]["stages"].as_array().map_or(0, Vec::len);
        if stages == 3 && list["tasks"][0]["title"] == "Quay" {
            break;
        }
        assert!(std::time::Instant::now() < deadline, "{list}");
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    assert_eq!(process.terminate().0, 0);
}
