//! The endpoints below `/_emulator/`, by which people and tools control the emulator. They are not
//! a part of the provider's API. They are described by `openapi.json` beside this file, to which the
//! provider's side is added when it is served.

use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, StatusCode};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::http::answer::{Answer, Rejection};
use crate::http::query::query;
use crate::openapi;
use crate::runner::Runner;
use crate::scenario::script::Script;
use crate::scenario::words;

mod guard;
mod view;

pub(crate) use guard::Guard;

/// The path below which requests control the emulator.
pub(super) const PREFIX: &str = "/_emulator/";

/// The description of everything below [`PREFIX`].
const OPENAPI: &str = include_str!("openapi.json");
/// The maximum and the default number of rows in a list.
const ROWS_MAX: usize = 1000;
const ROWS: usize = 100;

/// An endpoint below [`PREFIX`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Endpoint<'a> {
    Overview,
    OpenApi,
    Words,
    Tasks,
    Task(&'a str),
    Deliver(&'a str),
    Attempts,
    Clock,
    Scenario,
    Scripts,
    Reset,
}

impl<'a> Endpoint<'a> {
    fn of(path: &'a str) -> Option<Self> {
        let parts: Vec<&str> = path.split('/').collect();
        Some(match parts[..] {
            ["status"] => Self::Overview,
            ["openapi.json"] => Self::OpenApi,
            ["words"] => Self::Words,
            ["tasks"] => Self::Tasks,
            ["tasks", task_id] if !task_id.is_empty() => Self::Task(task_id),
            ["tasks", task_id, "deliver"] if !task_id.is_empty() => Self::Deliver(task_id),
            ["attempts"] => Self::Attempts,
            ["clock", "advance"] => Self::Clock,
            ["scenario"] => Self::Scenario,
            ["scripts"] => Self::Scripts,
            ["reset"] => Self::Reset,
            _ => return None,
        })
    }

    fn methods(self) -> &'static [Method] {
        match self {
            Self::Deliver(_) | Self::Clock | Self::Reset => &[Method::POST],
            Self::Scenario => &[Method::GET, Method::PUT, Method::DELETE],
            Self::Scripts => &[Method::GET, Method::POST],
            _ => &[Method::GET],
        }
    }
}

/// Answers a request whose path below [`PREFIX`] is given.
pub(super) async fn answer(runner: &Runner, path: &str, request: &Request<Bytes>) -> Answer {
    let Some(place) = Endpoint::of(path) else {
        let reason = "this path does not exist, see /_emulator/openapi.json";
        return Rejection::new(StatusCode::NOT_FOUND, reason).into();
    };
    if !place.methods().contains(request.method()) {
        return Answer::wrong_method(runner.provider().profile(), place.methods());
    }
    match respond(runner, place, request).await {
        Ok(body) => Answer::json(StatusCode::OK, &body),
        Err(rejection) => rejection.into(),
    }
}

