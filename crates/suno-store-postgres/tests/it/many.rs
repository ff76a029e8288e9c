//! Several instances of the store at once: receivers, handlers, locks of others.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use suno_callback::{
    Acceptance, ClaimRequest, Delivery, ExtendResult, IdempotencyStore, SettleResult, Settlement,
    StateName, Ticket, WorkerId,
};
use suno_store_postgres::{PostgresConfig, PostgresStore};
use suno_types::TaskId;

use crate::server::{LEASE, Schema, connect, delivery};

/// How often a race is repeated; 10,000 times once by hand.
pub(crate) fn rounds(few: usize) -> usize {
    let rounds = std::env::var("SUNO_TEST_ROUNDS").ok();
    rounds.and_then(|rounds| rounds.parse().ok()).unwrap_or(few)
}

async fn two(schema: &Schema) -> [PostgresStore; 2] {
    [schema.store().await, schema.store().await]
}

/// Each event that is not settled has exactly one row of `work`, and each task with work has a place in
/// the queue.
pub(crate) async fn expect_whole(schema: &Schema) {
    let stateless = "
        SELECT count(*) FROM {schema}.event e
        WHERE (SELECT count(*) FROM {schema}.work w WHERE w.event_no = e.no)
            + (SELECT count(*) FROM {schema}.past p WHERE p.event_no = e.no) <> 1";
    assert_eq!(schema.number(stateless).await, 0, "events without a state");
    let stranded = "
        SELECT count(*) FROM (SELECT w.task_no FROM {schema}.work w GROUP BY w.task_no
            HAVING count(w.at) = 0) t";
    assert_eq!(schema.number(stranded).await, 0, "tasks that are stranded");
}

/// Fault case 10: with and without an earlier stage, in one round trip and the general way, and with roles
/// whose transactions would read from before they waited for a lock (fault case 22).
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_last_stages_that_arrive_at_the_same_instant_one_is_first() {
    let Some(schema) = Schema::new().await else {
        return;
    };
    for isolation in ["read committed", "repeatable read"] {
        let setting = format!("default_transaction_isolation = '{isolation}'");
        let url = schema.role_with(&[&setting]).await;
        let config = PostgresConfig::parse(&url).unwrap();
        let config = config.with_schema(&*schema.name);
        let connect = || PostgresStore::connect(config.clone());
        let stores = [connect().await.unwrap(), connect().await.unwrap()];
        for round in 0..rounds(40) {
            let task = format!("{isolation}-{round}").replace(' ', "-");
            if round % 2 == 0 {
                stores[0].accept(&[delivery(&task, "text")]).await.unwrap();
            }
            let slices = ["complete", "failed"].map(|stage| {
                let mut slice = vec![delivery(&task, stage)];
                if round % 4 < 2 {
                    // A stage without a rank is not plain.
                    slice.push(delivery(&format!("{task}-{stage}"), "odd"));
                }
                slice
            });
            let accepts = [0, 1].map(|place| {
                let (store, slice) = (stores[place].clone(), slices[place].clone());
                tokio::spawn(async move { store.accept(&slice).await.unwrap()[0] })
            });
            let mut answers = join_all(accepts).await;
            answers.sort_by_key(|answer| *answer.as_ref().unwrap() != Acceptance::New);
            let answers: Vec<_> = answers.into_iter().map(Result::unwrap).collect();
            assert_eq!(answers, [Acceptance::New, Acceptance::Late], "{task}");
        }
    }
    schema.drop_role().await;
    expect_whole(&schema).await;
}

/// Fault case 10, for one stage.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_one_delivery_that_arrives_everywhere_at_the_same_instant_one_is_new() {
    let Some(schema) = Schema::new().await else {
        return;
    };
    let stores = two(&schema).await;
    for round in 0..rounds(40) {
        let same = [delivery(&format!("t{round}"), "complete")];
        let accepts = (0..6).map(|number| stores[number % 2].accept(&same));
        let answers = join_all(accepts).await;
        let new = answers.iter().filter(|answer| {
            let answer = answer.as_ref().unwrap()[0];
            assert!([Acceptance::New, Acceptance::Duplicate].contains(&answer));
            answer == Acceptance::New
        });
        assert_eq!(new.count(), 1);
    }
}

