//! `suno inbox list`: the events that match.

use suno_callback::{EventId, EventRecord, IdempotencyStore, Search};

use super::fields::Selection;
use super::filters::Filters;
use super::paging::Paging;
use super::place::Place;
use super::row::Row;
use super::table::Table;
use super::{nothing_matched, store_failed, unprinted};
use crate::failure::Failure;
use crate::{log, output};

/// The maximum number of events that are read at a time.
const PAGE: u32 = 256;
/// The maximum number of further events that are counted.
const COUNTED_MAX: u64 = 10_000;

/// List events, in the order of their arrival
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    filters: Filters,
    #[command(flatten)]
    form: Form,
    #[command(flatten)]
    paging: Paging,
    #[command(flatten)]
    store: Place,
}

pub(super) async fn run(arguments: Arguments) -> Result<(), Failure> {
    let printing = arguments.form.printing()?;
    let inbox = arguments.store.open().await?;
    let search = arguments.filters.search(super::now());
    let lines_max = arguments.paging.lines_max();
    let (mut after, mut printed) = (arguments.paging.after, 0_u64);
    while printed < lines_max {
        let wanted = u32::try_from(lines_max - printed).unwrap_or(PAGE).min(PAGE);
        let page = search.page(&*inbox.store, after, wanted).await;
        let page = page.map_err(store_failed)?;
        for record in page.records {
            if printed == 0 {
                printing.head()?;
            }
            printing.event(&*inbox.store, record).await?;
            printed += 1;
        }
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    if let Some(after) = after {
        tell_more(&*inbox.store, &search, after).await?;
    }
    match printed {
        0 => nothing_matched(arguments.paging.exit_code),
        _ => Ok(()),
    }
}

/// Says on stderr how many events follow.
async fn tell_more(
    store: &dyn IdempotencyStore,
    search: &Search,
    after: EventId,
) -> Result<(), Failure> {
    let (mut more, mut cursor) = (0_u64, Some(after));
    while let Some(from) = cursor.filter(|_| more < COUNTED_MAX) {
        let page = search.page(store, Some(from), PAGE).await;
        let page = page.map_err(store_failed)?;
        more += page.records.len() as u64;
        cursor = page.next;
    }
    match (more, cursor) {
        (0, None) => {}
        (more, None) => log::line(&format!("{more} more: --after {after}")),
        (more, Some(_)) => log::line(&format!("more than {more} more: --after {after}")),
    }
    Ok(())
}

/// The option that chooses how events are printed.
#[derive(Debug, clap::Args)]
pub(super) struct Form {
    /// Print JSON lines: everything, or these members, such as --json=id,state
    #[arg(long, value_name = "MEMBERS", num_args = 0..=1, require_equals = true, default_missing_value = "")]
    json: Option<String>,
}

impl Form {
    /// Parses the value of `--json`, if it was given.
    pub(super) fn printing(&self) -> Result<Printing, Failure> {
        Ok(match self.json.as_deref() {
            Some(members) => Printing::Json(Selection::parse(members)?),
            None => Printing::Table(Table::of_terminal()),
        })
    }
}

/// How events are printed.
#[derive(Debug)]
pub(super) enum Printing {
    Json(Selection),
    Table(Table),
}

impl Printing {
    /// Prints what comes before the first event.
    pub(super) fn head(&self) -> Result<(), Failure> {
        match self {
            Self::Json(_) => Ok(()),
            Self::Table(table) => output::line(&table.head()).map_err(unprinted),
        }
    }

    /// Prints an event.
    pub(super) async fn event(
        &self,
        store: &dyn IdempotencyStore,
        record: EventRecord,
    ) -> Result<(), Failure> {
        let needs_body = match self {
            Self::Json(selection) => selection.needs_body(),
            Self::Table(_) => true,
        };
        let row = match needs_body {
            true => Row::read(store, record).await?,
            false => Row::without_body(record),
        };
        let printed = match self {
            Self::Json(selection) => output::json(&selection.object(&row)),
            Self::Table(table) => output::line(&table.row(&row)),
        };
        printed.map_err(unprinted)
    }
}
