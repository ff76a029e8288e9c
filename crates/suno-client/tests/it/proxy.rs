//! Requests through a proxy.

use suno_client::{ErrorKind, Proxy};

use crate::server::{Reply, Server};
use crate::{TAKEN, builder_at, instrumental};

fn through(proxy: &Server) -> Proxy {
    let url = format!("http://us%2Fer:p%40ss-canary@{}", proxy.addr);
    Proxy::new(&url).expect("a proxy")
}

#[tokio::test]
async fn plain_http_goes_to_the_proxy_with_the_whole_url() {
    let proxy = Server::start([Reply::json(TAKEN), Reply::json(TAKEN)]).await;
    let client = builder_at("http://127.0.0.1:9/path")
        .proxy(through(&proxy))
        .build()
        .expect("a client");
    for _ in 0..2 {
        client.submit(&instrumental()).await.expect("taken");
    }
    for asked in proxy.asked() {
        let line = "POST http://127.0.0.1:9/path/api/v1/generate/add-instrumental HTTP/1.1";
        assert_eq!(asked.line, line);
        assert_eq!(asked.header("host"), Some("127.0.0.1:9"));
        // us/er:p@ss-canary
        let basic = "Basic dXMvZXI6cEBzcy1jYW5hcnk=";
        assert_eq!(asked.header("proxy-authorization"), Some(basic));
    }
    assert_eq!(proxy.asked().len(), 2);
}

#[cfg(any(feature = "aws-lc-rs", feature = "ring"))]
#[tokio::test]
async fn https_goes_through_a_tunnel_that_the_proxy_cannot_look_into() {
    use crate::tls::{Authority, TlsServer};

    let authority = Authority::new();
    let server = TlsServer::start(&authority, "localhost", 2100).await;
    let target = format!("localhost:{}", server.addr.port());
    let (proxy, seen) = tunnel(server.addr).await;
    let client = builder_at(&format!("https://{target}"))
        .root_certificate(authority.der())
        .proxy(Proxy::new(&format!("http://u:p@{proxy}")).expect("a proxy"))
        .build()
        .expect("a client");
    client.submit(&instrumental()).await.expect("taken");
    assert_eq!(server.asked(), 1);
    let seen = seen.await.expect("what the proxy read");
    let text = String::from_utf8_lossy(&seen);
    assert!(
        text.starts_with(&format!("CONNECT {target} HTTP/1.1\r\n")),
        "{text}"
    );
    assert!(
        text.contains("Proxy-Authorization: Basic dTpw\r\n"),
        "{text}"
    );
    assert!(!text.contains(crate::KEY), "the key was shown to the proxy");
}

/// A proxy that takes one `CONNECT`, whatever it names, to `target`. Gives its head.
#[cfg(any(feature = "aws-lc-rs", feature = "ring"))]
async fn tunnel(
    target: std::net::SocketAddr,
) -> (
    std::net::SocketAddr,
    tokio::sync::oneshot::Receiver<Vec<u8>>,
) {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
        .await
        .expect("a port");
    let addr = listener.local_addr().expect("an address");
    let (sender, receiver) = tokio::sync::oneshot::channel();
    tokio::spawn(async move {
        let (mut near, _) = listener.accept().await.expect("a connection");
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(near.read_u8().await.expect("a byte"));
        }
        sender.send(head).ok();
        let mut far = tokio::net::TcpStream::connect(target)
            .await
            .expect("the target");
        near.write_all(b"HTTP/1.1 200 OK\r\n\r\n")
            .await
            .expect("an answer");
        tokio::io::copy_bidirectional(&mut near, &mut far)
            .await
            .ok();
    });
    (addr, receiver)
}

#[cfg(any(feature = "aws-lc-rs", feature = "ring"))]
#[tokio::test]
async fn a_proxy_that_refuses_proves_that_nothing_was_sent() {
    let proxy = Server::start([Reply::new(407, &[], b"")]).await;
    let client = builder_at("https://api.example.com")
        .root_certificate(crate::tls::Authority::new().der())
        .retry(suno_client::Retry::new().with_attempts_max(1))
        .proxy(through(&proxy))
        .build()
        .expect("a client");
    let err = client.submit(&instrumental()).await.expect_err("refused");
    assert_eq!(err.kind(), ErrorKind::Connect, "{err:?}");
    assert!(!err.is_ambiguous());
    assert_eq!(proxy.asked().len(), 1);
}

#[tokio::test]
async fn a_failure_behind_the_proxy_is_ambiguous() {
    let proxy = Server::start([Reply::new(502, &[], b"<html>bad gateway")]).await;
    let client = builder_at("http://127.0.0.1:9")
        .proxy(through(&proxy))
        .build()
        .expect("a client");
    let err = client
        .submit(&instrumental())
        .await
        .expect_err("bad gateway");
    assert!(err.is_ambiguous(), "{err:?}");
    assert_eq!(proxy.asked().len(), 1);
}

#[tokio::test]
async fn addresses_are_checked_before_the_proxy_is_asked() {
    let proxy = Server::start([]).await;
    let dir = tempfile::tempdir().expect("a folder");
    let client = builder_at("http://127.0.0.1:9")
        .dangerous_allow_plain_http()
        .proxy(through(&proxy))
        .build()
        .expect("a client");
    for url in [
        "http://169.254.169.254/",
        "http://localhost/",
        "https://a.localhost./",
    ] {
        let mut track = suno_types::Track::new(0);
        track.audio_url = Some(url.to_owned());
        let err = client.download(&track, dir.path()).await.expect_err(url);
        assert_eq!(err.kind(), ErrorKind::ForbiddenAddress, "{url}");
    }
    assert!(proxy.asked().is_empty());
}

#[test]
fn only_http_proxies_are_taken_and_none_shows_its_password() {
    for url in [
        "",
        "proxy:3128",
        "https://p:1",
        "socks5://p:1",
        "http://p:1/path",
        "http://p?q",
    ] {
        assert!(Proxy::new(url).is_err(), "{url}");
    }
    let proxy = Proxy::new("http://user:p4ss@proxy.example.com:3128").expect("a proxy");
    let shown = format!("{proxy:?}");
    assert!(shown.contains("proxy.example.com:3128"), "{shown}");
    assert!(
        !shown.contains("p4ss") && !shown.contains("user"),
        "{shown}"
    );
}

#[tokio::test]
async fn the_key_is_not_shown_to_a_proxy_on_another_machine() {
    // Addresses that nobody has: asked, they would not answer.
    for proxy in ["http://192.0.2.1:3128", "http://proxy.invalid:3128"] {
        let client = builder_at("http://127.0.0.1:9")
            .proxy(Proxy::new(proxy).expect("a proxy"))
            .build()
            .expect("a client");
        let err = client.submit(&instrumental()).await.expect_err(proxy);
        assert_eq!(err.kind(), ErrorKind::ForbiddenAddress, "{proxy}: {err:?}");
        assert!(!err.is_ambiguous() && !err.is_retryable());
    }
}
