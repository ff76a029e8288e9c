//! The end of an event in a transaction of the handler's own.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use suno_callback::{
    Acceptance, ClaimRequest, Claims, ExtendResult, IdempotencyStore, SettleResult, Settlement,
    Ticket, WorkerId,
};
use suno_store_postgres::tokio_postgres::Client;
use suno_store_postgres::tokio_postgres::types::ToSql;
use suno_store_postgres::{PostgresConfig, PostgresStore, settle_in_parameters};

use crate::server::{LEASE, Schema, connect, delivery};

/// More than any answer takes that waits for nobody.
const AT_ONCE: Duration = Duration::from_millis(1_500);

struct Scene {
    schema: Schema,
    store: PostgresStore,
    /// The connection of the handler.
    client: Client,
    number: u64,
}

impl Scene {
    async fn new() -> Option<Self> {
        let schema = Schema::new().await?;
        let store = schema.store().await;
        schema
            .run("CREATE TABLE {schema}.songs (task_id text)")
            .await;
        let client = connect(&schema.url).await;
        Some(Self {
            schema,
            store,
            client,
            number: 0,
        })
    }

    async fn ask(&mut self, lease: Duration, settlements: Vec<(Ticket, Settlement)>) -> Claims {
        self.number += 1;
        let request = ClaimRequest::new(WorkerId(1), self.number, lease, 9);
        let request = request.with_settlements(settlements);
        self.store.claim(&request).await.unwrap()
    }

    async fn claim_one(&mut self, lease: Duration) -> Ticket {
        let accepted = self.store.accept(&[delivery("t", "text")]).await.unwrap();
        assert_eq!(accepted, [Acceptance::New]);
        self.ask(lease, Vec::new()).await.claims[0].ticket
    }

    /// Begins a transaction, writes a song and settles the event.
    async fn handle(&mut self, ticket: &Ticket) -> SettleResult {
        let schema = &self.schema.name;
        let sql = format!("BEGIN; INSERT INTO {schema}.songs VALUES ('t')");
        self.client.batch_execute(&sql).await.unwrap();
        // As with sqlx: only the statement.
        let (event, epoch, worker) = settle_in_parameters(ticket);
        let sql = format!("SELECT {schema}.settle_in_v1($1, $2, $3)");
        let parameters: [&(dyn ToSql + Sync); 3] = [&event, &epoch, &worker];
        let row = self.client.query_one(&sql, &parameters).await.unwrap();
        match row.get(0) {
            "settled" => SettleResult::Settled,
            "already_settled" => SettleResult::AlreadySettled,
            "lost" => SettleResult::Lost,
            word => panic!("{word}"),
        }
    }

    async fn end(&mut self, sql: &str) {
        self.client.batch_execute(sql).await.unwrap();
    }

    async fn songs(&self) -> i64 {
        let sql = "SELECT count(*) FROM {schema}.songs";
        self.schema.number(sql).await
    }
}

#[tokio::test]
async fn a_row_of_the_handler_and_the_end_of_the_event_are_one_commit() {
    let Some(mut scene) = Scene::new().await else {
        return;
    };
    let ticket = scene.claim_one(LEASE).await;
    let mut client = connect(&scene.schema.url).await;
    let mut transaction = client.transaction().await.unwrap();
    let sql = format!("INSERT INTO {}.songs VALUES ('t')", scene.schema.name);
    transaction.batch_execute(&sql).await.unwrap();
    let settled = scene.store.settle_in(&mut transaction, &ticket).await;
    assert_eq!(settled.unwrap(), SettleResult::Settled);
    assert_eq!(scene.store.counts().await.unwrap().claimed, 1);
    transaction.commit().await.unwrap();
    let counts = scene.store.counts().await.unwrap();
    assert_eq!((counts.claimed, counts.done), (0, 1));
    // Once more, as after an answer that got lost: nothing is written twice.
    assert_eq!(scene.handle(&ticket).await, SettleResult::AlreadySettled);
    scene.end("ROLLBACK").await;
    assert_eq!(scene.songs().await, 1);
    // What the dispatcher settles afterwards changes nothing.
    let again = scene.ask(LEASE, vec![(ticket, Settlement::Done)]).await;
    assert_eq!(again.settled, [SettleResult::AlreadySettled]);
    assert!(again.claims.is_empty());
    assert_eq!(scene.handle(&ticket).await, SettleResult::AlreadySettled);
    scene.end("ROLLBACK").await;
    assert_eq!(scene.store.counts().await.unwrap().done, 1);
    let sql = "SELECT count(*) FROM {schema}.settled_in";
    assert_eq!(scene.schema.number(sql).await, 0);
}

