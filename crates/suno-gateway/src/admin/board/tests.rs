use std::sync::Arc;

use bytes::Bytes;
use jiff::Timestamp;
use suno_callback::{
    ClaimRequest, DeadCause, Delivery, DueRequest, DueTask, ExpectedTask, Intent, MemoryStore,
    Observer, PollState, Postponement, Reference, Settlement, StateName, SubmitId, WorkerId,
};
use suno_testkit::clock::HandClock;
use suno_types::{Product, Route, TaskKind};

use super::*;

const SECOND: Duration = Duration::from_secs(1);

struct Scene {
    clock: HandClock,
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
        let clock = HandClock::at_millis(1_764_374_400_000);
        Self {
            store: Arc::new(MemoryStore::with_clock(clock.clone())),
            feed: Feed::new(),
            board: Board::new(&clock),
            clock,
        }
    }

    /// Submits a task: its callbacks are expected, and it is due after 180 s.
    async fn submit(&self, number: u8, task: &str) {
        let submit = SubmitId::from_bytes([number; 16]);
        let reference = Reference::new(format!("order-{number}")).unwrap();
        let kind = TaskKind::new(Route::Direct, Product::LYRICS);
        let intent = Intent::new(submit, self.clock.now(), 180 * SECOND)
            .with_reference(Some(reference))
            .with_kind(kind.clone());
        self.store.intend(&intent).await.unwrap();
        let task = ExpectedTask::new(TaskId::new(task).unwrap(), 180 * SECOND)
            .with_submit(submit)
            .with_kind(kind);
        self.store.expect(&task).await.unwrap();
    }

    async fn take_due(&self) -> DueTask {
        let due = self.store.due(&DueRequest::new(60 * SECOND, 9)).await;
        let [due] = <[DueTask; 1]>::try_from(due.unwrap().tasks).unwrap();
        due
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
            .answer(&question, &*self.store, &self.feed, &self.clock);
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

#[tokio::test]
async fn a_state_that_another_process_changes_is_seen_a_little_later() {
    let scene = Scene::new();
    scene.accept("a", "complete", "Song").await;
    let before = scene.page(Filter::default(), None, 50).await;
    scene.bury_all().await;
    scene.clock.step(OPEN_INTERVAL);
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
        let answer = other.answer(&question, &*scene.store, &scene.feed, &scene.clock);
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
        let received_at = Timestamp::from_microsecond(number).unwrap();
        let event = EventRecord::new(EventId(number), key, code, received_at);
        let recorded = RecordedTask::new(event.key.task_id().clone());
        Row::of(&[event], &recorded, received_at).unwrap()
    };
    let most = i64::try_from(Index::TASKS_MAX).unwrap();
    for number in 0..most + 10 {
        index.put(&format!("t{number}"), row(number), true);
    }
    let all = index.select(&Filter::default(), None, usize::MAX);
    assert_eq!(all.total, Index::TASKS_MAX);
    assert_eq!(&**all.tasks.last().unwrap(), "t10");
    assert!(index.takes(most + 10) && !index.takes(9));
}

#[tokio::test]
async fn a_task_is_listed_from_its_submit_on_and_stays_where_it_is() {
    let scene = Scene::new();
    let submitted_at = scene.clock.now().to_string();
    scene.submit(1, "a").await;
    scene.clock.step(SECOND);
    scene.submit(2, "b").await;
    let page = scene.page(Filter::default(), None, 50).await;
    assert_eq!(ids(&page), ["b", "a"]);
    let row = &page["tasks"][1];
    let due_at = "2025-11-29T00:03:00Z";
    assert_eq!(submitted_at, "2025-11-29T00:00:00Z");
    for (member, expected) in [
        ("order", json!("1764374400000000")),
        ("state", json!("expected")),
        ("stages", json!([])),
        ("submitted_at", json!(submitted_at)),
        ("first_at", json!(submitted_at)),
        ("latest_at", json!(submitted_at)),
        ("due_at", json!(due_at)),
        ("reference", json!("order-1")),
        ("product", json!("lyrics")),
        ("needs_person", json!(false)),
    ] {
        assert_eq!(row[member], expected, "{member}");
    }
    scene.clock.step(30 * SECOND);
    scene.accept("a", "text", "Song").await;
    let changed = scene.changes(&page).await;
    assert_eq!(ids(&changed), ["a"]);
    let row = &changed["tasks"][0];
    assert_eq!(
        (&row["state"], &row["due_at"]),
        (&json!("ready"), &json!(due_at))
    );
    assert_eq!(row["order"], "1764374400000000");
    // It has ended, so that no request is due.
    scene.accept("a", "complete", "Song").await;
    let page = scene.page(Filter::default(), None, 50).await;
    assert_eq!(ids(&page), ["b", "a"]);
    assert_eq!(page["tasks"][1]["due_at"], Value::Null);
    // Another process puts it at the same place.
    let other = Scene::new();
    let other = Scene {
        store: scene.store,
        clock: scene.clock,
        ..other
    };
    let again = other.page(Filter::default(), None, 50).await;
    assert_eq!(again["tasks"], page["tasks"]);
}

