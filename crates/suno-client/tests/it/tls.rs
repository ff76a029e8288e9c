//! TLS over loopback: which servers are believed, and HTTP/2.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, Version};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, date_time_ymd};
use rustls::ServerConfig;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use suno_client::{Client, ClientBuilder, ErrorKind, Retry};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

use crate::clock::{HeldClock, until};
use crate::server::{Asked, Reply, serve};
use crate::{TAKEN, builder_at, instrumental};

/// An authority that only the tests trust.
pub(crate) struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).expect("no names");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        Self(CertifiedIssuer::self_signed(params, key).expect("a certificate"))
    }

    pub(crate) fn der(&self) -> Vec<u8> {
        self.0.der().to_vec()
    }

    /// How a server with a certificate for `name` talks TLS.
    fn config(&self, name: &str, last_year: i32, protocols: &[&[u8]]) -> ServerConfig {
        let mut params = CertificateParams::new(vec![name.to_owned()]).expect("a name");
        params.not_before = date_time_ymd(2020, 1, 1);
        params.not_after = date_time_ymd(last_year, 1, 1);
        let key = KeyPair::generate().expect("a key");
        let certificate = params.signed_by(&key, &self.0).expect("a certificate");
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let crypto = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = ServerConfig::builder_with_provider(crypto)
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], key)
            .expect("a certificate and its key");
        config.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
        config
    }
}

/// A server that talks TLS; dropping it stops it.
pub(crate) struct TlsServer {
    pub(crate) addr: SocketAddr,
    asked: Arc<Mutex<Vec<Asked>>>,
    task: JoinHandle<()>,
}

impl TlsServer {
    /// Answers everything that comes over HTTP/1.1 with [`TAKEN`].
    pub(crate) async fn start(authority: &Authority, name: &str, last_year: i32) -> Self {
        let config = authority.config(name, last_year, &[b"http/1.1"]);
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let addr = listener.local_addr().expect("an address");
        let asked = Arc::new(Mutex::new(Vec::new()));
        let seen = asked.clone();
        let task = tokio::spawn(async move {
            while let Ok((tcp, _)) = listener.accept().await {
                let Ok(stream) = acceptor.accept(tcp).await else {
                    continue;
                };
                let script = Arc::new(Mutex::new(vec![Reply::json(TAKEN); 10].into()));
                serve(stream, 0, script, seen.clone()).await;
            }
        });
        Self { addr, asked, task }
    }

    pub(crate) fn asked(&self) -> usize {
        self.asked.lock().expect("the lock").len()
    }

    fn client(&self, host: &str, authority: Option<&Authority>) -> Client {
        let builder = self.builder(host);
        let builder = match authority {
            Some(authority) => builder.root_certificate(authority.der()),
            None => builder,
        };
        builder.build().expect("a client")
    }

    fn builder(&self, host: &str) -> ClientBuilder {
        builder_at(&format!("https://{host}:{}", self.addr.port()))
            .retry(Retry::new().with_attempts_max(1))
    }
}

impl Drop for TlsServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

#[tokio::test]
async fn a_server_whose_certificate_is_good_is_believed() {
    let authority = Authority::new();
    let server = TlsServer::start(&authority, "localhost", 2100).await;
    let client = server.client("localhost", Some(&authority));
    client.submit(&instrumental()).await.expect("taken");
    assert_eq!(server.asked(), 1);
}

#[tokio::test]
async fn a_server_that_cannot_prove_who_it_is_gets_nothing() {
    let (ours, theirs) = (Authority::new(), Authority::new());
    let cases = [
        (
            "another authority",
            TlsServer::start(&theirs, "localhost", 2100).await,
            Some(&ours),
        ),
        (
            "an unknown authority",
            TlsServer::start(&ours, "localhost", 2100).await,
            None,
        ),
        (
            "another name",
            TlsServer::start(&ours, "example.com", 2100).await,
            Some(&ours),
        ),
        (
            "expired",
            TlsServer::start(&ours, "localhost", 2021).await,
            Some(&ours),
        ),
    ];
    for (what, server, trusted) in cases {
        let client = server.client("localhost", trusted);
        let err = client.submit(&instrumental()).await.expect_err(what);
        // Without any root at all there is nothing to check with.
        let no_roots =
            trusted.is_none() && !cfg!(any(feature = "platform-roots", feature = "webpki-roots"));
        let kind = if no_roots {
            ErrorKind::Setting
        } else {
            ErrorKind::Tls
        };
        assert_eq!(err.kind(), kind, "{what}: {err:?}");
        assert!(
            no_roots || err.to_string().contains("certificate"),
            "{what}: {err}"
        );
        assert!(!err.is_retryable() && !err.is_ambiguous(), "{what}");
        assert_eq!(server.asked(), 0, "{what}");
    }
}

