//! The server fails under load: callbacks are refused in time, nothing that was accepted is lost, no
//! event has two handlers at once, and everything goes on by itself.

mod world;

use std::time::{Duration, Instant};

use suno_store_postgres::PostgresConfig;
use suno_testkit::postgres::{Cluster, SmallDisk, StopMode, programs_or_skip, skipped};
use tokio::task::block_in_place;
use tokio::time::sleep;

use self::world::World;

/// The time in which commits that wait for a standby have ended, one way or the other.
const AWAY: Duration = Duration::from_millis(500);
/// The time during which connections are ended at random.
const FAULTY: Duration = Duration::from_secs(1);

/// Starts a private server with further settings, or prints that the test is skipped.
fn cluster(settings: &str) -> Option<Cluster> {
    let programs = programs_or_skip()?;
    Some(Cluster::start(&programs, settings).unwrap())
}

fn config(url: &str) -> PostgresConfig {
    PostgresConfig::parse(url).unwrap().with_connections(6)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_that_are_ended_at_random_and_restarts_of_the_server_cost_no_event() {
    let Some(mut cluster) = cluster("") else {
        return;
    };
    let world = World::start(config(&cluster.url())).await;
    let end_some = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                    WHERE pid <> pg_backend_pid() AND backend_type = 'client backend'
                    AND random() < 0.3";
    let began = Instant::now();
    while began.elapsed() < FAULTY {
        block_in_place(|| cluster.sql(end_some)).unwrap();
        sleep(Duration::from_millis(50)).await;
    }
    world.is_well().await;
    for mode in [StopMode::Fast, StopMode::Immediate, StopMode::Kill] {
        block_in_place(|| cluster.stop(mode)).unwrap();
        world.is_refusing().await;
        block_in_place(|| cluster.resume()).unwrap();
        world.is_well().await;
    }
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lock_on_one_task_delays_no_other_and_one_on_all_refuses_until_it_is_gone() {
    let Some(cluster) = cluster("") else { return };
    let world = World::start(config(&cluster.url())).await;
    let lock = crate::server::connect(&cluster.url()).await;
    let task = world.an_accepted_task();
    let hold = format!("BEGIN; SELECT FROM suno.task WHERE id = '{task}' FOR UPDATE");
    lock.batch_execute(&hold).await.unwrap();
    let (status, others) = world.send_again(&task).await;
    lock.batch_execute("ROLLBACK").await.unwrap();
    assert_eq!(status, 503);
    assert!(others > 100, "only {others} other callbacks were accepted");
    let hold = "BEGIN; LOCK TABLE suno.task IN ACCESS EXCLUSIVE MODE";
    lock.batch_execute(hold).await.unwrap();
    world.is_refusing().await;
    lock.batch_execute("ROLLBACK").await.unwrap();
    world.is_well().await;
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_without_free_connections_refuses_callbacks_until_it_has_some() {
    let Some(cluster) = cluster("max_connections = 20\n") else {
        return;
    };
    let world = World::start(config(&cluster.url())).await;
    // Others take the place of connections that end.
    let mut taken = Vec::new();
    let ours = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                WHERE application_name = 'suno' LIMIT 4";
    while let Ok((client, connection)) = suno_store_postgres::tokio_postgres::connect(
        &cluster.url(),
        suno_store_postgres::tokio_postgres::NoTls,
    )
    .await
    {
        tokio::spawn(connection);
        if client.batch_execute(ours).await.is_ok() {
            taken.push(client);
        }
    }
    assert!(taken.len() > 10, "{} connections were free", taken.len());
    world.is_refusing().await;
    drop(taken);
    world.is_well().await;
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_refuses_callbacks_until_there_is_space() {
    let Some(programs) = programs_or_skip() else {
        return;
    };
    let disk = match SmallDisk::new(&programs, 24) {
        Ok(disk) => disk,
        Err(err) => return skipped(&format!("{err:#}")),
    };
    let cluster = Cluster::start(&programs, "").unwrap();
    let place = disk.path().display();
    cluster
        .sql(&format!("CREATE TABLESPACE small LOCATION '{place}'"))
        .unwrap();
    cluster
        .sql("CREATE DATABASE inbox TABLESPACE small")
        .unwrap();
    let url = cluster.url().replace("/postgres", "/inbox");
    let world = World::start(config(&url)).await;
    let filler = crate::server::connect(&url).await;
    filler
        .batch_execute("CREATE TABLE filler (n int)")
        .await
        .unwrap();
    // Smaller and smaller pieces, until nothing fits.
    for rows in [100_000, 10_000, 1_000, 100, 10] {
        let fill = format!("INSERT INTO filler SELECT generate_series(1, {rows})");
        while filler.batch_execute(&fill).await.is_ok() {}
    }
    world.is_refusing().await;
    filler.batch_execute("DROP TABLE filler").await.unwrap();
    world.is_well().await;
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_synchronous_standby_that_is_away_stops_accepting_and_a_promoted_one_has_every_event() {
    let Some(mut primary) = cluster("") else {
        return;
    };
    let mut standby = block_in_place(|| primary.synchronous_standby()).unwrap();
    let hosts = format!("{},{}", primary.host(), standby.host());
    let url = primary.url().replace(&primary.host(), &hosts);
    let world = World::start(config(&url)).await;
    block_in_place(|| standby.stop(StopMode::Kill)).unwrap();
    // For what was on its way to the standby.
    sleep(AWAY).await;
    let before = world.answered();
    world.is_refusing().await;
    assert_eq!(world.answered(), before, "accepted on one disk only");
    block_in_place(|| standby.resume()).unwrap();
    world.is_well().await;
    block_in_place(|| primary.stop(StopMode::Kill)).unwrap();
    world.is_refusing().await;
    block_in_place(|| standby.promote()).unwrap();
    world.is_well().await;
    world.finish().await;
}
