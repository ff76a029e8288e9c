//! TLS settings and root certificates. The cryptography provider is passed as an argument, never
//! taken from the process, so that two of them in one program cannot conflict.

use std::sync::{Arc, OnceLock};

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::CertificateDer;
use rustls::{ClientConfig, RootCertStore};

const NO_ROOTS: &str = "no root certificate is available for https: install the operating system's list (ca-certificates), or enable the feature webpki-roots, or add one with root_certificate";
const BAD_ROOT: &str = "a certificate given to root_certificate cannot be read as DER";
const NO_TLS: &str = "TLS cannot be set up with this cryptography provider";

/// The TLS settings of a client. Root certificates are read for the first `https` connection.
pub(super) struct Tls {
    extra_roots: Vec<Vec<u8>>,
    config: OnceLock<Result<ClientConfig, &'static str>>,
}

impl Tls {
    /// Trusts the usual root certificates and these, given as DER.
    pub(super) fn new(extra_roots: Vec<Vec<u8>>) -> Self {
        Self {
            extra_roots,
            config: OnceLock::new(),
        }
    }

    /// The settings for a connection, or the reason why TLS cannot be set up.
    pub(super) fn config(&self) -> Result<ClientConfig, &'static str> {
        self.config
            .get_or_init(|| config(&self.extra_roots))
            .clone()
    }
}

fn config(extra: &[Vec<u8>]) -> Result<ClientConfig, &'static str> {
    let crypto = crypto();
    let roots: Vec<CertificateDer<'static>> = extra
        .iter()
        .map(|der| CertificateDer::from(der.clone()))
        .collect();
    for root in &roots {
        RootCertStore::empty()
            .add(root.clone())
            .map_err(|_| BAD_ROOT)?;
    }
    let verifier = verifier(&crypto, &roots)?;
    let config = ClientConfig::builder_with_provider(crypto)
        .with_safe_default_protocol_versions()
        .map_err(|_| NO_TLS)?
        // The name is about verifiers in general; this one checks chain, name and dates.
        .dangerous()
        .with_custom_certificate_verifier(verifier)
        .with_no_client_auth();
    Ok(config)
}

fn crypto() -> Arc<CryptoProvider> {
    #[cfg(feature = "aws-lc-rs")]
    let provider = rustls::crypto::aws_lc_rs::default_provider();
    #[cfg(not(feature = "aws-lc-rs"))]
    let provider = rustls::crypto::ring::default_provider();
    Arc::new(provider)
}

/// The verifier of the operating system, or else one with a list of root certificates.
fn verifier(
    crypto: &Arc<CryptoProvider>,
    extra: &[CertificateDer<'static>],
) -> Result<Arc<dyn ServerCertVerifier>, &'static str> {
    #[cfg(feature = "platform-roots")]
    {
        let roots = extra.iter().cloned();
        let platform =
            rustls_platform_verifier::Verifier::new_with_extra_roots(roots, crypto.clone());
        if let Ok(verifier) = platform {
            return Ok(Arc::new(verifier));
        }
    }
    let mut roots = RootCertStore::empty();
    #[cfg(feature = "webpki-roots")]
    roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    for root in extra {
        roots.add(root.clone()).map_err(|_| BAD_ROOT)?;
    }
    if roots.is_empty() {
        return Err(NO_ROOTS);
    }
    let verifier = WebPkiServerVerifier::builder_with_provider(roots.into(), crypto.clone())
        .build()
        .map_err(|_| NO_TLS)?;
    Ok(verifier)
}
