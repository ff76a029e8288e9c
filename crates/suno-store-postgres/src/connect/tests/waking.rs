//! Wake-ups between processes.

use std::time::{Duration, Instant};

use super::database::Database;
use super::proxy::Proxy;
use super::{Connections, alone, open};

async fn until_listening(connections: &Connections, is_listening: bool, within: Duration) {
    let started = Instant::now();
    while connections.inner.wakes.is_listening() != is_listening {
        assert!(
            started.elapsed() < within,
            "is_listening is not {is_listening}"
        );
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Waits as a worker does, and returns how long until something other than the re-check woke it.
async fn woken(connections: &Connections) -> Option<Duration> {
    let started = Instant::now();
    connections.wait(Duration::from_millis(500)).await;
    Some(started.elapsed()).filter(|elapsed| *elapsed < Duration::from_millis(490))
}

/// Takes wake-ups that are left over from the start.
async fn settle(connections: &Connections) {
    while woken(connections).await.is_some() {}
}

#[tokio::test]
async fn a_worker_is_woken_by_its_own_process_and_by_another() {
    let Some(database) = Database::new() else {
        return;
    };
    let one = open(database.config()).await;
    let other = open(database.config()).await;
    for connections in [&one, &other] {
        until_listening(connections, true, Duration::from_secs(5)).await;
        settle(connections).await;
    }
    let started = Instant::now();
    let (own, remote) = tokio::join!(woken(&one), async {
        let (remote, ()) = tokio::join!(woken(&other), async { one.notify() });
        remote
    });
    assert!(own.is_some(), "own");
    assert!(remote.is_some(), "remote");
    assert!(started.elapsed() < Duration::from_millis(450));
    // A process is not woken again by the echo of its own notification.
    assert_eq!(woken(&one).await, None);
}

#[tokio::test]
async fn a_wake_up_before_the_wait_is_kept() {
    let Some(database) = Database::new() else {
        return;
    };
    let connections = open(alone(database.config())).await;
    connections.notify();
    assert!(woken(&connections).await.is_some());
    assert_eq!(woken(&connections).await, None);
}

#[tokio::test]
async fn without_notifications_a_worker_looks_again_within_a_second() {
    let Some(database) = Database::new() else {
        return;
    };
    let connections = open(alone(database.config())).await;
    for _ in 0..2 {
        let started = Instant::now();
        connections.wait(Duration::from_secs(60)).await;
        let elapsed = started.elapsed();
        assert!(elapsed > Duration::from_millis(500), "{elapsed:?}");
        assert!(elapsed < Duration::from_millis(1500), "{elapsed:?}");
    }
    let started = Instant::now();
    connections.wait(Duration::from_millis(10)).await;
    assert!(started.elapsed() < Duration::from_millis(400));
}

#[tokio::test]
async fn many_commits_are_few_notifications() {
    let Some(database) = Database::new() else {
        return;
    };
    let one = open(database.config()).await;
    let other = open(database.config()).await;
    for connections in [&one, &other] {
        until_listening(connections, true, Duration::from_secs(5)).await;
    }
    let count = std::sync::atomic::AtomicU32::new(0);
    let counting = async {
        loop {
            other.wait(Duration::from_secs(60)).await;
            count.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        }
    };
    let notifying = async {
        for _ in 0..1000 {
            one.notify();
            tokio::time::sleep(Duration::from_micros(200)).await;
        }
    };
    let started = Instant::now();
    tokio::select! { () = counting => {}, () = notifying => {} }
    let elapsed = started.elapsed();
    let most = elapsed.as_millis() / 5 + 2;
    let count = u128::from(count.into_inner());
    assert!(count > 3, "{count} wake-ups in {elapsed:?}");
    assert!(count <= most, "{count} wake-ups in {elapsed:?}");
}

/// Ends the connections of this schema's listeners or notifiers, found by their names.
async fn terminate(database: &Database, role: &str, name: &str) -> usize {
    let client = database.client().await;
    let sql = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = $1";
    let name = format!("{name} ({role})");
    client.query(sql, &[&name]).await.unwrap().len()
}

#[tokio::test]
async fn a_listener_and_a_notifier_that_were_ended_come_back() {
    let Some(database) = Database::new() else {
        return;
    };
    let name = database.schema.clone();
    let mut config = database.config();
    config.settings.application_name.clone_from(&name);
    let one = open(config.clone()).await;
    let other = open(config).await;
    for connections in [&one, &other] {
        until_listening(connections, true, Duration::from_secs(5)).await;
    }
    for role in ["listener", "notifier"] {
        assert_eq!(terminate(&database, role, &name).await, 2, "{role}");
        if role == "listener" {
            for connections in [&one, &other] {
                until_listening(connections, false, Duration::from_secs(2)).await;
            }
        }
        for connections in [&one, &other] {
            until_listening(connections, true, Duration::from_secs(5)).await;
            settle(connections).await;
        }
        let (remote, ()) = tokio::join!(woken(&other), async { one.notify() });
        assert!(remote.is_some(), "after the end of the {role}");
    }
}

#[tokio::test]
async fn a_half_open_listener_listens_again_and_wakes_for_what_it_missed() {
    let Some(database) = Database::new() else {
        return;
    };
    let proxy = Proxy::start(database.server()).await;
    let connections = open(database.config_by(proxy.address())).await;
    until_listening(&connections, true, Duration::from_secs(5)).await;
    settle(&connections).await;
    proxy.swallow_existing();
    until_listening(&connections, false, Duration::from_secs(4)).await;
    until_listening(&connections, true, Duration::from_secs(5)).await;
    assert!(
        woken(&connections).await.is_some(),
        "it wakes once after it listens again"
    );
}
