//! `suno health`: asks a running service whether it is healthy, for health checks of containers.

use std::time::Duration;

use anyhow::anyhow;
use suno_conformance::{Doctor, fetch_status};

use crate::environment;
use crate::failure::Failure;
use crate::output;
use crate::span::Span;

/// Check whether a running service is healthy, for the health check of a container.
///
/// Sends a GET request and prints the status of the answer. The URL is usually /readyz of the admin
/// address.
///
/// Exit codes: 0 the status is from 200 to 299; 1 it is another one, or there is no answer; 2 wrong usage.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example:
  suno health --url http://127.0.0.1:9090/readyz")]
pub(crate) struct Arguments {
    /// URL to request; by default that in SUNO_HEALTH_URL
    #[arg(long, value_name = "URL")]
    url: Option<String>,
    /// Time limit for the answer
    #[arg(long, value_name = "TIME", default_value = "4s")]
    timeout: Span,
}

pub(crate) async fn run(arguments: Arguments) -> Result<(), Failure> {
    let url = match arguments.url {
        Some(url) => url,
        None => environment::optional(environment::HEALTH_URL)?.ok_or_else(|| {
            Failure::usage(anyhow!(
                "no URL is given; use --url, or set the environment variable {}",
                environment::HEALTH_URL
            ))
        })?,
    };
    Doctor::new(url.trim()).map_err(Failure::usage)?;
    let timeout: Duration = arguments.timeout.0;
    let status = fetch_status(url.trim(), timeout).await;
    let status =
        status.map_err(|err| Failure::failed(err).context("the service is not healthy"))?;
    match status {
        200..300 => output::line(&format!("healthy: {status}")).map_err(Failure::failed),
        _ => Err(Failure::failed(anyhow!(
            "the service is not healthy: the answer is {status}"
        ))),
    }
}
