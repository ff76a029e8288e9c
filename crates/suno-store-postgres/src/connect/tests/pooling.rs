//! What the pool does after errors.

use std::time::Duration;

use super::database::Database;
use super::{Connections, LIMIT, alone, create_table, echo, open, shown, store};

async fn pid(connections: &Connections) -> i32 {
    let pid = connections.with(LIMIT, |session| async move {
        let rows = session.query("SELECT pg_backend_pid()", &[]).await?;
        Ok(rows[0].try_get(0)?)
    });
    pid.await.unwrap()
}

#[tokio::test]
async fn statements_that_disappear_or_change_are_prepared_again() {
    let Some(database) = Database::new() else {
        return;
    };
    create_table(&database).await;
    let connections = open(alone(database.config()).with_connections(1)).await;
    let read = || {
        connections.with(LIMIT, |session| async move {
            let rows = session.query("SELECT * FROM {schema}.numbers", &[]).await?;
            Ok(rows.len())
        })
    };
    let before = pid(&connections).await;
    for round in 0..3 {
        assert_eq!(read().await.unwrap(), 0);
        assert_eq!(read().await.unwrap(), 0);
        let sql = match round {
            0 => "DEALLOCATE ALL",
            1 => "DISCARD ALL",
            _ => "ALTER TABLE {schema}.numbers ADD COLUMN other int8",
        };
        connections
            .with(LIMIT, |session| async move { session.batch(sql).await })
            .await
            .unwrap();
    }
    assert_eq!(read().await.unwrap(), 0);
    assert_eq!(pid(&connections).await, before, "the connection was kept");
}

#[tokio::test]
async fn a_deadlock_is_repeated_and_not_seen_by_the_caller() {
    let Some(database) = Database::new() else {
        return;
    };
    create_table(&database).await;
    let connections = open(alone(database.config())).await;
    for number in [1, 2] {
        store(&connections, number, LIMIT).await.unwrap();
    }
    let barrier = tokio::sync::Barrier::new(2);
    let both = [(1_i64, 2_i64), (2, 1)].map(|(first, second)| {
        let tries = std::sync::atomic::AtomicU32::new(0);
        let (barrier, connections) = (&barrier, &connections);
        async move {
            let tries = &tries;
            connections
                .with(LIMIT, |session| async move {
                    let lock = "SELECT number FROM {schema}.numbers WHERE number = $1 FOR UPDATE";
                    session
                        .batch("BEGIN; SET LOCAL deadlock_timeout = '50ms'")
                        .await?;
                    let int8 = tokio_postgres::types::Type::INT8;
                    session.query(lock, &[(&first, int8.clone())]).await?;
                    // Only the first tries are in each other's way.
                    if tries.fetch_add(1, std::sync::atomic::Ordering::Relaxed) == 0 {
                        barrier.wait().await;
                    }
                    session.query(lock, &[(&second, int8)]).await?;
                    session.batch("COMMIT").await
                })
                .await
                .unwrap();
            tries.load(std::sync::atomic::Ordering::Relaxed)
        }
    });
    let [one, other] = both;
    let (one, other) = tokio::join!(one, other);
    // One of the two was repeated, or both if both noticed it at the same time.
    assert!((3..=5).contains(&(one + other)), "{one} {other}");
}

#[tokio::test]
async fn an_operation_that_finds_no_free_connection_fails_in_time() {
    let Some(database) = Database::new() else {
        return;
    };
    let connections = open(alone(database.config()).with_connections(1)).await;
    let held = connections.session().await.unwrap();
    let started = std::time::Instant::now();
    let err = echo(&connections, 1).await.unwrap_err();
    assert!(err.is_retryable());
    assert!(shown(&err).contains("with_connections"), "{}", shown(&err));
    assert!(started.elapsed() < Duration::from_secs(2));
    held.set_clean();
    drop(held);
    assert_eq!(echo(&connections, 1).await.unwrap(), 1);
}

#[tokio::test]
async fn a_server_without_free_connections_is_reported_and_used_again_later() {
    let Some(database) = Database::new() else {
        return;
    };
    let mut config = database.config_of_role("CONNECTION LIMIT 1", "").await;
    config.connections = 2;
    let connections = open(config).await;
    let held = connections.session().await.unwrap();
    let err = echo(&connections, 1).await.unwrap_err();
    assert!(err.is_retryable());
    assert!(shown(&err).contains("53300"), "{}", shown(&err));
    held.set_clean();
    drop(held);
    assert_eq!(echo(&connections, 1).await.unwrap(), 1);
}

