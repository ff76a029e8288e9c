//! A certificate and its key, read from files and replaced while the server runs.

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use jiff::Timestamp;
use tokio_rustls::rustls;

use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{InconsistentKeys, ServerConfig};
use x509_cert::Certificate;
use x509_cert::der::Decode;

/// The certificate of a server, read from two PEM files and replaced by [`reload`](Self::reload).
///
/// All clones share one certificate. A new handshake uses the certificate of the last successful
/// load; connections that are already open keep theirs.
///
/// ```no_run
/// # async fn run(
/// #     serve: suno_callback::serve::Serve,
/// #     provider: std::sync::Arc<tokio_rustls::rustls::crypto::CryptoProvider>,
/// # ) -> Result<(), Box<dyn std::error::Error>> {
/// use suno_callback::serve::CertificateFiles;
///
/// let certificate = CertificateFiles::load("chain.pem", "key.pem", provider)?;
/// let serve = serve.with_tls(certificate.server_config()?);
/// // Later, such as on SIGHUP:
/// match certificate.reload().await {
///     Ok(not_after) => println!("the new certificate expires at {not_after}"),
///     Err(err) => println!("the old certificate stays in use: {err}"),
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct CertificateFiles {
    shared: Arc<Shared>,
}

struct Shared {
    chain: PathBuf,
    key: PathBuf,
    provider: Arc<CryptoProvider>,
    current: RwLock<Loaded>,
}

/// A certificate that was checked.
#[derive(Clone)]
struct Loaded {
    certified: Arc<CertifiedKey>,
    not_after: Timestamp,
}

impl CertificateFiles {
    /// The maximum size of each file, in bytes.
    pub const FILE_BYTES_MAX: u64 = 1 << 20;
    /// The maximum number of certificates in a chain.
    pub const CHAIN_MAX: usize = 16;
    /// The time after which [`reload`](Self::reload) reads the files once more if they are invalid: the
    /// program that renews them writes one after the other.
    pub const RELOAD_PAUSE: Duration = Duration::from_secs(1);

    /// Reads the chain, the server's own certificate first, and its key. Both are PEM.
    ///
    /// # Errors
    ///
    /// Returns an error if a file cannot be read, is too large, contains no certificate or no key, or
    /// if the key belongs to another certificate.
    pub fn load(
        chain: impl Into<PathBuf>,
        key: impl Into<PathBuf>,
        provider: Arc<CryptoProvider>,
    ) -> Result<Self, InvalidCertificate> {
        let (chain, key) = (chain.into(), key.into());
        let current = RwLock::new(load(&chain, &key, &provider)?);
        Ok(Self {
            shared: Arc::new(Shared {
                chain,
                key,
                provider,
                current,
            }),
        })
    }

    /// Reads the files again, checks them as [`load`](Self::load) does, and then uses them for new
    /// handshakes. Returns when the new certificate expires. Must be called on a tokio runtime.
    ///
    /// # Errors
    ///
    /// Returns an error as [`load`](Self::load) does; the previous certificate stays in use.
    pub async fn reload(&self) -> Result<Timestamp, InvalidCertificate> {
        let read = |shared: Arc<Shared>| async move {
            let reading = tokio::task::spawn_blocking(move || {
                load(&shared.chain, &shared.key, &shared.provider)
            });
            reading
                .await
                .unwrap_or_else(|_| Err(Problem::Interrupted.into()))
        };
        let loaded = match read(self.shared.clone()).await {
            Ok(loaded) => loaded,
            Err(_) => {
                tokio::time::sleep(Self::RELOAD_PAUSE).await;
                read(self.shared.clone()).await?
            }
        };
        let not_after = loaded.not_after;
        let current = &self.shared.current;
        *current.write().unwrap_or_else(PoisonError::into_inner) = loaded;
        Ok(not_after)
    }

    /// Returns when the certificate in use expires.
    #[must_use]
    pub fn not_after(&self) -> Timestamp {
        self.current().not_after
    }

    /// Returns the configuration of a server that uses this certificate, for
    /// [`Serve::with_tls`](super::Serve::with_tls). Clients need no certificate.
    ///
    /// # Errors
    ///
    /// Returns an error if the crypto provider supports no version of TLS.
    pub fn server_config(&self) -> Result<ServerConfig, InvalidCertificate> {
        let builder = ServerConfig::builder_with_provider(self.shared.provider.clone());
        let builder = builder.with_safe_default_protocol_versions();
        let builder = builder.map_err(Problem::Provider)?;
        Ok(builder
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(self.clone())))
    }

    fn current(&self) -> Loaded {
        let current = self.shared.current.read();
        current.unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl ResolvesServerCert for CertificateFiles {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.current().certified)
    }
}

