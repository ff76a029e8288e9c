//! `suno inbox`: looks into a store and operates it, also while a gateway runs on it.

mod cells;
mod fields;
mod filters;
mod list;
mod paging;
mod place;
mod purge;
mod quarantine;
mod redrive;
mod replay;
mod row;
mod show;
mod stats;
mod table;
mod tail;
mod transfer;

use anyhow::anyhow;
use clap::Subcommand;
use jiff::Timestamp;
use suno_callback::{Clock, EventId, SystemClock};

use crate::failure::Failure;

/// Show the events in a store, handle them again, and move them to another store
///
/// Every command can be used while a gateway runs on the store, which --store names. Tables are for people;
/// --json prints JSON lines with a stable schema for programs.
///
/// Exit codes: 0 success; 1 something failed or was refused; 2 wrong usage; 3 nothing matched, only with
/// --exit-code.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  suno inbox list --state dead --since 2h
  suno inbox show 17
  suno inbox redrive --state dead --since 2h --dry-run
  suno inbox export --store sqlite:suno.db | suno inbox import - --store-env STORE_URL")]
pub(crate) struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    List(list::Arguments),
    Show(show::Arguments),
    Tail(tail::Arguments),
    Redrive(redrive::Arguments),
    Replay(replay::Arguments),
    Purge(purge::Arguments),
    Stats(stats::Arguments),
    Quarantine(quarantine::Arguments),
    Export(transfer::ExportArguments),
    Import(transfer::ImportArguments),
}

pub(crate) async fn run(arguments: Arguments) -> Result<(), Failure> {
    match arguments.verb {
        Verb::List(arguments) => list::run(arguments).await,
        Verb::Show(arguments) => show::run(arguments).await,
        Verb::Tail(arguments) => tail::run(arguments).await,
        Verb::Redrive(arguments) => redrive::run(arguments).await,
        Verb::Replay(arguments) => replay::run(arguments).await,
        Verb::Purge(arguments) => purge::run(arguments).await,
        Verb::Stats(arguments) => stats::run(arguments).await,
        Verb::Quarantine(arguments) => quarantine::run(arguments).await,
        Verb::Export(arguments) => transfer::export(arguments).await,
        Verb::Import(arguments) => transfer::import(arguments).await,
    }
}

/// The exit code when nothing matched and `--exit-code` was given.
const NOTHING_MATCHED: i32 = 3;

/// The current time.
fn now() -> Timestamp {
    SystemClock.now()
}

/// The failure of a verb whose store failed.
fn store_failed(err: suno_callback::StoreError) -> Failure {
    Failure::failed(err).context("the store could not be used")
}

/// The failure of a verb that cannot print.
fn unprinted(err: std::io::Error) -> Failure {
    Failure::failed(err).context("stdout cannot be written")
}

/// The failure when nothing matched, if it counts as one.
fn nothing_matched(is_failure: bool) -> Result<(), Failure> {
    match is_failure {
        true => Err(Failure::of_command(
            NOTHING_MATCHED,
            anyhow!("nothing matched"),
        )),
        false => Ok(()),
    }
}

/// Parses the number of an event.
fn event_id(text: &str) -> Result<EventId, &'static str> {
    let id = text.parse().map(EventId);
    id.map_err(|_| "an event is named by its number, as `suno inbox list` shows it")
}
