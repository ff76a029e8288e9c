//! Purges beside receivers.

use std::time::Duration;

use suno_callback::{
    Acceptance, ClaimRequest, IdempotencyStore, PurgeRequest, Settlement, WorkerId,
};

use crate::many::{expect_whole, rounds};
use crate::server::{LEASE, Schema, delivery};

/// A task is deleted with its last event, while the same delivery, or another stage, comes again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_delivery_that_arrives_while_its_task_is_purged_is_not_lost() {
    let Some(schema) = Schema::new().await else {
        return;
    };
    let stores = [schema.store().await, schema.store().await];
    let mut purge = PurgeRequest::default();
    (purge.keys_after, purge.bodies_after) = (Duration::ZERO, Duration::ZERO);
    let mut number = 0;
    for round in 0..rounds(60) {
        let task = format!("t{}", round % 3);
        let mut request = |settlements: Vec<_>, events_max| {
            number += 1;
            ClaimRequest::new(WorkerId(1), number, LEASE, events_max).with_settlements(settlements)
        };
        stores[0]
            .accept(&[delivery(&task, "complete")])
            .await
            .unwrap();
        let claims = stores[0]
            .claim(&request(Vec::new(), 9))
            .await
            .unwrap()
            .claims;
        let done = claims.iter().map(|claim| (claim.ticket, Settlement::Done));
        let done = request(done.collect(), 0);
        stores[0].claim(&done).await.unwrap();
        let stage = ["complete", "failed"][round % 2];
        let again = [delivery(&task, stage)];
        let (accepted, purged) = tokio::join!(stores[0].accept(&again), stores[1].purge(&purge));
        let (accepted, purged) = (accepted.unwrap()[0], purged.unwrap());
        let claims = stores[0]
            .claim(&request(Vec::new(), 9))
            .await
            .unwrap()
            .claims;
        let is_new = accepted == Acceptance::New;
        assert_eq!(claims.len(), usize::from(is_new), "{accepted:?} {purged:?}");
        let done = claims.iter().map(|claim| (claim.ticket, Settlement::Done));
        let done = request(done.collect(), 0);
        stores[0].claim(&done).await.unwrap();
        let orphans = "SELECT count(*) FROM {schema}.event e
            WHERE NOT EXISTS (SELECT FROM {schema}.task t WHERE t.no = e.task_no)";
        assert_eq!(schema.number(orphans).await, 0);
    }
    expect_whole(&schema).await;
    while stores[1].purge(&purge).await.unwrap().more {}
    assert_eq!(
        stores[1].counts().await.unwrap(),
        suno_callback::Counts::default()
    );
    for table in ["task", "event", "body", "conflict", "past", "work"] {
        let sql = format!("SELECT count(*) FROM {{schema}}.{table}");
        assert_eq!(schema.number(&sql).await, 0, "{table}");
    }
}
