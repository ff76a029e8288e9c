//! A deployed receiver is examined from outside: a right one is healthy, and each wrong one is found out.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use rustls::crypto::ring;
use suno_callback::Verification;
use suno_callback::serve::CertificateFiles;
use suno_conformance::{Doctor, Finding, Severity, fetch_status};

use crate::scene::{Desk, Fault, KEYS, PATH, TOKEN, serve_over_tls, token};

/// Examines a receiver that answers.
fn examine(doctor: Doctor) -> Vec<Finding> {
    examine_within(Duration::from_secs(10), doctor)
}

/// Examines a receiver, and waits no longer for each answer, because some do not come.
fn examine_within(patience: Duration, doctor: Doctor) -> Vec<Finding> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let mut seen = Vec::new();
    let doctor = doctor.with_answer_time_max(patience);
    let findings = runtime.block_on(doctor.examine(|finding| seen.push(finding.clone())));
    assert_eq!(seen, findings);
    findings
}

fn doctor(url: &str) -> Doctor {
    Doctor::new(url).unwrap()
}

/// The findings that are not as they should be, but for the address of a test.
fn wrong(findings: &[Finding]) -> Vec<(&'static str, Severity)> {
    let is_wrong = |finding: &&Finding| finding.severity != Severity::Ok && finding.check != "dns";
    let wrong = findings.iter().filter(is_wrong);
    wrong
        .map(|finding| (finding.check, finding.severity))
        .collect()
}

fn find<'a>(findings: &'a [Finding], check: &str) -> &'a Finding {
    findings
        .iter()
        .find(|finding| finding.check == check)
        .unwrap()
}

/// A server that answers every request with the same bytes, in a thread that ends with the process.
fn parrot(answer: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}{PATH}", listener.local_addr().unwrap());
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            thread::spawn(move || {
                let mut head = Vec::new();
                let mut byte = [0];
                while !head.ends_with(b"\r\n\r\n") && stream.read_exact(&mut byte).is_ok() {
                    head.push(byte[0]);
                }
                let _ = stream.write_all(answer.as_bytes());
                // What is still on its way would reset the connection.
                let _ = stream.shutdown(std::net::Shutdown::Write);
                let _ = stream.read_to_end(&mut Vec::new());
            });
        }
    });
    url
}

#[test]
fn a_receiver_with_a_key_is_healthy_but_for_its_small_bodies() {
    let desk = Desk::with_key(Fault::None);
    let findings = examine(doctor(&desk.url).with_webhook_key(KEYS[0]));
    // The receivers here accept 100,000 bytes.
    assert_eq!(
        wrong(&findings),
        [("large_body", Severity::Failed)],
        "{findings:#?}"
    );
    for check in ["unsigned", "stale"] {
        let message = &find(&findings, check).message;
        assert!(message.contains("before its body is read"), "{message}");
    }
    assert!(find(&findings, "signed").message.contains("suno-doctor-"));
    assert_eq!(find(&findings, "dns").severity, Severity::Warning);
}

#[test]
fn without_a_key_what_cannot_be_examined_is_named() {
    let desk = Desk::with_key(Fault::None);
    let findings = examine(doctor(&desk.url));
    let skipped = Severity::Skipped;
    let expected = [
        ("signed", skipped),
        ("duplicate", skipped),
        ("large_body", Severity::Failed),
    ];
    assert_eq!(wrong(&findings), expected, "{findings:#?}");
}

#[test]
fn a_receiver_with_a_token_alone_gets_nothing_that_it_would_store() {
    let desk = Desk::start(Fault::None, Verification::token(token()));
    let patience = Duration::from_millis(200);
    let findings = examine_within(patience, doctor(&format!("{}/{TOKEN}", desk.url)));
    let skipped = wrong(&findings)
        .into_iter()
        .filter(|(_, severity)| *severity == Severity::Skipped);
    let names: Vec<&str> = skipped.map(|(check, _)| check).collect();
    assert_eq!(
        names,
        ["unsigned", "forged", "stale", "signed", "duplicate"],
        "{findings:#?}"
    );
    assert_eq!(std::fs::read_to_string(&desk.events).unwrap(), "");
    let shown = format!(
        "{findings:?} {:?}",
        doctor(&format!("{}/{TOKEN}", desk.url))
    );
    assert!(!shown.contains(TOKEN), "{shown}");
}

#[test]
fn a_wrong_key_is_found_by_its_refusal() {
    let desk = Desk::with_key(Fault::None);
    let findings = examine(doctor(&desk.url).with_webhook_key("whk-of-another-account"));
    let signed = find(&findings, "signed");
    assert_eq!(signed.severity, Severity::Failed);
    assert!(
        signed.advice.unwrap().contains("compare the webhook key"),
        "{signed:?}"
    );
    assert_eq!(find(&findings, "duplicate").severity, Severity::Skipped);
    assert!(!format!("{findings:?}").contains("whk-"));
}

