//! Futures that are dropped before their end, and connections that are used again.

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use tokio_postgres::types::Type;

use super::database::Database;
use super::{LIMIT, alone, create_table, echo, open, store};

/// Polls a future at most this many times, then drops it. Returns whether it has ended.
async fn polled<F: Future>(future: F, polls: u32) -> bool {
    let mut future = pin!(future);
    let mut done = 0;
    poll_fn(|cx| {
        if done == polls {
            return Poll::Ready(false);
        }
        done += 1;
        future.as_mut().poll(cx).map(|_| true)
    })
    .await
}

#[tokio::test]
async fn a_dropped_operation_leaves_no_answer_to_another() {
    let Some(database) = Database::new() else {
        return;
    };
    let connections = open(alone(database.config()).with_connections(2)).await;
    let mut has_ended = false;
    for polls in 0.. {
        let waited = polled(echo(&connections, -1), polls).await;
        for number in 0..4 {
            assert_eq!(echo(&connections, number).await.unwrap(), number);
        }
        if waited {
            has_ended = true;
            break;
        }
        assert!(polls < 100, "the operation does not end");
    }
    assert!(has_ended);
}

#[tokio::test]
async fn a_dropped_transaction_is_not_open_on_the_next_loan() {
    let Some(database) = Database::new() else {
        return;
    };
    create_table(&database).await;
    let connections = open(alone(database.config()).with_connections(1)).await;
    let mut has_ended = false;
    for polls in 0..50 {
        let number = i64::from(polls);
        // One statement after the other, so that it can be dropped between any two.
        let transaction = connections.with(LIMIT, |session| async move {
            session.batch("BEGIN").await?;
            let sql = "INSERT INTO {schema}.numbers VALUES ($1)";
            session.query(sql, &[(&number, Type::INT8)]).await?;
            session.query("SELECT pg_sleep(0.001)::text", &[]).await?;
            session.batch("COMMIT").await
        });
        has_ended |= polled(transaction, polls).await;
        let is_open = connections
            .with(LIMIT, |session| async move {
                let sql = "SELECT pg_current_xact_id_if_assigned() IS NOT NULL";
                Ok(session.query(sql, &[]).await?[0].try_get::<_, bool>(0)?)
            })
            .await
            .unwrap();
        assert!(!is_open, "after {polls} polls");
    }
    assert!(has_ended);
}

#[tokio::test]
async fn a_transaction_that_fails_is_rolled_back_before_the_next_loan() {
    let Some(database) = Database::new() else {
        return;
    };
    create_table(&database).await;
    let connections = open(alone(database.config()).with_connections(1)).await;
    let pid = || async {
        let of = connections.with(LIMIT, |session| async move {
            let rows = session.query("SELECT pg_backend_pid()", &[]).await?;
            Ok(rows[0].try_get::<_, i32>(0)?)
        });
        of.await.unwrap()
    };
    let before = pid().await;
    let failed = connections
        .with(LIMIT, |session| async move {
            session
                .batch("BEGIN; INSERT INTO {schema}.numbers VALUES (1)")
                .await?;
            session.query("SELECT 1 / 0", &[]).await?;
            session.batch("COMMIT").await
        })
        .await;
    assert!(!failed.unwrap_err().is_retryable());
    assert!(
        store(&connections, 1, LIMIT).await.unwrap(),
        "it was rolled back"
    );
    assert_eq!(pid().await, before, "the connection is good and is kept");
}

/// A statement whose parameters cannot be sent does not fail the transaction on the server.
#[tokio::test]
async fn a_transaction_is_not_committed_without_a_statement_that_could_not_be_sent() {
    let Some(database) = Database::new() else {
        return;
    };
    create_table(&database).await;
    let connections = open(alone(database.config()).with_connections(1)).await;
    let failed = connections
        .with(LIMIT, |session| async move {
            let begun = session.batch("BEGIN; INSERT INTO {schema}.numbers VALUES (1)");
            let text = "not a number".to_owned();
            let parameters: [(&(dyn tokio_postgres::types::ToSql + Sync), _); 1] =
                [(&text, Type::INT8)];
            let wrong = session.query("INSERT INTO {schema}.numbers VALUES ($1)", &parameters);
            let ended = session.batch("COMMIT");
            // All are polled, whatever the others return.
            let (begun, wrong, ended) = tokio::join!(biased; begun, wrong, ended);
            begun?;
            wrong?;
            ended
        })
        .await;
    failed.unwrap_err();
    assert!(
        store(&connections, 1, LIMIT).await.unwrap(),
        "nothing was committed"
    );
}

#[tokio::test]
async fn an_operation_that_takes_too_long_ends_and_so_does_its_connection() {
    let Some(database) = Database::new() else {
        return;
    };
    let connections = open(alone(database.config()).with_connections(1)).await;
    let started = std::time::Instant::now();
    let result = connections
        .with(Duration::from_millis(100), |session| async move {
            session.query("SELECT pg_sleep(30)::text", &[]).await?;
            Ok(())
        })
        .await;
    assert!(result.unwrap_err().is_retryable());
    assert_eq!(echo(&connections, 1).await.unwrap(), 1);
    assert!(started.elapsed() < Duration::from_secs(5));
}
