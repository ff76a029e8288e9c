//! Inspecting and controlling the provider beside its API: lists, the default scenario, scripts,
//! reset.

use std::sync::Arc;

use serde_json::{Value, json};

use super::{DefaultScenario, Provider};
use crate::hundredths::credits;
use crate::provider::credits::CreditAccount;
use crate::provider::limits::RateLimit;
use crate::scenario::Scenario;
use crate::scenario::script::Script;
use crate::task::attempt::Attempt;
use crate::task::{Task, TaskEnding};

/// The maximum number of scripts.
pub(crate) const SCRIPTS_MAX: usize = 256;

/// A summary of a task.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct TaskSummary {
    /// The number of the task, counted from 1.
    pub number: u64,
    /// The task id in the answer to the submit.
    pub task_id: String,
    /// The product of the task, such as `song` or `wav`.
    pub product: &'static str,
    /// The submitted title. Without one, the prompt, or the id of the track or task that the submit
    /// refers to. Two songs with the same title may be one submit that was sent twice.
    pub title: String,
    /// The words of the scenario, including those drawn by `random`.
    pub words: String,
    /// The status that a poll returns.
    pub status: String,
    /// The true ending, independent of the callbacks that were sent.
    pub ending: TaskEnding,
    /// The credits that were paid and not refunded. Some prices have a fraction.
    pub credits_paid: f64,
    /// Whether the task has nothing left to do.
    pub is_finished: bool,
}

impl Provider {
    pub(crate) fn attempts(&self) -> Vec<Attempt> {
        self.log.iter().cloned().collect()
    }

    /// Returns attempts after a serial number, of one task or of all.
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

    /// Returns tasks after a number, in the order in which they were created.
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

    /// Sets the scenario of tasks that do not choose one: of the next `tasks` ones, or of all.
    pub(crate) fn set_default_scenario(
        &mut self,
        words: &str,
        tasks: Option<u32>,
    ) -> Result<(), String> {
        let scenario = Scenario::parse(words)?;
        self.default_scenario = match tasks {
            Some(0) => self.settings.default_scenario.clone(),
            tasks_left => DefaultScenario {
                words: words.to_owned(),
                scenario,
                tasks_left,
            },
        };
        Ok(())
    }

    pub(crate) fn clear_default_scenario(&mut self) {
        self.default_scenario = self.settings.default_scenario.clone();
    }

    pub(crate) fn default_scenario(&self) -> &DefaultScenario {
        &self.default_scenario
    }

    /// Adds a script. Returns `false` if too many are kept.
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

    /// Removes all tasks and attempts and restarts with the same seed and full credits. Scripts and
    /// settings are kept.
    pub(crate) fn reset(&mut self) {
        self.tasks.clear();
        self.numbers.clear();
        self.once.clear();
        self.schedule = super::Schedule::default();
        self.finished.clear();
        self.next_number = 1;
        self.credits = CreditAccount::new(self.settings.credits);
        self.submits = RateLimit::of_submits();
        self.submit_counts = crate::fault::exchange::SubmitCounts::default();
        self.log.clear();
        self.uploads = super::Uploads::default();
        self.default_scenario = self.settings.default_scenario.clone();
        self.generation += 1;
    }

    /// Returns the counts that the overview shows.
    pub(crate) fn counts(&self) -> Value {
        json!({
            "attempts": self.log.count(),
            "attempts_kept": self.log.iter().count(),
            "attempts_kept_max": self.settings.attempts_kept_max,
            "credits_left": self.credits.left(),
            "credits_refunded": self.credits.refunded(),
            "credits_spent": self.credits.spent(),
            "tasks": self.next_number - 1,
            "tasks_finished": self.finished.len(),
            "tasks_kept": self.tasks.len(),
            "tasks_kept_max": self.settings.tasks_kept_max,
        })
    }
}

fn summary(number: u64, task: &Task) -> TaskSummary {
    TaskSummary {
        number,
        task_id: task.facts.task_id.clone(),
        product: task.facts.submission.product().word(),
        title: task.facts.submission.label.clone(),
        words: task.facts.words.clone(),
        status: task.status().to_owned(),
        ending: task.ending(),
        credits_paid: credits(task.facts.credits_consumed),
        is_finished: task.is_finished(),
    }
}
