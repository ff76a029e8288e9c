//! Ends: every event and every task comes to one, and no time stays wrong.

use suno_callback::{Counts, Reconciler, StateName};

use super::{Checker, is_open};
use crate::history::{Row, Violation, What};
use crate::plan::{Millis, StageName};

const AGE_MAX: Millis = Reconciler::AGE_MAX.as_millis() as Millis;
const PAUSE_MAX: Millis = Reconciler::PAUSE_MAX.as_millis() as Millis * 11 / 10 + 1;

impl Checker {
    /// Takes in what is written down and asked about tasks.
    pub(super) fn ledger(&mut self, at: Millis, what: &What) -> Result<(), Violation> {
        match what {
            What::Intended { task } => {
                self.tasks[*task].intended_at.get_or_insert(at);
            }
            What::Expected { task } => {
                self.tasks[*task].expected_at.get_or_insert(at);
            }
            What::Postponed { after, .. } if *after > PAUSE_MAX => {
                let text = format!("a task is postponed for {after} ms");
                return Err(Violation::new(Row::E5, text));
            }
            What::Answers {
                task,
                answer: "running" | "unknown",
            } => self.tasks[*task].answers += 1,
            What::ToldGivenUp { task, .. } => {
                let known = &mut self.tasks[*task];
                known.is_told_given_up = true;
                let age = at - known.intended_at.or(known.expected_at).unwrap_or(at);
                if age < AGE_MAX || known.answers < Reconciler::ANSWERS_MIN {
                    let text = format!(
                        "task {task} is given up after {age} ms and {} answers",
                        known.answers
                    );
                    return Err(Violation::new(Row::E2, text));
                }
            }
            What::Error(message) if self.plan.is_calm() => {
                return Err(Violation::new(
                    Row::E7,
                    format!("an error although nothing is wrong: {message}"),
                ));
            }
            _ => {}
        }
        Ok(())
    }

    /// Every event has ended that was open for some time after the last fault.
    pub(crate) fn all_have_ended(&self, at: Millis) -> Result<(), Violation> {
        let bound = self.plan.quiet_within();
        let healed_at = self.plan.knobs.heal_at_ms;
        let is_late = |event: &&super::Event| {
            is_open(event.shown.state) && at - event.open_since.max(healed_at) >= bound
        };
        match self.events.values().find(is_late) {
            Some(event) => {
                let text = format!(
                    "task {} {:?} is still {:?}",
                    event.task, event.stage, event.shown
                );
                Err(Violation::new(Row::E1, text))
            }
            None => Ok(()),
        }
    }

    /// True if every event has ended.
    pub(crate) fn is_quiet(&self) -> bool {
        !self.events.values().any(|event| is_open(event.shown.state))
    }

    /// The handlers know how each task has ended.
    pub(crate) fn all_are_decided(&self) -> Result<(), Violation> {
        for (task, known) in self.tasks.iter().enumerate() {
            if known.expected_at.is_none() {
                continue;
            }
            self.is_decided(task, known.is_told_given_up)?;
        }
        Ok(())
    }

    fn is_decided(&self, task: usize, is_told_given_up: bool) -> Result<(), Violation> {
        let plan = &self.plan.tasks[task];
        let state = |stage: StageName| self.find(task, stage).map(|event| event.shown.state);
        let problem = match plan.end() {
            None if is_told_given_up || self.tasks[task].has_end => return Ok(()),
            None => "its end is unknown and nobody was told",
            Some(end) => match state(end) {
                Some(StateName::Done | StateName::Dead) => return Ok(()),
                // A forged end may have been believed.
                _ if plan.has_forged_end()
                    && !self.plan.knobs.confirm
                    && self.tasks[task].has_end =>
                {
                    return Ok(());
                }
                Some(_) => "its end is not handled",
                None if self.plan.may_purge() => return Ok(()),
                None => "its end is not stored",
            },
        };
        Err(Violation::new(Row::E2, format!("task {task}: {problem}")))
    }

    /// The store counts what it shows.
    pub(crate) fn counts_agree(&self, mut counts: Counts) -> Result<(), Violation> {
        for state in StateName::ALL {
            let shown = self
                .events
                .values()
                .filter(|event| event.shown.state == state)
                .count() as u64;
            let counted = *counts.of(state);
            if shown != counted {
                let text = format!("{counted} events are counted as {state}, and {shown} shown");
                return Err(Violation::new(Row::S7, text));
            }
        }
        Ok(())
    }
}
