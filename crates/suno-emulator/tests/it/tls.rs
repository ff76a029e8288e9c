//! Callbacks to `https://` URLs.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use http::Response;
use http_body_util::Full;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::PrivateKeyDer;
use suno_emulator::{AttemptOutcome, Config, Emulator};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use crate::wire;

/// A receiver with a certificate of its own, and that certificate in PEM.
async fn receiver() -> (String, String) {
    receiver_of("localhost", false).await
}

/// A receiver at `localhost` with a certificate for this name, which may call itself an authority.
async fn receiver_of(name: &str, is_authority: bool) -> (String, String) {
    let mut params = rcgen::CertificateParams::new([name.to_owned()]).unwrap();
    if is_authority {
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    }
    let signing_key = rcgen::KeyPair::generate().unwrap();
    let certificate = params.self_signed(&signing_key).unwrap();
    let key = PrivateKeyDer::try_from(signing_key.serialize_der()).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], key)
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!(
        "https://localhost:{}/callback",
        listener.local_addr().unwrap().port()
    );
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let Ok(stream) = acceptor.accept(stream).await else {
                    return;
                };
                let service = service_fn(|_| async {
                    Ok::<_, std::convert::Infallible>(Response::new(Full::new(Bytes::new())))
                });
                let _ = http1::Builder::new()
                    .serve_connection(TokioIo::new(stream), service)
                    .await;
            });
        }
    });
    (url, pem(certificate.der()))
}

fn pem(certificate: &[u8]) -> String {
    let lines = BASE64_STANDARD.encode(certificate);
    let lines: Vec<&str> = lines
        .as_bytes()
        .chunks(64)
        .map(|line| std::str::from_utf8(line).unwrap())
        .collect();
    format!(
        "-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n",
        lines.join("\n")
    )
}

async fn outcomes(config: Config, url: &str) -> Vec<AttemptOutcome> {
    let config = config
        .with_driven_clock(1_780_000_000_000)
        .with_retry_pauses(&[]);
    let emulator = Emulator::start(config).await.unwrap();
    wire::submit(&emulator, url, "[emulator:stages=complete] Lantern").await;
    emulator.advance(Duration::from_secs(300)).await.unwrap();
    emulator
        .attempts()
        .into_iter()
        .map(|attempt| attempt.outcome)
        .collect()
}

#[tokio::test]
async fn a_certificate_of_the_settings_is_trusted_and_no_other() {
    let (url, pem) = receiver().await;
    let trusting = Config::default().with_extra_roots_pem(pem);
    assert_eq!(
        outcomes(trusting, &url).await,
        [AttemptOutcome::Answered { status: 200 }]
    );
    let [AttemptOutcome::Failed { reason }] = &outcomes(Config::default(), &url).await[..] else {
        panic!("a stranger's certificate was trusted");
    };
    assert!(reason.contains("certificate"), "{reason}");
}

#[tokio::test]
async fn a_certificate_that_calls_itself_an_authority_is_trusted_for_its_name() {
    let (url, pem) = receiver_of("localhost", true).await;
    let trusting = Config::default().with_extra_roots_pem(pem);
    assert_eq!(
        outcomes(trusting, &url).await,
        [AttemptOutcome::Answered { status: 200 }]
    );
    let (url, pem) = receiver_of("other.example.com", true).await;
    let trusting = Config::default().with_extra_roots_pem(pem);
    let [AttemptOutcome::Failed { reason }] = &outcomes(trusting, &url).await[..] else {
        panic!("a certificate for another name was trusted");
    };
    assert!(reason.contains("certificate"), "{reason}");
}

#[tokio::test]
async fn what_is_not_a_certificate_is_refused_at_the_start() {
    for pem in [
        "nonsense",
        "-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n",
    ] {
        let config = Config::default().with_extra_roots_pem(pem);
        let err = Emulator::start(config).await.unwrap_err();
        assert!(err.to_string().contains("extra roots"), "{err}");
    }
}
