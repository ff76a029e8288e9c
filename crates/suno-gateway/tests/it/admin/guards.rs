//! Requests that a browser sends for a stranger, and requests without the token.

use std::net::SocketAddr;

use suno_gateway::admin::{Admin, InvalidAdmin};

use super::{Answer, Running, TOKEN, store, token};

const PATHS: [&str; 6] = [
    "/metrics",
    "/livez",
    "/readyz",
    "/v1/events",
    "/v1/media",
    "/",
];

async fn with_heads(running: &Running, path: &str, heads: &str) -> Answer {
    let request = format!("GET {path} HTTP/1.1\r\nconnection: close\r\n{heads}\r\n");
    running.send(&request).await
}

#[tokio::test]
async fn only_addresses_and_known_names_are_served_on_every_path() {
    let admin = Admin::new(store()).with_host("ops.example");
    let running = Running::start(admin).await;
    for (hosts, status) in [
        ("host: evil.test\r\n", 421),
        ("host: localhost.evil.test\r\n", 421),
        ("host: 127.0.0.1.nip.io\r\n", 421),
        ("host: 2130706433\r\n", 421),
        ("host: ::1\r\n", 0),
        ("host: LOCALHOST:9\r\n", 0),
        ("host: 127.0.0.1\r\n", 0),
        ("host: 10.0.0.7:80\r\n", 0),
        ("host: [::1]\r\n", 0),
        ("host: [::1]:9100\r\n", 0),
        ("host: Ops.Example:443\r\n", 0),
        ("", 400),
        ("host: 127.0.0.1\r\nhost: 127.0.0.1\r\n", 400),
    ] {
        for path in PATHS {
            let answer = with_heads(&running, path, hosts).await;
            let is_refused = matches!(answer.status, 400 | 421);
            assert_eq!(is_refused, status != 0, "{hosts} {path}: {answer:?}");
            assert!(!is_refused || answer.status == status, "{hosts} {path}");
        }
    }
    let target =
        "GET http://evil.test/livez HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\n\r\n";
    assert_eq!(running.send(target).await.status, 400);
    running.stop().await;
}

#[tokio::test]
async fn other_origins_are_refused_before_any_handler() {
    let running = Running::start(Admin::new(store())).await;
    let own = format!("http://{}", running.addr);
    let port = running.addr.port();
    for origin in [
        "https://evil.test",
        "null",
        &format!("http://127.0.0.1:{}", port ^ 1),
        &format!("https://127.0.0.1:{port}"),
        "http://127.0.0.1.evil.test",
        &format!("http://localhost:{port}"),
        "",
    ] {
        let headers = format!("origin: {origin}\r\n");
        let answer = running.ask("GET", "/v1/events", &headers, "").await;
        assert_eq!(
            (answer.status, &*answer.problem()),
            (403, "origin"),
            "{origin}"
        );
        let answer = running
            .ask("POST", "/v1/events/1/redrive", &headers, "")
            .await;
        assert_eq!(answer.status, 403, "{origin}");
    }
    let headers = format!("origin: {own}\r\n");
    let answer = running.ask("GET", "/v1/events", &headers, "").await;
    assert_eq!(answer.status, 200);
    let has_cors = |answer: &Answer| {
        let mut names = answer.headers.keys();
        names.any(|name| name.starts_with("access-control"))
    };
    assert!(!has_cors(&answer));
    let preflight = running.ask("OPTIONS", "/v1/tasks", &headers, "").await;
    assert!(preflight.status == 405 && !has_cors(&preflight));
    running.stop().await;
}

