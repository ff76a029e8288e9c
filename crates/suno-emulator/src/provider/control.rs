//! What people and tools see and do beside the API: lists, repeated deliveries, reset.

use std::sync::Arc;

use serde_json::{Value, json};

use super::{DefaultScenario, Provider};
use crate::provider::credits::CreditAccount;
use crate::provider::limits::RateLimit;
use crate::scenario::Scenario;
use crate::scenario::script::Script;
use crate::task::attempt::Attempt;
use crate::task::{Task, TaskEnding};

/// How many scripts are kept.
pub(crate) const SCRIPTS_MAX: usize = 256;

/// A task in a few words.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TaskSummary {
    /// Counts the tasks of one emulator, from 1.
    pub number: u64,
    /// The id that the submit was answered with.
    pub task_id: String,
    /// The title that was submitted. Two tasks of one title were submitted twice.
    pub title: String,
    /// The words of its scenario, those included that `random` drew.
    pub words: String,
    /// What a poll says.
    pub status: String,
    /// How it ended in truth, whatever was posted.
    pub ending: TaskEnding,
    /// What was paid for it and not given back, in credits.
    pub credits_paid: u64,
    /// Whether nothing will happen to it any more by itself.
    pub is_finished: bool,
}

impl Provider {
    pub(crate) fn attempts(&self) -> Vec<Attempt> {
        self.log.iter().cloned().collect()
    }

    /// Attempts after a serial number, of one task or all.
    pub(crate) fn attempts_after(
        &self,
        serial: u64,
        task_id: Option<&str>,
        limit: usize,
    ) -> Vec<Attempt> {
        let after = self.log.iter().filter(|attempt| attempt.serial > serial);
        let of_task = after.filter(|a| task_id.is_none_or(|task_id| a.task_id == task_id));
        of_task.take(limit).cloned().collect()
    }

    /// Tasks after a number, in the order in which they were taken.
    pub(crate) fn tasks_after(&self, number: u64, limit: usize) -> Vec<TaskSummary> {
        let after = self.tasks.range(number.saturating_add(1)..).take(limit);
        after
            .map(|(number, entry)| summary(*number, &entry.task))
            .collect()
    }

    pub(crate) fn task_summary(&self, task_id: &str) -> Option<TaskSummary> {
        let number = *self.numbers.get(task_id)?;
        let entry = self.tasks.get(&number)?;
        Some(summary(number, &entry.task))
    }

    /// Sets the scenario of the next tasks that choose none, or of all of them.
    pub(crate) fn set_default_scenario(
        &mut self,
        words: &str,
        tasks: Option<u32>,
    ) -> Result<(), String> {
        let scenario = Scenario::parse(words)?;
        self.default_scenario = match tasks {
            Some(0) => self.rules.default_scenario.clone(),
            tasks_left => DefaultScenario {
                words: words.to_owned(),
                scenario,
                tasks_left,
            },
        };
        Ok(())
    }

    pub(crate) fn clear_default_scenario(&mut self) {
        self.default_scenario = self.rules.default_scenario.clone();
    }

    pub(crate) fn default_scenario(&self) -> &DefaultScenario {
        &self.default_scenario
    }

    /// Keeps a script; `false` if there is no place.
    pub(crate) fn add_script(&mut self, script: Script) -> bool {
        let has_place =
            self.scripts.len() < SCRIPTS_MAX || self.scripts.contains_key(script.name());
        if has_place {
            self.scripts
                .insert(script.name().to_owned(), Arc::new(script));
        }
        has_place
    }

    pub(crate) fn script_names(&self) -> impl Iterator<Item = &str> {
        self.scripts.keys().map(String::as_str)
    }

    /// Forgets all tasks and attempts, and begins again with the same seed and credits. Scripts and
    /// settings stay.
    pub(crate) fn reset(&mut self) {
        self.tasks.clear();
        self.numbers.clear();
        self.schedule = super::Schedule::default();
        self.finished.clear();
        self.next_number = 1;
        self.credits = CreditAccount::new(self.rules.credits);
        self.submits = RateLimit::of_submits();
        self.submit_counts = crate::fault::exchange::SubmitCounts::default();
        self.log.clear();
        self.default_scenario = self.rules.default_scenario.clone();
        self.generation += 1;
    }

    /// Numbers for people.
    pub(crate) fn counts(&self) -> Value {
        json!({
            "attempts": self.log.count(),
            "attempts_kept": self.log.iter().count(),
            "attempts_kept_max": self.rules.attempts_kept_max,
            "credits_left": self.credits.left(),
            "credits_refunded": self.credits.refunded(),
            "credits_spent": self.credits.spent(),
            "tasks": self.next_number - 1,
            "tasks_finished": self.finished.len(),
            "tasks_kept": self.tasks.len(),
            "tasks_kept_max": self.rules.tasks_kept_max,
        })
    }
}

fn summary(number: u64, task: &Task) -> TaskSummary {
    TaskSummary {
        number,
        task_id: task.facts.task_id.clone(),
        title: task.facts.submission.title.clone(),
        words: task.facts.words.clone(),
        status: task.status().to_owned(),
        ending: task.ending(),
        credits_paid: task.facts.credits_consumed,
        is_finished: task.is_finished(),
    }
}
