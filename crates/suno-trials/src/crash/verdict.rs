//! The findings: every event that was answered with 200 must still exist.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write};
use std::path::Path;
use std::time::Duration;

use anyhow::Result;
use jiff::Timestamp;
use serde_json::Value;
use suno_callback::{Clock, EventState, SystemClock};

use super::load::Load;
use super::songs;
use crate::printing::AT_ONCE;
use crate::stored::{StorePlace, block_on, records};

/// The observations of the receiver: its output, and the contents of its store.
#[derive(Debug, Default)]
pub(super) struct Observations {
    /// The number of times each task was handled.
    handled: BTreeMap<String, u32>,
    /// Tasks that were done in the store when it was looked into, with the time after that.
    done: BTreeMap<String, Timestamp>,
    /// Tasks that were handled although they had been done.
    handled_after_done: BTreeSet<String>,
    /// Tasks that two handlers worked for at the same time, if the handlers watch for that.
    handled_at_once: Option<BTreeSet<String>>,
    /// The number of records of each task.
    records: BTreeMap<String, u32>,
    not_done: BTreeSet<String>,
    /// The number of songs of each task, if the handler writes them.
    songs: Option<BTreeMap<String, u32>>,
}

impl Observations {
    /// Begins, with handlers that report each other or not.
    pub(super) fn new(are_watched: bool) -> Self {
        Self {
            handled_at_once: are_watched.then(BTreeSet::new),
            ..Self::default()
        }
    }

    /// Records the lines that a receiver printed.
    pub(super) fn handled(&mut self, lines: Vec<String>) {
        for line in lines {
            let Ok(line) = serde_json::from_str::<Value>(&line) else {
                continue;
            };
            let Some(task) = line["task_id"].as_str().map(str::to_owned) else {
                continue;
            };
            if line["event"] == AT_ONCE {
                self.handled_at_once.get_or_insert_default().insert(task);
                continue;
            }
            // A line without a time is from a process that ran alone, after the last look.
            let began = line["began"].as_str().and_then(|began| began.parse().ok());
            let began = began.unwrap_or(Timestamp::MAX);
            if self.done.get(&task).is_some_and(|done| *done < began) {
                self.handled_after_done.insert(task.clone());
            }
            *self.handled.entry(task).or_default() += 1;
        }
    }

    /// Reads the store. What the receivers printed before must have been recorded, unless they print
    /// when they began.
    pub(super) fn look_into(&mut self, place: &StorePlace) -> Result<()> {
        let found = block_on(async { records(&*place.open().await?).await })??;
        let now = SystemClock.now();
        self.records.clear();
        self.not_done.clear();
        for record in found {
            let task = record.key.task_id().to_string();
            *self.records.entry(task.clone()).or_default() += 1;
            if record.state == EventState::Done {
                self.done.entry(task).or_insert(now);
            } else {
                self.not_done.insert(task);
            }
        }
        Ok(())
    }

    /// Reads what the handler has written to the file of the store.
    pub(super) fn count_songs(&mut self, file: &Path) -> Result<()> {
        self.songs = Some(songs::rows(file)?);
        Ok(())
    }

    /// Returns how often each task was handled. A song is better evidence than a line: a line
    /// may be missing although the song exists, or be printed twice for one song.
    fn handled_tasks(&self) -> &BTreeMap<String, u32> {
        self.songs.as_ref().unwrap_or(&self.handled)
    }
}

/// The losses.
#[derive(Debug)]
pub(super) struct CrashReport<'a> {
    load: &'a Load,
    seen: &'a Observations,
    lost: Vec<&'a str>,
    not_handled: Vec<&'a str>,
    recorded_twice: Vec<&'a str>,
    songs: Option<SongVerdict>,
}

/// Differences between songs and settled events.
#[derive(Debug, Clone, Copy)]
struct SongVerdict {
    /// Tasks with more than one song.
    twice: usize,
    /// Tasks whose event is done without a song, or not done with one.
    apart: usize,
}

impl SongVerdict {
    fn new(songs: &BTreeMap<String, u32>, seen: &Observations) -> Self {
        let done = seen
            .records
            .keys()
            .filter(|task| !seen.not_done.contains(*task));
        let done: BTreeSet<&String> = done.collect();
        let with_song: BTreeSet<&String> = songs.keys().collect();
        Self {
            twice: songs.values().filter(|rows| **rows > 1).count(),
            apart: done.symmetric_difference(&with_song).count(),
        }
    }

    fn is_good(self) -> bool {
        self.twice == 0 && self.apart == 0
    }
}

impl<'a> CrashReport<'a> {
    pub(super) fn new(load: &'a Load, seen: &'a Observations) -> Self {
        let accepted = || load.accepted().iter().map(String::as_str);
        let handled = seen.handled_tasks();
        let is_recorded = |task: &&str| seen.records.contains_key(*task);
        let is_handled =
            |task: &&str| handled.contains_key(*task) && !seen.not_done.contains(*task);
        Self {
            lost: accepted().filter(|task| !is_recorded(task)).collect(),
            not_handled: accepted().filter(|task| !is_handled(task)).collect(),
            recorded_twice: seen
                .records
                .iter()
                .filter(|(_, records)| **records > 1)
                .map(|(task, _)| task.as_str())
                .collect(),
            songs: seen
                .songs
                .as_ref()
                .map(|songs| SongVerdict::new(songs, seen)),
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
            && self
                .seen
                .handled_at_once
                .as_ref()
                .is_none_or(BTreeSet::is_empty)
            && self.songs.is_none_or(SongVerdict::is_good)
    }

    pub(super) fn tell(&self, rounds: u32, took: Duration, out: &mut dyn Write) -> io::Result<()> {
        let (sent, answered) = self.load.counts();
        let again = self
            .seen
            .handled
            .values()
            .filter(|times| **times > 1)
            .count();
        let mut rows: Vec<(&str, u64)> = vec![
            ("deliveries sent", sent),
            ("answered with 200", answered),
            ("events among them", self.load.accepted().len() as u64),
            ("events handled", self.seen.handled_tasks().len() as u64),
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
        if let Some(at_once) = &self.seen.handled_at_once {
            rows.push((
                "WRONG: two handlers of one event at once",
                at_once.len() as u64,
            ));
        }
        if let Some(songs) = self.songs {
            rows.extend([
                ("WRONG: two songs of one event", songs.twice as u64),
                (
                    "WRONG: settled without its song, or the reverse",
                    songs.apart as u64,
                ),
            ]);
        }
        writeln!(out, "{rounds} kills in {:.1} s", took.as_secs_f64())?;
        for (what, count) in rows {
            writeln!(out, "{count:>8}  {what}")?;
        }
        writeln!(
            out,
            "{}",
            if self.is_good() {
                "no event was lost"
            } else {
                "FAILED"
            }
        )
    }
}
