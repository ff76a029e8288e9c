//! Events: pages, filters, redriving and replaying.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use serde_json::json;
use suno_callback::history::{History, HistoryEntry, HistoryKind, MemoryHistory};
use suno_callback::jiff::Timestamp;
use suno_callback::{CallbackHandler, Delivery, Event, HandlerError, IdempotencyStore, Settlement};
use suno_gateway::admin::Admin;
use suno_gateway::body::Message;
use suno_gateway::breaker::BreakerState;
use suno_gateway::destination::DestinationName;
use suno_gateway::forward::ForwardHandler;
use suno_gateway::{Delivered, Destination};

use suno_testkit::late::LateStore;
use suno_testkit::wrapper::Wrapped;
use suno_types::{Stage, TaskId};

use super::{Running, accept, dead, now, settle_all, store};
use crate::consumer::{Consumer, status};
use crate::forward::{handler, name};
use crate::scene::TASK;

#[tokio::test]
async fn pages_continue_from_their_cursor_and_filters_hold() {
    let store = store();
    for number in 0..7 {
        accept(&*store, &format!("task{number}"), "complete").await;
    }
    settle_all(&*store, dead()).await;
    accept(&*store, "task7", "text").await;
    let running = Running::start(Admin::new(store)).await;
    let ids = async |query: &str| {
        let answer = running.get(&format!("/v1/events?{query}")).await;
        assert_eq!(answer.status, 200, "{query}: {}", answer.body);
        let page = answer.json();
        let events = page["events"].as_array().unwrap().clone();
        let tasks = events
            .iter()
            .map(|event| event["task_id"].as_str().unwrap());
        let tasks = tasks
            .map(|task| task[4..].parse::<u32>().unwrap())
            .collect::<Vec<_>>();
        let cursor = page["cursor"].as_str().unwrap_or_default().to_owned();
        (tasks, cursor, page["more"].as_bool().unwrap())
    };
    let (mut all, mut cursor, mut has_more) = ids("limit=3").await;
    while has_more {
        let (tasks, next, more) = ids(&format!("limit=3&after={cursor}")).await;
        all.extend(tasks);
        (cursor, has_more) = (next, more);
    }
    assert_eq!(all, (0..8).collect::<Vec<_>>());
    // The cursor of the end is where later events begin.
    assert_eq!(
        ids(&format!("after={cursor}")).await,
        (vec![], cursor.clone(), false)
    );
    assert_eq!(ids("state=ready").await.0, [7]);
    assert_eq!(ids("state=dead&limit=2").await.0, [0, 1]);
    assert_eq!(ids("stage=text").await.0, [7]);
    assert_eq!(ids("task=task3").await.0, [3]);
    assert_eq!(ids("task=task3&state=ready").await.0, Vec::<u32>::new());
    assert_eq!(ids("code=200&limit=500").await.0.len(), 8);
    assert_eq!(ids("code=501").await.0, Vec::<u32>::new());
    assert_eq!(ids("product=lyrics").await.0, Vec::<u32>::new());
    assert_eq!(ids("until=2020-01-01T00:00:00Z").await.0, Vec::<u32>::new());
    assert_eq!(ids("since=2020-01-01T00:00:00Z&limit=500").await.0.len(), 8);
    running.stop().await;
}

#[tokio::test]
async fn pages_end_and_who_returns_finds_what_became_visible_late() {
    let store = Arc::new(Wrapped(LateStore::default()));
    store.hide(2);
    for task in ["a", "b", "c", "d"] {
        accept(&*store, task, "complete").await;
    }
    let running = Running::start(Admin::new(store.clone())).await;
    let page = async |after: &str| {
        let path = format!("/v1/events?limit=1&after={after}");
        let page = running.get(&path).await.json();
        let ids = page["events"].as_array().unwrap().iter();
        let ids: Vec<_> = ids
            .map(|event| event["id"].as_str().unwrap().to_owned())
            .collect();
        let cursor = page["cursor"].as_str().unwrap().to_owned();
        (ids.join(","), cursor, page["more"].as_bool().unwrap())
    };
    let expect = |ids: &str, cursor: &str, more| (ids.to_owned(), cursor.to_owned(), more);
    assert_eq!(page("0").await, expect("1", "1", true));
    assert_eq!(page("1").await, expect("3", "1.3", true));
    assert_eq!(page("1.3").await, expect("4", "1", false));
    store.show(2);
    assert_eq!(page("1").await, expect("2", "2", true));
    assert_eq!(page("3").await, expect("4", "4", false));
    assert_eq!(
        running.get("/v1/events?after=3.1").await.problem(),
        "parameter"
    );
    assert_eq!(
        running.get("/v1/quarantine?after=1.3").await.problem(),
        "parameter"
    );
    running.stop().await;
}

