//! TLS by rustls. The cryptography provider is passed as an argument, never taken from the process.

use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::verify_server_cert_signed_by_trust_anchor;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use tokio_postgres::tls::{MakeTlsConnect, TlsConnect};
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::config::{Roots, SslMode, TlsSettings, TlsVersions};

/// Returns what opens TLS connections. Reads the files of the settings, so it blocks.
pub(super) fn connector(
    settings: &TlsSettings,
    mode: SslMode,
) -> Result<MakeRustlsConnect, String> {
    let provider = provider()?;
    let versions: &[&rustls::SupportedProtocolVersion] = match settings.versions {
        TlsVersions::Both => &[&rustls::version::TLS12, &rustls::version::TLS13],
        TlsVersions::Only12 => &[&rustls::version::TLS12],
        TlsVersions::Only13 => &[&rustls::version::TLS13],
    };
    let verifier = verifier(&settings.roots, mode, &provider)?;
    let builder = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(versions)
        .map_err(|err| format!("TLS cannot be set up: {err}"))?
        // The name is about verifiers in general; each of these checks chain and dates.
        .dangerous()
        .with_custom_certificate_verifier(verifier);
    let mut config = match &settings.identity {
        None => builder.with_no_client_auth(),
        Some((certificate, key)) => {
            let chain = certificates(certificate, "sslcert")?;
            let key = PrivateKeyDer::from_pem_file(key)
                .map_err(|_| unreadable("sslkey", key, "an unencrypted private key"))?;
            builder
                .with_client_auth_cert(chain, key)
                .map_err(|err| format!("sslcert and sslkey cannot be used: {err}"))?
        }
    };
    config.enable_sni = settings.sends_name;
    if settings.is_direct {
        config.alpn_protocols = vec![b"postgresql".to_vec()];
    }
    Ok(MakeRustlsConnect::new(config))
}

