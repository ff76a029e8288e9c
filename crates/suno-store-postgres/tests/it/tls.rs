//! What TLS must prove before anything is sent.

use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use rcgen::{CertificateParams, CertifiedIssuer, KeyPair, date_time_ymd};
use suno_store_postgres::PostgresConfig;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::{self, ServerConfig};

use crate::cluster::{Cluster, authority};
use crate::settings::shown;

/// A server that only begins to speak: it answers the request for TLS, and counts what it is told.
struct Front {
    address: SocketAddr,
    told: Arc<Told>,
    task: tokio::task::JoinHandle<()>,
}

#[derive(Default)]
struct Told {
    in_plain_text: AtomicUsize,
    encrypted: AtomicUsize,
    connections: AtomicUsize,
}

impl Front {
    /// Starts a server with a certificate, or one without TLS.
    async fn start(tls: Option<ServerConfig>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let told = Arc::new(Told::default());
        let shared = Arc::clone(&told);
        let acceptor = tls.map(|tls| TlsAcceptor::from(Arc::new(tls)));
        let task = tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                shared.connections.fetch_add(1, Ordering::SeqCst);
                let _ = serve(stream, acceptor.as_ref(), &shared).await;
            }
        });
        Self {
            address,
            told,
            task,
        }
    }

    fn port(&self) -> u16 {
        self.address.port()
    }
}

impl Drop for Front {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(
    mut stream: TcpStream,
    acceptor: Option<&TlsAcceptor>,
    told: &Told,
) -> std::io::Result<()> {
    let mut request = [0; 8];
    stream.read_exact(&mut request).await?;
    if request != [0, 0, 0, 8, 4, 210, 22, 47] {
        told.in_plain_text.fetch_add(8, Ordering::SeqCst);
        return Ok(());
    }
    let mut told_bytes = [0; 256];
    match acceptor {
        None => {
            stream.write_all(b"N").await?;
            let count = stream.read(&mut told_bytes).await?;
            told.in_plain_text.fetch_add(count, Ordering::SeqCst);
        }
        Some(acceptor) => {
            stream.write_all(b"S").await?;
            let mut stream = acceptor.accept(stream).await?;
            let count = stream.read(&mut told_bytes).await?;
            told.encrypted.fetch_add(count, Ordering::SeqCst);
        }
    }
    Ok(())
}

/// A certificate for a name until the end of a year.
fn certified(authority: &CertifiedIssuer<'static, KeyPair>, name: &str, year: i32) -> ServerConfig {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
    params.not_after = date_time_ymd(year, 1, 1);
    let certificate = params.signed_by(&key, authority).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            vec![certificate.der().clone()],
            key.serialize_der().try_into().unwrap(),
        )
        .unwrap()
}

/// The certificate of an authority in a file.
fn trusted(folder: &TempDir, authority: &CertifiedIssuer<'static, KeyPair>) -> PathBuf {
    let path = folder.path().join("ca.pem");
    fs::write(&path, authority.pem()).unwrap();
    path
}

#[tokio::test]
async fn a_server_that_proves_nothing_is_told_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let (known, unknown) = (authority(), authority());
    let roots = trusted(&folder, &known);
    let verified = ["require", "verify-full"];
    let all = ["require", "verify-full", "verify-ca"];
    let cases: [(&str, Option<ServerConfig>, &[&str]); 4] = [
        ("without TLS", None, &all),
        (
            "unknown authority",
            Some(certified(&unknown, "localhost", 4000)),
            &all,
        ),
        ("expired", Some(certified(&known, "localhost", 2020)), &all),
        (
            "another name",
            Some(certified(&known, "elsewhere.example", 4000)),
            &verified,
        ),
    ];
    for (case, tls, modes) in cases {
        let front = Front::start(tls).await;
        for mode in modes {
            let config = PostgresConfig::parse(&format!(
                "host=localhost hostaddr=127.0.0.1 port={} user=u password=secret sslmode={mode} sslrootcert='{}'",
                front.port(),
                roots.display()
            ));
            let err = config.unwrap().check_connection().await.unwrap_err();
            let shown = shown(&err);
            assert!(!shown.contains("secret"), "{shown}");
            let told = &front.told;
            assert_eq!(
                told.in_plain_text.load(Ordering::SeqCst),
                0,
                "{case} {mode}: {shown}"
            );
            assert_eq!(
                told.encrypted.load(Ordering::SeqCst),
                0,
                "{case} {mode}: {shown}"
            );
        }
        let connections = front.told.connections.load(Ordering::SeqCst);
        assert_eq!(
            connections,
            modes.len(),
            "{case}: one attempt each, no other way"
        );
    }
}

#[tokio::test]
async fn a_trusted_certificate_is_enough_for_verify_ca() {
    let folder = tempfile::tempdir().unwrap();
    let known = authority();
    let roots = trusted(&folder, &known);
    let front = Front::start(Some(certified(&known, "elsewhere.example", 4000))).await;
    let config = PostgresConfig::parse(&format!(
        "host=localhost hostaddr=127.0.0.1 port={} user=u sslmode=verify-ca sslrootcert='{}'",
        front.port(),
        roots.display()
    ));
    // The front is no server, so this fails, but after the handshake.
    config.unwrap().check_connection().await.unwrap_err();
    assert!(front.told.encrypted.load(Ordering::SeqCst) > 0);
}

