//! The findings at the end of a world.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::io::Write;
use std::time::Duration;

use anyhow::Result;
use suno_callback::{Event, IdempotencyStore, Reference, Round, Source, SubmitId};
use suno_emulator::{Attempt, Emulator, TaskEnding, TaskSummary};
use suno_store_sqlite::SqliteStore;
use suno_types::Stage;

use super::jobs::{End, Job, Jobs};
use super::options::EndToEnd;
use super::ours::Handled;

/// The maximum number of handlers that may be running when a receiver is killed, and so run
/// again.
const HANDLERS_MAX: usize = suno_callback::Dispatcher::HANDLERS_MAX;

/// The facts known about a world.
pub(super) struct Evidence {
    base_url: String,
    tasks: Vec<TaskSummary>,
    attempts: Vec<Attempt>,
    handled: Vec<Event>,
    open: HashSet<SubmitId>,
    unsettled: u64,
}

impl Evidence {
    pub(super) async fn gather(
        emulator: &Emulator,
        store: &SqliteStore,
        handled: &Handled,
    ) -> Result<Self> {
        let open = store.open_intents(Duration::ZERO, None, u32::MAX).await?;
        let counts = store.counts().await?;
        Ok(Self {
            base_url: emulator.base_url().to_owned(),
            tasks: emulator.tasks(),
            attempts: emulator.attempts(),
            handled: handled.events(),
            open: open.iter().map(|intent| intent.submit).collect(),
            unsettled: counts.ready + counts.claimed + counts.waiting,
        })
    }

    /// The tasks whose terminal event was handled.
    fn ended(&self) -> HashSet<&str> {
        let last = self
            .handled
            .iter()
            .filter(|event| event.stage().is_terminal());
        last.map(|event| event.task_id().as_str()).collect()
    }

    /// Whether nothing more will happen: every stored event is settled, and every task has its
    /// end or is one whose end cannot be known.
    pub(super) fn is_complete(&self) -> bool {
        let ended = self.ended();
        let unknown = self.open.len();
        let missing = self
            .tasks
            .iter()
            .filter(|task| !ended.contains(&*task.task_id));
        self.unsettled == 0
            && self.tasks.iter().all(|task| task.is_finished)
            && missing.count() <= unknown
    }

    /// Compares the handled events with the truth.
    pub(super) fn judge(
        &self,
        jobs: &Jobs,
        rounds: &[Round],
        kills: usize,
        seed: u64,
    ) -> WorldReport {
        let mut verdict = WorldReport {
            tasks: self.tasks.len(),
            posts: self.attempts.len(),
            forged: self
                .attempts
                .iter()
                .filter(|attempt| attempt.is_forged)
                .count(),
            handled: self.handled.len(),
            kills,
            ..WorldReport::default()
        };
        for round in rounds {
            verdict.asked += round.asked;
            verdict.recovered += round.recovered;
            verdict.decided += round.decided;
        }
        let truth = Truth::new(self);
        for job in &jobs.all {
            let found = truth.of(job);
            match &job.end {
                End::Ambiguous(_) => verdict.ambiguous += 1,
                End::Open | End::Submitted(_) => {}
            }
            for what in found {
                verdict
                    .findings
                    .push(format!("seed {seed}, {}: {what}", job.name().trim()));
            }
        }
        verdict.unknown = self.open.len();
        self.judge_handled(&truth, kills, &mut verdict, seed);
        verdict
    }

    fn judge_handled(&self, truth: &Truth<'_>, kills: usize, verdict: &mut WorldReport, seed: u64) {
        let mut times: BTreeMap<String, usize> = BTreeMap::new();
        for event in &self.handled {
            *times.entry(event.key().to_string()).or_default() += 1;
            verdict.by_poll += usize::from(event.source() == Source::Poll);
            if let Some(what) = truth.denies(event) {
                verdict
                    .findings
                    .push(format!("seed {seed}, {}: {what}", event.key()));
            }
        }
        let again: usize = times.values().map(|times| times - 1).sum();
        verdict.again = again;
        if again > kills * HANDLERS_MAX {
            verdict.findings.push(format!(
                "seed {seed}: {again} events were handled again after {kills} kills"
            ));
        }
        if self.unsettled > 0 {
            let left = self.unsettled;
            verdict
                .findings
                .push(format!("seed {seed}: {left} events are not settled"));
        }
    }
}

