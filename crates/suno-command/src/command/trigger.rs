//! `suno trigger`: sends the callbacks of a scenario to a receiver.

use std::io;
use std::time::Duration;

use anyhow::anyhow;
use serde::Serialize;
use suno_client::{ApiKey, Client};
use suno_emulator::{
    Activity, Attempt, AttemptOutcome, Config, Emulator, callback_words, signature,
};
use suno_types::{GenerateSong, Model, Provider};
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::emulate::{ActivityLine, not_started};
use crate::failure::Failure;
use crate::{advice, environment, output, provider};

/// How many times faster than the provider the task runs: its callbacks are sent within about a second.
const SPEED: f64 = 100.0;
/// The time limit for the whole task. A receiver that never answers, in 15 s each, needs most of it.
const DEADLINE: Duration = Duration::from_secs(300);
/// The maximum age of a timestamp that a receiver accepts (`PROTOCOL.md 7.26`), in seconds.
const WINDOW_SECONDS: u64 = 300;

/// Send the callbacks of a scenario to a receiver, as the provider would.
///
/// Runs a task in an emulator in this process, a hundred times faster than the provider, and sends its
/// callbacks to --to: signed if --webhook-key-env is given, with retries, and with whatever the scenario
/// does to them. Each attempt is a line with the answer and its duration. The media URLs in the bodies
/// stop working when this command ends.
///
/// A callback that is signed wrongly on purpose must be refused, and every other must be answered with
/// 2xx, at the latest on its last attempt.
///
/// Exit codes: 0 every callback was answered as it should be; 1 one was not; 2 wrong usage.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  suno trigger --to http://localhost:3000/suno/callback --webhook-key-env SUNO_WEBHOOK_KEY
  suno trigger duplicate,reorder --to http://localhost:3000/suno/callback
  suno trigger --list")]
pub(crate) struct Arguments {
    /// Words, separated by commas; without any, a song is completed without faults
    #[arg(value_name = "SCENARIO")]
    scenario: Option<String>,
    /// Callback URL of the receiver, with its token if it has one
    #[arg(long, value_name = "URL", required_unless_present = "list")]
    to: Option<String>,
    /// Environment variable with the webhook key of the receiver
    #[arg(long, value_name = "NAME")]
    webhook_key_env: Option<String>,
    /// Print one JSON object per line
    #[arg(long)]
    json: bool,
    /// List the words of scenarios
    #[arg(long, conflicts_with_all = ["scenario", "to"])]
    list: bool,
}

pub(crate) async fn run(arguments: Arguments) -> Result<(), Failure> {
    let Some(to) = &arguments.to else {
        return list(arguments.json).map_err(Failure::failed);
    };
    let key = arguments.webhook_key_env.as_deref();
    let key = key.map(|name| environment::named_by("--webhook-key-env", name));
    let key = key.transpose()?;
    let (tell, mut attempts) = mpsc::unbounded_channel();
    let config = Config::default()
        .with_speed(SPEED)
        .with_deliver_outside(true)
        .with_scenario(arguments.scenario.as_deref().unwrap_or_default())
        .with_observer(move |activity| {
            if let Activity::Attempt(attempt) = activity {
                let _ = tell.send(attempt.clone());
            }
        });
    let config = match &key {
        Some(key) => config.with_webhook_key(key),
        None => config.without_webhook_key(),
    };
    let emulator = Emulator::start(config).await.map_err(not_started)?;
    submit(&emulator, to).await?;

    let mut report = Report {
        key,
        json: arguments.json,
        printed: 0,
        is_good: true,
    };
    let sending = async {
        let idle = emulator.idle();
        tokio::pin!(idle);
        loop {
            tokio::select! {
                biased;
                Some(attempt) = attempts.recv() => report.print(&attempt)?,
                () = &mut idle => break,
            }
        }
        // Those whose observer had not been called yet.
        let last = report.printed;
        for attempt in emulator
            .attempts()
            .iter()
            .filter(|attempt| attempt.serial > last)
        {
            report.print(attempt)?;
        }
        Ok::<_, io::Error>(())
    };
    let sent = timeout(DEADLINE, sending).await;
    emulator.shutdown().await;
    match sent {
        Err(_) => Err(Failure::failed(anyhow!(
            "the callbacks were not delivered within {} s",
            DEADLINE.as_secs()
        ))),
        Ok(Err(err)) => Err(Failure::failed(err)),
        Ok(Ok(())) if report.printed == 0 => {
            Err(Failure::failed(anyhow!("the scenario sends no callback")))
        }
        Ok(Ok(())) if report.is_good => Ok(()),
        Ok(Ok(())) => Err(Failure::failed(anyhow!(
            "a callback was not answered as it should be"
        ))),
    }
}

