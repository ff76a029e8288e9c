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

/// Fault case 18: a session that listens and is not read stops vacuum in the whole database.
#[tokio::test]
async fn a_flood_of_notifications_is_read_although_no_worker_waits() {
    let Some(database) = Database::new() else {
        return;
    };
    let name = database.schema.clone();
    let mut config = database.config();
    config.settings.application_name.clone_from(&name);
    let connections = open(config).await;
    until_listening(&connections, true, Duration::from_secs(5)).await;
    let client = database.client().await;
    // More than the buffers of both ends of a connection hold.
    let flood = "SELECT count(pg_notify($1, repeat('x', 7000) || number))
        FROM generate_series(1, 4000) number";
    let channel = format!("suno:{name}");
    client.query_one(flood, &[&channel]).await.unwrap();
    let sql = "SELECT coalesce(wait_event, ''), backend_xmin IS NULL FROM pg_stat_activity
        WHERE application_name = $1";
    let listener = format!("{name} (listener)");
    let started = Instant::now();
    loop {
        let row = client.query_one(sql, &[&listener]).await.unwrap();
        if row.get::<_, String>(0) == "ClientRead" && row.get::<_, bool>(1) {
            break;
        }
        assert!(started.elapsed() < Duration::from_secs(5), "it is not read");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let mut wakes = 0;
    while woken(&connections).await.is_some() {
        wakes += 1;
    }
    assert!((1..100).contains(&wakes), "{wakes} wake-ups");
}

/// Prints how long it takes until a worker of another process is awake.
#[tokio::test]
#[ignore = "measures"]
async fn measure_wake_ups() {
    const ROUNDS: usize = 500;
    let Some(database) = Database::new() else {
        return;
    };
    let one = open(database.config()).await;
    let other = open(database.config()).await;
    for connections in [&one, &other] {
        until_listening(connections, true, Duration::from_secs(5)).await;
        settle(connections).await;
    }
    let mut times = Vec::new();
    let mut missed = 0;
    while times.len() < ROUNDS {
        let (remote, ()) = tokio::join!(woken(&other), async { one.notify() });
        match remote {
            Some(time) => times.push(time),
            None => missed += 1,
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    times.sort();
    let at = |percent: usize| times[(times.len() - 1) * percent / 100];
    println!(
        "p50 {:?}, p99 {:?}, longest {:?}, {missed} missed",
        at(50),
        at(99),
        at(100)
    );
    assert_eq!(missed, 0);
}