#[test]
fn a_receiver_that_takes_everything_fails() {
    let desk = Desk::with_key(Fault::TakesEverything);
    // Long enough for a busy machine to answer: one of the checks waits it out.
    let patience = Duration::from_secs(3);
    let findings = examine_within(patience, doctor(&desk.url).with_webhook_key(KEYS[0]));
    for check in ["unsigned", "forged", "stale"] {
        assert_eq!(
            find(&findings, check).severity,
            Severity::Failed,
            "{findings:#?}"
        );
    }
    assert_eq!(find(&findings, "signed").severity, Severity::Ok);
    for check in ["path", "compressed", "body_limit"] {
        assert_eq!(
            find(&findings, check).severity,
            Severity::Warning,
            "{findings:#?}"
        );
    }
}

#[test]
fn a_wrong_path_a_redirect_and_silence_are_told_apart() {
    let desk = Desk::with_key(Fault::None);
    let findings = examine(doctor(&desk.url.replace(PATH, "/other")));
    let path = findings.last().unwrap();
    assert_eq!((path.check, path.severity), ("path", Severity::Failed));

    let url = parrot(
        "HTTP/1.1 308 Permanent Redirect\r\nlocation: https://www.example.com/suno?token=canary\r\ncontent-length: 0\r\n\r\n",
    );
    let findings = examine(doctor(&url).with_webhook_key(KEYS[0]));
    let redirect = findings.last().unwrap();
    assert_eq!(
        (redirect.check, redirect.severity),
        ("redirect", Severity::Failed)
    );
    assert!(redirect.message.contains("www.example.com"), "{redirect:?}");
    assert!(!format!("{findings:?}").contains("canary"));

    let desk = Desk::with_key(Fault::Silent);
    let patience = Duration::from_millis(100);
    let findings = examine_within(patience, doctor(&desk.url).with_webhook_key(KEYS[0]));
    assert_eq!(find(&findings, "get").severity, Severity::Failed);
    assert_eq!(find(&findings, "signed").severity, Severity::Failed);
}

#[test]
fn a_receiver_that_is_not_there_ends_the_examination() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/suno/callback", listener.local_addr().unwrap());
    drop(listener);
    let findings = examine(doctor(&url));
    assert_eq!(wrong(&findings), [("connect", Severity::Failed)]);
    let findings = examine(doctor("http://name.invalid/suno/callback"));
    assert_eq!(findings.last().unwrap().check, "dns");
    assert_eq!(findings.last().unwrap().severity, Severity::Failed);
    for not_a_url in ["", "nowhere", "ftp://example.com/", "/suno/callback"] {
        let err = Doctor::new(not_a_url).unwrap_err();
        assert!(err.to_string().contains("URL"), "{err}");
    }
}

#[test]
fn a_certificate_that_is_not_trusted_or_expires_soon_is_explained() {
    let folder = tempfile::tempdir().unwrap();
    let key = rcgen::KeyPair::generate().unwrap();
    let mut params = rcgen::CertificateParams::new(["localhost".to_owned()]).unwrap();
    params.not_after = rcgen::date_time_ymd(2090, 1, 1);
    let pem = params.self_signed(&key).unwrap().pem();
    let (chain_file, key_file) = (
        folder.path().join("chain.pem"),
        folder.path().join("key.pem"),
    );
    std::fs::write(&chain_file, &pem).unwrap();
    std::fs::write(&key_file, key.serialize_pem()).unwrap();
    let provider = Arc::new(ring::default_provider());
    let files = CertificateFiles::load(&chain_file, &key_file, provider).unwrap();
    let (port, _stop) = serve_over_tls(files.server_config().unwrap());

    let url = format!("https://localhost:{port}{PATH}");
    let findings = examine(doctor(&url));
    let tls = findings.last().unwrap();
    assert_eq!(
        (tls.check, tls.severity),
        ("tls", Severity::Failed),
        "{findings:#?}"
    );
    let findings = examine(doctor(&url).with_extra_roots_pem(pem.clone()));
    assert_eq!(
        find(&findings, "tls").severity,
        Severity::Ok,
        "{findings:#?}"
    );
    assert!(
        find(&findings, "certificate")
            .message
            .contains("2090-01-01")
    );
    let findings =
        examine(doctor(&url.replace("localhost", "127.0.0.1")).with_extra_roots_pem(pem));
    assert!(
        findings.last().unwrap().message.contains("another name"),
        "{findings:#?}"
    );
    let findings = examine(doctor(&url).with_extra_roots_pem("-----BEGIN CERTIFICATE-----\n"));
    assert_eq!(wrong(&findings), [("tls", Severity::Failed)]);
}

#[test]
fn the_status_of_a_health_check_is_fetched_within_its_time() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let within = |time, url: &str| runtime.block_on(fetch_status(url, time));
    let fetch = |url: &str| within(Duration::from_secs(10), url);
    let url = parrot("HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n");
    assert_eq!(fetch(&url).unwrap(), 503);
    let silent = Desk::with_key(Fault::Silent);
    assert!(
        within(Duration::from_millis(500), &silent.url)
            .unwrap_err()
            .to_string()
            .contains("no answer in time")
    );
    assert!(fetch("nowhere").is_err());
}