async fn respond(
    runner: &Runner,
    place: Endpoint<'_>,
    request: &Request<Bytes>,
) -> Result<Value, Rejection> {
    match place {
        Endpoint::Overview => Ok(view::overview(runner)),
        Endpoint::OpenApi => {
            let own = serde_json::from_str(OPENAPI).map_err(|_| broken_description())?;
            Ok(openapi::with_provider(own, runner.provider().profile()))
        }
        Endpoint::Words => Ok(json!({ "words": words::list() })),
        Endpoint::Tasks => {
            let tasks = runner
                .provider()
                .tasks_after(number(request, "after", 0)?, rows(request)?);
            Ok(json!({ "tasks": tasks.iter().map(view::task).collect::<Value>() }))
        }
        Endpoint::Task(task_id) => {
            let summary = runner.provider().task_summary(task_id);
            summary.as_ref().map(view::task).ok_or_else(no_task)
        }
        Endpoint::Deliver(task_id) => deliver(runner, task_id, request),
        Endpoint::Attempts => {
            let (after, task_id) = (number(request, "after", 0)?, query(request, "task_id"));
            let found = runner
                .provider()
                .attempts_after(after, task_id.as_deref(), rows(request)?);
            Ok(json!({ "attempts": found.iter().map(view::attempt).collect::<Value>() }))
        }
        Endpoint::Clock => advance(runner, request).await,
        Endpoint::Scenario => scenario(runner, request),
        Endpoint::Scripts if request.method() == Method::GET => {
            Ok(json!({ "scripts": runner.provider().script_names().collect::<Value>() }))
        }
        Endpoint::Scripts => add_script(runner, request),
        Endpoint::Reset => {
            runner.provider().reset();
            runner.notify_changed();
            Ok(json!({}))
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct DeliverRequest {
    /// The name of the callback.
    #[serde(rename = "post")]
    callback: String,
}

fn deliver(runner: &Runner, task_id: &str, request: &Request<Bytes>) -> Result<Value, Rejection> {
    let DeliverRequest { callback } = body(request)?;
    let repeated = runner.provider().deliver_again(task_id, &callback);
    runner.notify_changed();
    match repeated {
        None => Err(no_task()),
        Some(false) => Err(Rejection::bad(
            "the task has had no callback of this name, or too many wait",
        )),
        Some(true) => Ok(json!({})),
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AdvanceRequest {
    ms: u64,
}

async fn advance(runner: &Runner, request: &Request<Bytes>) -> Result<Value, Rejection> {
    let AdvanceRequest { ms } = body(request)?;
    if !runner.clock.is_driven() {
        let reason = "the clock is not driven: start the emulator with a driven clock";
        return Err(Rejection::new(StatusCode::CONFLICT, reason));
    }
    runner.advance(Duration::from_millis(ms)).await;
    Ok(view::clock(runner))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ScenarioRequest {
    words: String,
    tasks: Option<u32>,
}

fn scenario(runner: &Runner, request: &Request<Bytes>) -> Result<Value, Rejection> {
    let mut provider = runner.provider();
    if request.method() == Method::PUT {
        let ScenarioRequest { words, tasks } = body(request)?;
        provider
            .set_default_scenario(&words, tasks)
            .map_err(Rejection::bad)?;
    } else if request.method() == Method::DELETE {
        provider.clear_default_scenario();
    }
    let default_scenario = provider.default_scenario();
    Ok(json!({ "words": default_scenario.words, "tasks": default_scenario.tasks_left }))
}

fn add_script(runner: &Runner, request: &Request<Bytes>) -> Result<Value, Rejection> {
    let text = std::str::from_utf8(request.body())
        .map_err(|_| Rejection::bad("the script is not UTF-8"))?;
    let script = Script::from_json(text).map_err(|err| Rejection::bad(err.to_string()))?;
    let name = script.name().to_owned();
    if runner.provider().add_script(script) {
        Ok(json!({ "name": name }))
    } else {
        Err(Rejection::new(
            StatusCode::INSUFFICIENT_STORAGE,
            "too many scripts are kept",
        ))
    }
}

/// A test rules this out.
fn broken_description() -> Rejection {
    let reason = "the description cannot be read";
    Rejection::new(StatusCode::INTERNAL_SERVER_ERROR, reason)
}

fn no_task() -> Rejection {
    Rejection::new(
        StatusCode::NOT_FOUND,
        "the task is not found, or was evicted",
    )
}

fn body<T: DeserializeOwned>(request: &Request<Bytes>) -> Result<T, Rejection> {
    serde_json::from_slice(request.body()).map_err(|err| Rejection::bad(err.to_string()))
}

fn rows(request: &Request<Bytes>) -> Result<usize, Rejection> {
    let limit = number(request, "limit", ROWS as u64)?;
    Ok(usize::try_from(limit).unwrap_or(ROWS_MAX).min(ROWS_MAX))
}

fn number(request: &Request<Bytes>, name: &str, absent: u64) -> Result<u64, Rejection> {
    match query(request, name) {
        None => Ok(absent),
        Some(text) => text
            .parse()
            .map_err(|_| Rejection::bad(format!("{name} is not a number"))),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::Value;

    use super::{Endpoint, OPENAPI, PREFIX};

    /// Returns all endpoints. A new endpoint does not compile until it is added here.
    fn all() -> [Endpoint<'static>; 11] {
        let counted = |place| match place {
            Endpoint::Overview
            | Endpoint::OpenApi
            | Endpoint::Words
            | Endpoint::Tasks
            | Endpoint::Task(_)
            | Endpoint::Deliver(_)
            | Endpoint::Attempts
            | Endpoint::Clock
            | Endpoint::Scenario
            | Endpoint::Scripts
            | Endpoint::Reset => place,
        };
        [
            Endpoint::Overview,
            Endpoint::OpenApi,
            Endpoint::Words,
            Endpoint::Tasks,
            Endpoint::Task("{task_id}"),
            Endpoint::Deliver("{task_id}"),
            Endpoint::Attempts,
            Endpoint::Clock,
            Endpoint::Scenario,
            Endpoint::Scripts,
            Endpoint::Reset,
        ]
        .map(counted)
    }

    #[test]
    fn the_description_has_exactly_the_places_and_methods_there_are() {
        let description: Value = serde_json::from_str(OPENAPI).unwrap();
        let mut described = Vec::new();
        for (path, operations) in description["paths"].as_object().unwrap() {
            let place = Endpoint::of(path.strip_prefix(PREFIX).unwrap());
            let place = place.unwrap_or_else(|| panic!("{path} is described and not there"));
            let upper = |method: &String| method.to_uppercase();
            let methods: BTreeSet<String> =
                operations.as_object().unwrap().keys().map(upper).collect();
            let expected = place
                .methods()
                .iter()
                .map(|method| method.to_string())
                .collect();
            assert_eq!(methods, expected, "{path}");
            described.push(place);
        }
        for place in all() {
            assert!(described.contains(&place), "{place:?} is not described");
        }
        assert_eq!(described.len(), all().len());
    }
}
