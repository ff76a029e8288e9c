//! The description of the API: it has every route and method, and real answers are as it says.

use std::sync::Arc;

use boon::{Compiler, Draft, SchemaIndex, Schemas};
use serde_json::{Value, json};
use suno_callback::{Delivery, IdempotencyStore, Settlement};
use suno_gateway::admin::{Admin, Health};
use suno_gateway::metrics::{Metrics, Scraper};

use super::{Answer, Running, accept, dead, now, settle_all, store, token};
use crate::scene::TASK;

const PLACE: &str = "https://suno.test/openapi.json";

/// The description, with its schemas compiled.
struct Description {
    document: Value,
    schemas: Schemas,
    compiler: Compiler,
}

impl Description {
    fn of(document: Value) -> Self {
        let mut compiler = Compiler::new();
        compiler.set_default_draft(Draft::V2020_12);
        compiler.enable_format_assertions();
        compiler.add_resource(PLACE, document.clone()).unwrap();
        Self {
            document,
            schemas: Schemas::new(),
            compiler,
        }
    }

    fn schema(&mut self, pointer: &str) -> SchemaIndex {
        let place = format!("{PLACE}#{pointer}");
        let compiled = self.compiler.compile(&place, &mut self.schemas);
        compiled.unwrap_or_else(|err| panic!("{place}: {err:#}"))
    }

    /// Fails unless an answer is one that the description has for a path and a method.
    fn check(&mut self, method: &str, path: &str, answer: &Answer) {
        let operation = &self.document["paths"][path][method];
        assert!(operation.is_object(), "{method} {path}");
        let status = answer.status.to_string();
        let described = operation["responses"].get(&status);
        let kind = answer.headers["content-type"].as_str();
        let kind = kind.split(';').next().unwrap();
        let escaped = |text: &str| text.replace('~', "~0").replace('/', "~1");
        let at = match described {
            Some(described) => {
                assert!(described["content"][kind].is_object(), "{path}: {kind}");
                let place = format!("/paths/{}/{method}/responses/{status}", escaped(path));
                format!("{place}/content/{}/schema", escaped(kind))
            }
            None => {
                assert_eq!(
                    kind, "application/problem+json",
                    "{method} {path} {answer:?}"
                );
                "/components/schemas/Problem".to_owned()
            }
        };
        let value = match kind {
            "text/plain" => Value::from(&*answer.body),
            _ => answer.json(),
        };
        let index = self.schema(&at);
        if let Err(err) = self.schemas.validate(&value, index) {
            panic!("{method} {path}: {err:#}\n{value:#}");
        }
    }
}

async fn description(running: &Running) -> Description {
    Description::of(running.get("/openapi.json").await.json())
}

#[tokio::test]
async fn every_route_and_method_is_described_and_every_schema_is_valid() {
    let running = Running::start(Admin::new(store())).await;
    let mut description = description(&running).await;
    let schemas = description.document["components"]["schemas"].clone();
    for name in schemas.as_object().unwrap().keys() {
        description.schema(&format!("/components/schemas/{name}"));
    }
    let paths = description.document["paths"].as_object().unwrap().clone();
    let mut operations = std::collections::BTreeSet::new();
    for (path, item) in &paths {
        let asked = path
            .replace("{id}", "1")
            .replace("{name}", "shop")
            .replace("{track}", "0")
            .replace("{kind}", "audio");
        for method in ["get", "post"] {
            let answer = running.ask(&method.to_uppercase(), &asked, "", "").await;
            let is_described = item.get(method).is_some();
            assert_eq!(answer.status != 405, is_described, "{method} {path}");
            if is_described {
                let id = item[method]["operationId"].as_str().unwrap();
                assert!(operations.insert(id), "{id} twice");
            }
        }
    }
    running.stop().await;
}