#[tokio::test]
async fn an_event_is_shown_with_its_content_and_its_task() {
    let store = store();
    accept(&*store, TASK, "text").await;
    accept(&*store, TASK, "complete").await;
    let running = Running::start(Admin::new(store)).await;
    let list = running.get("/v1/events").await.json();
    let id = list["events"][1]["id"].as_str().unwrap().to_owned();
    let shown = running.get(&format!("/v1/events/{id}")).await.json();
    assert_eq!(shown["event"], list["events"][1]);
    assert_eq!(shown["event"]["message_id"], format!("{TASK}_complete_0"));
    assert_eq!(shown["content"]["tracks"][0]["title"], "Harbour");
    assert_eq!(shown["task"], json!([list["events"][0]]));
    assert_eq!(shown["history"], json!(null));
    let task = running.get(&format!("/v1/tasks/{TASK}")).await.json();
    assert_eq!(task["events"].as_array().unwrap().len(), 2);
    for missing in ["/v1/events/99", "/v1/events/x", "/v1/tasks/unknown"] {
        assert_eq!(running.get(missing).await.problem(), "not-found");
    }
    running.stop().await;
}

#[tokio::test]
async fn the_history_of_an_event_is_shown_where_there_is_one() {
    let store = store();
    accept(&*store, TASK, "text").await;
    let history = Arc::new(MemoryHistory::new());
    let entry = |stage: &str, note: &str| {
        let task = TaskId::new(TASK).unwrap();
        HistoryEntry::new(task, HistoryKind::ATTEMPT, Timestamp::UNIX_EPOCH)
            .with_stage(Stage::from(stage), 0)
            .with_detail(&json!({"note": note}))
    };
    let entries = [entry("text", "own"), entry("complete", "of another event")];
    history.record(&entries).await.unwrap();
    let running = Running::start(Admin::new(store).with_history(history)).await;
    let list = running.get("/v1/events").await.json();
    let id = list["events"][0]["id"].as_str().unwrap();
    let shown = running.get(&format!("/v1/events/{id}")).await.json();
    let history = shown["history"].as_array().unwrap();
    assert_eq!(history.len(), 1);
    assert_eq!(history[0]["kind"], "attempt");
    assert_eq!(history[0]["detail"], json!({"note": "own"}));
    running.stop().await;
}

#[tokio::test]
async fn an_event_is_redriven_once_and_never_while_it_is_handled() {
    let store = store();
    accept(&*store, TASK, "complete").await;
    let running = Running::start(Admin::new(store.clone())).await;
    let list = running.get("/v1/events").await.json();
    let id = list["events"][0]["id"].as_str().unwrap().to_owned();
    let path = format!("/v1/events/{id}/redrive");
    let word = async || running.post(&path, "").await.problem();
    assert_eq!(word().await, "not-settled");
    settle_all(&*store, None).await;
    assert_eq!(running.post(&path, "").await.status, 409);

    let store = super::store();
    accept(&*store, TASK, "complete").await;
    settle_all(&*store, Some(Settlement::Done)).await;
    let running = Running::start(Admin::new(store.clone())).await;
    let (one, other) = tokio::join!(running.post(&path, "{}"), running.post(&path, "{}"));
    let mut statuses = [one.status, other.status];
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 409]);
    assert_eq!(store.counts().await.unwrap().ready, 1);
    assert_eq!(running.post("/v1/events/99/redrive", "").await.status, 404);
    running.stop().await;
}

