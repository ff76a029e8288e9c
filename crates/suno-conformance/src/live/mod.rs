//! Runs the cases of `receiver/` against a receiver elsewhere, over HTTP, as the provider would
//! send them: with new task ids, the current time, and the receiver's own keys.

mod events;
mod plan;
mod send;
pub(crate) mod sign;
mod target;

use std::time::{Duration, Instant};

use anyhow::Result;
use suno_callback::{Clock, SystemClock};
use tokio::runtime::Builder;

use crate::case::Kind;
use crate::fixtures::Loaded;
use crate::outcome::{CaseOutcome, Verdict};
use events::Watch;
use plan::Plan;
use send::Sender;
pub use target::{Events, Target};

/// Whether a live run includes a case. Files that cannot be read are always included.
pub(super) fn is_concerned(loaded: &Loaded) -> bool {
    match &loaded.case {
        Ok(case) => matches!(case.kind, Kind::Receiver(_)),
        Err(_) => true,
    }
}

/// Names what a live run does not compare.
pub(super) fn notes(target: &Target) -> Vec<String> {
    let mut notes =
        vec!["quarantined deliveries and the progress of tasks were not compared".to_owned()];
    if target.events.is_none() {
        let note =
            "the handled events, their number and their order were not compared: pass --events";
        notes.push(note.to_owned());
    }
    notes
}

/// Runs cases one after the other.
///
/// # Errors
///
/// Returns an error if the target or its events cannot be reached at all.
pub(super) fn run(all: Vec<Loaded>, target: &Target) -> Result<Vec<CaseOutcome>> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let sender = Sender::new(target).await?;
        let mut run = Run {
            target,
            watch: Watch::start(target, &sender).await?,
            sender,
        };
        let mut driven = Vec::new();
        for loaded in all {
            driven.push(run.drive(loaded).await?);
        }
        // Events that must not be handled may still be on their way.
        run.watch.settle(&run.sender).await?;
        Ok(driven.into_iter().map(|driven| run.judge(driven)).collect())
    })
}

struct Run<'a> {
    target: &'a Target,
    watch: Watch<'a>,
    sender: Sender,
}

/// A case that was sent and must still be checked against the events of the whole run.
struct Driven {
    loaded: Loaded,
    elapsed: Duration,
    course: Course,
}

/// The result of a case.
enum Course {
    Played(Plan, Vec<String>),
    NotApplicable(String),
    Unreadable(String),
}

impl Run<'_> {
    async fn drive(&mut self, loaded: Loaded) -> Result<Driven> {
        let start = Instant::now();
        let course = match &loaded.case {
            Ok(case) => self.take(&case.kind).await?,
            Err(reason) => Course::Unreadable(reason.clone()),
        };
        Ok(Driven {
            loaded,
            elapsed: start.elapsed(),
            course,
        })
    }

    async fn take(&mut self, kind: &Kind) -> Result<Course> {
        let Kind::Receiver(case) = kind else {
            return Ok(Course::NotApplicable(
                "not a case for a receiver".to_owned(),
            ));
        };
        let now = SystemClock.now().as_second().unsigned_abs();
        Ok(match Plan::new(case, self.target, now) {
            Ok(plan) => {
                let found = self.play(&plan).await?;
                Course::Played(plan, found)
            }
            Err(reason) => Course::NotApplicable(reason),
        })
    }

    /// Sends the steps, and waits between them for the events that must be handled.
    async fn play(&mut self, plan: &Plan) -> Result<Vec<String>> {
        let mut found = Vec::new();
        let mut due = Vec::new();
        for (place, step) in plan.steps.iter().enumerate() {
            match self.sender.send(step).await {
                Ok(answer) => found.extend(step.expect.judge(place, &answer)),
                Err(problem) => found.push(format!("answers[{place}]: {problem}")),
            }
            due.extend(step.event.clone());
            if !step.with_next {
                self.watch.wait_for(&due, &self.sender).await?;
            }
        }
        Ok(found)
    }

    fn judge(&self, driven: Driven) -> CaseOutcome {
        let verdict = match driven.course {
            Course::Played(plan, mut found) => {
                if self.target.events.is_some() {
                    found.extend(plan.judge_handled(self.watch.seen()));
                }
                Verdict::of(found)
            }
            Course::NotApplicable(reason) => Verdict::NotApplicable(reason),
            Course::Unreadable(reason) => Verdict::Failed(vec![reason]),
        };
        CaseOutcome {
            loaded: driven.loaded,
            verdict,
            elapsed: driven.elapsed,
        }
    }
}
