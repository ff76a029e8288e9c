//! `suno inbox export` and `import`: move a store to another one.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};

use anyhow::anyhow;
use suno_callback::{ExportCursor, ExportLine, Importer, export_page};

use super::place::Place;
use super::{store_failed, unprinted};
use crate::failure::Failure;
use crate::{log, output, store};

/// The maximum length of a line of an import: an event and 16 conflicts with the largest bodies, twice as
/// long where they are escaped.
const LINE_BYTES_MAX: u64 = 256 << 20;

/// Write events, conflicts, the quarantine, open intents and expected tasks as JSON lines
///
/// Each line has a "cursor", after which an export can be continued. An export that was interrupted may
/// end within a line, which no import accepts.
#[derive(Debug, clap::Args)]
pub(super) struct ExportArguments {
    /// Continue after the line with this cursor, such as e120
    #[arg(long, value_name = "CURSOR")]
    after: Option<ExportCursor>,
    #[command(flatten)]
    store: Place,
}

pub(super) async fn export(arguments: ExportArguments) -> Result<(), Failure> {
    let inbox = arguments.store.open().await?;
    let (mut after, mut count) = (arguments.after, 0_u64);
    loop {
        let page = export_page(&*inbox.store, after).await;
        let (lines, next) = page.map_err(store_failed)?;
        write(&lines).map_err(unprinted)?;
        count += lines.len() as u64;
        after = next;
        if after.is_none() {
            log::line(&format!("{count} records exported"));
            return Ok(());
        }
    }
}

/// Writes lines and flushes them.
pub(super) fn write(lines: &[ExportLine]) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    for line in lines {
        stdout.write_all(line.to_json().as_bytes())?;
        stdout.write_all(b"\n")?;
    }
    stdout.flush()
}

/// Store what an export has written
///
/// Twice is the same as once, and events that the store has already are not changed. What was handled is
/// not handled again. The store is made if it does not exist.
#[derive(Debug, clap::Args)]
#[command(mut_arg("store", |store| store.default_value(store::Arguments::DEFAULT)))]
pub(super) struct ImportArguments {
    /// File with an export, or - for stdin
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Quarantined deliveries that can be decoded now must be confirmed by the provider's record
    #[arg(long)]
    must_confirm: bool,
    #[command(flatten)]
    store: store::Arguments,
}

pub(super) async fn import(arguments: ImportArguments) -> Result<(), Failure> {
    let mut lines = reader(&arguments.file)?;
    let opened = arguments.store.open_with_history().await?;
    let inbox = opened.ok_or_else(|| Failure::usage(anyhow!("no store is named; use --store")))?;
    let mut importer = Importer::new(&*inbox.store, arguments.must_confirm);
    let mut number = 0_u64;
    let failed = loop {
        let mut line = String::new();
        let read = lines.by_ref().take(LINE_BYTES_MAX).read_line(&mut line);
        let read = read
            .map_err(|err| Failure::failed(err).context("the export cannot be read any further"));
        match read {
            Ok(0) => break None,
            Ok(_) => {}
            Err(failure) => break Some(failure),
        }
        number += 1;
        let line = line.trim_end_matches(['\n', '\r']);
        if line.is_empty() {
            continue;
        }
        if let Err(err) = importer.line(line).await {
            let what = format!("line {number} cannot be imported; the lines before it are");
            break Some(Failure::failed(err).context(what));
        }
    };
    let report = importer.finish().await.map_err(Failure::failed)?;
    if let Some(failure) = failed {
        return Err(failure);
    }
    let told = format!(
        "{} events stored, {} known, {} quarantined, {} accepted, {} dropped, {} open intents, \
         {} expected tasks",
        report.adopted,
        report.known,
        report.quarantined,
        report.accepted,
        report.dropped,
        report.intents,
        report.expected
    );
    output::line(&told).map_err(unprinted)
}

fn reader(file: &Path) -> Result<Box<dyn BufRead>, Failure> {
    if file == Path::new("-") {
        return Ok(Box::new(BufReader::new(io::stdin())));
    }
    let opened = File::open(file)
        .map_err(|err| Failure::usage(err).context(format!("cannot open {}", file.display())));
    Ok(Box::new(BufReader::new(opened?)))
}