#[tokio::test]
async fn a_superseded_event_is_redriven_only_if_that_is_asked_for() {
    let store = store();
    accept(&*store, TASK, "complete").await;
    accept(&*store, TASK, "text").await;
    settle_all(&*store, Some(Settlement::Done)).await;
    let running = Running::start(Admin::new(store)).await;
    let list = running.get("/v1/events?stage=text").await.json();
    let id = list["events"][0]["id"].as_str().unwrap().to_owned();
    let path = format!("/v1/events/{id}/redrive");
    assert_eq!(running.post(&path, "").await.problem(), "superseded");
    let forced = running.post(&path, r#"{"even_if_superseded":true}"#).await;
    assert_eq!(forced.json(), json!({"id": id, "state": "ready"}));
    running.stop().await;
}

/// A destination that notes the numbers of replays.
struct Shop {
    name: DestinationName,
    handler: ForwardHandler,
    replays: Mutex<Vec<u32>>,
}

#[async_trait]
impl CallbackHandler for Shop {
    async fn on_complete(&self, _: &Event) -> Result<(), HandlerError> {
        Ok(())
    }

    async fn on_failed(&self, _: &Event) -> Result<(), HandlerError> {
        Ok(())
    }
}

#[async_trait]
impl Destination for Shop {
    fn name(&self) -> &DestinationName {
        &self.name
    }

    fn state(&self) -> BreakerState {
        self.handler.state()
    }

    fn resume(&self) -> bool {
        self.handler.resume()
    }

    async fn replay(&self, message: &Message, replay: u32) -> Delivered {
        self.replays.lock().unwrap().push(replay);
        self.handler.deliver(message, 1).await
    }
}

#[tokio::test]
async fn a_replay_goes_to_a_named_destination_with_the_same_id_and_a_mark() {
    let consumer = Consumer::start(|_, _| status(204)).await;
    let shop = Arc::new(Shop {
        name: name(),
        handler: handler(&consumer.url()),
        replays: Mutex::default(),
    });
    let store = store();
    accept(&*store, TASK, "complete").await;
    settle_all(&*store, Some(Settlement::Done)).await;
    let running = Running::start(Admin::new(store).with_destination(shop.clone())).await;
    let list = running.get("/v1/events").await.json();
    let id = list["events"][0]["id"].as_str().unwrap().to_owned();
    let path = format!("/v1/events/{id}/replay");
    let shown = running.get("/v1/destinations").await.json();
    assert_eq!(
        shown,
        json!({"destinations": [{"name": name().as_str(), "state": "closed"}]})
    );
    for (body, status) in [
        (r#"{"destination":"https://evil.test/"}"#, 400),
        (r#"{"destination":"shop","url":"https://evil.test/"}"#, 400),
        ("{}", 400),
        ("[", 400),
        (r#"{"destination":"other"}"#, 404),
    ] {
        assert_eq!(running.post(&path, body).await.status, status, "{body}");
    }
    for number in 1..=2 {
        let answer = running.post(&path, r#"{"destination":"shop"}"#).await;
        let replayed = answer.json();
        assert_eq!(
            (&replayed["outcome"], &replayed["replay"]),
            (&json!("done"), &json!(number))
        );
    }
    assert_eq!(*shop.replays.lock().unwrap(), [1, 2]);
    let requests = consumer.requests();
    let ids: Vec<_> = requests
        .iter()
        .map(|one| one.header("webhook-id"))
        .collect();
    assert_eq!(
        ids,
        [format!("{TASK}_complete_0"), format!("{TASK}_complete_0")]
    );
    let resumed = running
        .post("/v1/destinations/shop/resume", "")
        .await
        .json();
    assert_eq!(
        resumed,
        json!({"name": "shop", "state": "closed", "changed": false})
    );
    assert_eq!(
        running.post("/v1/destinations/x/resume", "").await.status,
        404
    );
    running.stop().await;
}

#[tokio::test]
async fn a_quarantined_delivery_is_shown_without_its_body_and_decoded_again() {
    let store = store();
    let broken = Delivery::decode("{\"secret\":1".into(), now());
    store.accept(&[broken]).await.unwrap();
    for number in 0..=suno_callback::bounds::UNRANKED_EVENTS_MAX {
        accept(&*store, TASK, &format!("word{number}")).await;
    }
    let running = Running::start(Admin::new(store.clone())).await;
    let answer = running.get("/v1/quarantine?limit=1").await;
    assert!(!answer.body.contains("secret"));
    let page = answer.json();
    let (first, cursor) = (
        page["entries"][0]["id"].clone(),
        page["cursor"].as_str().unwrap(),
    );
    assert_eq!(page["more"], true);
    let rest = running
        .get(&format!("/v1/quarantine?after={cursor}"))
        .await
        .json();
    assert_eq!(
        (rest["entries"].as_array().unwrap().len(), &rest["more"]),
        (1, &json!(false))
    );
    let retry = async |id: &str| {
        running
            .post(&format!("/v1/quarantine/{id}/retry"), "")
            .await
    };
    let broken = retry(first.as_str().unwrap()).await;
    assert_eq!(broken.problem(), "not-decodable");
    let again = retry(rest["entries"][0]["id"].as_str().unwrap()).await;
    assert_eq!(again.json()["outcome"], "quarantined");
    assert_eq!(retry("12345").await.status, 404);
    let stats = running.get("/v1/stats").await.json();
    assert_eq!(
        (&stats["quarantined"], &stats["events"]["dead"]),
        (&json!(2), &json!(0))
    );
    running.stop().await;
}
