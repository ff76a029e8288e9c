//! Submitting over HTTP: one key, one paid task.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use suno_callback::jiff::Timestamp;
use suno_callback::suno_client::{ApiKey, Client, Retry};
use suno_callback::{
    DueRequest, IdempotencyStore, MemoryStore, Postponement, Reference, Submitter,
};
use suno_emulator::{Config, Emulator};
use suno_gateway::admin::Admin;
use suno_types::Provider;

use super::{Answer, Running, accept, now, store};

/// A provider, and a service that submits to it.
struct Desk {
    emulator: Emulator,
    store: Arc<MemoryStore>,
    running: Running,
}

impl Desk {
    async fn new() -> Self {
        let config = Config::default().with_speed(1_000.0);
        let emulator = Emulator::start(config).await.unwrap();
        let store = store();
        let running = Self::running(&emulator, &store).await;
        Self {
            emulator,
            store,
            running,
        }
    }

    fn client(&self) -> Client {
        client(&self.emulator)
    }

    async fn running(emulator: &Emulator, store: &Arc<MemoryStore>) -> Running {
        let submitter = Submitter::new(client(emulator), store.clone());
        let admin = Admin::new(store.clone())
            .with_submitter(submitter)
            .with_callback_url("http://127.0.0.1:1/suno/callback");
        Running::start(admin).await
    }

    async fn submit(&self, key: &str, title: &str) -> Answer {
        submit(&self.running, key, &body(title)).await
    }

    fn tasks(&self) -> usize {
        self.emulator.tasks().len()
    }
}

fn client(emulator: &Emulator) -> Client {
    let key = ApiKey::new(emulator.api_key()).unwrap();
    Client::builder(Provider::Kie, key)
        .base_url(emulator.base_url())
        .retry(Retry::new().with_attempts_max(1))
        .build()
        .unwrap()
}

async fn submit(running: &Running, key: &str, body: &Value) -> Answer {
    let headers = format!("idempotency-key: {key}\r\n");
    running
        .ask("POST", "/v1/tasks", &headers, &body.to_string())
        .await
}

fn body(title: &str) -> Value {
    json!({
        "operation": "add-instrumental",
        "fields": {
            "upload_url": "https://files.example.com/hum.mp3",
            "title": title,
            "tags": "piano",
            "negative_tags": "drums",
            "style_weight": 0.5,
        },
    })
}