#[tokio::test]
async fn a_transaction_that_is_rolled_back_leaves_the_event_claimed() {
    let Some(mut scene) = Scene::new().await else {
        return;
    };
    let ticket = scene.claim_one(LEASE).await;
    assert_eq!(scene.handle(&ticket).await, SettleResult::Settled);
    scene.end("ROLLBACK").await;
    let claimed = scene.store.counts().await.unwrap().claimed;
    assert_eq!((scene.songs().await, claimed), (0, 1));
    assert_eq!(scene.handle(&ticket).await, SettleResult::Settled);
    scene.end("COMMIT").await;
    let done = scene.store.counts().await.unwrap().done;
    assert_eq!((scene.songs().await, done), (1, 1));
}

#[tokio::test]
async fn a_ticket_of_another_claim_settles_nothing() {
    let Some(mut scene) = Scene::new().await else {
        return;
    };
    let ticket = scene.claim_one(LEASE).await;
    let mut wrong = [ticket; 3];
    wrong[0].epoch += 1;
    wrong[1].worker = WorkerId(7);
    wrong[2].event.0 += 1;
    for ticket in wrong {
        assert_eq!(scene.handle(&ticket).await, SettleResult::Lost);
        scene.end("ROLLBACK").await;
    }
    assert_eq!(scene.store.counts().await.unwrap().claimed, 1);
}

/// Fault case 13, except for the ends of the transaction.
#[tokio::test]
async fn nothing_but_the_event_waits_for_the_transaction_of_a_handler() {
    let Some(mut scene) = Scene::new().await else {
        return;
    };
    let ticket = scene.claim_one(LEASE).await;
    assert_eq!(scene.handle(&ticket).await, SettleResult::Settled);
    let start = Instant::now();
    let deliveries = [
        delivery("t", "text"),
        delivery("t", "complete"),
        delivery("u", "text"),
    ];
    let accepted = scene.store.accept(&deliveries).await.unwrap();
    assert_eq!(
        accepted,
        [Acceptance::Duplicate, Acceptance::New, Acceptance::New]
    );
    let extended = scene.store.extend(&[ticket], LEASE).await.unwrap();
    assert_eq!(extended, [ExtendResult::Extended]);
    let other = scene.ask(LEASE, Vec::new()).await.claims;
    assert_eq!(other.len(), 1);
    let other = other[0].ticket;
    let settled = vec![(ticket, Settlement::Release), (other, Settlement::Done)];
    let settled = scene.ask(LEASE, settled).await.settled;
    assert_eq!(settled, [SettleResult::Lost, SettleResult::Settled]);
    assert!(start.elapsed() < AT_ONCE, "{:?}", start.elapsed());
    // Its commit lets the next stage go on.
    scene.end("COMMIT").await;
    let settled = scene.ask(LEASE, vec![(ticket, Settlement::Done)]).await;
    assert_eq!(settled.settled, [SettleResult::AlreadySettled]);
    assert_eq!(settled.claims[0].key.to_string(), "t/complete");
}

