//! Plays the language-neutral transcripts of `fixtures/client` and builds the requests of
//! `fixtures/requests`.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Map, Value, json};
use suno_client::{ApiKey, Client, ClientError, ErrorKind, Retry, WaitError};
use suno_types::{
    DynamicRequest, InvalidField, Outcome, Provider, Request, RequestBuilder, Route, TaskId,
    TaskKind, TaskRecord, Track,
};
use url::Url;

use crate::server::{Asked, Reply, Server};

fn cases(folder: &str) -> Vec<Value> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../fixtures");
    let entries = std::fs::read_dir(path.join(folder)).expect("the fixtures");
    let mut files: Vec<PathBuf> = entries
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|ending| ending == "json"))
        .collect();
    files.sort();
    assert!(files.len() > 20, "there are hardly any cases in {folder}");
    let read = |path: &PathBuf| std::fs::read(path).expect("a file");
    files
        .iter()
        .map(|path| serde_json::from_slice(&read(path)).expect("JSON"))
        .collect()
}

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name]
        .as_str()
        .unwrap_or_else(|| panic!("no text {name} in {value}"))
}

/// The route of a case, by its word.
fn route(input: &Value) -> Route {
    match input["route"].as_str() {
        Some("jobs") => Route::Jobs,
        _ => Route::Direct,
    }
}

/// The request that the fields make, as a command would build it.
fn request(
    operation: Option<&str>,
    route: Route,
    fields: &Value,
) -> Result<DynamicRequest, InvalidField> {
    let operation = operation.unwrap_or("add-instrumental").parse();
    let mut texts = Vec::new();
    for (name, value) in fields.as_object().expect("fields") {
        match value {
            Value::Array(values) => texts.extend(values.iter().map(|value| (name, value))),
            value => texts.push((name, value)),
        }
    }
    let texts = texts.into_iter().map(|(name, value)| match value {
        Value::String(text) => (name, text.clone()),
        value => (name, value.to_string()),
    });
    RequestBuilder::from_fields(operation.expect("an operation"), texts)?.build_for(route)
}

#[test]
fn the_requests_of_the_fixtures_are_built_as_they_say() {
    for case in cases("requests") {
        let input = &case["input"];
        let route = route(input);
        let built = request(input["operation"].as_str(), route, &input["fields"]);
        let built = match built.and_then(|request| request.encode(route)) {
            Ok(body) => {
                let body: Value = serde_json::from_slice(&body).expect("JSON");
                json!({"body_json": by_value(&body)})
            }
            Err(err) => json!({"invalid": {"field": err.field(), "bound": err.bound()}}),
        };
        assert_eq!(built, by_value(&case["expect"]), "{}", case["id"]);
    }
}

/// The same with all numbers as floats, since 1 and 1.0 are the same number.
fn by_value(value: &Value) -> Value {
    match value {
        Value::Number(number) => json!(number.as_f64()),
        Value::Array(items) => items.iter().map(by_value).collect(),
        Value::Object(members) => members
            .iter()
            .map(|(name, value)| (name.clone(), by_value(value)))
            .collect::<Map<_, _>>()
            .into(),
        other => other.clone(),
    }
}

fn reply(respond: &Value) -> Reply {
    let headers: Vec<(&str, &str)> = respond["headers"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|pair| {
            (
                pair[0].as_str().expect("a name"),
                pair[1].as_str().expect("a value"),
            )
        })
        .collect();
    let status = respond["status"].as_u64().unwrap_or(200);
    let status = u16::try_from(status).expect("a status");
    let body = respond["body"]["text"].as_str().unwrap_or_default();
    assert!(
        respond["body"]["base64"].is_null(),
        "not known here: {respond}"
    );
    let reply = Reply::new(status, &headers, body.as_bytes());
    let Some(cut) = respond["cut_after_bytes"].as_u64() else {
        return reply;
    };
    let cut = usize::try_from(cut).expect("a small number");
    if cut == 0 {
        return reply.cut(0);
    }
    // Counted from the beginning of the body.
    let head = reply.bytes.len() - body.len();
    reply.cut(head + cut)
}

/// What the client gave, in the words of the fixtures.
async fn call(client: &Client, call: &Value) -> Value {
    let submit_of = &call["submit_of"];
    if !call["submit"].is_null() {
        submit(client, None, &call["submit"]).await
    } else if !submit_of.is_null() {
        submit(
            client,
            submit_of["operation"].as_str(),
            &submit_of["fields"],
        )
        .await
    } else if !call["record"].is_null() || !call["record_of"].is_null() {
        let id = call["record"]
            .as_str()
            .or(call["record_of"]["task_id"].as_str());
        let task = TaskId::new(id.expect("an id")).expect("an id");
        match client.record_of(&task, &kind(&call["record_of"])).await {
            Ok(found) => json!({"record": found.as_ref().map(record)}),
            Err(err) => error(&err),
        }
    } else if !call["credits"].is_null() {
        match client.credits().await {
            Ok(credits) => json!({"credits": credits.0}),
            Err(err) => error(&err),
        }
    } else {
        wait(client, &call["wait"]).await
    }
}

