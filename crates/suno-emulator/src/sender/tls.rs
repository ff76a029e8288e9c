//! Callbacks to `https://` URLs. The system's root certificates and those of the settings are
//! trusted.

use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use http_body_util::Full;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::verify_server_name;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{ClientConfig, DigitallySignedStruct, SignatureScheme};
use rustls_platform_verifier::Verifier;

use super::pool::client_builder;
use crate::background::BackgroundTasks;

/// The maximum number of extra root certificates.
const EXTRA_ROOTS_MAX: usize = 256;

type TlsClient = Client<HttpsConnector<HttpConnector>, Full<Bytes>>;

/// A TLS client that is built for the first `https://` URL: reading the system's root certificates
/// takes time, and most emulators never need them.
#[derive(Clone, Debug)]
pub(crate) struct Tls {
    extra_roots: Vec<CertificateDer<'static>>,
    tasks: BackgroundTasks,
    client: Arc<OnceLock<Result<TlsClient, String>>>,
}

impl Tls {
    /// Parses the extra root certificates. Returns `None` if the text is not empty and not valid,
    /// or has too many.
    pub(crate) fn new(tasks: BackgroundTasks, extra_roots_pem: &[u8]) -> Option<Self> {
        let roots = CertificateDer::pem_slice_iter(extra_roots_pem).take(EXTRA_ROOTS_MAX + 1);
        let extra_roots = roots.collect::<Result<Vec<_>, _>>().ok()?;
        if extra_roots.is_empty() != extra_roots_pem.is_empty()
            || extra_roots.len() > EXTRA_ROOTS_MAX
        {
            return None;
        }
        Some(Self {
            extra_roots,
            tasks,
            client: Arc::default(),
        })
    }

    /// Returns the client, or the reason why it cannot be built.
    pub(crate) fn client(&self) -> Result<&TlsClient, String> {
        let client = self.client.get_or_init(|| self.build());
        client.as_ref().map_err(Clone::clone)
    }

    fn build(&self) -> Result<TlsClient, String> {
        let provider = Arc::new(ring::default_provider());
        let roots = self.extra_roots.iter().cloned();
        let usual = Verifier::new_with_extra_roots(roots, Arc::clone(&provider))
            .map_err(|err| err.to_string())?;
        let verifier = ExtraTrustVerifier {
            given: self.extra_roots.clone(),
            usual,
        };
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|err| err.to_string())?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier))
            .with_no_client_auth();
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(config)
            .https_only()
            .enable_http1()
            .wrap_connector(tcp);
        Ok(client_builder(self.tasks.clone()).build(connector))
    }
}

/// A verifier that also accepts the extra certificates as a server's own. Self-signed test
/// certificates are often marked as an authority, which the usual verifier rejects for a server.
#[derive(Debug)]
struct ExtraTrustVerifier {
    given: Vec<CertificateDer<'static>>,
    usual: Verifier,
}

impl ServerCertVerifier for ExtraTrustVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        if self.given.iter().any(|given| given == end_entity) {
            verify_server_name(&ParsedCertificate::try_from(end_entity)?, server_name)?;
            return Ok(ServerCertVerified::assertion());
        }
        self.usual
            .verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.usual.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.usual.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.usual.supported_verify_schemes()
    }
}