/// Fault case 13: commit, rollback and kill after the end of the lease.
#[tokio::test]
async fn an_event_is_not_claimed_while_a_transaction_holds_it_even_after_its_lease() {
    for end in ["COMMIT", "ROLLBACK", "kill"] {
        let Some(mut scene) = Scene::new().await else {
            return;
        };
        let lease = Duration::from_millis(20);
        let ticket = scene.claim_one(lease).await;
        assert_eq!(scene.handle(&ticket).await, SettleResult::Settled);
        tokio::time::sleep(2 * lease).await;
        let claims = scene.ask(LEASE, Vec::new()).await;
        assert!(claims.claims.is_empty(), "{end}");
        let next_due = claims.next_due.unwrap();
        assert!(next_due <= Duration::from_secs(1), "{end}");
        match end {
            "kill" => {
                let row = scene.client.query_one("SELECT pg_backend_pid()", &[]).await;
                let backend: i32 = row.unwrap().get(0);
                let sql = "SELECT pg_terminate_backend($1, 5000)";
                scene.schema.client.query(sql, &[&backend]).await.unwrap();
            }
            sql => scene.end(sql).await,
        }
        let is_done = end == "COMMIT";
        let claims = scene.ask(LEASE, Vec::new()).await.claims;
        assert_eq!(claims.len(), usize::from(!is_done), "{end}");
        assert_eq!(scene.songs().await, i64::from(is_done), "{end}");
        let counts = scene.store.counts().await.unwrap();
        assert_eq!(counts.done, u64::from(is_done), "{end}");
    }
}

const TASKS: usize = 24;
const CHILD_SCHEMA: &str = "SUNO_TEST_CHILD_SCHEMA";

/// Handlers of a process that is killed again and again: each event has one effect.
#[tokio::test]
async fn each_event_has_one_effect_although_its_process_is_killed() {
    let Some(scene) = Scene::new().await else {
        return;
    };
    let tasks: Vec<_> = (0..TASKS).map(|task| format!("t{task}")).collect();
    let deliveries = tasks.iter().map(|task| delivery(task, "complete"));
    let deliveries: Vec<_> = deliveries.collect();
    scene.store.accept(&deliveries).await.unwrap();
    let start = Instant::now();
    let mut killed = 0;
    while scene.store.counts().await.unwrap().done < TASKS as u64 {
        assert!(start.elapsed() < Duration::from_secs(60), "{killed} killed");
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args([
                "--ignored",
                "--exact",
                "settling_in::the_process_that_is_killed",
            ])
            .env(CHILD_SCHEMA, &scene.schema.name)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let pause = Duration::from_millis(60 + (97 * killed) % 400);
        tokio::time::sleep(pause).await;
        child.kill().unwrap();
        child.wait().unwrap();
        killed += 1;
    }
    assert!(killed > 1, "nothing was killed");
    let sql = "SELECT count(DISTINCT task_id) FROM {schema}.songs";
    let distinct = scene.schema.number(sql).await;
    assert_eq!(
        (scene.songs().await, distinct),
        (TASKS as i64, TASKS as i64)
    );
}

#[tokio::test]
#[ignore = "is started by another test, which kills it"]
async fn the_process_that_is_killed() {
    let (Some(url), Ok(schema)) = (crate::server::url(), std::env::var(CHILD_SCHEMA)) else {
        return;
    };
    let config = PostgresConfig::parse(&url).unwrap().with_schema(&*schema);
    let store = PostgresStore::connect(config).await.unwrap();
    let worker = WorkerId(std::process::id().into());
    let lease = Duration::from_millis(150);
    let sql = format!("INSERT INTO {schema}.songs VALUES ($1)");
    let mut settlements = Vec::new();
    for number in 0.. {
        let request = ClaimRequest::new(worker, number, lease, 3);
        let request = request.with_settlements(std::mem::take(&mut settlements));
        for claim in store.claim(&request).await.unwrap().claims {
            let mut client = connect(&url).await;
            let mut transaction = client.transaction().await.unwrap();
            let task = claim.key.task_id().as_str();
            transaction.execute(&sql, &[&task]).await.unwrap();
            let settled = store.settle_in(&mut transaction, &claim.ticket).await;
            if settled.unwrap() == SettleResult::Settled {
                transaction.commit().await.unwrap();
            }
            settlements.push((claim.ticket, Settlement::Done));
        }
    }
}

