//! Watches the events that a target handles.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::Value;
use tokio::time::{Instant, sleep};

use super::send::Sender;
use super::target::{Events, Target};
use crate::receiver::{Handled, comparable_stage};

/// The maximum time between the response to a delivery and the listing of its event.
const EVENT_TIME_MAX: Duration = Duration::from_secs(3);
/// The number of waits that may time out; after that, none is made: the run has failed, and need
/// not take minutes.
const LATE_MAX: usize = 5;
/// The time without new events after which everything counts as handled.
const QUIET: Duration = Duration::from_secs(1);
/// The maximum time to wait for that.
const SETTLE_TIME_MAX: Duration = Duration::from_secs(10);
/// The interval at which the list is read.
const INTERVAL: Duration = Duration::from_millis(20);

/// The list of a target's events.
pub(super) struct Watch<'a> {
    events: Option<&'a Events>,
    seen: Vec<Handled>,
    /// The number of bytes of a file that were read.
    offset: u64,
    /// The number of waits that timed out.
    late: usize,
}

impl<'a> Watch<'a> {
    /// Starts watching. Ignores events that were listed before, if that is possible.
    ///
    /// # Errors
    ///
    /// Returns an error if the list cannot be read.
    pub(super) async fn start(target: &'a Target, sender: &Sender) -> Result<Self> {
        let mut watch = Self {
            events: target.events.as_ref(),
            seen: Vec::new(),
            offset: 0,
            late: 0,
        };
        if let Some(Events::File(path)) = watch.events {
            let size = std::fs::metadata(path).map(|metadata| metadata.len());
            watch.offset = size.with_context(|| cannot_read(&path.display()))?;
        }
        watch.look(sender).await?;
        Ok(watch)
    }

    /// Returns all handled events, in order.
    pub(super) fn seen(&self) -> &[Handled] {
        &self.seen
    }

    /// Waits until all events of `due` are handled, or until that takes too long.
    pub(super) async fn wait_for(&mut self, due: &[Handled], sender: &Sender) -> Result<()> {
        let deadline = Instant::now() + EVENT_TIME_MAX;
        while self.events.is_some() && self.late < LATE_MAX {
            self.look(sender).await?;
            let is_seen = |due: &Handled| self.seen.iter().any(|seen| seen.is_of_stage(due));
            if due.iter().all(is_seen) {
                break;
            }
            if Instant::now() >= deadline {
                self.late += 1;
                break;
            }
            sleep(INTERVAL).await;
        }
        Ok(())
    }

    /// Waits until no new events are listed.
    pub(super) async fn settle(&mut self, sender: &Sender) -> Result<()> {
        let deadline = Instant::now() + SETTLE_TIME_MAX;
        let mut quiet_since = Instant::now();
        while self.events.is_some() && quiet_since.elapsed() < QUIET && Instant::now() < deadline {
            let before = self.seen.len();
            self.look(sender).await?;
            if self.seen.len() != before {
                quiet_since = Instant::now();
            }
            sleep(INTERVAL).await;
        }
        Ok(())
    }

    /// Reads the events that are listed by now.
    async fn look(&mut self, sender: &Sender) -> Result<()> {
        match self.events {
            Some(Events::Url(url)) => {
                let listed = sender.fetch(url).await;
                self.seen = parse(&listed.with_context(|| cannot_read(url))?)?;
            }
            Some(Events::File(path)) => {
                let appended = whole_lines(path, self.offset);
                let appended = appended.with_context(|| cannot_read(&path.display()))?;
                self.seen.extend(parse(&appended)?);
                self.offset += appended.len() as u64;
            }
            None => {}
        }
        Ok(())
    }
}

fn cannot_read(place: &dyn std::fmt::Display) -> String {
    format!("the events in {place} cannot be read")
}

/// Returns the contents of a file after `offset`, up to the end of the last complete line.
fn whole_lines(path: &Path, offset: u64) -> std::io::Result<Vec<u8>> {
    let mut file = File::open(path)?;
    file.seek(SeekFrom::Start(offset))?;
    let mut text = Vec::new();
    file.read_to_end(&mut text)?;
    let end = text.iter().rposition(|byte| *byte == b'\n');
    text.truncate(end.map_or(0, |end| end + 1));
    Ok(text)
}

/// Returns the handled events among JSON lines; other events are skipped.
fn parse(lines: &[u8]) -> Result<Vec<Handled>> {
    let mut handled = Vec::new();
    for line in lines.split_inclusive(|byte| *byte == b'\n') {
        if line.trim_ascii().is_empty() {
            continue;
        }
        let event: Value = match serde_json::from_slice(line) {
            // The list may be read while its last line is being written: that line is read next
            // time.
            Err(err) if err.is_eof() && !line.ends_with(b"\n") => continue,
            read => read.context("an event is not a JSON object")?,
        };
        if event["event"] != "handled" {
            continue;
        }
        handled.push(read(&event).context("a handled event has no task_id")?);
    }
    Ok(handled)
}

/// A handled event. If its stage or code is missing, it is kept as it is, so that its case fails
/// and shows it.
fn read(event: &Value) -> Option<Handled> {
    let task_id = event["task_id"].as_str()?.to_owned();
    let (stage, code) = match (event["stage"].as_str(), event["code"].as_i64()) {
        (Some(stage), Some(code)) => (comparable_stage(stage), code),
        _ => (event.to_string(), 0),
    };
    let text = |name: &str| event[name].as_str().map(str::to_owned);
    let revision = event["revision"].as_u64();
    Some(Handled {
        task_id,
        stage,
        code,
        revision: revision.map(|number| u32::try_from(number).unwrap_or(u32::MAX)),
        product: text("product"),
        path: text("path"),
        query: text("query"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn handled_events_are_read_and_others_passed_over() {
        let lines = br#"{"event":"listening","url":"x"}

            {"event":"handled","task_id":"t","stage":"first","code":200,"attempt":1,"revision":2,"product":"song"}
            "#;
        let expected = Handled {
            task_id: "t".to_owned(),
            stage: "first".to_owned(),
            code: 200,
            revision: Some(2),
            product: Some("song".to_owned()),
            path: None,
            query: None,
        };
        assert_eq!(parse(lines).unwrap(), [expected]);
    }

    #[test]
    fn an_event_that_is_listed_wrongly_fails_its_case_and_not_the_run() {
        let line = br#"{"event":"handled","task_id":"t","stage":"first","code":"2e2"}"#;
        let listed = &parse(line).unwrap()[0];
        assert_eq!(listed.task_id, "t");
        assert!(listed.stage.contains("2e2"), "{}", listed.stage);
    }

    #[test]
    fn a_last_line_without_its_end_counts_once_it_is_whole() {
        let whole = br#"{"event":"handled","task_id":"t","stage":"first","code":200}"#;
        assert_eq!(parse(whole).unwrap().len(), 1);
        for cut in 1..whole.len() {
            assert_eq!(parse(&whole[..cut]).unwrap(), [], "cut at {cut}");
        }
    }

    #[test]
    fn a_list_that_cannot_be_read_is_an_error_and_not_an_empty_list() {
        assert!(parse(b"handled t first").is_err());
        assert!(parse(b"{\"event\":\"handled\"\n{}\n").is_err());
        assert!(parse(br#"{"event":"handled","stage":"first","code":200}"#).is_err());
    }
}
