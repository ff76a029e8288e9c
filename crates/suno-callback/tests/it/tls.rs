//! Serving over TLS.

use std::net::SocketAddr;
use std::sync::Arc;

use rustls::crypto::ring;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use suno_callback::serve::Serve;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::time::Instant;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::wire::{Listening, ask, closed, talk_over, whole};

/// A receiver with a certificate of its own, and that certificate.
async fn listen() -> (Listening, CertificateDer<'static>) {
    let issued = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let key = PrivateKeyDer::try_from(issued.signing_key.serialize_der()).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![issued.cert.der().clone()], key)
        .unwrap();
    let listening = Listening::with(|serve| serve.with_tls(config)).await;
    (listening, issued.cert.der().clone())
}

/// Connects as a sender that trusts only this certificate and speaks these protocols.
pub(crate) async fn connect(
    address: SocketAddr,
    trusted: CertificateDer<'static>,
    protocols: &[&[u8]],
) -> std::io::Result<TlsStream<TcpStream>> {
    let mut roots = RootCertStore::empty();
    roots.add(trusted).unwrap();
    let mut config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
    let stream = TcpStream::connect(address).await.unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    TlsConnector::from(Arc::new(config))
        .connect(name, stream)
        .await
}

#[tokio::test]
async fn a_callback_is_answered_over_tls() {
    let (listening, certificate) = listen().await;
    let stream = connect(listening.address, certificate, &[]).await.unwrap();
    let answer = talk_over(stream, whole("connection: close\r\n")).await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert!(answer.ends_with(r#"{"status":"received"}"#), "{answer}");
}

#[tokio::test]
async fn only_http_1_1_is_offered() {
    let (listening, certificate) = listen().await;
    let protocols: [&[u8]; 2] = [b"h2", b"http/1.1"];
    let both = connect(listening.address, certificate.clone(), &protocols).await;
    let (_, session) = both.as_ref().unwrap().get_ref();
    assert_eq!(session.alpn_protocol(), Some(b"http/1.1".as_slice()));
    let neither = connect(listening.address, certificate, &[b"h2"]).await;
    assert!(neither.is_err());
}

#[tokio::test]
async fn what_is_not_tls_is_not_answered() {
    let (listening, certificate) = listen().await;
    let answer = TcpStream::connect(listening.address).await;
    let mut stream = answer.unwrap();
    stream.write_all(&whole("")).await.unwrap();
    let mut alert = Vec::new();
    let _ = tokio::io::AsyncReadExt::read_to_end(&mut stream, &mut alert).await;
    assert!(!String::from_utf8_lossy(&alert).contains("HTTP"));
    let mut stream = connect(listening.address, certificate, &[]).await.unwrap();
    ask(&mut stream).await;
}

#[tokio::test(start_paused = true)]
async fn a_handshake_that_does_not_go_on_is_cut_off_and_others_are_answered() {
    let (listening, certificate) = listen().await;
    let begun = Instant::now();
    let mut silent = TcpStream::connect(listening.address).await.unwrap();
    let mut stream = connect(listening.address, certificate, &[]).await.unwrap();
    ask(&mut stream).await;
    closed(&mut silent).await;
    assert_eq!(begun.elapsed().as_secs(), Serve::HEADER_TIMEOUT.as_secs());
}

#[tokio::test]
async fn a_stop_ends_handshakes_and_idle_connections() {
    let (listening, certificate) = listen().await;
    let mut silent = TcpStream::connect(listening.address).await.unwrap();
    let mut idle = connect(listening.address, certificate, &[]).await.unwrap();
    ask(&mut idle).await;
    listening.stop().await;
    closed(&mut silent).await;
    closed(&mut idle).await;
}
