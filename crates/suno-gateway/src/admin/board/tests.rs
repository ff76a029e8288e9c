use std::sync::Arc;

use bytes::Bytes;
use jiff::Timestamp;
use suno_callback::{
    ClaimRequest, DeadCause, Delivery, MemoryStore, Observer, Settlement, StateName, SystemClock,
    WorkerId,
};

use super::*;

struct Scene {
    store: Arc<MemoryStore>,
    feed: Feed,
    board: Board,
}

fn body(task: &str, word: &str, title: &str) -> Bytes {
    let body = json!({
        "code": 200,
        "data": {"callbackType": word, "task_id": task, "data": [{"id": "a", "title": title, "tags": "folk"}]},
    });
    body.to_string().into()
}

impl Scene {
    fn new() -> Self {
        Self {
            store: Arc::new(MemoryStore::new()),
            feed: Feed::new(),
            board: Board::new(&SystemClock),
        }
    }

    async fn accept(&self, task: &str, word: &str, title: &str) {
        let delivery = Delivery::decode(body(task, word, title), Timestamp::UNIX_EPOCH);
        self.store.accept(&[delivery]).await.unwrap();
    }

    async fn bury_all(&self) {
        let claim = ClaimRequest::new(WorkerId(1), 1, Duration::from_secs(60), 100);
        let claims = self.store.claim(&claim).await.unwrap().claims;
        let dead = Settlement::Dead {
            cause: DeadCause::GivenUp,
            reason: "why".to_owned(),
        };
        let dead = claims.iter().map(|claim| (claim.ticket, dead.clone()));
        let settle = ClaimRequest::new(WorkerId(1), 2, Duration::from_secs(60), 0);
        let settle = settle.with_settlements(dead.collect());
        self.store.claim(&settle).await.unwrap();
    }

    async fn ask(&self, question: Question) -> Value {
        let answer = self
            .board
            .answer(&question, &*self.store, &self.feed, &SystemClock);
        answer.await.unwrap()
    }

    async fn page(&self, filter: Filter, before: Option<i64>, rows_max: usize) -> Value {
        self.ask(Question::Page {
            filter,
            before,
            rows_max,
        })
        .await
    }

    async fn changes(&self, after: &Value) -> Value {
        self.ask(Question::Changes {
            after: after["version"].as_str().unwrap().to_owned(),
            rows_max: 500,
        })
        .await
    }
}

fn ids(answer: &Value) -> Vec<&str> {
    let tasks = answer["tasks"].as_array().unwrap();
    tasks
        .iter()
        .map(|row| row["task_id"].as_str().unwrap())
        .collect()
}