#[tokio::test]
async fn a_task_whose_submit_was_not_recorded_stays_where_it_is_as_well() {
    let scene = Scene::new();
    scene.submit(1, "old").await;
    scene.clock.step(SECOND);
    let task = ExpectedTask::new(TaskId::new("a").unwrap(), 180 * SECOND);
    scene.store.expect(&task).await.unwrap();
    let page = scene.page(Filter::default(), None, 50).await;
    assert_eq!(ids(&page), ["a", "old"]);
    let first_at = page["tasks"][0]["first_at"].clone();
    assert_eq!(first_at, scene.clock.now().to_string());
    assert_eq!(page["tasks"][0]["submitted_at"], Value::Null);
    // Received long before, by the clock of another machine.
    scene.accept("a", "text", "Song").await;
    let page = scene.page(Filter::default(), None, 50).await;
    assert_eq!(ids(&page), ["a", "old"]);
    assert_eq!(page["tasks"][0]["first_at"], "1970-01-01T00:00:00Z");
}

#[tokio::test]
async fn tasks_that_became_known_at_the_same_time_are_on_one_page_each_while_others_come() {
    let scene = Scene::new();
    for number in 0..6 {
        scene.submit(number, &format!("t{number}")).await;
    }
    let (mut seen, mut before) = (Vec::new(), None);
    for number in 6..9 {
        let page = scene.page(Filter::default(), before, 2).await;
        seen.extend(ids(&page).into_iter().map(str::to_owned));
        before = page["next"].as_str().map(|next| next.parse().unwrap());
        // New ones, of the same time and of a later one, and an event of one that is known.
        scene.submit(number, &format!("t{number}")).await;
        scene.board.note_submit();
        scene.accept("t3", "text", "Song").await;
        scene.clock.step(SECOND);
    }
    assert_eq!(
        (seen, before),
        (
            ["t5", "t4", "t3", "t2", "t1", "t0"]
                .map(str::to_owned)
                .into(),
            None
        )
    );
}

#[tokio::test]
async fn a_submit_is_seen_at_once_if_this_process_sent_it_and_else_a_little_later() {
    let scene = Scene::new();
    let before = scene.page(Filter::default(), None, 50).await;
    scene.submit(1, "a").await;
    assert!(ids(&scene.changes(&before).await).is_empty());
    scene.board.note_submit();
    let changed = scene.changes(&before).await;
    assert_eq!(ids(&changed), ["a"]);
    scene.submit(2, "b").await;
    assert!(ids(&scene.changes(&changed).await).is_empty());
    scene.clock.step(OPEN_INTERVAL);
    assert_eq!(ids(&scene.changes(&changed).await), ["b"]);
}

#[tokio::test]
async fn the_time_of_the_next_poll_changes_only_when_it_was_postponed() {
    let scene = Scene::new();
    scene.submit(1, "a").await;
    let mut last = scene.page(Filter::default(), None, 50).await;
    for _ in 0..3 {
        // The two clocks drift apart by a little.
        scene.clock.step(OPEN_INTERVAL);
        last = scene.changes(&last).await;
        assert!(ids(&last).is_empty());
    }
    scene.clock.step(180 * SECOND);
    let taken = scene.take_due().await;
    let asked = scene.changes(&last).await;
    assert_eq!(asked["tasks"][0]["due_at"], scene.clock.now().to_string());
    let postponement = Postponement::answered(30 * SECOND);
    scene
        .store
        .postpone(&taken.ticket, postponement)
        .await
        .unwrap();
    scene.clock.step(OPEN_INTERVAL);
    let later = scene.changes(&asked).await;
    assert_eq!(later["tasks"][0]["due_at"], "2025-11-29T00:03:36Z");
}