#[tokio::test]
async fn a_key_makes_one_task_and_the_same_answer_also_after_a_restart() {
    let desk = Desk::new().await;
    let first = desk.submit("order-42", "Harbour").await;
    assert_eq!(first.status, 201, "{first:?}");
    let task = first.json()["task_id"].as_str().unwrap().to_owned();
    assert_eq!(first.headers["location"], format!("/v1/tasks/{task}"));
    assert_eq!(first.json()["reference"], "order-42");
    assert!(!first.headers.contains_key("idempotent-replayed"));
    let again = desk.submit("\"order-42\"", "Harbour").await;
    assert_eq!((again.status, &again.body), (201, &first.body));
    assert_eq!(again.headers["idempotent-replayed"], "true");
    let restarted = Desk::running(&desk.emulator, &desk.store).await;
    let after = submit(&restarted, "order-42", &body("Harbour")).await;
    assert_eq!((after.status, &after.body), (201, &first.body));
    let other = submit(&restarted, "order-42", &body("Another")).await;
    assert_eq!(
        (other.status, &*other.problem()),
        (422, "idempotency-key-reused")
    );
    assert_eq!(desk.tasks(), 1);
    let reference = Reference::new("order-42").unwrap();
    assert_eq!(desk.store.submits(&reference, 9).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_key_in_flight_is_refused_and_a_caller_that_goes_away_cuts_nothing_off() {
    let desk = Desk::new().await;
    let (one, other) = tokio::join!(
        desk.submit("order-42", "Harbour"),
        desk.submit("order-42", "Harbour"),
    );
    let mut statuses = [one.status, other.status];
    statuses.sort_unstable();
    // The second may come after the first has ended.
    assert!(
        statuses == [201, 409] || statuses == [201, 201],
        "{statuses:?}"
    );
    assert_eq!(desk.tasks(), 1);
    let gone = desk.submit("order-43", "Harbour");
    let gone = tokio::time::timeout(Duration::from_millis(1), gone).await;
    drop(gone);
    let reference = Reference::new("order-43").unwrap();
    let mut answer = desk.submit("order-43", "Harbour").await;
    while answer.status == 409 {
        answer = desk.submit("order-43", "Harbour").await;
    }
    assert_eq!((answer.status, desk.tasks()), (201, 2));
    assert_eq!(desk.store.submits(&reference, 9).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_submit_whose_outcome_is_unknown_shows_its_open_intent_and_is_not_repeated() {
    let desk = Desk::new().await;
    let first = desk.submit("order-42", "[emulator:cut,drop]").await;
    assert_eq!((first.status, &*first.problem()), (409, "submit-unknown"));
    let submit = first.json()["submit"]["id"].clone();
    let open = desk
        .store
        .open_intents(Duration::ZERO, None, 9)
        .await
        .unwrap();
    assert_eq!(submit, open[0].submit.to_string());
    let again = desk.submit("order-42", "[emulator:cut,drop]").await;
    assert_eq!((again.status, &*again.problem()), (409, "submit-unknown"));
    let shown = again.json()["submit"].clone();
    let intended_at = open[0].intended_at.to_string();
    assert_eq!(shown, json!({"id": submit, "intended_at": intended_at}));
    assert_eq!(desk.tasks(), 1);
}

#[tokio::test]
async fn a_request_without_a_key_or_with_a_wrong_field_sends_nothing() {
    let desk = Desk::new().await;
    for headers in [
        "",
        "idempotency-key:\r\n",
        "idempotency-key: \"\"\r\n",
        "idempotency-key: a\"b\r\n",
        "idempotency-key: a\r\nidempotency-key: b\r\n",
        &format!("idempotency-key: {}\r\n", "x".repeat(257)),
    ] {
        let body = body("Harbour").to_string();
        let answer = desk.running.ask("POST", "/v1/tasks", headers, &body).await;
        assert_eq!(answer.problem(), "idempotency-key-missing", "{headers}");
    }
    let with = |name: &str, value: Value| {
        let mut body = body("Harbour");
        body["fields"][name] = value;
        body
    };
    for (sent, field) in [
        (json!({"operation": "sing"}), json!("operation")),
        (
            json!({"operation": "add-instrumental"}),
            json!("upload_url"),
        ),
        (with("style_weight", json!(7)), json!("style_weight")),
        (with("style_weight", json!("canary")), json!("style_weight")),
        (with("canary", json!("x")), json!(null)),
        (
            with("callback_url", json!("https://a.example")),
            json!("callback_url"),
        ),
        (
            json!({"operation": "add-instrumental", "canary": 1}),
            json!(null),
        ),
        (with("title", json!({"a": 1})), json!(null)),
    ] {
        let answer = submit(&desk.running, "k", &sent).await;
        assert_eq!(answer.status, 400, "{sent}");
        assert_eq!(
            answer.json().get("field").unwrap_or(&json!(null)),
            &field,
            "{answer:?}"
        );
        assert!(!answer.body.contains("canary"), "{answer:?}");
    }
    let mut wrong = body("Harbour");
    wrong["callback_url"] = json!("ftp://canary.example");
    let answer = submit(&desk.running, "k", &wrong).await;
    assert_eq!(answer.json()["field"], "callback_url", "{answer:?}");
    assert!(!answer.body.contains("canary"));
    assert_eq!(desk.tasks(), 0);
    let without = Running::start(Admin::new(store())).await;
    assert_eq!(submit(&without, "k", &body("Harbour")).await.status, 404);
}

#[tokio::test]
async fn a_submitted_task_is_shown_before_its_first_callback() {
    let desk = Desk::new().await;
    let empty = desk.running.get("/v1/tasks").await.json();
    assert_eq!(empty["tasks"], json!([]));
    let before = now();
    let submitted = desk.submit("order-42", "[emulator:drop]").await.json();
    let id = submitted["task_id"].as_str().unwrap();
    // At once, although the list looks at the store only from time to time.
    let list = desk
        .running
        .get("/v1/tasks?state=expected&q=order-42")
        .await;
    let list = list.json();
    let row = &list["tasks"][0];
    let time = |value: &Value| value.as_str().unwrap().parse::<Timestamp>().unwrap();
    assert_eq!(
        (&row["task_id"], &row["state"]),
        (&json!(id), &json!("expected"))
    );
    assert!((before..=now()).contains(&time(&row["submitted_at"])));
    let order: i64 = row["order"].as_str().unwrap().parse().unwrap();
    assert_eq!(order, time(&row["submitted_at"]).as_microsecond());
    let path = format!("/v1/tasks/{id}");
    let task = desk.running.get(&path).await.json();
    let expected = [
        ("events", json!([])),
        ("product", json!("song")),
        ("reference", json!("order-42")),
        ("submitted_at", row["submitted_at"].clone()),
        ("polls", json!(0)),
    ];
    for (member, expected) in expected {
        assert_eq!(task[member], expected, "{member}");
    }
    let wait = time(&task["due_at"]).duration_since(now());
    assert!((170..=180).contains(&wait.as_secs()), "{wait}");
    accept(&*desk.store, id, "text").await;
    let task = desk.running.get(&path).await.json();
    assert_eq!(task["events"].as_array().unwrap().len(), 1);
    assert!(task["due_at"].is_string());
    accept(&*desk.store, id, "complete").await;
    let task = desk.running.get(&path).await.json();
    assert_eq!(task["due_at"], Value::Null);
    let unknown = desk.running.get("/v1/tasks/none").await;
    assert_eq!(unknown.status, 404);
}

#[tokio::test]
async fn a_task_that_was_asked_about_says_how_often_and_is_shown_after_it_was_given_up() {
    let desk = Desk::new().await;
    let submitter = Submitter::new(desk.client(), desk.store.clone());
    let request = suno_types::GenerateSong::builder()
        .prompt("A quay at night")
        .model(suno_types::Model::V5)
        .callback_url("http://127.0.0.1:1/suno/callback")
        .build()
        .unwrap();
    let submitted = submitter
        .with_due_after(Duration::ZERO)
        .submit_for("order-43", &request)
        .await
        .unwrap();
    let path = format!("/v1/tasks/{}", submitted.task_id);
    let request = DueRequest::new(Duration::from_secs(60), 1);
    for polls in 0..3 {
        let task = desk.running.get(&path).await.json();
        assert_eq!(task["polls"], polls);
        let due = desk.store.due(&request).await.unwrap().tasks;
        let answered = Postponement::answered(Duration::ZERO);
        desk.store.postpone(&due[0].ticket, answered).await.unwrap();
    }
    let due = desk.store.due(&request).await.unwrap().tasks;
    desk.store.finish(&due[0].ticket).await.unwrap();
    let task = desk.running.get(&path).await.json();
    assert_eq!(
        (&task["polls"], &task["due_at"]),
        (&Value::Null, &Value::Null)
    );
    assert_eq!(
        (&task["reference"], &task["events"]),
        (&json!("order-43"), &json!([]))
    );
    assert!(task["submitted_at"].is_string());
    let list = desk.running.get("/v1/tasks").await.json();
    assert_eq!(list["tasks"], json!([]));
}

#[tokio::test]
async fn the_numbers_of_expected_tasks_and_open_intents_are_in_the_statistics() {
    let desk = Desk::new().await;
    let numbers = async || {
        let stats = desk.running.get("/v1/stats").await.json();
        [
            &stats["expected"],
            &stats["overdue"],
            &stats["open_intents"],
        ]
        .map(Value::clone)
    };
    let none = json!({"count": 0, "more": false, "oldest_seconds": null});
    let expected = [json!({"count": 0, "more": false}), json!(0), none];
    assert_eq!(numbers().await, expected);
    desk.submit("order-42", "[emulator:drop]").await;
    desk.submit("order-44", "[emulator:cut,drop]").await;
    let one = json!({"count": 1, "more": false, "oldest_seconds": 0});
    let expected = [json!({"count": 1, "more": false}), json!(0), one];
    assert_eq!(numbers().await, expected);
}