#[tokio::test]
async fn connections_that_the_server_ended_are_replaced() {
    let Some(database) = Database::new() else {
        return;
    };
    let connections = open(alone(database.config()).with_connections(3)).await;
    let client = database.client().await;
    for _ in 0..5 {
        let ended = pid(&connections).await;
        let sql = "SELECT pg_terminate_backend($1)";
        client.query_one(sql, &[&ended]).await.unwrap();
        // The end may be noticed only by the next operation, which may then fail, but only that.
        if let Err(err) = echo(&connections, 1).await {
            assert!(err.is_retryable(), "{}", shown(&err));
        }
        assert_eq!(echo(&connections, 2).await.unwrap(), 2);
        assert_ne!(pid(&connections).await, ended);
    }
}

#[tokio::test]
async fn a_statement_that_was_cancelled_fails_and_the_connection_is_kept() {
    let Some(database) = Database::new() else {
        return;
    };
    let connections = open(alone(database.config()).with_connections(1)).await;
    let client = database.client().await;
    let before = pid(&connections).await;
    let waits = connections.with(LIMIT, |session| async move {
        session.query("SELECT pg_sleep(30)::text", &[]).await?;
        Ok(())
    });
    let cancels = async {
        let sql = "SELECT pg_cancel_backend(pid) FROM pg_stat_activity
            WHERE pid = $1 AND state = 'active' AND query LIKE '%pg_sleep(30)%'";
        while client.query(sql, &[&before]).await.unwrap().is_empty() {
            tokio::task::yield_now().await;
        }
    };
    let (result, ()) = tokio::join!(waits, cancels);
    let err = result.unwrap_err();
    assert!(
        err.is_retryable() && shown(&err).contains("57014"),
        "{}",
        shown(&err)
    );
    assert_eq!(pid(&connections).await, before);
}

#[tokio::test]
async fn the_settings_of_the_database_do_not_change_the_store() {
    let Some(database) = Database::new() else {
        return;
    };
    let connections = open(alone(database.config())).await;
    let settings = connections
        .with(LIMIT, |session| async move {
            let sql = "SELECT current_setting('search_path'), current_setting('statement_timeout'),
                current_setting('lock_timeout'), current_setting('transaction_isolation'),
                current_setting('application_name')";
            let rows = session.query(sql, &[]).await?;
            let column = |at| rows[0].try_get::<_, String>(at);
            Ok([column(0)?, column(1)?, column(2)?, column(3)?, column(4)?])
        })
        .await
        .unwrap();
    assert_eq!(
        settings,
        ["pg_catalog, pg_temp", "8s", "5s", "read committed", "suno"]
    );
}

/// Fault case 7: the connection leads to a server that is no longer the primary.
#[tokio::test]
async fn a_connection_that_has_become_read_only_is_replaced_with_all_others() {
    let Some(database) = Database::new() else {
        return;
    };
    create_table(&database).await;
    let connections = open(alone(database.config()).with_connections(2)).await;
    // Two connections, of which one is idle during the operation.
    let both = [connections.session().await, connections.session().await];
    for session in both {
        session.unwrap().set_clean();
    }
    let mut pids = Vec::new();
    for _ in 0..2 {
        pids.push(pid(&connections).await);
    }
    assert_ne!(pids[0], pids[1]);
    let tries = std::sync::atomic::AtomicU32::new(0);
    let tries = &tries;
    let last = connections
        .with(LIMIT, |session| async move {
            if tries.fetch_add(1, std::sync::atomic::Ordering::Relaxed) == 0 {
                session.batch("BEGIN READ ONLY").await?;
            }
            let sql = "INSERT INTO {schema}.numbers VALUES (1) RETURNING pg_backend_pid()";
            let rows = session.query(sql, &[]).await?;
            Ok(rows[0].try_get::<_, i32>(0)?)
        })
        .await
        .unwrap();
    assert_eq!(tries.load(std::sync::atomic::Ordering::Relaxed), 2);
    assert!(!pids.contains(&last), "an old connection was used again");
}

#[tokio::test]
async fn a_read_only_server_is_refused_unless_any_is_good() {
    let Some(database) = Database::new() else {
        return;
    };
    let setting = "default_transaction_read_only = on";
    let mut config = database.config_of_role("", setting).await;
    let refused = Connections::open(&config).await.unwrap_err();
    assert!(
        shown(&refused).contains("default_transaction_read_only"),
        "{}",
        shown(&refused)
    );
    config.settings.target = crate::config::Target::Any;
    drop(Connections::open(&config).await.unwrap());
}