/// Fault case 10b: a stage arrives while the last one of its task is settled.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stage_that_arrives_while_another_one_is_settled_is_handled() {
    let Some(schema) = Schema::new().await else {
        return;
    };
    let stores = two(&schema).await;
    let (worker, mut number) = (WorkerId(1), 0);
    for round in 0..rounds(60) {
        let task = format!("t{round}");
        stores[0].accept(&[delivery(&task, "text")]).await.unwrap();
        number += 1;
        let request = ClaimRequest::new(worker, number, LEASE, 1);
        let ticket = stores[1].claim(&request).await.unwrap().claims[0].ticket;
        number += 1;
        let request = ClaimRequest::new(worker, number, LEASE, 1)
            .with_settlements(vec![(ticket, Settlement::Done)]);
        let next = [delivery(&task, "complete")];
        let (accepted, claims) = tokio::join!(stores[0].accept(&next), async {
            if round % 3 == 0 {
                tokio::time::sleep(Duration::from_micros(300 * (round as u64 % 9))).await;
            }
            stores[1].claim(&request).await
        });
        assert_eq!(accepted.unwrap(), [Acceptance::New]);
        let mut claims = claims.unwrap();
        assert_eq!(claims.settled, [SettleResult::Settled]);
        if claims.claims.is_empty() {
            number += 1;
            let request = ClaimRequest::new(worker, number, LEASE, 1);
            claims = stores[1].claim(&request).await.unwrap();
        }
        assert_eq!(claims.claims.len(), 1, "{task} is stranded");
        number += 1;
        let request = ClaimRequest::new(worker, number, LEASE, 0)
            .with_settlements(vec![(claims.claims[0].ticket, Settlement::Done)]);
        stores[1].claim(&request).await.unwrap();
    }
    expect_whole(&schema).await;
    assert_eq!(stores[0].counts().await.unwrap().ready, 0);
}

/// Everything that is held now, to see whether two hold one task at the same time.
#[derive(Default)]
struct Held {
    tasks: std::sync::Mutex<HashSet<TaskId>>,
    handled: AtomicU64,
}