#[tokio::test]
async fn a_page_on_another_port_changes_and_reads_nothing_although_it_sends_our_cookie() {
    let running = Running::start(Admin::new(store()).with_token(token())).await;
    let bearer = format!("authorization: Bearer {TOKEN}\r\n");
    let session = running.ask("POST", "/session", &bearer, "").await;
    assert_eq!(session.status, 204);
    let cookie = &session.headers["set-cookie"];
    let port = running.addr.port();
    assert!(
        cookie.starts_with(&format!("suno_session_{port}=")),
        "{cookie}"
    );
    assert!(
        cookie.ends_with("; Path=/; HttpOnly; SameSite=Strict"),
        "{cookie}"
    );
    assert!(!cookie.contains(TOKEN));
    let cookie = format!("cookie: other=1; {}\r\n", cookie.split(';').next().unwrap());

    let ask = async |method: &str, path: &str, headers: String| {
        running.ask(method, path, &headers, "").await.status
    };
    // Our own page.
    let same = format!("{cookie}sec-fetch-site: same-origin\r\n");
    assert_eq!(ask("GET", "/v1/stats", same.clone()).await, 200);
    assert_eq!(ask("POST", "/v1/events/1/redrive", same).await, 404);
    // Without `Sec-Fetch-Site`, as on an address of the local network.
    assert_eq!(ask("GET", "/v1/stats", cookie.clone()).await, 200);
    assert_eq!(
        ask("POST", "/v1/events/1/redrive", cookie.clone()).await,
        401
    );
    let own = format!("{cookie}origin: http://{}\r\n", running.addr);
    assert_eq!(ask("POST", "/v1/events/1/redrive", own).await, 404);
    // A page on another port of this host; another site; a typed address that posts.
    for site in ["same-site", "cross-site"] {
        let headers = format!("{cookie}sec-fetch-site: {site}\r\n");
        for (method, path) in [
            ("GET", "/v1/events"),
            ("GET", "/metrics"),
            ("POST", "/v1/events/1/redrive"),
        ] {
            assert_eq!(
                ask(method, path, headers.clone()).await,
                403,
                "{site} {path}"
            );
        }
    }
    let typed = format!("{cookie}sec-fetch-site: none\r\n");
    assert_eq!(ask("GET", "/v1/events", typed.clone()).await, 200);
    assert_eq!(ask("POST", "/v1/events/1/redrive", typed).await, 403);
    // A cookie cannot be changed into another session.
    assert_eq!(ask("POST", "/session", cookie).await, 401);
    running.stop().await;
}

#[tokio::test]
async fn forms_and_wrong_methods_are_refused() {
    let running = Running::start(Admin::new(store())).await;
    for path in [
        "/v1/events/1/redrive",
        "/v1/events/1/replay",
        "/v1/quarantine/1/retry",
        "/v1/destinations/shop/resume",
        "/session",
    ] {
        assert_eq!(running.get(path).await.status, 405, "{path}");
        for kind in [
            "text/plain",
            "application/x-www-form-urlencoded",
            "multipart/form-data",
            "application/jsonx",
        ] {
            let request = format!(
                "POST {path} HTTP/1.1\r\nhost: {}\r\nconnection: close\r\ncontent-type: {kind}\r\n\
                 content-length: 2\r\n\r\n{{}}",
                running.addr
            );
            assert_eq!(running.send(&request).await.status, 415, "{path} {kind}");
        }
    }
    for method in ["PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"] {
        assert_eq!(running.ask(method, "/v1/events", "", "").await.status, 405);
    }
    assert_eq!(running.post("/v1/events", "{}").await.status, 405);
    running.stop().await;
}

#[tokio::test]
async fn without_the_token_only_health_is_answered() {
    let running = Running::start(Admin::new(store()).with_token(token())).await;
    for (headers, status) in [
        (String::new(), 401),
        ("authorization: Bearer wrong\r\n".to_owned(), 401),
        (format!("authorization: Basic {TOKEN}\r\n"), 401),
        (format!("authorization: Bearer {TOKEN}x\r\n"), 401),
        (format!("authorization: bearer {TOKEN}\r\n"), 200),
    ] {
        for path in ["/v1/events", "/openapi.json"] {
            let answer = running.ask("GET", path, &headers, "").await;
            assert_eq!(answer.status, status, "{path} {headers}");
        }
    }
    assert_eq!(running.get("/livez").await.status, 200);
    assert_eq!(running.get("/metrics").await.status, 401);
    assert_eq!(running.get("/no/such/path").await.status, 401);
    running.stop().await;
}

#[tokio::test]
async fn an_address_that_others_can_reach_needs_a_token() {
    for addr in ["0.0.0.0:0", "[::]:0", "192.0.2.1:0"] {
        let addr: SocketAddr = addr.parse().unwrap();
        let refused = Admin::new(store()).bind(addr).await;
        let err = refused.unwrap_err();
        assert!(matches!(err, InvalidAdmin::NoToken(_)) && err.to_string().contains("token"));
    }
    let with_token = Admin::new(store()).with_token(token());
    drop(with_token.bind("0.0.0.0:0".parse().unwrap()).await.unwrap());
}