async fn submit(client: &Client, operation: Option<&str>, fields: &Value) -> Value {
    let submitted = match request(operation, client.route(), fields) {
        Ok(request) => client.submit(&request).await,
        Err(field) => Err(ClientError::from(field)),
    };
    match submitted {
        Ok(taken) => json!({"submitted": {"task_id": taken.task_id.as_str()}}),
        Err(err) => error(&err),
    }
}

/// The kind that a call names, or that of songs by the direct route.
fn kind(call: &Value) -> TaskKind {
    let kind = call["kind"].as_str().map(str::parse);
    kind.transpose().expect("a kind").unwrap_or_default()
}

async fn wait(client: &Client, wait: &Value) -> Value {
    let task = TaskId::new(text(wait, "task_id")).expect("an id");
    let deadline = wait["deadline_seconds"].as_u64().expect("a deadline");
    let waiting = client
        .wait(&task, Duration::from_secs(deadline))
        .with_interval(Duration::from_millis(1))
        .with_kind(kind(wait));
    match waiting.await {
        Ok(record) => json!({"completed": {
            "task_id": record.task_id.as_str(),
            "tracks_ready": ready(&record),
        }}),
        Err(WaitError::Failed(failure)) => json!({"failed": {
            "task_id": failure.record().task_id.as_str(),
            "status": failure.record().status.as_str(),
            "error_code": failure.code().map(|code| code.0),
        }}),
        Err(err) => error(err.client_error().expect("a cause")),
    }
}

fn record(record: &TaskRecord) -> Value {
    json!({
        "task_id": record.task_id.as_str(),
        "status": record.status.as_str(),
        "outcome": match record.outcome() {
            Outcome::Running => "running",
            Outcome::Succeeded => "succeeded",
            _ => "failed",
        },
        "stage": record.stage().map(|stage| stage.as_str().to_owned()),
        "error_code": record.error_code.map(|code| code.0),
        "tracks_ready": ready(record),
    })
}

fn ready(record: &TaskRecord) -> usize {
    record
        .tracks
        .iter()
        .filter(|track| Track::is_ready(track))
        .count()
}

fn error(err: &ClientError) -> Value {
    let mut error = json!({
        "kind": word(err.kind(), err.is_ambiguous()),
        "code": err.code().map(|code| code.0),
        "retryable": err.is_retryable(),
        "ambiguous": err.is_ambiguous(),
    });
    if let Some(task) = err.existing_task() {
        error["existing_task"] = task.as_str().into();
    }
    json!({"error": error})
}

/// The word of the fixtures for a kind of error. They have one of their own for a submit whose
/// connection ended (`PROTOCOL.md 7.37`).
fn word(kind: ErrorKind, is_ambiguous: bool) -> &'static str {
    match kind {
        ErrorKind::Interrupted if is_ambiguous => "ambiguous",
        kind => kind.as_str(),
    }
}

/// True if the request is the one that the case expects.
fn fits(asked: &Asked, expected: &Value) -> Result<(), String> {
    let mut line = asked.line.split(' ');
    let (method, target) = (
        line.next().unwrap_or_default(),
        line.next().unwrap_or_default(),
    );
    let url = Url::parse("http://host").and_then(|base| base.join(target));
    let url = url.map_err(|err| err.to_string())?;
    let mut wrong = Vec::new();
    if (method, url.path()) != (text(expected, "method"), text(expected, "path")) {
        wrong.push(format!("asked {}", asked.line));
    }
    let query: Value = url
        .query_pairs()
        .map(|(name, value)| (name.into_owned(), Value::from(value.into_owned())))
        .collect::<Map<_, _>>()
        .into();
    if expected["query"] != query && !(expected["query"].is_null() && query == json!({})) {
        wrong.push(format!("query {query}"));
    }
    for pair in expected["headers"].as_array().into_iter().flatten() {
        let name = pair[0].as_str().expect("a name").to_ascii_lowercase();
        if asked.header(&name) != pair[1].as_str() {
            wrong.push(format!("header {name}"));
        }
    }
    if !expected["body_json"].is_null() {
        let body: Value = serde_json::from_slice(&asked.body).map_err(|err| err.to_string())?;
        if by_value(&body) != by_value(&expected["body_json"]) {
            wrong.push(format!("body {body}"));
        }
    }
    if wrong.is_empty() {
        Ok(())
    } else {
        Err(wrong.join(", "))
    }
}

