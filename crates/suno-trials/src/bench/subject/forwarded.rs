//! A gateway that forwards to a bare hyper consumer.

use std::env;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result};
use suno_callback::{Pipeline, Verification};
use suno_gateway::breaker::BreakerSettings;
use suno_gateway::destination::DestinationName;
use suno_gateway::forward::ForwardHandler;
use suno_gateway::signing::{Secret, Signer};
use suno_testkit::callback::KEY;
use tokio::net::TcpListener;

use super::receiver::sqlite;
use crate::bench::machine::LOAD_CORE;

/// The number of requests to the consumer at the same time.
const IN_FLIGHT_MAX: usize = 64;
/// A port on which nothing listens: tcpmux.
const UNUSED_PORT: u16 = 1;
/// Ends the consumer with its parent, however that ends.
const WITH_PARENT: &str = r#""$0" "$@" & cat > /dev/null; kill $!"#;

/// A file in the folder of the store that says that there is no consumer.
pub(in crate::bench) const DOWN: &str = "down";

pub(super) async fn serve(listener: TcpListener, dir: &Path) -> Result<()> {
    let (_consumer, address) = match dir.join(DOWN).exists() {
        true => (None, SocketAddr::from(([127, 0, 0, 1], UNUSED_PORT))),
        false => start_consumer(dir).map(|(child, address)| (Some(child), address))?,
    };
    let signer = Signer::new([Secret::from_bytes([7; 32])?])?;
    let name = DestinationName::new("consumer")?;
    let breaker = BreakerSettings::new().with_in_flight_max(IN_FLIGHT_MAX);
    let handler = ForwardHandler::builder(name, &format!("http://{address}/hook"), signer)?
        .with_breaker(breaker)
        .build()?;
    let pipeline = Pipeline::builder(sqlite(dir)?, handler, Verification::webhook_key(KEY))
        .dispatcher(|dispatcher| dispatcher.with_handlers_max(IN_FLIGHT_MAX))
        .start()?;
    pipeline.serve(listener, std::future::pending()).await;
    Ok(())
}

fn start_consumer(dir: &Path) -> Result<(Child, SocketAddr)> {
    let mut command = Command::new("sh");
    command.args(["-c", WITH_PARENT]);
    // On one core, it would only take turns with the gateway.
    let has_taskset = Command::new("taskset").arg("--version").output().is_ok();
    let cores = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    if has_taskset && cores.matches("processor\t").count() > 1 {
        command.args(["taskset", "-c", LOAD_CORE]);
    }
    let mut child = command
        .arg(env::current_exe()?)
        .args(["bench-subject", "hyper"])
        .arg(dir)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .context("the consumer could not be started")?;
    let mut line = String::new();
    let stdout = child.stdout.take().context("it has no stdout")?;
    BufReader::new(stdout).read_line(&mut line)?;
    Ok((
        child,
        line.trim().parse().context("the consumer did not start")?,
    ))
}
