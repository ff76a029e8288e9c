//! Certificates that are read from files and replaced while the server runs.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use rustls::crypto::ring;
use rustls::pki_types::CertificateDer;
use suno_callback::serve::CertificateFiles;
use tempfile::TempDir;

use crate::tls::connect;
use crate::wire::{Listening, ask};

/// A certificate for `localhost` that expires at the start of a year, and its key, as PEM.
struct Issued {
    certificate: CertificateDer<'static>,
    chain: String,
    key: String,
}

fn issue(expires: i32) -> Issued {
    let key = rcgen::KeyPair::generate().unwrap();
    let mut params = rcgen::CertificateParams::new(["localhost".to_owned()]).unwrap();
    params.not_after = rcgen::date_time_ymd(expires, 1, 1);
    let certificate = params.self_signed(&key).unwrap();
    Issued {
        certificate: certificate.der().clone(),
        chain: certificate.pem(),
        key: key.serialize_pem(),
    }
}

/// The two files of a server, and what it has loaded from them.
struct Scene {
    _folder: TempDir,
    chain: PathBuf,
    key: PathBuf,
    files: CertificateFiles,
}

impl Scene {
    fn start(issued: &Issued) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (chain, key) = (
            folder.path().join("chain.pem"),
            folder.path().join("key.pem"),
        );
        fs::write(&chain, &issued.chain).unwrap();
        fs::write(&key, &issued.key).unwrap();
        let files =
            CertificateFiles::load(&chain, &key, Arc::new(ring::default_provider())).unwrap();
        Self {
            _folder: folder,
            chain,
            key,
            files,
        }
    }

    fn write(&self, chain: &str, key: &str) {
        fs::write(&self.chain, chain).unwrap();
        fs::write(&self.key, key).unwrap();
    }

    async fn listen(&self) -> Listening {
        let config = self.files.server_config().unwrap();
        Listening::with(|serve| serve.with_tls(config)).await
    }
}

#[tokio::test]
async fn a_new_certificate_is_used_from_the_next_connection_on_and_open_ones_live_on() {
    let (old, new) = (issue(2090), issue(2091));
    let scene = Scene::start(&old);
    let listening = scene.listen().await;
    let mut open = connect(listening.address, old.certificate.clone(), &[])
        .await
        .unwrap();
    ask(&mut open).await;

    scene.write(&new.chain, &new.key);
    let not_after = scene.files.reload().await.unwrap();
    assert_eq!(not_after.to_string(), "2091-01-01T00:00:00Z");
    assert_eq!(scene.files.not_after(), not_after);

    ask(&mut open).await;
    let stranger = connect(listening.address, old.certificate, &[]).await;
    assert!(stranger.is_err(), "the old certificate is still served");
    let mut next = connect(listening.address, new.certificate, &[])
        .await
        .unwrap();
    ask(&mut next).await;
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_used_leaves_the_old_certificate_in_place() {
    let (old, new) = (issue(2090), issue(2091));
    let scene = Scene::start(&old);
    let listening = scene.listen().await;
    let half = |text: &str| text[..text.len() / 2].to_owned();
    let cases = [
        (new.chain.clone(), old.key.clone(), "another certificate"),
        (
            String::new(),
            new.key.clone(),
            "no complete PEM certificate",
        ),
        (
            new.chain.clone(),
            String::new(),
            "no complete PEM private key",
        ),
        (
            half(&new.chain),
            new.key.clone(),
            "no complete PEM certificate",
        ),
        (
            new.chain.clone(),
            half(&new.key),
            "no complete PEM private key",
        ),
        (
            format!("{}{}", new.chain, half(&old.chain)),
            new.key.clone(),
            "no complete",
        ),
        (new.chain.repeat(17), new.key.clone(), "more than 16"),
        (
            "x".repeat((1 << 20) + 1),
            new.key.clone(),
            "larger than 1048576 bytes",
        ),
    ];
    for (chain, key, reason) in cases {
        scene.write(&chain, &key);
        let err = scene.files.reload().await.unwrap_err();
        assert!(err.to_string().contains(reason), "{err}");
        assert_eq!(err.is_mismatch(), reason == "another certificate");
        assert_eq!(scene.files.not_after().to_string(), "2090-01-01T00:00:00Z");
        let mut stream = connect(listening.address, old.certificate.clone(), &[])
            .await
            .unwrap();
        ask(&mut stream).await;
    }
    fs::write(&scene.chain, &new.chain).unwrap();
    fs::remove_file(&scene.key).unwrap();
    let err = scene.files.reload().await.unwrap_err().to_string();
    assert!(err.contains("key.pem cannot be read"), "{err}");
}

#[tokio::test(start_paused = true)]
async fn files_that_are_being_replaced_are_read_once_more() {
    let (old, new) = (issue(2090), issue(2091));
    let scene = Scene::start(&old);
    scene.write(&new.chain, &old.key);
    let files = scene.files.clone();
    let reloading = tokio::spawn(async move { files.reload().await });
    tokio::time::sleep(CertificateFiles::RELOAD_PAUSE / 2).await;
    fs::write(&scene.key, &new.key).unwrap();
    let not_after = reloading.await.unwrap().unwrap();
    assert_eq!(not_after.to_string(), "2091-01-01T00:00:00Z");
}

#[test]
fn debug_output_has_no_key() {
    let issued = issue(2090);
    let scene = Scene::start(&issued);
    let shown = format!("{:?}", scene.files);
    assert!(shown.contains("2090"), "{shown}");
    let secret = issued.key.lines().nth(1).unwrap();
    assert!(!shown.contains(secret), "{shown}");
}
