//! The end of an event in a transaction of the handler's own.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use suno_callback::{ClaimRequest, IdempotencyStore, SettleResult, Settlement, Ticket, WorkerId};
use suno_store_sqlite::rusqlite::Connection;
use suno_store_sqlite::{SqliteStore, begin, settle_in};

use crate::two_processes::delivery;

struct Scene {
    _dir: tempfile::TempDir,
    path: PathBuf,
    store: Arc<SqliteStore>,
}

impl Scene {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("suno.db");
        let store = Arc::new(SqliteStore::open(&path).unwrap());
        let songs = "CREATE TABLE songs (task_id TEXT)";
        Connection::open(&path).unwrap().execute(songs, ()).unwrap();
        let _dir = dir;
        Self { _dir, path, store }
    }

    async fn claim(
        &self,
        number: u64,
        settlements: Vec<(Ticket, Settlement)>,
    ) -> suno_callback::Claims {
        let request = ClaimRequest::new(WorkerId(1), number, Duration::from_secs(60), 9)
            .with_settlements(settlements);
        self.store.claim(&request).await.unwrap()
    }

    async fn claim_one(&self, task: usize) -> Ticket {
        self.store.accept(&[delivery(task)]).await.unwrap();
        self.claim(task as u64, Vec::new()).await.claims[0].ticket
    }

    /// Writes a song and settles its event, as a handler does; commits if `commits`.
    fn handle(&self, ticket: &Ticket, commits: bool) -> SettleResult {
        let mut connection = Connection::open(&self.path).unwrap();
        let transaction = begin(&mut connection).unwrap();
        let song = "INSERT INTO songs VALUES ('t')";
        transaction.execute(song, ()).unwrap();
        let settled = settle_in(&transaction, ticket).unwrap();
        if commits && settled == SettleResult::Settled {
            transaction.commit().unwrap();
        }
        settled
    }

    fn songs(&self) -> i64 {
        let connection = Connection::open(&self.path).unwrap();
        let count = "SELECT count(*) FROM songs";
        connection.query_row(count, (), |row| row.get(0)).unwrap()
    }
}

#[tokio::test]
async fn a_row_of_the_handler_and_the_end_of_the_event_are_one_commit() {
    let scene = Scene::new();
    let ticket = scene.claim_one(1).await;
    assert_eq!(scene.handle(&ticket, true), SettleResult::Settled);
    assert_eq!(scene.store.counts().await.unwrap().done, 1);
    // Once more, as after an answer that got lost: nothing is written twice.
    assert_eq!(scene.handle(&ticket, true), SettleResult::AlreadySettled);
    assert_eq!(scene.songs(), 1);
    // What the dispatcher settles afterwards changes nothing.
    let again = scene.claim(2, vec![(ticket, Settlement::Done)]).await;
    assert_eq!(again.settled, [SettleResult::AlreadySettled]);
    assert!(again.claims.is_empty());
}

#[tokio::test]
async fn a_transaction_that_is_rolled_back_leaves_the_event_claimed() {
    let scene = Scene::new();
    let ticket = scene.claim_one(1).await;
    assert_eq!(scene.handle(&ticket, false), SettleResult::Settled);
    assert_eq!(
        (scene.songs(), scene.store.counts().await.unwrap().claimed),
        (0, 1)
    );
    assert_eq!(scene.handle(&ticket, true), SettleResult::Settled);
    assert_eq!(
        (scene.songs(), scene.store.counts().await.unwrap().done),
        (1, 1)
    );
}

#[tokio::test]
async fn a_ticket_of_an_earlier_claim_writes_nothing() {
    let scene = Scene::new();
    let mut ticket = scene.claim_one(1).await;
    ticket.epoch += 1;
    assert_eq!(scene.handle(&ticket, true), SettleResult::Lost);
    assert_eq!(scene.songs(), 0);
}
