//! Followers of events whose transactions end in another order than they began.

use std::time::Duration;

use suno_callback::{
    EventId, FollowCursor, Follower, Horizon, IdempotencyStore, Search, SystemClock,
};

use crate::server::{Schema, connect, delivery};

async fn look(follower: &mut Follower, store: &dyn IdempotencyStore) -> Vec<String> {
    let horizon = Horizon::default();
    let mut tasks = Vec::new();
    let late = follower.late(store, &horizon, &SystemClock, None).await;
    let next = follower.next(store, &horizon, &SystemClock, 100).await;
    for found in [late, next] {
        let records = found.unwrap().records.into_iter();
        tasks.extend(records.map(|event| event.key.task_id().to_string()));
    }
    tasks
}

/// A delivery that is quarantined waits for others that are, after the numbers of its slice were drawn.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_whose_transaction_was_open_is_found_after_those_with_greater_numbers() {
    let Some(schema) = Schema::new().await else {
        return;
    };
    let store = schema.store().await;
    store
        .accept(&[delivery("before", "complete")])
        .await
        .unwrap();
    let mut other = connect(&schema.url).await;
    let lock = format!(
        "SELECT FROM {}.mark WHERE name = 'quarantine' FOR UPDATE",
        schema.name
    );
    let open = other.transaction().await.unwrap();
    open.batch_execute(&lock).await.unwrap();
    let broken =
        suno_callback::Delivery::decode("{".into(), suno_callback::jiff::Timestamp::UNIX_EPOCH);
    let slice = [delivery("late", "complete"), broken];
    let accepting = tokio::spawn({
        let store = store.clone();
        async move { store.accept(&slice).await.unwrap() }
    });
    let waiting = "SELECT count(*) FROM pg_stat_activity
        WHERE wait_event_type = 'Lock' AND query LIKE '%{schema}%mark%'";
    while schema.number(waiting).await == 0 {
        assert!(!accepting.is_finished(), "nothing waited for the lock");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    store
        .accept(&[delivery("after", "complete")])
        .await
        .unwrap();
    let mut follower = Follower::new(FollowCursor::default(), Search::default());
    assert_eq!(look(&mut follower, &store).await, ["before", "after"]);
    let cursor = follower.cursor();
    assert!(cursor.through() < cursor.last(), "{cursor}");
    open.commit().await.unwrap();
    accepting.await.unwrap();
    assert_eq!(look(&mut follower, &store).await, ["late"]);
    let mut back = Follower::new(FollowCursor::after(cursor.through()), Search::default());
    assert_eq!(look(&mut back, &store).await, ["late", "after"]);
    // The number of the quarantined delivery is missing, and that of nothing before.
    assert!(back.cursor().through() > EventId(1));
}