/// Leaves out the key.
impl fmt::Debug for CertificateFiles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CertificateFiles")
            .field("chain", &self.shared.chain)
            .field("not_after", &self.not_after())
            .finish_non_exhaustive()
    }
}

/// Returns when a certificate expires.
///
/// # Errors
///
/// Returns an error if `certificate` is not a certificate.
pub fn certificate_not_after(
    certificate: &CertificateDer<'_>,
) -> Result<Timestamp, InvalidCertificate> {
    let certificate = Certificate::from_der(certificate).map_err(|_| Problem::Malformed)?;
    let not_after = certificate.tbs_certificate.validity.not_after;
    let seconds = not_after.to_unix_duration().as_secs();
    let seconds = i64::try_from(seconds).map_err(|_| Problem::Malformed)?;
    Ok(Timestamp::from_second(seconds).map_err(|_| Problem::Malformed)?)
}

/// The reason why a certificate and its key cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{problem}")]
pub struct InvalidCertificate {
    problem: Problem,
}

impl InvalidCertificate {
    /// Returns whether the key belongs to another certificate.
    #[must_use]
    pub fn is_mismatch(&self) -> bool {
        matches!(self.problem, Problem::Mismatch)
    }
}

impl From<Problem> for InvalidCertificate {
    fn from(problem: Problem) -> Self {
        Self { problem }
    }
}

/// None of these contains the text of a file.
#[derive(Debug, thiserror::Error)]
enum Problem {
    #[error("{} cannot be read: {_1}", .0.display())]
    Unreadable(PathBuf, io::Error),
    #[error("reading the files was interrupted")]
    Interrupted,
    #[error("{} is larger than {} bytes", .0.display(), CertificateFiles::FILE_BYTES_MAX)]
    TooLarge(PathBuf),
    #[error("{} contains no complete PEM certificate", .0.display())]
    NoCertificate(PathBuf),
    #[error("{} contains more than {} certificates", .0.display(), CertificateFiles::CHAIN_MAX)]
    TooLong(PathBuf),
    #[error("{} contains no complete PEM private key", .0.display())]
    NoKey(PathBuf),
    #[error("a certificate of the chain is malformed")]
    Malformed,
    #[error("the private key is of a kind that is not supported")]
    UnsupportedKey,
    #[error(
        "the private key belongs to another certificate; the server's own certificate comes first"
    )]
    Mismatch,
    #[error("the crypto provider supports no version of TLS: {0}")]
    Provider(rustls::Error),
}

fn load(chain: &Path, key: &Path, provider: &CryptoProvider) -> Result<Loaded, InvalidCertificate> {
    Ok(load_checked(chain, key, provider)?)
}

fn load_checked(chain: &Path, key: &Path, provider: &CryptoProvider) -> Result<Loaded, Problem> {
    let certificates = certificates(chain)?;
    let key = match PrivateKeyDer::from_pem_slice(&read(key)?) {
        Ok(key) => key,
        Err(_) => return Err(Problem::NoKey(key.to_owned())),
    };
    let first = certificates.first();
    let first = first.ok_or_else(|| Problem::NoCertificate(chain.to_owned()))?;
    let not_after = certificate_not_after(first).map_err(|err| err.problem)?;
    for issuer in &certificates[1..] {
        certificate_not_after(issuer).map_err(|err| err.problem)?;
    }
    let certified = CertifiedKey::from_der(certificates, key, provider);
    let certified = certified.map_err(|err| match err {
        rustls::Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => Problem::Mismatch,
        rustls::Error::InvalidCertificate(_) => Problem::Malformed,
        _ => Problem::UnsupportedKey,
    })?;
    Ok(Loaded {
        certified: Arc::new(certified),
        not_after,
    })
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, Problem> {
    let text = read(path)?;
    let mut certificates = Vec::new();
    for certificate in CertificateDer::pem_slice_iter(&text) {
        let certificate: Result<_, pem::Error> = certificate;
        // A file that ends inside a certificate is being written.
        let certificate = certificate.map_err(|_| Problem::NoCertificate(path.to_owned()))?;
        if certificates.len() == CertificateFiles::CHAIN_MAX {
            return Err(Problem::TooLong(path.to_owned()));
        }
        certificates.push(certificate);
    }
    Ok(certificates)
}

fn read(path: &Path) -> Result<Vec<u8>, Problem> {
    let unreadable = |err| Problem::Unreadable(path.to_owned(), err);
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(unreadable)?;
    // One byte more shows that the file is too large.
    let mut file = file.take(CertificateFiles::FILE_BYTES_MAX + 1);
    file.read_to_end(&mut bytes).map_err(unreadable)?;
    match bytes.len() as u64 > CertificateFiles::FILE_BYTES_MAX {
        true => Err(Problem::TooLarge(path.to_owned())),
        false => Ok(bytes),
    }
}