/// The truth about tasks, and the handled events of each.
struct Truth<'a> {
    evidence: &'a Evidence,
    tasks: HashMap<&'a str, &'a TaskSummary>,
    by_job: HashMap<&'a str, Vec<&'a TaskSummary>>,
    /// The handled terminal stages of each task.
    ends: HashMap<&'a str, BTreeSet<&'a Stage>>,
}

impl<'a> Truth<'a> {
    fn new(evidence: &'a Evidence) -> Self {
        let mut by_job: HashMap<&str, Vec<&TaskSummary>> = HashMap::new();
        for task in &evidence.tasks {
            by_job.entry(job_of(&task.title)).or_default().push(task);
        }
        let mut ends: HashMap<&str, BTreeSet<&Stage>> = HashMap::new();
        for event in &evidence.handled {
            if event.stage().is_terminal() {
                let stages = ends.entry(event.task_id().as_str()).or_default();
                stages.insert(event.stage());
            }
        }
        let tasks = evidence.tasks.iter();
        Self {
            evidence,
            tasks: tasks.map(|task| (&*task.task_id, task)).collect(),
            by_job,
            ends,
        }
    }

    /// Returns what is wrong with a job.
    fn of(&self, job: &Job) -> Vec<String> {
        let name = job.name();
        let tasks = self.by_job.get(name.trim()).map_or(&[][..], |tasks| tasks);
        let mut found = Vec::new();
        if tasks.len() > 1 {
            found.push(format!("it was paid for {} times", tasks.len()));
        }
        match (&job.end, tasks) {
            (End::Open, _) => found.push("it was never submitted".to_owned()),
            (End::Submitted(task_id), [task]) if task_id.as_str() == task.task_id => {
                found.extend(self.end_of(task));
            }
            (End::Submitted(_), _) => found.push("its task is another one".to_owned()),
            (End::Ambiguous(submit), []) if !self.evidence.open.contains(submit) => {
                found.push("no task was made, and no submit is reported".to_owned());
            }
            (End::Ambiguous(submit), [task]) if self.evidence.open.contains(submit) => {
                if self.was_heard_of(&task.task_id) {
                    found.push("a callback named its submit, which is still open".to_owned());
                }
            }
            (End::Ambiguous(_), [task]) => found.extend(self.end_of(task)),
            (End::Ambiguous(_), _) => {}
        }
        found
    }

    /// Returns what is wrong with the end of a known task.
    fn end_of(&self, task: &TaskSummary) -> Option<String> {
        let ends = self.ends.get(&*task.task_id);
        let expected = match task.ending {
            TaskEnding::Complete => Stage::Complete,
            TaskEnding::Failed { .. } => Stage::Failed,
            _ => return Some("the provider does not end it".to_owned()),
        };
        match ends {
            None => Some(format!(
                "its end, {expected}, was not handled ({})",
                task.words
            )),
            Some(ends) if ends.len() == 1 && ends.contains(&expected) => None,
            Some(ends) => Some(format!(
                "handled were {ends:?}, true is {expected} ({})",
                task.words
            )),
        }
    }

    /// Whether a callback of a task was answered with 200.
    fn was_heard_of(&self, task_id: &str) -> bool {
        let attempts = &self.evidence.attempts;
        attempts
            .iter()
            .any(|attempt| attempt.task_id == task_id && attempt.outcome.is_delivered())
    }