async fn play(case: &Value) -> Result<(), String> {
    let input = &case["input"];
    let exchanges = input["exchanges"].as_array().expect("exchanges");
    let refused = exchanges
        .iter()
        .any(|one| one["respond"]["refuse_connection"] == true);
    let server = Server::start(exchanges.iter().map(|one| reply(&one["respond"]))).await;
    let provider = match text(input, "provider") {
        "kie" => Provider::Kie,
        "sunoapi" => Provider::SunoApi,
        other => return Err(format!("provider {other} is not known")),
    };
    let attempts = u32::try_from(input["attempts_max"].as_u64().expect("a number"));
    let retry = Retry::new().with_base(Duration::from_millis(1));
    let client = ApiKey::new(text(input, "api_key"))
        .and_then(|key| {
            Client::builder(provider, key)
                .base_url(server.url())
                .route(route(input))
                .submit_limit(None)
                .poll_limit(None)
                .retry(retry.with_attempts_max(attempts.expect("a small number")))
                .build()
        })
        .expect("a client");
    if refused {
        server.close().await;
    }
    let mut outcome = call(&client, &input["call"]).await;
    let expected = &case["expect"]["outcome"];
    if expected["error"].is_object() && expected["error"]["kind"].is_null() {
        // The kind of this error is not laid down.
        outcome["error"]
            .as_object_mut()
            .map(|error| error.remove("kind"));
    }
    if by_value(&outcome) != by_value(expected) {
        return Err(format!("gave {outcome}"));
    }
    let asked = server.asked();
    if Some(asked.len() as u64) != case["expect"]["requests_sent"].as_u64() {
        return Err(format!("sent {} requests", asked.len()));
    }
    for (asked, exchange) in asked.iter().zip(exchanges) {
        fits(asked, &exchange["expect_request"])?;
    }
    Ok(())
}

#[tokio::test]
async fn the_transcripts_of_the_fixtures_end_as_they_say() {
    let mut wrong = Vec::new();
    let mut played = 0;
    for case in cases("client") {
        if let Err(what) = play(&case).await {
            wrong.push(format!("{}: {what}", case["id"]));
        }
        played += 1;
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(played >= 130, "only {played} cases");
}

/// The words of the fixtures are those of the library.
#[test]
fn every_kind_of_the_fixtures_has_its_word() {
    let kinds = [
        (ErrorKind::RateLimited, false),
        (ErrorKind::OutOfCredits, false),
        (ErrorKind::Unauthorized, false),
        (ErrorKind::InvalidRequest, false),
        (ErrorKind::Maintenance, false),
        (ErrorKind::Server, true),
        (ErrorKind::NotJson, true),
        (ErrorKind::Interrupted, true),
        (ErrorKind::Refused, false),
    ];
    let words = kinds.map(|(kind, is_ambiguous)| word(kind, is_ambiguous));
    for case in cases("client") {
        if let Some(kind) = case["expect"]["outcome"]["error"]["kind"].as_str() {
            assert!(words.contains(&kind), "{}: {kind}", case["id"]);
        }
    }
}

/// What `docs/CLIENTS.md` says of this workspace is shown by tests and cases that are there.
#[test]
fn the_tests_that_the_comparison_names_are_there() {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..");
    let page = std::fs::read_to_string(root.join("docs/CLIENTS.md")).expect("the page");
    let sources: String = rust_files(&root.join("crates"))
        .into_iter()
        .map(|(_, text)| text)
        .collect();
    let mut named = 0;
    for row in page.lines().filter(|line| line.starts_with("| ")) {
        let shown_by = row.trim_end_matches(" |").rsplit(" | ").next();
        let names: Vec<&str> = shown_by
            .into_iter()
            .flat_map(|cell| cell.split('`'))
            .collect();
        let names: Vec<&str> = names.into_iter().skip(1).step_by(2).collect();
        let is_heading = row.starts_with("| case |") || row.starts_with("| --- |");
        assert!(is_heading || !names.is_empty(), "nothing shows this: {row}");
        for name in names {
            let is_there = match name.contains('/') {
                true => root.join("fixtures").join(format!("{name}.json")).exists(),
                false => sources.contains(&format!("fn {name}(")),
            };
            assert!(is_there, "{name} is not there");
            named += 1;
        }
    }
    assert!(named >= 30, "only {named} names were found");
}

/// Name and text of every Rust file below a folder.
pub(crate) fn rust_files(folder: &Path) -> Vec<(String, String)> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            files.extend(rust_files(&path));
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            let text = std::fs::read_to_string(&path).expect("a file");
            files.push((path.display().to_string(), text));
        }
    }
    files
}