/// The documented meaning of `prefer`: an attacker in the network can force plain text.
#[tokio::test]
async fn prefer_falls_back_to_plain_text_except_with_a_broken_setting() {
    let unknown = authority();
    let text = |port| format!("host=db.example hostaddr=0.0.0.0 port={port} user=u sslmode=prefer");
    // This address reaches the host itself but is no loopback address.
    let without = Front::start(None).await;
    let config = PostgresConfig::parse(&text(without.port())).unwrap();
    config.check_connection().await.unwrap_err();
    assert!(without.told.in_plain_text.load(Ordering::SeqCst) > 0);
    assert_eq!(without.told.connections.load(Ordering::SeqCst), 1);
    let untrusted = Front::start(Some(certified(&unknown, "db.example", 4000))).await;
    let config = PostgresConfig::parse(&text(untrusted.port())).unwrap();
    config.check_connection().await.unwrap_err();
    assert!(untrusted.told.in_plain_text.load(Ordering::SeqCst) > 0);
    assert_eq!(untrusted.told.connections.load(Ordering::SeqCst), 2);
    let broken = Front::start(Some(certified(&unknown, "db.example", 4000))).await;
    let text = format!("{} sslrootcert=/nowhere.pem", text(broken.port()));
    let config = PostgresConfig::parse(&text).unwrap();
    let err = config.check_connection().await.unwrap_err();
    assert!(shown(&err).contains("sslrootcert"), "{}", shown(&err));
    assert_eq!(broken.told.connections.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn the_certificates_of_the_system_do_not_trust_a_stranger() {
    let front = Front::start(Some(certified(&authority(), "localhost", 4000))).await;
    let url = format!(
        "postgres://u@localhost:{}/d?hostaddr=127.0.0.1&sslmode=verify-full",
        front.port()
    );
    let err = PostgresConfig::parse(&url)
        .unwrap()
        .check_connection()
        .await;
    err.unwrap_err();
    assert_eq!(front.told.encrypted.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn a_server_with_a_good_certificate_is_used_by_each_mode_that_asks_for_one() {
    let Some(cluster) = Cluster::shared() else {
        return;
    };
    // The server accepts this database only with TLS.
    let base = format!(
        "host=localhost hostaddr=127.0.0.1 port={} user=suno dbname=secured sslrootcert='{}'",
        cluster.port,
        cluster.path("ca.pem").display()
    );
    // On a loopback address, the last two try plain text first.
    for mode in ["require", "verify-ca", "verify-full", "prefer", "allow"] {
        let config = PostgresConfig::parse(&format!("{base} sslmode={mode}")).unwrap();
        if let Err(err) = config.check_connection().await {
            panic!("{mode}: {}", shown(&err));
        }
    }
    for versions in [
        "ssl_min_protocol_version=TLSv1.3",
        "ssl_max_protocol_version=TLSv1.2",
        "sslsni=0",
    ] {
        let config = PostgresConfig::parse(&format!("{base} sslmode=verify-full {versions}"));
        config.unwrap().check_connection().await.unwrap();
    }
    let plain = PostgresConfig::parse(&format!("{base} sslmode=disable")).unwrap();
    let err = plain.check_connection().await.unwrap_err();
    assert!(shown(&err).contains("pg_hba.conf"), "{}", shown(&err));
}

#[tokio::test]
async fn a_client_proves_itself_by_a_certificate() {
    let Some(cluster) = Cluster::shared() else {
        return;
    };
    let base = format!(
        "host=localhost hostaddr=127.0.0.1 port={} user=client dbname=certified sslmode=verify-full sslrootcert='{}'",
        cluster.port,
        cluster.path("ca.pem").display()
    );
    PostgresConfig::parse(&base)
        .unwrap()
        .check_connection()
        .await
        .unwrap_err();
    let identity = format!(
        "{base} sslcert='{}' sslkey='{}'",
        cluster.path("client.pem").display(),
        cluster.path("client.key").display()
    );
    if let Err(err) = PostgresConfig::parse(&identity)
        .unwrap()
        .check_connection()
        .await
    {
        panic!("{}", shown(&err));
    }
    let missing = format!("{base} sslcert=/nowhere.pem sslkey=/nowhere.key");
    let err = PostgresConfig::parse(&missing)
        .unwrap()
        .check_connection()
        .await;
    let err = err.unwrap_err();
    assert!(shown(&err).contains("sslcert"), "{}", shown(&err));
}

#[tokio::test]
async fn a_password_can_be_bound_to_the_channel() {
    let Some(cluster) = Cluster::shared() else {
        return;
    };
    cluster.sql("CREATE ROLE bound LOGIN PASSWORD 'to-the-channel'");
    let base = format!(
        "host=localhost hostaddr=127.0.0.1 port={} dbname=postgres sslmode=verify-full channel_binding=require sslrootcert='{}'",
        cluster.port,
        cluster.path("ca.pem").display()
    );
    let bound = format!("{base} user=bound password=to-the-channel");
    if let Err(err) = PostgresConfig::parse(&bound)
        .unwrap()
        .check_connection()
        .await
    {
        panic!("{}", shown(&err));
    }
    // A server that asks for no password proves nothing by one.
    let trusting = format!("{base} user=suno");
    let err = PostgresConfig::parse(&trusting)
        .unwrap()
        .check_connection()
        .await;
    err.unwrap_err();
}
