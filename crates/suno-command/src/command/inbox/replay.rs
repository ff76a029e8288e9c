//! `suno inbox replay`: sends an event once more, whatever became of it.

use anyhow::anyhow;
use serde_json::json;
use suno_callback::history::{HistoryEntry, HistoryKind};
use suno_callback::{EventId, EventRecord, find_event};
use suno_gateway::attempt::{Attempt, Outcome};
use suno_gateway::body::{BodyForm, EventParts, Message};
use suno_gateway::destination::DestinationName;
use suno_gateway::forward::ForwardHandler;
use suno_gateway::signing::{MessageId, Secret, Signer};
use suno_gateway::{Delivered, Destination, Next};

use super::fields::SCHEMA;
use super::place::Place;
use super::row::decoded;
use super::{event_id, store_failed, unprinted};
use crate::failure::Failure;
use crate::{environment, output};

/// The name of the destination in the history.
const DESTINATION: &str = "replay";

/// Send an event once more, marked as a replay
///
/// The request has the header suno-replay with the number of the replay, and the same webhook-id as the
/// event, so that a consumer that has done the work can skip it. The state of the event does not change.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The event
    #[arg(value_name = "ID", value_parser = event_id)]
    id: EventId,
    /// URL to send it to
    #[arg(long, value_name = "URL")]
    to: String,
    /// Environment variable with a signing key (whsec_…); give it twice during a rotation
    #[arg(long, value_name = "NAME", required = true)]
    signing_key_env: Vec<String>,
    /// Send ids only instead of everything
    #[arg(long)]
    thin: bool,
    /// Send it with an id of its own, so that a consumer handles it as another event
    #[arg(long)]
    new_id: bool,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    store: Place,
}

pub(super) async fn run(arguments: Arguments) -> Result<(), Failure> {
    let handler = handler(&arguments)?;
    let inbox = arguments.store.open().await?;
    let event = find_event(&*inbox.store, arguments.id).await;
    let event = event
        .map_err(store_failed)?
        .ok_or_else(|| Failure::failed(anyhow!("there is no event {}", arguments.id)))?;
    let message = message(&arguments, &event)?;
    let history = inbox.history.of_task(event.key.task_id()).await;
    let earlier = history.map_err(store_failed)?;
    let earlier = earlier
        .iter()
        .filter(|entry| is_replay(entry, &event))
        .count();
    let replay = u32::try_from(earlier).unwrap_or(u32::MAX).saturating_add(1);
    let delivered = handler.replay(&message, replay).await;
    let entry = HistoryEntry::new(
        event.key.task_id().clone(),
        HistoryKind::REPLAY,
        super::now(),
    )
    .with_stage(event.key.stage().clone(), event.key.revision())
    .with_detail(&json!({
        "id": event.id.0,
        "by": "suno inbox replay",
        "webhook_id": message.id.as_str(),
        "attempt": delivered.attempt,
    }));
    if let Err(err) = inbox.history.record(&[entry]).await {
        tracing::warn!(%err, "the replay is not in the history");
    }
    tell(&arguments, &message, replay, &delivered)?;
    match delivered.next {
        Next::Done => Ok(()),
        _ => Err(Failure::failed(anyhow!(
            "the replay failed: {}",
            delivered.reason
        ))),
    }
}

fn is_replay(entry: &HistoryEntry, event: &EventRecord) -> bool {
    entry.kind == HistoryKind::REPLAY
        && entry.stage.as_ref() == Some(event.key.stage())
        && entry.revision == event.key.revision()
}

fn handler(arguments: &Arguments) -> Result<ForwardHandler, Failure> {
    let secrets = arguments.signing_key_env.iter().map(|name| {
        let text = environment::named_by("--signing-key-env", name)?;
        Secret::parse(text.trim()).map_err(|err| {
            Failure::usage(err).context("the variable named by --signing-key-env is no signing key")
        })
    });
    let signer = Signer::new(secrets.collect::<Result<Vec<_>, _>>()?).map_err(Failure::usage)?;
    let name = DestinationName::new(DESTINATION).map_err(Failure::usage)?;
    let builder = ForwardHandler::builder(name, &arguments.to, signer);
    let builder = builder
        .map_err(|err| Failure::usage(err).context("the URL given with --to cannot be used"))?;
    builder.build().map_err(Failure::usage)
}

fn message(arguments: &Arguments, event: &EventRecord) -> Result<Message, Failure> {
    let Some(callback) = decoded(event) else {
        return Err(Failure::failed(anyhow!(
            "event {} has no body that can be sent; it was purged or is damaged",
            event.id
        )));
    };
    let mut parts = EventParts::new(&event.key, &callback, event.received_at);
    parts.source = event.source;
    parts.verified_by = event.verified_by;
    parts.suffix = event.suffix.as_ref();
    parts.submit = event.submit;
    parts.reference = event.reference.as_ref();
    let form = match arguments.thin {
        true => BodyForm::Thin,
        false => BodyForm::Full,
    };
    Ok(match arguments.new_id {
        true => Message::with_id(parts, form, MessageId::of_copy(random())),
        false => Message::new(parts, form),
    })
}

/// Returns bytes that need not be hard to guess, only different.
fn random() -> [u8; 16] {
    fastrand::u128(..).to_le_bytes()
}

fn tell(
    arguments: &Arguments,
    message: &Message,
    replay: u32,
    delivered: &Delivered,
) -> Result<(), Failure> {
    let printed = match arguments.json {
        true => output::json(&json!({
            "schema": SCHEMA,
            "id": arguments.id.0,
            "webhook_id": message.id.as_str(),
            "replay": replay,
            "attempt": delivered.attempt,
        })),
        false => {
            let id = message.id.as_str();
            let answer = delivered.attempt.as_ref().map_or_else(String::new, answer);
            output::line(&format!("{id} replay {replay}: {answer}"))
        }
    };
    printed.map_err(unprinted)
}

fn answer(attempt: &Attempt) -> String {
    let took = attempt.duration_ms;
    match &attempt.outcome {
        Outcome::Answered(answer) => format!("{} in {took} ms", answer.status),
        _ => format!("no answer in {took} ms"),
    }
}
