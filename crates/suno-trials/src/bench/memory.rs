//! Measures the memory of the receiver: idle, for each open connection, for unhandled events, also while
//! they wait for a destination.

use std::io::Write;

use anyhow::{Context, Result};

use super::bound;
use super::connection::Connection;
use super::load::Load;
use super::machine::{Program, SubjectProcess, describe};
use super::statistics::cell;
use super::subject::{DOWN, Subject};

/// The number of events sent before the connections are counted, so that caches have reached their
/// size: more than the pages that the store keeps.
const WARM_UP: u64 = 10_000;
/// The number of connections that send the unhandled events.
const SENDERS: usize = 64;

/// Measure the memory of the receiver with the SQLite store: idle, for each open connection, for
/// unhandled events
#[derive(Debug, Clone, clap::Args)]
pub(super) struct Options {
    /// Number of connections that are kept open
    #[arg(
        long,
        value_name = "COUNT",
        value_parser = bound::count::<usize>(bound::AT_ONCE_MAX),
        default_value_t = 500
    )]
    connections: usize,
    /// Number of events that are stored and not handled
    #[arg(
        long,
        value_name = "COUNT",
        value_parser = bound::count::<u64>(bound::EVENTS_MAX),
        default_value_t = 100_000
    )]
    events: u64,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

pub(super) fn run(program: &Program, options: &Options, out: &mut dyn Write) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let (idle, connection) = runtime.block_on(connections(program, options))?;
    let waiting = runtime.block_on(events(program, options, Subject::Forwarded))?;
    let events = runtime.block_on(events(program, options, Subject::Sqlite))?;
    if options.json {
        let told = serde_json::json!({
            "idle_kb": idle,
            "connections": options.connections,
            "kb_each_connection": connection,
            "events": options.events,
            "kb_of_events": events,
            "kb_of_events_waiting_for_a_destination": waiting,
        });
        writeln!(out, "{told}")?;
        return Ok(());
    }
    let dir = tempfile::tempdir()?;
    writeln!(
        out,
        "{}.\n\n\
         | resident memory of sqlite | measured | goal |\n\
         | --- | ---: | --- |\n\
         | idle | {} MB | <= 15 MB |\n\
         | for each of {} connections that sent one callback and are open | {} kB | <= 12 kB |\n\
         | {} events that are not handled | + {} MB | <= 20 MB for 100,000 |\n\
         | {} events that wait for a destination that is down | + {} MB | <= 25 MB for 100,000 |",
        describe(dir.path())?,
        cell(Some(idle / 1024.0), 1),
        options.connections,
        cell(Some(connection), 1),
        options.events,
        cell(Some(events / 1024.0), 1),
        options.events,
        cell(Some(waiting / 1024.0), 1),
    )?;
    Ok(())
}

/// Measures the memory after the start, and the memory that each connection adds.
async fn connections(program: &Program, options: &Options) -> Result<(f64, f64)> {
    let dir = tempfile::tempdir()?;
    let running = SubjectProcess::start(Subject::Sqlite.command(program, dir.path()))?;
    let idle = resident(&running)?;
    let load = Load::closed(running.address(), 1, std::time::Duration::ZERO);
    Connection::open(&load, 0, 0).await?.send(WARM_UP).await?;
    let before = resident(&running)?;
    let mut open = Vec::with_capacity(options.connections);
    for place in 0..options.connections {
        let mut connection = Connection::open(&load, 1, place).await?;
        connection.send(1).await?;
        open.push(connection);
    }
    let each = (resident(&running)? - before) / options.connections as f64;
    Ok((idle, each))
}

/// Measures the memory that unhandled events add.
async fn events(program: &Program, options: &Options, subject: Subject) -> Result<f64> {
    let dir = tempfile::tempdir()?;
    std::fs::write(dir.path().join(DOWN), "")?;
    let running = SubjectProcess::start(subject.command(program, dir.path()))?;
    let load = Load::closed(running.address(), SENDERS, std::time::Duration::ZERO);
    let before = resident(&running)?;
    let mut senders = tokio::task::JoinSet::new();
    for place in 0..SENDERS {
        let share = options.events / SENDERS as u64;
        let rest = u64::from((place as u64) < options.events % SENDERS as u64);
        senders.spawn(async move {
            let mut connection = Connection::open(&load, 2, place).await?;
            connection.send(share + rest).await
        });
    }
    while let Some(sent) = senders.join_next().await {
        sent??;
    }
    Ok(resident(&running)? - before)
}

fn resident(running: &SubjectProcess) -> Result<f64> {
    running
        .resident_kb()
        .context("this system does not report the memory of a process")
}