/// As after `Event::set_settled`: the dispatcher settles nothing.
#[tokio::test]
async fn the_next_stage_goes_on_as_soon_as_the_transaction_of_a_handler_has_ended() {
    let Some(mut scene) = Scene::new().await else {
        return;
    };
    for is_alone in [true, false] {
        let ticket = scene.claim_one(LEASE).await;
        let next = [delivery("t", "complete")];
        if !is_alone {
            scene.store.accept(&next).await.unwrap();
        }
        assert_eq!(scene.handle(&ticket).await, SettleResult::Settled);
        assert!(scene.ask(LEASE, Vec::new()).await.claims.is_empty());
        scene.end("COMMIT").await;
        let start = Instant::now();
        scene.store.wait(LEASE).await.unwrap();
        let claims = scene.ask(LEASE, Vec::new()).await.claims;
        assert_eq!(claims.len(), usize::from(!is_alone));
        let sql = "SELECT count(*) FROM {schema}.settled_in";
        assert_eq!(scene.schema.number(sql).await, 0);
        assert!(start.elapsed() < AT_ONCE, "{:?}", start.elapsed());
        scene.schema.empty().await;
    }
}

/// More than one request takes notice of, while all leases have ended.
#[tokio::test]
async fn no_event_that_a_handler_has_settled_is_claimed_again_however_many_there_are() {
    const MANY: usize = 600;
    let Some(mut scene) = Scene::new().await else {
        return;
    };
    let tasks = (0..MANY).map(|task| delivery(&format!("t{task}"), "text"));
    let tasks: Vec<_> = tasks.collect();
    scene.store.accept(&tasks).await.unwrap();
    let request = ClaimRequest::new(WorkerId(7), 1, Duration::from_millis(1), MANY);
    let claims = scene.store.claim(&request).await.unwrap().claims;
    assert_eq!(claims.len(), MANY);
    let settle = "SELECT count({schema}.settle_in_v1(w.event_no, w.epoch, w.worker))
        FROM {schema}.work w";
    assert_eq!(scene.schema.number(settle).await, MANY as i64);
    tokio::time::sleep(Duration::from_millis(5)).await;
    for _ in 0..MANY {
        let claims = scene.ask(LEASE, Vec::new()).await;
        assert!(claims.claims.is_empty(), "{:?}", claims.claims);
        let sql = "SELECT count(*) FROM {schema}.work";
        if scene.schema.number(sql).await == 0 {
            break;
        }
    }
    let sql = "SELECT count(*) FROM {schema}.settled_in";
    assert_eq!(scene.schema.number(sql).await, 0);
    assert_eq!(scene.store.counts().await.unwrap().done, MANY as u64);
}

/// A dispatcher claims again as soon as a wait ends.
#[tokio::test]
async fn a_worker_does_not_ask_again_and_again_for_an_event_that_a_transaction_holds() {
    let Some(mut scene) = Scene::new().await else {
        return;
    };
    let lease = Duration::from_millis(20);
    let ticket = scene.claim_one(lease).await;
    assert_eq!(scene.handle(&ticket).await, SettleResult::Settled);
    tokio::time::sleep(2 * lease).await;
    let (start, mut waits) = (Instant::now(), 0);
    while start.elapsed() < Duration::from_millis(1_500) {
        assert!(scene.ask(LEASE, Vec::new()).await.claims.is_empty());
        scene.store.wait(Duration::from_secs(1)).await.unwrap();
        waits += 1;
    }
    assert!(waits < 9, "{waits} waits");
    // A delivery ends the wait at once.
    let start = Instant::now();
    let other = [delivery("u", "text")];
    let (waited, _) = tokio::join!(scene.store.wait(LEASE), scene.store.accept(&other));
    waited.unwrap();
    assert_eq!(scene.ask(LEASE, Vec::new()).await.claims.len(), 1);
    assert!(start.elapsed() < Duration::from_millis(900));
    scene.end("ROLLBACK").await;
}
