//! Hosts, sockets and passwords.

use std::fs;
use std::time::{Duration, Instant};

use suno_callback::{IdempotencyStore, StoreError};
use suno_store_postgres::{PostgresConfig, PostgresStore};

use crate::cluster::{Cluster, make_private};
use crate::server::delivery;

/// The text of an error with its causes.
pub(crate) fn shown(err: &StoreError) -> String {
    let mut text = err.to_string();
    let mut cause = std::error::Error::source(err);
    while let Some(err) = cause {
        text = format!("{text}: {err}");
        cause = err.source();
    }
    text
}

async fn check(text: &str) -> Result<(), String> {
    let config = PostgresConfig::parse(text).unwrap();
    config.check_connection().await.map_err(|err| {
        assert!(err.is_retryable(), "{err:?}");
        format!("{} {err:?}", shown(&err))
    })
}

#[tokio::test]
async fn a_unix_socket_is_reached_by_its_folder_whatever_sslmode_says() {
    let Some(cluster) = Cluster::shared() else {
        return;
    };
    let folder = cluster.socket().display();
    let port = cluster.port;
    for mode in ["disable", "prefer", "require"] {
        let text = format!("host='{folder}' port={port} user=suno dbname=postgres sslmode={mode}");
        check(&text).await.unwrap();
    }
}

#[tokio::test]
async fn the_first_host_that_can_be_used_is_used_within_one_limit() {
    let Some(cluster) = Cluster::shared() else {
        return;
    };
    // One that refuses, one that accepts and says nothing, one that is no name.
    let closed = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap().port()
    };
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let silent_port = silent.local_addr().unwrap().port();
    let good = cluster.port;
    let text = format!(
        "host=127.0.0.1,127.0.0.1,unknown.invalid,127.0.0.1 port={closed},{silent_port},5432,{good} user=suno dbname=postgres sslmode=disable connect_timeout=2"
    );
    for balanced in ["disable", "random"] {
        let text = format!("{text} load_balance_hosts={balanced}");
        check(&text).await.unwrap();
    }
    let started = Instant::now();
    let none = format!(
        "host=127.0.0.1,127.0.0.1 port={silent_port},{silent_port} user=suno sslmode=disable connect_timeout=1"
    );
    let err = check(&none).await.unwrap_err();
    assert!(err.contains("in time"), "{err}");
    let elapsed = started.elapsed();
    assert!(elapsed < Duration::from_millis(1900), "{elapsed:?}");
    let unknown = check("host=unknown.invalid user=suno").await.unwrap_err();
    assert!(unknown.contains("unknown.invalid"), "{unknown}");
}

#[tokio::test]
async fn an_error_says_what_to_change() {
    let Some(cluster) = Cluster::shared() else {
        return;
    };
    let base = format!("host=127.0.0.1 port={} sslmode=disable", cluster.port);
    for (text, words) in [
        ("user=suno dbname=nowhere", "does not exist"),
        (
            "user=nobody dbname=postgres password=wrong",
            "the user or the password",
        ),
        ("user=nobody dbname=postgres", "password missing"),
    ] {
        let err = check(&format!("{base} {text}")).await.unwrap_err();
        assert!(err.contains(words), "{text}: {err}");
        assert!(!err.contains("wrong"), "{err}");
    }
}

#[tokio::test]
async fn a_password_with_any_character_works_from_each_place_and_is_never_shown() {
    let Some(cluster) = Cluster::shared() else {
        return;
    };
    let password = r"p@s:s/w%o?r#d &='\";
    let literal = password.replace('\'', "''");
    cluster.sql(&format!("CREATE ROLE spelled LOGIN PASSWORD '{literal}'"));
    let port = cluster.port;
    let encoded: String = password
        .bytes()
        .map(|byte| format!("%{byte:02X}"))
        .collect();
    let quoted = password.replace('\\', "\\\\").replace('\'', "\\'");
    let folder = tempfile::tempdir().unwrap();
    let passfile = folder.path().join("pgpass");
    let escaped = password.replace('\\', "\\\\").replace(':', "\\:");
    fs::write(
        &passfile,
        format!("127.0.0.1:{port}:postgres:spelled:{escaped}\n"),
    )
    .unwrap();
    make_private(&passfile);
    let base = format!("host=127.0.0.1 port={port} user=spelled dbname=postgres sslmode=disable");
    check(&format!(
        "postgres://spelled:{encoded}@127.0.0.1:{port}/postgres?sslmode=disable"
    ))
    .await
    .unwrap();
    check(&format!("{base} password='{quoted}'")).await.unwrap();
    check(&format!("{base} passfile='{}'", passfile.display()))
        .await
        .unwrap();
    let file = folder.path().join("password");
    fs::write(&file, format!("{password}\n")).unwrap();
    let config = PostgresConfig::parse(&base)
        .unwrap()
        .with_password_file(&file);
    config.check_connection().await.unwrap();
    let wrong = check(&format!("{base} password='{quoted}x'"))
        .await
        .unwrap_err();
    assert!(wrong.contains("28P01"), "{wrong}");
    assert!(
        !wrong.contains(password) && !wrong.contains("w%o?r#d"),
        "{wrong}"
    );
}

#[tokio::test]
async fn a_password_file_is_read_again_for_each_new_connection() {
    let Some(cluster) = Cluster::shared() else {
        return;
    };
    cluster.sql(
        "CREATE ROLE rotated LOGIN PASSWORD 'first'; GRANT CREATE ON DATABASE postgres TO rotated",
    );
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("password");
    fs::write(&file, "first\n").unwrap();
    let text = format!(
        "host=127.0.0.1 port={} user=rotated dbname=postgres sslmode=disable",
        cluster.port
    );
    let config = PostgresConfig::parse(&text)
        .unwrap()
        .with_schema("rotated")
        .with_password_file(&file);
    let store = PostgresStore::connect(config).await.unwrap();
    store.accept(&[delivery("t1", "text")]).await.unwrap();
    cluster.sql("ALTER ROLE rotated PASSWORD 'second'");
    let end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'rotated'";
    let client = cluster.client("postgres").await;
    client.query(end, &[]).await.unwrap();
    // The old password is wrong now. The first try may still meet a connection that has just ended.
    let mut texts = Vec::new();
    for _ in 0..2 {
        let err = store.accept(&[delivery("t2", "text")]).await.unwrap_err();
        texts.push(format!("{} {err:?}", shown(&err)));
    }
    assert!(texts[1].contains("28P01"), "{texts:?}");
    assert!(!texts.concat().contains("first"), "{texts:?}");
    fs::write(&file, "second\n").unwrap();
    store.accept(&[delivery("t2", "text")]).await.unwrap();
}
