//! Measures receivers that share a store in PostgreSQL, compared with the upper limit of the server.

mod plain;
mod report;
pub(super) mod snapshot;
mod store;
mod subject;
mod wake;

use std::env;
use std::io::{self, Write};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use serde::de::DeserializeOwned;
use suno_testkit::postgres::{TestSchema, URL_VARIABLE};

pub use self::subject::{Run, Shared};

use self::subject::Figures;
use super::bound;
use super::load::BODY_BYTES;
use super::machine::Program;

/// Measure receivers on one PostgreSQL server, beside plain INSERT and COPY
///
/// Each run has a schema of its own, which is dropped at its end. Subjects take turns over several
/// rounds; compare the ratios within a round.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct Options {
    /// Server, as postgres://USER@HOST/DATABASE; $SUNO_TEST_POSTGRES_URL if omitted
    #[arg(long, value_name = "URL")]
    store: Option<String>,
    /// Number of callers that accept at the same time
    #[arg(
        long,
        value_name = "COUNT",
        value_parser = bound::count::<usize>(bound::AT_ONCE_MAX),
        default_value_t = 64
    )]
    connections: usize,
    /// Size of bodies, in bytes
    #[arg(long, value_name = "BYTES", value_parser = bound::body_bytes(), default_value_t = BODY_BYTES)]
    body_bytes: usize,
    /// Duration of each run
    #[arg(long, value_parser = bound::seconds, default_value_t = 4.0)]
    seconds: f64,
    /// Number of rounds
    #[arg(
        long,
        value_name = "COUNT",
        value_parser = bound::count::<usize>(bound::ROUNDS_MAX),
        default_value_t = 3
    )]
    rounds: usize,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// The figures of one round.
#[derive(Debug, Clone, serde::Serialize)]
struct Round {
    insert: Figures,
    copy: Figures,
    copy_all: Figures,
    accept: Figures,
    handled: Figures,
    paced: Figures,
    /// Two processes, with half of the callers each.
    two: [Figures; 2],
    listen: Figures,
    poll: Figures,
}

pub(super) fn run(program: &Program, options: &Options, out: &mut dyn Write) -> Result<()> {
    let url = url(options.store.as_ref())?;
    let mut rounds = Vec::new();
    for _ in 0..options.rounds {
        rounds.push(round(program, options, &url)?);
    }
    if options.json {
        writeln!(out, "{}", serde_json::to_string(&rounds)?)?;
        return Ok(());
    }
    report::tell(program, options, &rounds, out)
}

fn round(program: &Program, options: &Options, url: &str) -> Result<Round> {
    let alone = |subject, per_second| {
        let schema = TestSchema::new(url);
        let run = options.run(subject, &schema, options.connections, per_second);
        Ok::<Figures, anyhow::Error>(all(program, url, &[run])?.remove(0))
    };
    let handled = alone(Shared::Handled, 0.0)?;
    let half = handled.per_second / 2.0;
    let schema = TestSchema::new(url);
    let callers = options.connections.div_ceil(2);
    let run = options.run(Shared::Accept, &schema, callers, 0.0);
    let mut two = all::<Figures>(program, url, &[run.clone(), run])?.into_iter();
    Ok(Round {
        insert: alone(Shared::Insert, 0.0)?,
        copy: alone(Shared::Copy, 0.0)?,
        copy_all: alone(Shared::CopyAll, 0.0)?,
        accept: alone(Shared::Accept, 0.0)?,
        paced: alone(Shared::Handled, half)?,
        handled,
        two: [
            two.next().unwrap_or_default(),
            two.next().unwrap_or_default(),
        ],
        listen: alone(Shared::Listen, 0.0)?,
        poll: alone(Shared::Poll, 0.0)?,
    })
}

/// Runs processes at the same time, and returns their figures.
fn all<T: DeserializeOwned>(program: &Program, url: &str, runs: &[Run]) -> Result<Vec<T>> {
    let children = runs.iter().map(|run| {
        Command::new(program.path())
            .arg("bench-shared")
            .args(run.arguments())
            .env(URL_VARIABLE, url)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .context("a subject could not be started")
    });
    let children = children.collect::<Result<Vec<_>>>()?;
    let mut figures = Vec::with_capacity(runs.len());
    for (child, run) in children.into_iter().zip(runs) {
        let output = child.wait_with_output()?;
        ensure!(output.status.success(), "{} failed", run.subject());
        figures.push(serde_json::from_slice(&output.stdout)?);
    }
    Ok(figures)
}

/// The URL of the server: the option, or else the variable of the tests.
fn url(option: Option<&String>) -> Result<String> {
    let url = option.cloned().or_else(|| env::var(URL_VARIABLE).ok());
    url.with_context(|| format!("name a server by --store, or in {URL_VARIABLE}"))
}

impl Options {
    fn run(&self, subject: Shared, schema: &TestSchema, callers: usize, per_second: f64) -> Run {
        Run::new(
            subject,
            schema,
            callers,
            self.body_bytes,
            self.seconds,
            per_second,
        )
    }
}

/// Runs a subject, and prints its figures as JSON.
///
/// # Errors
///
/// Returns an error if the server cannot be used.
pub(crate) async fn measure(run: Run) -> Result<()> {
    let figures = match run.subject {
        Shared::Insert => plain::insert(&run).await?,
        Shared::Copy => plain::copy(&run).await?,
        Shared::CopyAll => plain::copy_all(&run).await?,
        Shared::Accept => store::accept(&run).await?,
        Shared::Handled => store::handle(&run).await?,
        Shared::Listen | Shared::Poll => wake::measure(&run).await?,
        Shared::Snapshot => return snapshot::measure(&run).await,
    };
    writeln!(io::stdout(), "{}", serde_json::to_string(&figures)?)?;
    Ok(())
}
