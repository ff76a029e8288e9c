//! No secret in any error, `Debug` or log line: each test secret has the word `canary` in it.

use std::error::Error;
use std::io;
use std::sync::{Arc, Mutex};

use suno_client::{ClientError, Proxy, Retry, WaitError};
use tracing::subscriber::DefaultGuard;
use tracing_subscriber::fmt::MakeWriter;

use crate::server::{Reply, Server};
use crate::{KEY, PENDING, TAKEN, builder, builder_at, client, instrumental, task};

/// Everything that was logged or shown.
#[derive(Clone, Default)]
struct Shown(Arc<Mutex<Vec<u8>>>);

impl Shown {
    /// Collects all that is logged by this thread while the guard lives.
    fn collect(&self) -> DefaultGuard {
        let subscriber = tracing_subscriber::fmt()
            .with_max_level(tracing::Level::TRACE)
            .with_writer(self.clone())
            .finish();
        tracing::subscriber::set_default(subscriber)
    }

    fn show(&self, err: &(dyn Error + 'static)) {
        let mut text = format!("{err:?}\n{err:#?}\n");
        let mut next = Some(err);
        while let Some(err) = next {
            text.push_str(&format!("{err}\n"));
            next = err.source();
        }
        self.push(text.as_bytes());
    }

    fn push(&self, bytes: &[u8]) {
        self.0.lock().expect("the lock").extend_from_slice(bytes);
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().expect("the lock")).into_owned()
    }

    fn assert_silent(&self) {
        let text = self.text();
        for line in text.lines() {
            assert!(!line.contains("canary"), "{line}");
        }
        let basic = "dXNlcjpwNHNzLWNhbmFyeQ";
        assert!(!text.contains(basic), "the password of the proxy");
    }
}

impl io::Write for Shown {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.push(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Shown {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}

/// A refusal whose words repeat what was sent.
fn echo(code: u16) -> Reply {
    let url = "https://app.example.com/hooks/suno?token=t0ken-canary";
    let msg = format!("{KEY} or 'Bearer {KEY}' or {url} is wrong");
    Reply::json(&format!(
        r#"{{"code":{code},"msg":"{msg}","data":{{"k":"{KEY}"}}}}"#
    ))
}

#[tokio::test]
async fn nothing_secret_is_shown_by_errors_and_logs() {
    let shown = Shown::default();
    let _guard = shown.collect();
    let replies = [
        echo(401),
        echo(402),
        echo(422),
        echo(429),
        echo(500),
        echo(999),
        Reply::new(502, &[("X-Echo", KEY)], format!("<html>{KEY}").as_bytes()),
        Reply::json(&format!(r#"{{"code":"{KEY}"}}"#)),
        Reply::json(&format!(r#"{{"code":200,"data":{{"taskId":"{KEY} x"}}}}"#)),
        Reply::json(&format!(r#"{{"code":200,"{KEY}":1,"{KEY}":2}}"#)),
        Reply::json(&format!(
            r#"{{"code":200,"{KEY}":{}{}}}"#,
            "[".repeat(200),
            "]".repeat(200)
        )),
        Reply::new(307, &[("Location", KEY)], b""),
        Reply::json(TAKEN).cut(0),
        Reply::json(TAKEN).cut(100),
    ];
    for reply in replies {
        let server = Server::start([reply.clone(), reply]).await;
        let client = builder(&server)
            .retry(
                Retry::new()
                    .with_attempts_max(2)
                    .with_base(std::time::Duration::from_millis(1)),
            )
            .build()
            .expect("a client");
        let err = client.submit(&instrumental()).await.expect_err("refused");
        shown.show(&err);
        shown.push(err.msg().unwrap_or_default().as_bytes());
        shown.push(format!("{client:?} {:?}", client.wait(&task(), KEY_TIME)).as_bytes());
        if let Err(err) = client.record(&task()).await {
            shown.show(&err);
        }
    }
    assert!(shown.text().contains("trying again"), "nothing was logged");
    assert!(shown.text().contains("<url>"), "no words were shown");
    shown.assert_silent();
}

const KEY_TIME: std::time::Duration = std::time::Duration::from_secs(1);

#[tokio::test]
async fn a_failed_task_does_not_show_what_was_submitted() {
    let shown = Shown::default();
    let _guard = shown.collect();
    let failed = PENDING
        .replace(
            r#""errorCode":null"#,
            r#""errorCode":500,"errorMessage":"https://x/?t0ken-canary""#,
        )
        .replace(
            r#""response":null"#,
            r#""response":null,"param":"{\"callBackUrl\":\"t0ken-canary\"}""#,
        );
    let server = Server::start([Reply::json(&failed)]).await;
    let err: WaitError = client(&server)
        .wait(&task(), KEY_TIME)
        .await
        .expect_err("failed");
    assert!(err.is_task_failure());
    shown.show(&err);
    shown.assert_silent();
}

#[tokio::test]
async fn a_failed_download_does_not_show_its_url() {
    let shown = Shown::default();
    let _guard = shown.collect();
    let server = Server::start([
        Reply::new(302, &[("Location", "/b.mp3?sig=canary")], b""),
        Reply::new(403, &[], b"canary"),
    ])
    .await;
    let dir = tempfile::tempdir().expect("a folder");
    let mut track = suno_types::Track::new(0);
    track.audio_url = Some(format!("{}/a.mp3?sig=canary", server.url()));
    let client = builder(&server)
        .allow_private_downloads()
        .build()
        .expect("a client");
    let downloading = client.download(&track, dir.path());
    shown.push(format!("{downloading:?}").as_bytes());
    let err: ClientError = downloading.await.expect_err("refused");
    shown.show(&err);
    assert_eq!(server.asked().len(), 2);
    shown.assert_silent();
}

#[tokio::test]
async fn the_password_of_a_proxy_is_not_shown() {
    let shown = Shown::default();
    let _guard = shown.collect();
    let proxy = Server::start(vec![Reply::new(407, &[], b""); 2]).await;
    let proxy = Proxy::new(&format!("http://user:p4ss-canary@{}", proxy.addr)).expect("a proxy");
    for url in ["https://api.example.com", "http://127.0.0.1:9"] {
        let client = builder_at(url)
            .retry(Retry::new().with_attempts_max(1))
            .proxy(proxy.clone())
            .build()
            .expect("a client");
        shown.push(format!("{client:?} {proxy:?}").as_bytes());
        shown.show(&client.submit(&instrumental()).await.expect_err("refused"));
    }
    shown.assert_silent();
}

/// HTTP/2 is the one part underneath that logs headers; it keeps to the mark on the key.
#[cfg(any(feature = "aws-lc-rs", feature = "ring"))]
#[tokio::test]
async fn http2_does_not_log_the_key() {
    use crate::tls::{Authority, http2};

    let shown = Shown::default();
    let authority = Authority::new();
    let requests = Arc::default();
    let (addr, task) = http2(&authority, requests, || None).await;
    let client = builder_at(&format!("https://localhost:{}", addr.port()))
        .root_certificate(authority.der())
        .build()
        .expect("a client");
    let _guard = shown.collect();
    shown.show(&client.submit(&instrumental()).await.expect_err("reset"));
    task.abort();
    assert!(shown.text().contains("h2::"), "HTTP/2 logged nothing");
    shown.assert_silent();
}