    /// Returns why an event should not have been handled as it was.
    fn denies(&self, event: &Event) -> Option<String> {
        let Some(task) = self.tasks.get(event.task_id().as_str()) else {
            return Some("there is no such task".to_owned());
        };
        let base = &*self.evidence.base_url;
        let is_strange = |result: &str| result.starts_with("http") && !result.starts_with(base);
        let tracks = event.tracks().iter().filter_map(|track| track.ready_url());
        let is_strange_track = tracks.into_iter().any(is_strange);
        if is_strange_track || event.callback().results().any(|result| is_strange(&result)) {
            return Some("a stranger's result was handled".to_owned());
        }
        let product = event.callback().product();
        if *event.stage() == Stage::Complete && product.as_str() != task.product {
            return Some(format!("{product} was handled, true is {}", task.product));
        }
        let job = job_of(&task.title);
        let reference = event.reference().map(Reference::as_str);
        if reference.is_some_and(|reference| reference != job) {
            return Some(format!("it is of {job}, and was handled for {reference:?}"));
        }
        if reference.is_none() && event.submit().is_some() {
            return Some(format!("it does not say that it is of {job}"));
        }
        match task.ending {
            TaskEnding::Failed { code } if *event.stage() == Stage::Failed => {
                let handled = event.callback().code;
                (handled.0 != i64::from(code))
                    .then(|| format!("failed with {code}, handled with {handled}"))
            }
            _ => None,
        }
    }
}

/// Returns the job that a title names: `[emulator:…]job-7-try-0`, with or without the part in
/// brackets.
fn job_of(title: &str) -> &str {
    let rest = title.split_once(']').map_or(title, |(_, rest)| rest);
    let rest = rest.trim_start();
    rest.split_once("-try-").map_or(rest, |(job, _)| job)
}

/// The findings in one world, or in all.
#[derive(Debug, Default)]
pub(super) struct WorldReport {
    tasks: usize,
    posts: usize,
    forged: usize,
    handled: usize,
    again: usize,
    by_poll: usize,
    asked: usize,
    recovered: usize,
    decided: usize,
    ambiguous: usize,
    unknown: usize,
    kills: usize,
    findings: Vec<String>,
}

impl WorldReport {
    pub(super) fn is_good(&self) -> bool {
        self.findings.is_empty() && self.tasks > 0
    }

    pub(super) fn add(&mut self, other: Self) {
        self.tasks += other.tasks;
        self.posts += other.posts;
        self.forged += other.forged;
        self.handled += other.handled;
        self.again += other.again;
        self.by_poll += other.by_poll;
        self.asked += other.asked;
        self.recovered += other.recovered;
        self.decided += other.decided;
        self.ambiguous += other.ambiguous;
        self.unknown += other.unknown;
        self.kills += other.kills;
        self.findings.extend(other.findings);
    }

    pub(super) fn tell(
        &self,
        options: &EndToEnd,
        took: Duration,
        findings_max: usize,
        out: &mut dyn Write,
    ) -> Result<()> {
        writeln!(
            out,
            "seed {}: {} tasks, {} callbacks sent, {} of them forged, {} kills",
            options.seed, self.tasks, self.posts, self.forged, self.kills
        )?;
        writeln!(
            out,
            "handled {} events, {} of them again after a kill, {} found by asking",
            self.handled, self.again, self.by_poll
        )?;
        writeln!(
            out,
            "asked about {} tasks: {} had ended unheard, {} contradictions decided",
            self.asked, self.recovered, self.decided
        )?;
        writeln!(
            out,
            "{} submits were ambiguous; of {} nothing was ever heard, and they are reported",
            self.ambiguous, self.unknown
        )?;
        for finding in self.findings.iter().take(findings_max) {
            writeln!(out, "WRONG  {finding}")?;
        }
        let wrong = self.findings.len();
        writeln!(out, "{wrong} wrong, {:.1} s", took.as_secs_f64())?;
        Ok(())
    }
}
