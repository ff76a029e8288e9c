//! Connections to receivers, with TLS or without.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use http::Uri;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

/// The time limit for a connection, with its TLS handshake.
const CONNECT_TIME_MAX: Duration = Duration::from_secs(5);

/// A stream to a server.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// A connection.
pub(crate) struct Connection {
    pub(crate) stream: Box<dyn Stream>,
    /// The properties of the TLS session; `None` without TLS.
    pub(crate) tls: Option<TlsSession>,
}

/// The properties of a TLS session.
pub(crate) struct TlsSession {
    /// The server's own certificate.
    pub(crate) certificate: Option<CertificateDer<'static>>,
    pub(crate) version: String,
}

/// Opens connections, and trusts the certificates that browsers trust.
#[derive(Clone)]
pub(crate) struct Connector {
    tls: TlsConnector,
}

impl Connector {
    /// Trusts the certificates in `extra_roots_pem` as well.
    ///
    /// # Errors
    ///
    /// Returns an error if that is not a list of certificates in PEM.
    pub(crate) fn new(extra_roots_pem: &[u8]) -> Result<Self> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let roots = webpki_roots::TLS_SERVER_ROOTS.iter().cloned();
        let mut roots: rustls::RootCertStore = roots.collect();
        for certificate in CertificateDer::pem_slice_iter(extra_roots_pem) {
            let certificate = certificate.ok().and_then(|der| roots.add(der).ok());
            certificate.context("the trusted certificates are not in PEM")?;
        }
        let config = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Self {
            tls: TlsConnector::from(Arc::new(config)),
        })
    }

    /// Connects to the host of a URL.
    ///
    /// # Errors
    ///
    /// Returns an error if there is no connection in time, or if the certificate cannot be trusted.
    pub(crate) async fn connect(&self, url: &Uri) -> Result<Connection> {
        let (host, port) = address(url)?;
        let connect = async {
            let stream = TcpStream::connect((host, port)).await?;
            stream.set_nodelay(true)?;
            if url.scheme_str() != Some("https") {
                return Ok::<_, anyhow::Error>(Connection {
                    stream: Box::new(stream),
                    tls: None,
                });
            }
            let name = ServerName::try_from(host.to_owned())?;
            let stream = self.tls.connect(name, stream).await?;
            let (_, session) = stream.get_ref();
            let certificate = session.peer_certificates().and_then(<[_]>::first);
            let version = session.protocol_version();
            let tls = TlsSession {
                certificate: certificate.map(|certificate| certificate.clone().into_owned()),
                version: version.map_or_else(String::new, |version| format!("{version:?}")),
            };
            Ok(Connection {
                stream: Box::new(stream),
                tls: Some(tls),
            })
        };
        timeout(CONNECT_TIME_MAX, connect)
            .await
            .context("connecting took too long")?
    }
}

/// Returns the host and the port of a URL.
///
/// # Errors
///
/// Returns an error if the URL has no host.
pub(crate) fn address(url: &Uri) -> Result<(&str, u16)> {
    let host = url.host().context("the URL has no host")?;
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let is_secure = url.scheme_str() == Some("https");
    Ok((
        host,
        url.port_u16().unwrap_or(if is_secure { 443 } else { 80 }),
    ))
}