#[tokio::test]
async fn real_answers_are_as_they_are_described() {
    let store = store();
    for (task, word) in [(TASK, "complete"), (TASK, "text"), ("other", "complete")] {
        accept(&*store, task, word).await;
    }
    settle_all(&*store, dead()).await;
    accept(&*store, "third", "complete").await;
    store
        .accept(&[Delivery::decode("{".into(), now())])
        .await
        .unwrap();
    let scraper = Scraper::new(store.clone(), Arc::new(Metrics::new("1")));
    let admin = Admin::new(store.clone())
        .with_metrics(scraper)
        .with_health(Arc::new(Health::new(store.clone())));
    let running = Running::start(admin).await;
    let mut description = description(&running).await;
    let list = running.get("/v1/events").await.json();
    let id = |place: usize| list["events"][place]["id"].as_str().unwrap().to_owned();
    let quarantine = running.get("/v1/quarantine").await.json();
    let entry = quarantine["entries"][0]["id"].as_str().unwrap().to_owned();
    let replay = r#"{"destination":"shop"}"#;
    let none = "";
    for (method, template, path, body, status) in [
        ("get", "/livez", "/livez?verbose".to_owned(), none, 200),
        ("get", "/readyz", "/readyz".to_owned(), none, 503),
        ("get", "/metrics", "/metrics".to_owned(), none, 200),
        ("get", "/v1/events", "/v1/events".to_owned(), none, 200),
        (
            "get",
            "/v1/events",
            "/v1/events?after=999".to_owned(),
            none,
            200,
        ),
        (
            "get",
            "/v1/events",
            "/v1/events?limit=x".to_owned(),
            none,
            400,
        ),
        (
            "get",
            "/v1/events/{id}",
            format!("/v1/events/{}", id(0)),
            none,
            200,
        ),
        (
            "get",
            "/v1/events/{id}",
            "/v1/events/9999".to_owned(),
            none,
            404,
        ),
        (
            "get",
            "/v1/tasks/{id}",
            format!("/v1/tasks/{TASK}"),
            none,
            200,
        ),
        (
            "get",
            "/v1/quarantine",
            "/v1/quarantine".to_owned(),
            none,
            200,
        ),
        (
            "post",
            "/v1/quarantine/{id}/retry",
            format!("/v1/quarantine/{entry}/retry"),
            none,
            409,
        ),
        ("get", "/v1/stats", "/v1/stats".to_owned(), none, 200),
        (
            "get",
            "/v1/destinations",
            "/v1/destinations".to_owned(),
            none,
            200,
        ),
        (
            "post",
            "/v1/destinations/{name}/resume",
            "/v1/destinations/x/resume".to_owned(),
            none,
            404,
        ),
        (
            "post",
            "/v1/events/{id}/replay",
            format!("/v1/events/{}/replay", id(0)),
            replay,
            404,
        ),
        (
            "post",
            "/v1/events/{id}/redrive",
            format!("/v1/events/{}/redrive", id(0)),
            none,
            200,
        ),
        (
            "post",
            "/v1/events/{id}/redrive",
            format!("/v1/events/{}/redrive", id(0)),
            none,
            409,
        ),
        ("post", "/v1/tasks", "/v1/tasks".to_owned(), "{}", 404),
    ] {
        let answer = running.ask(&method.to_uppercase(), &path, "", body).await;
        assert_eq!(answer.status, status, "{method} {path}: {answer:?}");
        description.check(method, template, &answer);
    }
    settle_all(&*store, Some(Settlement::Done)).await;
    for path in ["/v1/events", "/v1/stats"] {
        description.check("get", path, &running.get(path).await);
    }
    running.stop().await;
    let running = Running::start(Admin::new(store).with_token(token())).await;
    description.check("get", "/v1/stats", &running.get("/v1/stats").await);
    running.stop().await;
}

#[tokio::test]
async fn a_wrong_answer_would_be_noticed() {
    let running = Running::start(Admin::new(store())).await;
    let document = description(&running).await.document;
    let mut description = Description::of(document);
    let index = description.schema("/components/schemas/EventPage");
    for wrong in [
        json!({"events": [], "cursor": null}),
        json!({"events": [], "cursor": 7, "more": false}),
        json!({"events": [{}], "cursor": null, "more": false}),
        json!({"events": [], "cursor": null, "more": false, "next": 1}),
    ] {
        assert!(
            description.schemas.validate(&wrong, index).is_err(),
            "{wrong}"
        );
    }
    running.stop().await;
}
