//! TLS settings. The cryptography provider is passed as an argument, never taken from the process.

use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier;
use rustls::pki_types::CertificateDer;
use rustls::{ClientConfig, RootCertStore};

/// The error for TLS that cannot be set up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidTls {
    /// A root certificate that was given cannot be read.
    #[error("a root certificate that was given cannot be read as DER")]
    Root,
    /// The operating system has no root certificates, and none was given.
    #[error(
        "no root certificate is available for https: install the operating system's list (ca-certificates), or give one"
    )]
    NoRoots,
    /// The provider does not support the versions of TLS.
    #[error("TLS cannot be set up with this cryptography provider")]
    Provider,
}

/// Trusts what the operating system trusts, and these certificates.
pub(super) fn config(extra: &[Vec<u8>]) -> Result<ClientConfig, InvalidTls> {
    let crypto = Arc::new(rustls::crypto::ring::default_provider());
    let mut roots = RootCertStore::empty();
    for der in extra {
        let root = CertificateDer::from(der.clone());
        roots.add(root).map_err(|_| InvalidTls::Root)?;
    }
    let given = extra.iter().map(|der| CertificateDer::from(der.clone()));
    let platform = rustls_platform_verifier::Verifier::new_with_extra_roots(given, crypto.clone());
    let verifier: Arc<dyn ServerCertVerifier> = match platform {
        Ok(verifier) => Arc::new(verifier),
        // A container without a list of certificates: only what was given is trusted.
        Err(_) if !roots.is_empty() => {
            WebPkiServerVerifier::builder_with_provider(roots.into(), crypto.clone())
                .build()
                .map_err(|_| InvalidTls::Provider)?
        }
        Err(_) => return Err(InvalidTls::NoRoots),
    };
    Ok(ClientConfig::builder_with_provider(crypto)
        .with_safe_default_protocol_versions()
        .map_err(|_| InvalidTls::Provider)?
        // The name is about verifiers in general; this one checks chain, name and dates.
        .dangerous()
        .with_custom_certificate_verifier(verifier)
        .with_no_client_auth())
}