/// Submits a song to the emulator.
async fn submit(emulator: &Emulator, to: &str) -> Result<(), Failure> {
    let request = GenerateSong::builder()
        .custom_mode(false)
        .instrumental(false)
        .prompt("A quiet song about harbour lights")
        .model(Model::V5)
        .callback_url(to)
        .build()
        .map_err(|err| Failure::usage(err).context("--to is not a callback URL"))?;
    let key = ApiKey::new(emulator.api_key()).map_err(advice::failure)?;
    let client: Client = provider::at(Client::builder(Provider::Kie, key), emulator.base_url())?;
    let submitted = client.submit(&request).await;
    submitted.map_err(|err| {
        Failure::failed(err).context("the emulated provider created no task in this scenario")
    })?;
    Ok(())
}

/// The answer that a receiver should give to an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Expected {
    Accepted,
    Refused,
    /// The callback is false, but a receiver cannot know.
    Either,
    /// Nothing: the attempt was not sent.
    Nothing,
}

/// The judgement of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Verdict {
    Good,
    /// It failed, and is repeated.
    Repeated,
    Bad,
}

#[derive(Debug, Serialize)]
struct JsonLine<'a> {
    #[serde(flatten)]
    line: ActivityLine<'a>,
    expected: Expected,
    verdict: Verdict,
}

/// The attempts so far.
struct Report {
    key: Option<String>,
    json: bool,
    /// The serial number of the last attempt that was printed.
    printed: u64,
    is_good: bool,
}

impl Report {
    fn print(&mut self, attempt: &Attempt) -> io::Result<()> {
        self.printed = attempt.serial;
        let expected = expected(attempt, self.key.as_deref());
        let verdict = verdict(attempt, expected);
        self.is_good &= verdict != Verdict::Bad;
        let line = ActivityLine::of_attempt(attempt);
        if self.json {
            return output::json(&JsonLine {
                line,
                expected,
                verdict,
            });
        }
        let mut text = line.sentence();
        text += match (expected, verdict) {
            (Expected::Refused, Verdict::Good) => ", refused as it should be",
            (Expected::Refused, _) => ", FAILED: it is signed wrongly and must be refused",
            (Expected::Accepted, Verdict::Bad) => ", FAILED: it must be answered with 2xx",
            (Expected::Either, _) => ", forged with a copied signature",
            _ => "",
        };
        output::line(&text)
    }
}

fn expected(attempt: &Attempt, key: Option<&str>) -> Expected {
    if attempt.outcome == AttemptOutcome::Dropped {
        return Expected::Nothing;
    }
    if attempt.is_forged {
        return Expected::Either;
    }
    let Some(key) = key else {
        return Expected::Accepted;
    };
    let (Some(timestamp), Some(sent)) = (&attempt.timestamp, &attempt.signature) else {
        return Expected::Refused;
    };
    let age = timestamp
        .parse()
        .map(|timestamp| (attempt.unix_ms / 1_000).abs_diff(timestamp));
    let is_fresh = age.is_ok_and(|age| age <= WINDOW_SECONDS);
    match is_fresh && *sent == signature(key, &attempt.task_id, timestamp) {
        true => Expected::Accepted,
        false => Expected::Refused,
    }
}

fn verdict(attempt: &Attempt, expected: Expected) -> Verdict {
    let is_repeated = attempt.number < attempt.attempts_max;
    let is_answered = matches!(attempt.outcome, AttemptOutcome::Answered { .. });
    match (expected, attempt.outcome.is_delivered()) {
        (Expected::Nothing | Expected::Either, _) | (Expected::Accepted, true) => Verdict::Good,
        (Expected::Refused, false) if is_answered => Verdict::Good,
        (Expected::Refused, true) => Verdict::Bad,
        (_, false) if is_repeated => Verdict::Repeated,
        (_, false) => Verdict::Bad,
    }
}

fn list(json: bool) -> io::Result<()> {
    #[derive(Serialize)]
    struct WordLine {
        word: String,
        value: &'static str,
        meaning: &'static str,
    }

    for word in callback_words() {
        let stage = if word.is_per_stage { "[-STAGE]" } else { "" };
        let name = format!("{}{stage}", word.name);
        match (json, word.value) {
            (true, value) => output::json(&WordLine {
                word: name,
                value,
                meaning: word.meaning,
            })?,
            (false, "") => output::line(&format!("{name:<22} {}", word.meaning))?,
            (false, value) => {
                output::line(&format!("{name:<22} {} (={value})", word.meaning))?;
            }
        }
    }
    Ok(())
}
