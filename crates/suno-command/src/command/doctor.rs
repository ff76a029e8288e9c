//! `suno doctor`: examines a deployed receiver as the provider would see it.

use std::io;
use std::path::PathBuf;

use anyhow::anyhow;
use serde::Serialize;
use suno_conformance::{Doctor, Finding, Severity};

use crate::environment;
use crate::failure::Failure;
use crate::output;

/// Examine a deployed receiver, as the provider would see it.
///
/// Checks whether the receiver can be reached, its certificate, its clock, how fast it answers, whether it
/// refuses unsigned, forged and stale callbacks, and its limits. Each finding is a line, and what to do
/// about it is the next one.
///
/// With --webhook-key-env, also sends one signed event twice. The receiver stores and handles it: its task
/// id begins with "suno-doctor-", its stage is "text", and it has no tracks. Without a key, nothing is sent
/// that a receiver would store.
///
/// Exit codes: 0 nothing failed, though there may be warnings; 1 a check failed; 2 wrong usage.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example:
  suno doctor --url https://app.example.com/suno/callback --webhook-key-env SUNO_WEBHOOK_KEY")]
pub(crate) struct Arguments {
    /// Callback URL of the receiver, with its token if it has one
    #[arg(long, value_name = "URL")]
    url: String,
    /// Environment variable with the webhook key of the receiver
    #[arg(long, value_name = "NAME")]
    webhook_key_env: Option<String>,
    /// File with extra trusted CA certificates (PEM)
    #[arg(long, value_name = "FILE")]
    trust: Option<PathBuf>,
    /// Print one JSON object per line
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Serialize)]
struct FindingLine<'a> {
    check: &'a str,
    severity: &'static str,
    message: &'a str,
    advice: Option<&'a str>,
    duration_ms: Option<u128>,
}

pub(crate) async fn run(arguments: Arguments) -> Result<(), Failure> {
    let mut doctor = Doctor::new(&arguments.url).map_err(Failure::usage)?;
    if let Some(name) = &arguments.webhook_key_env {
        doctor = doctor.with_webhook_key(environment::named_by("--webhook-key-env", name)?);
    }
    if let Some(file) = &arguments.trust {
        let pem = std::fs::read(file).map_err(|err| {
            Failure::usage(err).context(format!("cannot read the certificates {}", file.display()))
        })?;
        doctor = doctor.with_extra_roots_pem(pem);
    }
    let mut printed = Ok(());
    let findings = doctor.examine(|finding| {
        if printed.is_ok() {
            printed = print(finding, arguments.json);
        }
    });
    let findings = findings.await;
    printed.map_err(Failure::failed)?;
    let is_failed = |finding: &&Finding| finding.severity == Severity::Failed;
    match findings.iter().filter(is_failed).count() {
        0 => Ok(()),
        1 => Err(Failure::failed(anyhow!("a check failed"))),
        count => Err(Failure::failed(anyhow!("{count} checks failed"))),
    }
}

fn print(finding: &Finding, json: bool) -> io::Result<()> {
    if json {
        return output::json(&FindingLine {
            check: finding.check,
            severity: finding.severity.as_str(),
            message: &finding.message,
            advice: finding.advice,
            duration_ms: finding.duration.map(|duration| duration.as_millis()),
        });
    }
    let word = finding.severity.as_str();
    output::line(&format!(
        "{word:<8} {:<12} {}",
        finding.check,
        output::visible(&finding.message)
    ))?;
    match finding.advice {
        Some(advice) => output::line(&format!("{:<21} -> {advice}", "")),
        None => Ok(()),
    }
}
