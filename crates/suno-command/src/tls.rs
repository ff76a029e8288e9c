//! TLS by certificate files: the options, and reloading the files on SIGHUP.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use rustls::crypto::ring;
use suno_callback::serve::{CertificateFiles, InvalidCertificate};
use suno_callback::{Clock, SystemClock};

use crate::failure::Failure;
use crate::notify::Notifier;

/// The time before its expiry from which a certificate is warned about.
const EXPIRES_SOON: Duration = Duration::from_secs(14 * 86_400);

/// The files of a server's certificate.
#[derive(Debug, clap::Args)]
#[group(skip)]
pub(crate) struct Arguments {
    /// Serve over TLS: PEM file with the certificate, and after it those of its issuers; read again on
    /// SIGHUP
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    tls_cert: Option<PathBuf>,
    /// PEM file with the private key of --tls-cert; read again on SIGHUP
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    tls_key: Option<PathBuf>,
}

impl Arguments {
    /// Reads the files; returns `None` if none are given.
    pub(crate) fn load(&self) -> Result<Option<CertificateFiles>, Failure> {
        let (Some(chain), Some(key)) = (&self.tls_cert, &self.tls_key) else {
            return Ok(None);
        };
        let provider = Arc::new(ring::default_provider());
        let files = CertificateFiles::load(chain, key, provider);
        let files = files.map_err(|err| {
            Failure::usage(err)
                .context("the files of --tls-cert and --tls-key cannot be used for TLS")
        })?;
        warn_of_expiry(files.not_after(), SystemClock.now());
        Ok(Some(files))
    }
}

/// Reloads the certificate at each SIGHUP until the returned task is aborted. `outcome` is called after
/// each reload, such as for a metric. Must be called on a tokio runtime.
///
/// # Errors
///
/// Returns an error if the signal cannot be listened for.
#[cfg(unix)]
pub(crate) fn spawn_reload(
    files: CertificateFiles,
    notifier: Notifier,
    outcome: impl Fn(&Result<Timestamp, InvalidCertificate>) + Send + 'static,
) -> Result<tokio::task::JoinHandle<()>, Failure> {
    use tokio::signal::unix::{SignalKind, signal};

    let hang_up = signal(SignalKind::hangup());
    let mut hang_up =
        hang_up.map_err(|err| Failure::failed(err).context("cannot listen for SIGHUP"))?;
    Ok(tokio::spawn(async move {
        while hang_up.recv().await.is_some() {
            notifier.reloading();
            let reloaded = files.reload().await;
            match &reloaded {
                Ok(not_after) => {
                    tracing::info!(%not_after, "the TLS certificate was reloaded");
                    warn_of_expiry(*not_after, SystemClock.now());
                }
                Err(err) => tracing::warn!(
                    %err,
                    not_after = %files.not_after(),
                    "the TLS certificate could not be reloaded, and the previous one stays in use; \
                     correct the files and send SIGHUP again"
                ),
            }
            outcome(&reloaded);
            notifier.ready();
        }
    }))
}

fn warn_of_expiry(not_after: Timestamp, now: Timestamp) {
    let remaining = not_after.duration_since(now);
    if remaining.is_negative() {
        tracing::warn!(%not_after, "the TLS certificate has expired, so the provider cannot connect; renew it");
    } else if remaining.unsigned_abs() < EXPIRES_SOON {
        tracing::warn!(%not_after, "the TLS certificate expires soon; renew it and send SIGHUP");
    }
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use std::fs;
    use std::path::Path;

    use tokio::sync::mpsc;

    use super::*;

    fn write(folder: &Path, issued: &rcgen::CertifiedKey<rcgen::KeyPair>) -> Arguments {
        let (chain, key) = (folder.join("chain.pem"), folder.join("key.pem"));
        fs::write(&chain, issued.cert.pem()).unwrap();
        fs::write(&key, issued.signing_key.serialize_pem()).unwrap();
        Arguments {
            tls_cert: Some(chain),
            tls_key: Some(key),
        }
    }

    fn issue() -> rcgen::CertifiedKey<rcgen::KeyPair> {
        rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap()
    }

    #[tokio::test]
    async fn each_hang_up_reads_the_files_again_and_says_so_to_systemd() {
        let folder = tempfile::tempdir().unwrap();
        let files = write(folder.path(), &issue()).load().unwrap().unwrap();
        let (notifier, supervisor) = Notifier::with_supervisor(folder.path());
        let (tell, mut told) = mpsc::unbounded_channel();
        let outcome = move |reloaded: &Result<_, _>| tell.send(reloaded.is_ok()).unwrap();
        let reloading = spawn_reload(files, notifier, outcome).unwrap();
        let hang_up = || {
            let process = rustix::process::getpid();
            rustix::process::kill_process(process, rustix::process::Signal::HUP).unwrap();
        };

        write(folder.path(), &issue());
        hang_up();
        assert_eq!(told.recv().await, Some(true));
        let message = supervisor.next();
        assert!(
            message.starts_with("RELOADING=1\nMONOTONIC_USEC="),
            "{message}"
        );
        assert_eq!(supervisor.next(), "READY=1");

        fs::write(folder.path().join("key.pem"), "").unwrap();
        hang_up();
        assert_eq!(told.recv().await, Some(false));
        assert!(supervisor.next().starts_with("RELOADING=1"));
        assert_eq!(supervisor.next(), "READY=1");
        reloading.abort();
    }

    #[test]
    fn files_that_do_not_belong_together_are_refused_before_anything_is_served() {
        let folder = tempfile::tempdir().unwrap();
        let arguments = write(folder.path(), &issue());
        fs::write(
            folder.path().join("key.pem"),
            issue().signing_key.serialize_pem(),
        )
        .unwrap();
        let failure = format!("{:?}", arguments.load().unwrap_err());
        assert!(
            failure.contains("belongs to another certificate"),
            "{failure}"
        );
    }
}