/// Fault case 11: receivers with the same tasks in opposite order, handlers, extensions and tools, all at
/// once. No one sees a deadlock, and no task is handled twice at once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn receivers_handlers_and_tools_of_two_processes_do_not_get_into_each_others_way() {
    const TASKS: usize = 24;
    let Some(schema) = Schema::new().await else {
        return;
    };
    let stores = two(&schema).await;
    let held = Arc::new(Held::default());
    let is_over = Arc::new(AtomicBool::new(false));
    let rounds = rounds(6);
    let receivers = (0..4).map(|receiver: usize| {
        let store = stores[receiver % 2].clone();
        tokio::spawn(async move {
            for round in 0..rounds {
                for stage in ["text", "first", "complete"] {
                    let tasks = (0..TASKS).map(|task| format!("t{round}-{task}"));
                    let deliveries = tasks.map(|task| delivery(&task, stage));
                    let mut deliveries: Vec<Delivery> = deliveries.collect();
                    if receiver % 2 == 1 {
                        deliveries.reverse();
                    }
                    store.accept(&deliveries).await.unwrap();
                }
            }
        })
    });
    let handlers = (0..4_usize).map(|handler| {
        let (store, held) = (stores[handler % 2].clone(), Arc::clone(&held));
        let is_over = Arc::clone(&is_over);
        tokio::spawn(async move { handle_all(store, handler as u64 + 1, &held, &is_over).await })
    });
    let handlers: Vec<_> = handlers.collect();
    let tools = {
        let (store, is_over) = (stores[0].clone(), Arc::clone(&is_over));
        tokio::spawn(async move {
            while !is_over.load(Ordering::SeqCst) {
                let stage = suno_types::Stage::Failed;
                let task = TaskId::new("t0-3").unwrap();
                store.decide(&task, &stage).await.unwrap();
                store.find(&task).await.unwrap();
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        })
    };
    for receiver in join_all(receivers).await {
        receiver.unwrap();
    }
    let start = Instant::now();
    loop {
        let counts = stores[0].counts().await.unwrap();
        if counts.ready + counts.claimed + counts.waiting == 0 {
            break;
        }
        assert!(start.elapsed() < Duration::from_secs(20), "{counts:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    is_over.store(true, Ordering::SeqCst);
    tools.await.unwrap();
    for handler in join_all(handlers).await {
        handler.unwrap();
    }
    expect_whole(&schema).await;
    let counts = stores[1].counts().await.unwrap();
    let events = (3 * TASKS * rounds) as u64;
    assert_eq!(counts.done + counts.superseded, events, "{counts:?}");
    // A superseded event of this test was late, or waited.
    assert_eq!(held.handled.load(Ordering::SeqCst), counts.done);
}

async fn handle_all(store: PostgresStore, worker: u64, held: &Held, is_over: &AtomicBool) {
    let mut settlements: Vec<(Ticket, Settlement)> = Vec::new();
    for number in 1.. {
        let request = ClaimRequest::new(WorkerId(worker), number, LEASE, 5)
            .with_settlements(std::mem::take(&mut settlements));
        let answer = store.claim(&request).await.unwrap();
        for settled in answer.settled {
            assert_eq!(settled, SettleResult::Settled);
        }
        for claim in &answer.claims {
            let mut tasks = held.tasks.lock().unwrap();
            let is_alone = tasks.insert(claim.key.task_id().clone());
            assert!(is_alone, "{} is handled twice at once", claim.key);
        }
        let tickets: Vec<_> = answer.claims.iter().map(|claim| claim.ticket).collect();
        if tickets.is_empty() {
            if is_over.load(Ordering::SeqCst) {
                return;
            }
            store.wait(Duration::from_millis(50)).await.unwrap();
            continue;
        }
        let extended = store.extend(&tickets, LEASE).await.unwrap();
        assert!(extended.iter().all(|it| *it == ExtendResult::Extended));
        for claim in &answer.claims {
            held.tasks.lock().unwrap().remove(claim.key.task_id());
            let is_retried = fastrand::u8(..) < 20;
            let settlement = match is_retried {
                true => Settlement::Retry {
                    after: Duration::from_millis(1),
                    reason: "once more".to_owned(),
                },
                false => {
                    held.handled.fetch_add(1, Ordering::SeqCst);
                    Settlement::Done
                }
            };
            settlements.push((claim.ticket, settlement));
        }
    }
}

/// Fault case 12.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lock_of_someone_else_delays_only_the_task_that_it_is_on() {
    let Some(schema) = Schema::new().await else {
        return;
    };
    let store = schema.store().await;
    let deliveries = ["locked", "free"].map(|task| delivery(task, "text"));
    store.accept(&deliveries).await.unwrap();
    let mut client = connect(&schema.url).await;
    let transaction = client.transaction().await.unwrap();
    let lock = format!(
        "SELECT FROM {}.task WHERE id = 'locked' FOR UPDATE",
        schema.name
    );
    transaction.batch_execute(&lock).await.unwrap();
    let start = Instant::now();
    let free = store.accept(&[delivery("free", "complete")]).await;
    assert_eq!(free.unwrap(), [Acceptance::New]);
    let request = ClaimRequest::new(WorkerId(1), 1, LEASE, 9);
    let claims = store.claim(&request).await.unwrap().claims;
    let keys: Vec<_> = claims.iter().map(|claim| claim.key.to_string()).collect();
    assert_eq!(keys, ["free/text"]);
    assert!(
        start.elapsed() < Duration::from_secs(1),
        "{:?}",
        start.elapsed()
    );
    let locked = store.accept(&[delivery("locked", "complete")]).await;
    assert!(locked.unwrap_err().is_retryable());
    assert!(
        start.elapsed() < Duration::from_secs(10),
        "{:?}",
        start.elapsed()
    );
    transaction.rollback().await.unwrap();
    let locked = store.accept(&[delivery("locked", "complete")]).await;
    assert_eq!(locked.unwrap(), [Acceptance::New]);
}

/// Fault case 15.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bad_plans_claim_no_more_than_was_asked_for_and_nothing_twice() {
    let Some(schema) = Schema::new().await else {
        return;
    };
    let settings: [&[&str]; 4] = [
        &[
            "enable_indexscan = off",
            "enable_bitmapscan = off",
            "enable_indexonlyscan = off",
        ],
        &["enable_nestloop = off", "enable_sort = off"],
        &[
            "plan_cache_mode = force_custom_plan",
            "enable_material = off",
        ],
        &[
            "plan_cache_mode = force_generic_plan",
            "enable_hashagg = off",
        ],
    ];
    let mut number = 0;
    for (round, settings) in settings.iter().enumerate() {
        let url = schema.role_with(settings).await;
        let config = PostgresConfig::parse(&url).unwrap();
        let store = PostgresStore::connect(config.with_schema(&*schema.name)).await;
        let store = store.unwrap();
        let deliveries = (0..20).flat_map(|task| {
            let task = format!("t{round}-{task}");
            ["text", "complete"].map(|stage| delivery(&task, stage))
        });
        let deliveries: Vec<_> = deliveries.collect();
        store.accept(&deliveries).await.unwrap();
        let mut seen = HashSet::new();
        for _ in 0..4 {
            number += 1;
            let request = ClaimRequest::new(WorkerId(1), number, LEASE, 5);
            let claims = store.claim(&request).await.unwrap().claims;
            assert_eq!(claims.len(), 5, "{settings:?}");
            for claim in claims {
                assert!(seen.insert(claim.key.to_string()), "{settings:?}");
            }
        }
        let sql = "SELECT count(*) FROM {schema}.work WHERE state = 1";
        assert_eq!(
            schema.number(sql).await,
            20 * (round as i64 + 1),
            "{settings:?}"
        );
    }
    schema.drop_role().await;
}

