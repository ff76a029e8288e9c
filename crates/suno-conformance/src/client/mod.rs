//! Runs the cases of `client/`: a call to a scripted provider, over a real connection.

mod normal;
mod request;
mod script;

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde::Deserialize;
use serde_json::{Value, json};
use suno_client::{ApiKey, Client, Retry};
use suno_types::{TaskId, TaskKind};
use tokio::runtime::Builder;
use tokio::time::timeout;

use crate::compare::differences;
use crate::parts::Parts;
use crate::requests::{Fields, OperationWord, Provider, RouteWord};
use script::{Exchange, ScriptedProvider};

pub(super) type Case = Parts<Input, Expect>;

/// The time limit for a call.
const CALL_TIME_MAX: Duration = Duration::from_secs(30);

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Input {
    provider: Provider,
    api_key: String,
    attempts_max: u32,
    #[serde(default)]
    route: RouteWord,
    call: Call,
    exchanges: Vec<Exchange>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Call {
    Submit(Fields),
    SubmitOf(SubmitOf),
    Record(String),
    RecordOf(RecordOf),
    Credits(Nothing),
    Wait(Wait),
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Nothing {}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct SubmitOf {
    operation: OperationWord,
    fields: Fields,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RecordOf {
    task_id: String,
    kind: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wait {
    task_id: String,
    kind: Option<String>,
    deadline_seconds: u64,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Expect {
    outcome: Value,
    #[serde(default)]
    error_excludes: Vec<String>,
    requests_sent: usize,
}

impl Case {
    /// Returns the differences from what was expected.
    pub(super) fn run(&self) -> Vec<String> {
        let play = || {
            let runtime = Builder::new_current_thread().enable_all().build()?;
            runtime
                .block_on(async { timeout(CALL_TIME_MAX, self.play()).await })
                .with_context(|| format!("the call did not end within {CALL_TIME_MAX:?}"))?
        };
        play().unwrap_or_else(|err: anyhow::Error| vec![format!("{err:#}")])
    }

    async fn play(&self) -> Result<Vec<String>> {
        let provider = ScriptedProvider::start(&self.input.exchanges).await?;
        let outcome = self.input.call(provider.base_url()).await?;
        let played = provider.end();
        let expected = json!({
            "outcome": self.expect.outcome, "requests_sent": self.expect.requests_sent,
        });
        let mut got = json!({"outcome": outcome, "requests_sent": played.requests});
        let said = normal::take_said(&mut got["outcome"]);
        normal::leave_out_kind(&expected["outcome"], &mut got["outcome"]);
        let mut found = differences(&expected, &got);
        found.extend(played.found);
        if self
            .expect
            .error_excludes
            .iter()
            .any(|secret| said.contains(secret))
        {
            found.push("the error contains a text that it must not contain".to_owned());
        }
        Ok(found)
    }
}

impl Input {
    fn client(&self, base_url: &str) -> Result<Client> {
        let retry = Retry::new()
            .with_attempts_max(self.attempts_max)
            .with_base(Duration::ZERO);
        let client = Client::builder(self.provider.into(), ApiKey::new(&self.api_key)?)
            .base_url(base_url)
            .route(self.route.into())
            .retry(retry)
            .submit_limit(None)
            .poll_limit(None)
            .build()?;
        Ok(client)
    }

    /// Makes the call, and returns the outcome in the form of the cases.
    async fn call(&self, base_url: &str) -> Result<Value> {
        let client = self.client(base_url)?;
        Ok(match &self.call {
            Call::Submit(fields) => self.submit(&client, OperationWord::default(), fields).await,
            Call::SubmitOf(SubmitOf { operation, fields }) => {
                self.submit(&client, *operation, fields).await
            }
            Call::RecordOf(RecordOf { task_id, kind }) => {
                let kind: TaskKind = kind.parse()?;
                normal::record(client.record_of(&TaskId::new(&**task_id)?, &kind).await)
            }
            Call::Record(id) => normal::record(client.record(&TaskId::new(&**id)?).await),
            Call::Credits(Nothing {}) => normal::credits(client.credits().await),
            Call::Wait(wait) => {
                ensure!(wait.deadline_seconds > 0, "a wait needs a deadline");
                let deadline = Duration::from_secs(wait.deadline_seconds);
                let task_id = TaskId::new(&*wait.task_id)?;
                let waiting = client
                    .wait(&task_id, deadline)
                    .with_interval(Duration::ZERO);
                let kind = wait
                    .kind
                    .as_deref()
                    .map_or(Ok(TaskKind::default()), str::parse)?;
                normal::waited(waiting.with_kind(kind).await)
            }
        })
    }

    async fn submit(&self, client: &Client, operation: OperationWord, fields: &Fields) -> Value {
        match fields.request(operation, self.route.into()) {
            Ok(request) => normal::submitted(client.submit(&request).await),
            Err(invalid) => normal::submitted(Err(invalid.into())),
        }
    }
}
