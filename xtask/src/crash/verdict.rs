//! What was found: nothing that was answered with 200 may be missing.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write};
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use suno_callback::{EventState, Inspect, Page, Record};
use suno_store_sqlite::SqliteStore;

use super::load::Load;

/// How many records are read at once.
const PAGE: u32 = 1_000;

/// What was seen of the receiver: what it printed, and what stood in its store.
#[derive(Debug, Default)]
pub(super) struct Seen {
    /// How often each task was handled.
    handled: BTreeMap<String, u32>,
    /// Tasks that stood in the store as done when the process was dead.
    done: BTreeSet<String>,
    /// Tasks that were handled although they had been done.
    handled_after_done: BTreeSet<String>,
    /// How many records each task has.
    records: BTreeMap<String, u32>,
    not_done: BTreeSet<String>,
}

impl Seen {
    /// Takes in lines that the receiver printed.
    pub(super) fn handled(&mut self, lines: Vec<String>) {
        for line in lines {
            let task = serde_json::from_str(&line)
                .ok()
                .and_then(|line: serde_json::Value| Some(line["task_id"].as_str()?.to_owned()));
            let Some(task) = task else { continue };
            if self.done.contains(&task) {
                self.handled_after_done.insert(task.clone());
            }
            *self.handled.entry(task).or_default() += 1;
        }
    }

    /// Reads the store while nobody else uses it.
    pub(super) fn look_into(&mut self, file: &Path) -> Result<()> {
        self.records.clear();
        self.not_done.clear();
        for record in records(file)? {
            let task = record.key.task_id().to_string();
            *self.records.entry(task.clone()).or_default() += 1;
            if record.state == EventState::Done {
                self.done.insert(task);
            } else {
                self.not_done.insert(task);
            }
        }
        Ok(())
    }
}

/// How many events are still to be handled.
pub(crate) fn unsettled(file: &Path) -> Result<u64> {
    let store = SqliteStore::open(file)?;
    let counts = block_on(async { store.counts().await })??;
    Ok(counts.ready + counts.claimed + counts.waiting)
}

fn records(file: &Path) -> Result<Vec<Record>> {
    let store = SqliteStore::open(file)?;
    block_on(async {
        let (mut all, mut page) = (Vec::new(), Page::first(PAGE));
        loop {
            let records = store.list(page).await?;
            let Some(last) = records.last() else {
                return Ok(all);
            };
            page = Page::after(last.id, PAGE);
            all.extend(records);
        }
    })?
}

fn block_on<T>(future: impl Future<Output = T>) -> Result<T> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .context("the async runtime could not start")?;
    Ok(runtime.block_on(future))
}

/// What was lost.
#[derive(Debug)]
pub(super) struct Verdict<'a> {
    load: &'a Load,
    seen: &'a Seen,
    lost: Vec<&'a str>,
    not_handled: Vec<&'a str>,
    recorded_twice: Vec<&'a str>,
}

impl<'a> Verdict<'a> {
    pub(super) fn new(load: &'a Load, seen: &'a Seen) -> Self {
        let accepted = || load.accepted().iter().map(String::as_str);
        let is_recorded = |task: &&str| seen.records.contains_key(*task);
        let is_handled =
            |task: &&str| seen.handled.contains_key(*task) && !seen.not_done.contains(*task);
        Self {
            lost: accepted().filter(|task| !is_recorded(task)).collect(),
            not_handled: accepted().filter(|task| !is_handled(task)).collect(),
            recorded_twice: seen
                .records
                .iter()
                .filter(|(_, records)| **records > 1)
                .map(|(task, _)| task.as_str())
                .collect(),
            load,
            seen,
        }
    }

    pub(super) fn is_good(&self) -> bool {
        let something_happened = !self.load.accepted().is_empty();
        something_happened
            && self.lost.is_empty()
            && self.not_handled.is_empty()
            && self.recorded_twice.is_empty()
            && self.seen.handled_after_done.is_empty()
    }

    pub(super) fn tell(&self, rounds: u32, took: Duration, out: &mut dyn Write) -> io::Result<()> {
        let (sent, answered) = self.load.counts();
        let again = self
            .seen
            .handled
            .values()
            .filter(|times| **times > 1)
            .count();
        let rows: [(&str, u64); 9] = [
            ("deliveries sent", sent),
            ("answered with 200", answered),
            ("events among them", self.load.accepted().len() as u64),
            ("events handled", self.seen.handled.len() as u64),
            ("handled again after a kill", again as u64),
            ("LOST: answered, not in the inbox", self.lost.len() as u64),
            ("LOST: answered, not handled", self.not_handled.len() as u64),
            (
                "WRONG: two records of one key",
                self.recorded_twice.len() as u64,
            ),
            (
                "WRONG: handled after it was done",
                self.seen.handled_after_done.len() as u64,
            ),
        ];
        writeln!(out, "{rounds} kills in {:.1} s", took.as_secs_f64())?;
        for (what, count) in rows {
            writeln!(out, "{count:>8}  {what}")?;
        }
        writeln!(
            out,
            "{}",
            if self.is_good() {
                "nothing was lost"
            } else {
                "FAILED"
            }
        )
    }
}