#[tokio::test]
async fn tasks_are_listed_newest_first_page_by_page_with_what_their_bodies_say() {
    let scene = Scene::new();
    for task in ["a", "b", "c"] {
        scene.accept(task, "text", &format!("Song {task}")).await;
    }
    scene.accept("a", "complete", "Song a, at last").await;
    let first = scene.page(Filter::default(), None, 2).await;
    assert_eq!(ids(&first), ["c", "b"]);
    assert_eq!(
        (&first["total"], &first["needs_person"]),
        (&json!(3), &json!(0))
    );
    let before = first["next"].as_str().unwrap().parse().unwrap();
    let second = scene.page(Filter::default(), Some(before), 2).await;
    assert_eq!((ids(&second), &second["next"]), (vec!["a"], &Value::Null));
    assert_eq!(second["tasks"][0]["title"], "Song a, at last");
    assert_eq!(second["tasks"][0]["stages"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn what_changes_is_listed_once_and_what_stays_is_not() {
    let scene = Scene::new();
    scene.accept("a", "text", "Song").await;
    let before = scene.page(Filter::default(), None, 50).await;
    assert!(ids(&scene.changes(&before).await).is_empty());
    scene.accept("a", "first", "Song").await;
    scene.accept("b", "text", "Song").await;
    let changed = scene.changes(&before).await;
    let mut tasks = ids(&changed);
    tasks.sort_unstable();
    assert_eq!(tasks, ["a", "b"]);
    assert!(ids(&scene.changes(&changed).await).is_empty());
}

#[tokio::test]
async fn a_conflict_with_a_settled_task_is_seen_at_once() {
    let scene = Scene::new();
    scene.accept("a", "complete", "Song").await;
    scene.page(Filter::default(), None, 50).await;
    scene.bury_all().await;
    let before = scene.page(Filter::default(), None, 50).await;
    let other = body("a", "complete", "Song");
    let other = String::from_utf8(other.to_vec()).unwrap();
    let other = other.replace(r#""id":"a""#, r#""id":"b""#);
    let other = Delivery::decode(other.into(), Timestamp::UNIX_EPOCH);
    let accepted = scene
        .store
        .accept(std::slice::from_ref(&other))
        .await
        .unwrap();
    scene.feed.on_delivery(&other, accepted[0]);
    let changed = scene.changes(&before).await;
    assert_eq!(
        (ids(&changed), &changed["tasks"][0]["conflicts"]),
        (vec!["a"], &json!(1))
    );
}

#[tokio::test(start_paused = true)]
async fn a_state_that_another_process_changes_is_seen_a_little_later() {
    let scene = Scene::new();
    scene.accept("a", "complete", "Song").await;
    let before = scene.page(Filter::default(), None, 50).await;
    scene.bury_all().await;
    tokio::time::advance(OPEN_INTERVAL).await;
    let changed = scene.changes(&before).await;
    assert_eq!(changed["tasks"][0]["state"], "dead");
    assert_eq!(changed["needs_person"], 1);
}

#[tokio::test]
async fn a_version_of_another_process_asks_for_a_new_list() {
    let (scene, other) = (Scene::new(), Scene::new());
    scene.accept("a", "text", "Song").await;
    let page = scene.page(Filter::default(), None, 50).await;
    let other = Board {
        epoch: scene.board.epoch + 1,
        ..other.board
    };
    for after in [page["version"].as_str().unwrap(), "", "1", "x.y"] {
        let question = Question::Changes {
            after: after.to_owned(),
            rows_max: 500,
        };
        let answer = other.answer(&question, &*scene.store, &scene.feed, &SystemClock);
        assert_eq!(answer.await.unwrap()["resync"], true, "{after}");
    }
}

#[tokio::test]
async fn tasks_are_found_by_text_state_product_and_need() {
    let scene = Scene::new();
    scene.accept("a", "complete", "Ünder the Bridge").await;
    scene.page(Filter::default(), None, 50).await;
    scene.bury_all().await;
    scene.accept("b", "complete", "Harbour").await;
    let filter = |change: fn(&mut Filter)| {
        let mut filter = Filter::default();
        change(&mut filter);
        filter
    };
    for (filter, expected) in [
        (
            filter(|filter| filter.text = Some("ünder".into())),
            vec!["a"],
        ),
        (
            filter(|filter| filter.text = Some("folk".into())),
            vec!["b", "a"],
        ),
        (filter(|filter| filter.text = Some("none".into())), vec![]),
        (
            filter(|filter| filter.product = Some("lyrics".into())),
            vec![],
        ),
    ] {
        scene.page(Filter::default(), None, 50).await;
        assert_eq!(ids(&scene.page(filter, None, 50).await), expected);
    }
    let scene = Scene::new();
    scene.accept("a", "complete", "Song").await;
    scene.bury_all().await;
    scene.accept("b", "complete", "Song").await;
    for (filter, expected) in [
        (filter(|filter| filter.needs_person = true), vec!["a"]),
        (
            filter(|filter| filter.state = Some(StateName::Ready)),
            vec!["b"],
        ),
    ] {
        assert_eq!(ids(&scene.page(filter, None, 50).await), expected);
    }
}

#[test]
fn the_number_of_rows_is_bounded_and_the_oldest_go() {
    let mut index = Index::default();
    let row = |number: i64| {
        let task = TaskId::new(format!("t{number}")).unwrap();
        let key = suno_callback::EventKey::new(task, suno_types::Stage::Text);
        let code = suno_types::Code(200);
        let event = EventRecord::new(EventId(number), key, code, Timestamp::UNIX_EPOCH);
        Row::of(&[event]).unwrap()
    };
    let most = i64::try_from(Index::TASKS_MAX).unwrap();
    for number in 0..most + 10 {
        index.put(&format!("t{number}"), row(number), true);
    }
    let all = index.select(&Filter::default(), None, usize::MAX);
    assert_eq!(all.total, Index::TASKS_MAX);
    assert_eq!(&**all.tasks.last().unwrap(), "t10");
}