#[cfg(feature = "aws-lc-rs")]
fn provider() -> Result<Arc<CryptoProvider>, String> {
    Ok(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
}

#[cfg(all(feature = "ring", not(feature = "aws-lc-rs")))]
fn provider() -> Result<Arc<CryptoProvider>, String> {
    Ok(Arc::new(rustls::crypto::ring::default_provider()))
}

#[cfg(not(any(feature = "ring", feature = "aws-lc-rs")))]
fn provider() -> Result<Arc<CryptoProvider>, String> {
    Err("this program was built without TLS: enable the feature ring or aws-lc-rs, or set sslmode=disable".to_owned())
}

fn verifier(
    roots: &Roots,
    mode: SslMode,
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<dyn ServerCertVerifier>, String> {
    let path = match roots {
        Roots::System => return system(provider),
        Roots::File(path) => path,
    };
    let mut store = RootCertStore::empty();
    for certificate in certificates(path, "sslrootcert")? {
        store
            .add(certificate)
            .map_err(|err| format!("a certificate in sslrootcert cannot be used: {err}"))?;
    }
    let store = Arc::new(store);
    let full = WebPkiServerVerifier::builder_with_provider(store.clone(), provider.clone())
        .build()
        .map_err(|err| format!("TLS cannot be set up: {err}"))?;
    if mode != SslMode::VerifyCa {
        return Ok(full);
    }
    Ok(Arc::new(AnyName {
        full,
        roots: store,
        provider: provider.clone(),
    }))
}

#[cfg(feature = "platform-roots")]
fn system(provider: &Arc<CryptoProvider>) -> Result<Arc<dyn ServerCertVerifier>, String> {
    use std::sync::OnceLock;
    // Reading the system's certificates takes milliseconds, and they hardly ever change.
    static VERIFIER: OnceLock<Arc<dyn ServerCertVerifier>> = OnceLock::new();
    if let Some(verifier) = VERIFIER.get() {
        return Ok(verifier.clone());
    }
    let verifier = rustls_platform_verifier::Verifier::new(provider.clone()).map_err(|err| {
        format!("the certificates of the operating system cannot be read: {err}; install them (ca-certificates), or name a file in sslrootcert")
    })?;
    Ok(VERIFIER.get_or_init(|| Arc::new(verifier)).clone())
}

#[cfg(not(feature = "platform-roots"))]
fn system(_: &Arc<CryptoProvider>) -> Result<Arc<dyn ServerCertVerifier>, String> {
    Err(
        "sslrootcert must name a file: this program was built without the feature platform-roots"
            .to_owned(),
    )
}

fn certificates(path: &Path, setting: &str) -> Result<Vec<CertificateDer<'static>>, String> {
    let all: Result<Vec<_>, _> = CertificateDer::pem_file_iter(path).and_then(Iterator::collect);
    match all {
        Ok(all) if !all.is_empty() => Ok(all),
        _ => Err(unreadable(setting, path, "certificates")),
    }
}

fn unreadable(setting: &str, path: &Path, what: &str) -> String {
    format!(
        "the file of {setting}, {}, cannot be read as {what} in PEM",
        path.display()
    )
}

/// How far TLS has come on a connection.
#[derive(Debug, Default)]
pub(super) struct Progress {
    is_started: AtomicBool,
    is_done: AtomicBool,
}

impl Progress {
    /// Whether the server has offered TLS, but the handshake has failed.
    pub(super) fn has_failed(&self) -> bool {
        self.is_started.load(Ordering::Acquire) && !self.is_done()
    }

    /// Whether the connection is encrypted.
    pub(super) fn is_done(&self) -> bool {
        self.is_done.load(Ordering::Acquire)
    }
}

/// A connector that reports how far it has come. The driver's errors do not say.
pub(super) struct Reporting<C> {
    connector: C,
    progress: Arc<Progress>,
}

impl<C> Reporting<C> {
    pub(super) fn new(connector: C, progress: Arc<Progress>) -> Self {
        Self {
            connector,
            progress,
        }
    }
}

impl<S, C: MakeTlsConnect<S>> MakeTlsConnect<S> for Reporting<C>
where
    C::TlsConnect: Send + 'static,
    <C::TlsConnect as TlsConnect<S>>::Future: Send + 'static,
{
    type Stream = C::Stream;
    type TlsConnect = Reporting<C::TlsConnect>;
    type Error = C::Error;

    fn make_tls_connect(&mut self, domain: &str) -> Result<Self::TlsConnect, C::Error> {
        let connector = self.connector.make_tls_connect(domain)?;
        Ok(Reporting::new(connector, Arc::clone(&self.progress)))
    }
}

impl<S, C: TlsConnect<S>> TlsConnect<S> for Reporting<C>
where
    C::Future: Send + 'static,
{
    type Stream = C::Stream;
    type Error = C::Error;
    type Future = Pin<Box<dyn Future<Output = Result<C::Stream, C::Error>> + Send>>;

    fn connect(self, stream: S) -> Self::Future {
        self.progress.is_started.store(true, Ordering::Release);
        let (handshake, progress) = (self.connector.connect(stream), self.progress);
        Box::pin(async move {
            let stream = handshake.await?;
            progress.is_done.store(true, Ordering::Release);
            Ok(stream)
        })
    }
}

/// A verifier for `sslmode=verify-ca`: all but the name.
#[derive(Debug)]
struct AnyName {
    full: Arc<WebPkiServerVerifier>,
    roots: Arc<RootCertStore>,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for AnyName {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let certificate = ParsedCertificate::try_from(end_entity)?;
        verify_server_cert_signed_by_trust_anchor(
            &certificate,
            &self.roots,
            intermediates,
            now,
            self.provider.signature_verification_algorithms.all,
        )?;
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.full
            .verify_tls12_signature(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.full
            .verify_tls13_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.full.supported_verify_schemes()
    }
}
