//! The connection is lost at each boundary of messages.

use std::time::Duration;

use super::database::Database;
use super::proxy::{Proxy, Sender};
use super::{Connections, LIMIT, UNCHECKED, alone, create_table, open, shown, store};

/// Counts the rows of the table of numbers.
async fn stored(database: &Database, number: i64) -> i64 {
    let sql = format!(
        "SELECT count(*) FROM \"{}\".numbers WHERE number = $1",
        database.schema
    );
    let client = database.client().await;
    client.query_one(&sql, &[&number]).await.unwrap().get(0)
}

async fn cut_everywhere(uses_names: bool) {
    let Some(database) = Database::new() else {
        return;
    };
    create_table(&database).await;
    let proxy = Proxy::start(database.server()).await;
    let config = alone(database.config_by(proxy.address()))
        .with_connections(1)
        .with_named_statements(uses_names);
    let connections = Connections::open_with(&config, UNCHECKED).await.unwrap();
    // Twice, so that the statement is prepared.
    for number in [0, 1] {
        assert!(store(&connections, number, LIMIT).await.unwrap());
    }
    proxy.watch();
    assert!(store(&connections, 2, LIMIT).await.unwrap());
    let mut number = 100;
    let mut unknown = [0; 2];
    let counted = [Sender::Client, Sender::Server].map(|sender| (sender, proxy.count(sender)));
    for (sender, messages) in counted {
        assert!(messages >= 4, "{sender:?} sends {messages}");
        for after in 0..messages {
            number += 1;
            // The statement is prepared on each new connection, so warm up first.
            store(&connections, -number, LIMIT).await.unwrap();
            store(&connections, -number, LIMIT).await.unwrap();
            proxy.cut_after(sender, after);
            let result = store(&connections, number, LIMIT).await;
            assert_eq!(proxy.cuts(), 1, "{sender:?} {after}");
            // The caller repeats, and is answered on a new connection at once.
            let was_stored = !store(&connections, number, LIMIT).await.unwrap();
            match result {
                // The last message of the server is its whole answer.
                Ok(is_new) => assert!(is_new && was_stored, "{sender:?} {after}"),
                Err(err) => {
                    assert!(err.is_retryable(), "{}", shown(&err));
                    unknown[usize::from(was_stored)] += 1;
                }
            }
            assert_eq!(stored(&database, number).await, 1);
        }
    }
    // Both happened: cut before the commit, and after it but before its answer.
    assert!(unknown[0] > 0 && unknown[1] > 0, "{unknown:?}");
}

#[tokio::test]
async fn a_connection_cut_at_any_message_loses_nothing_that_was_answered() {
    cut_everywhere(true).await;
}

#[tokio::test]
async fn a_connection_cut_at_any_message_loses_nothing_without_names() {
    cut_everywhere(false).await;
}

#[tokio::test]
async fn a_half_open_connection_ends_with_the_limit_and_the_next_operation_has_a_new_one() {
    let Some(database) = Database::new() else {
        return;
    };
    create_table(&database).await;
    let proxy = Proxy::start(database.server()).await;
    let config = alone(database.config_by(proxy.address())).with_connections(3);
    let connections = open(config).await;
    let all = (0..3).map(|number| store(&connections, number, LIMIT));
    futures_util::future::try_join_all(all).await.unwrap();
    proxy.swallow_existing();
    let started = std::time::Instant::now();
    // Not idle for long: the operation finds out itself.
    let result = store(&connections, 10, Duration::from_millis(40)).await;
    assert!(result.unwrap_err().is_retryable());
    // The others of the pool are checked before they are used, and replaced all at once.
    assert!(store(&connections, 10, LIMIT).await.unwrap());
    let needed = started.elapsed();
    assert!(needed < Duration::from_secs(4), "{needed:?}");
    assert!(proxy.connections() >= 4);
}

#[tokio::test]
async fn a_half_open_connection_that_was_idle_is_found_before_it_is_used() {
    let Some(database) = Database::new() else {
        return;
    };
    create_table(&database).await;
    let proxy = Proxy::start(database.server()).await;
    let config = alone(database.config_by(proxy.address())).with_connections(3);
    let connections = open(config).await;
    let all = (0..3).map(|number| store(&connections, number, LIMIT));
    futures_util::future::try_join_all(all).await.unwrap();
    proxy.swallow_existing();
    tokio::time::sleep(super::TIMINGS.idle_unchecked_max * 2).await;
    let started = std::time::Instant::now();
    assert!(store(&connections, 10, LIMIT).await.unwrap());
    let needed = started.elapsed();
    // One check of a second, not one for each connection.
    assert!(needed < Duration::from_millis(2500), "{needed:?}");
}

#[tokio::test]
async fn a_slow_network_delays_a_pipelined_transaction_once() {
    let Some(database) = Database::new() else {
        return;
    };
    create_table(&database).await;
    let proxy = Proxy::start(database.server()).await;
    let connections = open(alone(database.config_by(proxy.address()))).await;
    for number in [0, 1] {
        store(&connections, number, LIMIT).await.unwrap();
    }
    proxy.watch();
    store(&connections, 2, LIMIT).await.unwrap();
    let sent = proxy.count(Sender::Client);
    let answered = proxy.count(Sender::Server);
    proxy.delay(Duration::from_millis(10));
    let started = std::time::Instant::now();
    store(&connections, 3, LIMIT).await.unwrap();
    let needed = started.elapsed();
    // All messages of the client pass before the first answer is waited for, so that the two
    // directions overlap. The check of an idle connection is one more message each way.
    let bound = Duration::from_millis(10) * u32::try_from(sent + answered + 2).unwrap();
    assert!(
        needed < bound + Duration::from_millis(100),
        "{needed:?} {bound:?}"
    );
}
