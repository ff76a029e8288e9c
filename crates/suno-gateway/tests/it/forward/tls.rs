//! TLS to a consumer with a certificate of its own.

use std::sync::Arc;

use suno_gateway::Next;
use suno_gateway::attempt::Outcome;
use suno_gateway::destination::Failure;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;

use super::builder;
use crate::scene::{TASK, message};

/// Starts a consumer with TLS, and returns its port and its certificate.
async fn consumer() -> (u16, Vec<u8>) {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let der = made.cert.der().to_vec();
    let key = PrivateKeyDer::Pkcs8(made.signing_key.serialize_der().into());
    let provider = Arc::new(tokio_rustls::rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let Ok(mut stream) = acceptor.accept(stream).await else {
                continue;
            };
            let mut buffer = vec![0; 65_536];
            let _ = stream.read(&mut buffer).await;
            let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
            let _ = stream.write_all(answer).await;
            let _ = stream.shutdown().await;
        }
    });
    (port, der)
}

#[tokio::test]
async fn a_certificate_that_was_given_is_trusted_and_a_stranger_s_is_not() {
    let (port, der) = consumer().await;
    let url = format!("https://localhost:{port}/hook");
    let trusting = builder(&url).with_root_certificate(der).build().unwrap();
    let delivered = trusting.deliver(&message(TASK), 1).await;
    assert_eq!(delivered.next, Next::Done, "{delivered:?}");
    let (_, other) = consumer().await;
    let distrusting = builder(&url).with_root_certificate(other).build().unwrap();
    let delivered = distrusting.deliver(&message(TASK), 1).await;
    match delivered.attempt.unwrap().outcome {
        Outcome::NotAnswered { failure, .. } => assert_eq!(failure, Failure::Tls),
        other => panic!("{other:?}"),
    }
    let broken = builder(&url)
        .with_root_certificate(b"canary".to_vec())
        .build();
    assert!(broken.is_err());
}
