//! The server fails under load: callbacks are refused in time, nothing that was accepted is lost, no
//! event has two handlers at once, and everything goes on by itself.

mod world;

use std::time::Duration;

use suno_store_postgres::PostgresConfig;
use suno_testkit::postgres::{Cluster, SmallDisk, StopMode, programs_or_skip, skipped};
use tokio::task::block_in_place;
use tokio::time::sleep;

use self::world::World;

/// How long the server is away.
const AWAY: Duration = Duration::from_millis(500);
/// How long the server does what it does to connections.
const FAULTY: Duration = Duration::from_secs(2);

/// Starts a private server with further settings, or prints that the test is skipped.
fn cluster(settings: &str) -> Option<Cluster> {
    let programs = programs_or_skip()?;
    Some(Cluster::start(&programs, settings).unwrap())
}

fn config(url: &str) -> PostgresConfig {
    PostgresConfig::parse(url).unwrap().with_connections(6)
}

async fn restarted(mode: StopMode) {
    let Some(mut cluster) = cluster("") else {
        return;
    };
    let world = World::start(config(&cluster.url())).await;
    block_in_place(|| cluster.stop(mode)).unwrap();
    world.is_refusing().await;
    sleep(AWAY).await;
    block_in_place(|| cluster.resume()).unwrap();
    world.is_well().await;
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_stopped_and_started_again_costs_no_event() {
    restarted(StopMode::Fast).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_killed_and_started_again_costs_no_event() {
    restarted(StopMode::Kill).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_that_are_ended_at_random_cost_no_event() {
    let Some(cluster) = cluster("") else { return };
    let world = World::start(config(&cluster.url())).await;
    let end_some = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                    WHERE pid <> pg_backend_pid() AND backend_type = 'client backend'
                    AND random() < 0.3";
    let began = std::time::Instant::now();
    while began.elapsed() < FAULTY {
        block_in_place(|| cluster.sql(end_some)).unwrap();
        sleep(Duration::from_millis(50)).await;
    }
    world.is_well().await;
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lock_on_a_table_that_someone_else_holds_refuses_callbacks_until_it_is_gone() {
    let Some(cluster) = cluster("") else { return };
    let world = World::start(config(&cluster.url())).await;
    let lock = crate::server::connect(&cluster.url()).await;
    lock.batch_execute("BEGIN; LOCK TABLE suno.task IN ACCESS EXCLUSIVE MODE")
        .await
        .unwrap();
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
async fn nothing_is_accepted_while_the_synchronous_standby_is_away() {
    let Some(primary) = cluster("") else { return };
    let mut standby = block_in_place(|| primary.synchronous_standby()).unwrap();
    let world = World::start(config(&primary.url())).await;
    block_in_place(|| standby.stop(StopMode::Kill)).unwrap();
    // What was on its way to the standby.
    sleep(AWAY).await;
    let before = world.answered();
    world.is_refusing().await;
    assert_eq!(world.answered(), before, "accepted on one disk only");
    block_in_place(|| standby.resume()).unwrap();
    world.is_well().await;
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_promoted_standby_has_every_accepted_event_and_takes_over() {
    let Some(mut primary) = cluster("") else {
        return;
    };
    let standby = block_in_place(|| primary.synchronous_standby()).unwrap();
    let hosts = format!("{},{}", primary.host(), standby.host());
    let url = primary.url().replace(&primary.host(), &hosts);
    let world = World::start(config(&url)).await;
    block_in_place(|| primary.stop(StopMode::Kill)).unwrap();
    world.is_refusing().await;
    block_in_place(|| standby.promote()).unwrap();
    world.is_well().await;
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lock_on_one_task_refuses_its_callbacks_and_delays_no_other() {
    let Some(cluster) = cluster("") else { return };
    let world = World::start(config(&cluster.url())).await;
    let task = world.an_accepted_task();
    let lock = crate::server::connect(&cluster.url()).await;
    let hold = format!("BEGIN; SELECT FROM suno.task WHERE id = '{task}' FOR UPDATE");
    lock.batch_execute(&hold).await.unwrap();
    let (status, others) = world.send_again(&task).await;
    lock.batch_execute("ROLLBACK").await.unwrap();
    assert_eq!(status, 503);
    assert!(others > 100, "only {others} other callbacks were accepted");
    world.is_well().await;
    world.finish().await;
}
