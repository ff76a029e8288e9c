//! `suno verify`: checks a signature by hand, and says why it is refused.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow};
use serde::Serialize;
use suno_callback::http::{HeaderMap, HeaderName, HeaderValue};
use suno_callback::{Clock, SystemClock, Verification};
use suno_gateway::signing::{Secret, TOLERANCE, VerifyError, verify};
use suno_types::signature::{Evidence, SIGNATURE_HEADER, TIMESTAMP_HEADER, diagnose};

use crate::environment;
use crate::failure::Failure;
use crate::output;

/// The maximum size of a body, in bytes: as much as the largest that a receiver accepts.
const BODY_BYTES_MAX: u64 = 64 << 20;

/// Check the signature of a captured request, and say why it is refused.
///
/// Checks a callback of the provider against --webhook-key-env, with the captured headers and body, or
/// with --task-id, --timestamp and --signature alone. With --standard-webhooks, checks a request that
/// 'suno listen --forward-to' has sent, against --secret-env. Nothing that is printed contains the
/// expected signature.
///
/// A captured request is old: --at sets the time at which it arrived, in Unix seconds.
///
/// Exit codes: 0 the signature is valid; 1 it is not; 2 wrong usage.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  suno verify --webhook-key-env SUNO_WEBHOOK_KEY --body callback.json \\
      --header X-Webhook-Timestamp:1780000000 --header X-Webhook-Signature:…
  suno verify --standard-webhooks --secret-env SECRET --body - --header webhook-id:… \\
      --header webhook-timestamp:… --header 'webhook-signature:v1,…' < body.json")]
pub(crate) struct Arguments {
    /// Environment variable with a webhook key; repeat it for a second key
    #[arg(
        long,
        value_name = "NAME",
        required_unless_present = "standard_webhooks"
    )]
    webhook_key_env: Vec<String>,
    /// Task that the callback is for; by default the one in the body
    #[arg(long, value_name = "ID")]
    task_id: Option<String>,
    /// Value of X-Webhook-Timestamp
    #[arg(long, value_name = "SECONDS", allow_hyphen_values = true)]
    timestamp: Option<String>,
    /// Value of X-Webhook-Signature
    #[arg(long, value_name = "BASE64", allow_hyphen_values = true)]
    signature: Option<String>,
    /// File with the body as it was received, byte for byte; - for stdin
    #[arg(long, value_name = "FILE")]
    body: Option<PathBuf>,
    /// Captured header; repeat it for each. Headers that are not part of the signature are ignored
    #[arg(long, value_name = "NAME:VALUE", value_parser = header)]
    header: Vec<Header>,
    /// Time at which the request arrived, in Unix seconds; by default now
    #[arg(long, value_name = "SECONDS")]
    at: Option<u64>,
    /// Check a request that the gateway has sent, in the form of Standard Webhooks
    #[arg(
        long,
        requires_all = ["secret_env", "body", "header"],
        conflicts_with_all = ["webhook_key_env", "task_id", "timestamp", "signature"]
    )]
    standard_webhooks: bool,
    /// Environment variable with a secret of the form whsec_…; repeat it for a second one
    #[arg(long, value_name = "NAME", requires = "standard_webhooks")]
    secret_env: Vec<String>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// A header as it was captured.
#[derive(Debug, Clone)]
struct Header {
    name: HeaderName,
    value: HeaderValue,
}

/// The error does not repeat the text: it may contain a token.
fn header(text: &str) -> Result<Header, String> {
    let (name, value) = text
        .split_once(':')
        .ok_or("a header is written NAME:VALUE")?;
    let name =
        HeaderName::try_from(name.trim()).map_err(|_| "the name of the header is invalid")?;
    let value = value.trim_matches([' ', '\t']);
    let value = HeaderValue::try_from(value).map_err(|_| "the value of the header is invalid")?;
    Ok(Header { name, value })
}

/// The result, which is also the object of `--json`.
#[derive(Debug, Serialize)]
struct Report {
    valid: bool,
    /// The place of the key or secret that fits, counted from 1.
    key: Option<usize>,
    mistakes: Vec<Mistake>,
}

#[derive(Debug, Serialize)]
struct Mistake {
    mistake: &'static str,
    message: String,
}

pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let body = arguments.body.as_deref().map(read).transpose();
    let body = body.map_err(Failure::usage)?;
    let now = SystemClock.now().as_second().unsigned_abs();
    let at = arguments.at.unwrap_or(now);
    if arguments.header.is_empty() && arguments.timestamp.is_none() && arguments.signature.is_none()
    {
        return Err(Failure::usage(anyhow!(
            "there is no signature to check; give the captured headers with --header, or use \
             --timestamp and --signature"
        )));
    }
    let report = match arguments.standard_webhooks {
        true => forwarded(arguments, body.as_deref().unwrap_or_default(), at)?,
        false => callback(arguments, body.as_deref(), at)?,
    };
    print(&report, arguments.json).map_err(Failure::failed)?;
    match report.valid {
        true => Ok(()),
        false => Err(Failure::failed(anyhow!("the signature is not valid"))),
    }
}