#[tokio::test]
async fn a_server_that_speaks_no_tls_is_told_from_a_bad_certificate() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let addr = listener.local_addr().expect("an address");
    tokio::spawn(async move {
        let (mut tcp, _) = listener.accept().await.expect("a connection");
        let page = b"HTTP/1.1 400 Bad Request\r\n\r\n";
        tokio::io::AsyncWriteExt::write_all(&mut tcp, page)
            .await
            .expect("sent");
        // Open until the client has read it.
        tokio::io::AsyncReadExt::read_to_end(&mut tcp, &mut Vec::new())
            .await
            .ok();
    });
    let client = builder_at(&format!("https://localhost:{}", addr.port()))
        .root_certificate(Authority::new().der())
        .retry(Retry::new().with_attempts_max(1))
        .build()
        .expect("a client");
    let err = client.submit(&instrumental()).await.expect_err("no TLS");
    assert_eq!(err.kind(), ErrorKind::Tls, "{err:?}");
    assert!(err.to_string().contains("check the scheme"), "{err}");
    assert!(!err.is_ambiguous());
}

#[tokio::test]
async fn a_root_certificate_that_is_none_is_a_clear_error() {
    let authority = Authority::new();
    let server = TlsServer::start(&authority, "localhost", 2100).await;
    let client = server
        .builder("localhost")
        .root_certificate(*b"not DER")
        .build()
        .expect("a client");
    let err = client.submit(&instrumental()).await.expect_err("not DER");
    assert_eq!(err.kind(), ErrorKind::Setting, "{err:?}");
    assert!(err.to_string().contains("DER"), "{err}");
}

/// A server that talks HTTP/2 only, and what it does with a request that it has read.
pub(crate) async fn http2(
    authority: &Authority,
    requests: Arc<AtomicUsize>,
    answer: impl Fn() -> Option<Response<Full<Bytes>>> + Clone + Send + Sync + 'static,
) -> (SocketAddr, JoinHandle<()>) {
    let config = authority.config("localhost", 2100, &[b"h2"]);
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let addr = listener.local_addr().expect("an address");
    let task = tokio::spawn(async move {
        while let Ok((tcp, _)) = listener.accept().await {
            let Ok(stream) = acceptor.accept(tcp).await else {
                continue;
            };
            let (requests, answer) = (requests.clone(), answer.clone());
            let service = service_fn(move |request: Request<Incoming>| {
                let (requests, answer) = (requests.clone(), answer.clone());
                async move {
                    assert_eq!(request.version(), Version::HTTP_2);
                    request.into_body().collect().await.ok();
                    requests.fetch_add(1, Ordering::SeqCst);
                    answer().ok_or(std::io::Error::other("no answer"))
                }
            });
            let http2 = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
            tokio::spawn(http2.serve_connection(TokioIo::new(stream), service));
        }
    });
    (addr, task)
}

#[tokio::test]
async fn http2_is_spoken_where_the_server_can() {
    let authority = Authority::new();
    let requests = Arc::new(AtomicUsize::new(0));
    let answer = || {
        Some(Response::new(Full::new(Bytes::from_static(
            TAKEN.as_bytes(),
        ))))
    };
    let (addr, task) = http2(&authority, requests.clone(), answer).await;
    let client = builder_at(&format!("https://localhost:{}", addr.port()))
        .root_certificate(authority.der())
        .build()
        .expect("a client");
    for _ in 0..3 {
        client.submit(&instrumental()).await.expect("taken");
    }
    assert_eq!(requests.load(Ordering::SeqCst), 3);
    task.abort();
}

#[tokio::test]
async fn a_stream_that_is_reset_is_ambiguous_and_not_sent_again() {
    let authority = Authority::new();
    let requests = Arc::new(AtomicUsize::new(0));
    let (addr, task) = http2(&authority, requests.clone(), || None).await;
    let client = builder_at(&format!("https://localhost:{}", addr.port()))
        .root_certificate(authority.der())
        .build()
        .expect("a client");
    let err = client.submit(&instrumental()).await.expect_err("reset");
    assert!(err.is_ambiguous() && !err.is_retryable(), "{err:?}");
    assert_eq!(requests.load(Ordering::SeqCst), 1);
    task.abort();
}

/// A network that has swallowed a connection says nothing of it. Over HTTP/2 all requests share one
/// connection, so that without another one none would ever be answered.
#[tokio::test(start_paused = true)]
async fn an_http2_connection_that_died_silently_is_replaced() {
    let clock = HeldClock::new();
    let authority = Authority::new();
    let config = authority.config("localhost", 2100, &[b"h2"]);
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let addr = listener.local_addr().expect("an address");
    let connections = Arc::new(AtomicUsize::new(0));
    let seen = connections.clone();
    let task = tokio::spawn(async move {
        let mut silent = Vec::new();
        while let Ok((tcp, _)) = listener.accept().await {
            let stream = acceptor.accept(tcp).await.expect("TLS");
            seen.fetch_add(1, Ordering::SeqCst);
            silent.push(stream);
        }
    });
    let client = builder_at(&format!("https://localhost:{}", addr.port()))
        .root_certificate(authority.der())
        .retry(
            Retry::new()
                .with_attempts_max(2)
                .with_base(Duration::from_millis(1)),
        )
        .build()
        .expect("a client");
    let polling = tokio::spawn(async move { client.record(&crate::task()).await.is_ok() });
    until(|| connections.load(Ordering::SeqCst) == 1).await;
    clock.settle().await;
    // Before the time for the head of an answer is over.
    for _ in 0..25 {
        clock.advance(Duration::from_secs(1)).await;
    }
    until(|| connections.load(Ordering::SeqCst) == 2).await;
    polling.abort();
    task.abort();
}