/// Fault case 20.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn statements_that_someone_else_has_forgotten_are_prepared_again() {
    let Some(schema) = Schema::new().await else {
        return;
    };
    let store = schema.store().await;
    for round in 0..4 {
        let task = format!("t{round}");
        store.accept(&[delivery(&task, "text")]).await.unwrap();
        let request = ClaimRequest::new(WorkerId(1), round, LEASE, 1);
        assert_eq!(store.claim(&request).await.unwrap().claims.len(), 1);
        assert_eq!(
            store.find(&TaskId::new(task).unwrap()).await.unwrap().len(),
            1
        );
        // New columns are what a later version adds while this one runs.
        schema
            .run(&format!(
                "ALTER TABLE {{schema}}.event ADD COLUMN later{round} integer;
                 ALTER TABLE {{schema}}.work ADD COLUMN later{round} integer"
            ))
            .await;
    }
    assert_eq!(store.counts().await.unwrap().claimed, 4);
}

/// Fault case 23.
#[tokio::test]
async fn what_is_unusual_is_stored_as_it_is() {
    let Some(schema) = Schema::new().await else {
        return;
    };
    let store = schema.store().await;
    schema
        .run("SELECT setval('{schema}.numbers', 9223372036854775000)")
        .await;
    let stage = r"a\u0000\\b";
    let odd = format!(r#"{{"code":200,"data":{{"callbackType":"{stage}","task_id":"t"}}}}"#);
    let received_at = "2026-11-28T12:00:00Z".parse().unwrap();
    let decode = |body: Vec<u8>| Delivery::decode(body.into(), received_at);
    let deliveries = [
        decode(odd.into_bytes()),
        decode(Vec::new()),
        decode(vec![0; 1 << 20]),
    ];
    let accepted = store.accept(&deliveries).await.unwrap();
    let expected = [
        Acceptance::New,
        Acceptance::Quarantined,
        Acceptance::Quarantined,
    ];
    assert_eq!(accepted, expected);
    let request = ClaimRequest::new(WorkerId(u64::MAX), u64::MAX, LEASE, 1);
    let claim = store.claim(&request).await.unwrap().claims.remove(0);
    assert_eq!(claim.key.stage().as_str(), "a\0\\b");
    assert_eq!(claim.raw, deliveries[0].raw);
    // The epoch and the attempts reach the ends of their numbers.
    schema
        .run(
            "UPDATE {schema}.work SET epoch = 4294967294, attempts = 4294967294,
                at = {schema}.clock() - 1, due = {schema}.clock() - 1",
        )
        .await;
    let request = ClaimRequest::new(WorkerId(2), 1, LEASE, 1);
    let claim = store.claim(&request).await.unwrap().claims.remove(0);
    assert_eq!((claim.ticket.epoch, claim.attempt), (u32::MAX, u32::MAX));
    let dead = Settlement::Dead {
        cause: suno_callback::DeadCause::GivenUp,
        reason: "zero\0byte".to_owned(),
    };
    let request = ClaimRequest::new(WorkerId(2), 2, LEASE, 0);
    let request = request.with_settlements(vec![(claim.ticket, dead)]);
    assert_eq!(
        store.claim(&request).await.unwrap().settled,
        [SettleResult::Settled]
    );
    let filter = suno_callback::EventFilter::in_state(StateName::Dead);
    let dead = store
        .list(&suno_callback::ListRequest::first(9, filter))
        .await;
    assert_eq!(dead.unwrap().records.len(), 1);
    let kept = store.quarantine(None, 9).await.unwrap().records;
    let sizes: Vec<_> = kept.iter().map(|entry| entry.raw.len()).collect();
    assert_eq!(sizes, [0, 1 << 20]);
}

#[tokio::test]
async fn a_worker_that_has_just_found_nothing_is_woken_by_another_process() {
    let Some(schema) = Schema::new().await else {
        return;
    };
    let (one, other) = (schema.store().await, schema.store().await);
    let mut waits = Vec::new();
    for number in 0..9_u64 {
        let request = ClaimRequest::new(WorkerId(1), 2 * number + 1, LEASE, 9);
        assert!(one.claim(&request).await.unwrap().claims.is_empty());
        let delivery = [delivery(&format!("woken-{number}"), "text")];
        let begun = Instant::now();
        let (waited, accepted) =
            tokio::join!(one.wait(Duration::from_secs(5)), other.accept(&delivery));
        waited.unwrap();
        accepted.unwrap();
        waits.push(begun.elapsed());
        let request = ClaimRequest::new(WorkerId(1), 2 * number + 2, LEASE, 9);
        assert_eq!(one.claim(&request).await.unwrap().claims.len(), 1);
    }
    waits.sort_unstable();
    // Without a notification, it would look again after a second.
    assert!(waits[4] < Duration::from_millis(500), "{waits:?}");
}