/// Checks what the provider has sent.
fn callback(arguments: &Arguments, body: Option<&[u8]>, at: u64) -> Result<Report, Failure> {
    let keys = arguments.webhook_key_env.iter();
    let keys = keys.map(|name| environment::named_by("--webhook-key-env", name));
    let keys = keys.collect::<Result<Vec<_>, _>>()?;
    let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
    let values = |name: &str, given: &'_ Option<String>| {
        let captured = arguments.header.iter().filter(|header| header.name == name);
        let captured = captured.map(|header| header.value.as_bytes().to_vec());
        let given = given.iter().map(|value| value.clone().into_bytes());
        captured.chain(given).collect::<Vec<_>>()
    };
    let timestamps = values(TIMESTAMP_HEADER, &arguments.timestamp);
    let signatures = values(SIGNATURE_HEADER, &arguments.signature);
    let timestamps: Vec<&[u8]> = timestamps.iter().map(Vec::as_slice).collect();
    let signatures: Vec<&[u8]> = signatures.iter().map(Vec::as_slice).collect();
    let mut evidence = Evidence::new(&timestamps, &signatures);
    if let Some(task_id) = &arguments.task_id {
        evidence = evidence.with_task_id(task_id);
    }
    if let Some(body) = body {
        evidence = evidence.with_body(body);
    }
    let diagnosis = diagnose(&keys, &evidence, at, Verification::WINDOW);
    let mistakes = diagnosis.mistakes.iter().map(|mistake| Mistake {
        mistake: mistake.as_str(),
        message: mistake.to_string(),
    });
    Ok(Report {
        valid: diagnosis.is_valid(),
        key: diagnosis.key.map(|place| place + 1),
        mistakes: mistakes.collect(),
    })
}

/// Checks what the gateway has sent.
fn forwarded(arguments: &Arguments, body: &[u8], at: u64) -> Result<Report, Failure> {
    let secrets = arguments.secret_env.iter().map(|name| {
        let text = environment::named_by("--secret-env", name)?;
        Secret::parse(&text).map_err(|err| {
            Failure::usage(err).context("a variable named by --secret-env contains no secret")
        })
    });
    let secrets = secrets.collect::<Result<Vec<_>, _>>()?;
    let mut headers = HeaderMap::new();
    for header in &arguments.header {
        headers.append(header.name.clone(), header.value.clone());
    }
    Ok(match verify(&secrets, &headers, body, at, TOLERANCE) {
        Ok(place) => Report {
            valid: true,
            key: Some(place + 1),
            mistakes: Vec::new(),
        },
        Err(err) => Report {
            valid: false,
            key: None,
            mistakes: vec![Mistake {
                mistake: word(&err),
                message: err.to_string(),
            }],
        },
    })
}

fn word(err: &VerifyError) -> &'static str {
    match err {
        VerifyError::Header(_) => "missing_header",
        VerifyError::BadTimestamp => "timestamp_form",
        VerifyError::NoSignature => "signature_form",
        VerifyError::TooOld(_) => "too_old",
        VerifyError::TooNew(_) => "too_new",
        _ => "no_key_fits",
    }
}

fn read(path: &Path) -> anyhow::Result<Vec<u8>> {
    let is_stdin = path.as_os_str() == "-";
    let source: Box<dyn Read> = match is_stdin {
        true => Box::new(io::stdin().lock()),
        false => Box::new(File::open(path).with_context(|| cannot_read(path))?),
    };
    let mut body = Vec::new();
    // One byte more shows that the body is too large.
    let mut source = source.take(BODY_BYTES_MAX + 1);
    source
        .read_to_end(&mut body)
        .with_context(|| cannot_read(path))?;
    match body.len() as u64 > BODY_BYTES_MAX {
        true => Err(anyhow!(
            "the body is larger than {BODY_BYTES_MAX} bytes, the most that a receiver accepts"
        )),
        false => Ok(body),
    }
}

fn cannot_read(path: &Path) -> String {
    format!("cannot read the body from {}", path.display())
}

fn print(report: &Report, json: bool) -> io::Result<()> {
    if json {
        return output::json(report);
    }
    if let (true, Some(key)) = (report.valid, report.key) {
        return output::line(&format!("valid: signed with key {key}"));
    }
    for mistake in &report.mistakes {
        output::line(&output::visible(&mistake.message))?;
    }
    match report.key {
        Some(key) => output::line(&format!(
            "apart from that, the signature is right: key {key} made it"
        )),
        None => Ok(()),
    }
}