#[tokio::test]
async fn a_task_that_is_given_up_without_an_event_leaves_the_list_and_readers_learn_that() {
    let scene = Scene::new();
    scene.submit(1, "a").await;
    scene.accept("b", "text", "Song").await;
    let page = scene.page(Filter::default(), None, 50).await;
    assert_eq!(page["total"], 2);
    scene.clock.step(180 * SECOND);
    let taken = scene.take_due().await;
    scene.store.finish(&taken.ticket).await.unwrap();
    let changed = scene.changes(&page).await;
    assert_eq!((ids(&changed), &changed["resync"]), (vec![], &json!(true)));
    let page = scene.page(Filter::default(), None, 50).await;
    assert_eq!(ids(&page), ["b"]);
    assert_eq!(scene.changes(&page).await["resync"], false);
}

#[tokio::test]
async fn a_task_that_is_not_among_the_latest_is_looked_at_when_it_is_due() {
    let scene = Scene::new();
    scene.submit(1, "old").await;
    for number in 0..EXPECTED_MAX {
        let id = TaskId::new(format!("t{number}")).unwrap();
        let task = ExpectedTask::new(id, 900 * SECOND);
        scene.store.expect(&task).await.unwrap();
    }
    let page = scene.page(Filter::default(), None, 1).await;
    assert_eq!(page["total"], EXPECTED_MAX + 1);
    scene.clock.step(180 * SECOND);
    let taken = scene.take_due().await;
    let later = Postponement::answered(30 * SECOND);
    scene.store.postpone(&taken.ticket, later).await.unwrap();
    let changed = scene.changes(&page).await;
    let rows = changed["tasks"].as_array().unwrap();
    let old = rows.iter().find(|row| row["task_id"] == "old").unwrap();
    assert_eq!(old["due_at"], "2025-11-29T00:03:30Z");
}

#[tokio::test]
async fn expected_tasks_are_found_by_state_id_reference_and_product() {
    let scene = Scene::new();
    scene.submit(1, "first-one").await;
    scene.submit(2, "second").await;
    scene.accept("second", "text", "Song").await;
    let with = |change: fn(&mut Filter)| {
        let mut filter = Filter::default();
        change(&mut filter);
        filter
    };
    for (filter, expected) in [
        (with(|filter| filter.is_expected = true), vec!["first-one"]),
        (
            with(|filter| filter.text = Some("first".into())),
            vec!["first-one"],
        ),
        (
            with(|filter| filter.text = Some("order-1".into())),
            vec!["first-one"],
        ),
        (
            with(|filter| filter.product = Some("lyrics".into())),
            vec!["first-one"],
        ),
        (
            with(|filter| filter.state = Some(StateName::Ready)),
            vec!["second"],
        ),
        (with(|filter| filter.needs_person = true), vec![]),
    ] {
        let page = scene.page(filter.clone(), None, 50).await;
        assert_eq!(ids(&page), expected, "{filter:?}");
    }
}

#[test]
fn a_time_that_two_clocks_measure_stays_and_another_one_does_not() {
    let task = TaskId::new("t").unwrap();
    let now = Timestamp::from_second(1_764_374_400).unwrap();
    let row = |due_in: Duration, now: Timestamp| {
        let poll = PollState::Waiting { due_in };
        let age = Duration::ZERO;
        let mut recorded = RecordedTask::new(task.clone());
        recorded.expectation = Some(suno_callback::Expectation::new(1, age, poll));
        Row::of(&[], &recorded, now).unwrap()
    };
    let former = row(60 * SECOND, now);
    for (step, is_kept) in [(SECOND / 2, true), (3 * SECOND, false)] {
        let mut row = row(60 * SECOND, now + step);
        row.continue_from(&former);
        assert_eq!(row == former, is_kept, "{step:?}");
    }
}
