//! Submits: choosing the scenario, checking bounds and credits, creating the task.

use std::time::Duration;

use fastrand::Rng;
use serde_json::json;

use super::Provider;
use super::entry::TaskEntry;
use super::reply::{CreatedTask, Reply, ReplyPlan};
use crate::body::envelope;
use crate::clock::Moment;
use crate::fault::exchange::SubmitFault;
use crate::profile::Refusal;
use crate::provider::credits::TASK_CREDITS;
use crate::scenario::Scenario;
use crate::scenario::course::PlanContext;
use crate::seed;
use crate::task::Task;
use crate::task::facts::{Facts, TrackFacts};
use crate::task::plan::Plan;
use crate::task::submission::{Dialect, Submission};
use crate::task::title;

/// The number of hexadecimal digits in a task id (`PROTOCOL.md 1.15`).
const TASK_ID_DIGITS: usize = 32;

/// The scenario of a submit.
struct ChosenScenario {
    scenario: Scenario,
    /// The words of the scenario.
    words: String,
    /// A hash that equal submits share. Faults that apply to the first few submits are counted by
    /// it.
    fingerprint: u64,
}

impl Provider {
    /// Accepts or refuses a submit.
    pub(crate) fn submit(
        &mut self,
        now: Moment,
        dialect: Dialect,
        header_words: Option<&str>,
        body: &[u8],
    ) -> ReplyPlan {
        self.try_submit(now, dialect, header_words, body)
            .unwrap_or_else(|refusal| self.refusal(&refusal))
    }

    /// Returns the answer that refuses a submit, independent of the provider's state.
    pub(crate) fn refusal(&self, refusal: &Refusal) -> ReplyPlan {
        self.refused(200, refusal).into()
    }

    pub(super) fn refused(&self, status: u16, refusal: &Refusal) -> Reply {
        Reply::Envelope(status, envelope::refusal(self.settings.profile, refusal))
    }

    fn try_submit(
        &mut self,
        now: Moment,
        dialect: Dialect,
        header_words: Option<&str>,
        body: &[u8],
    ) -> Result<ReplyPlan, Refusal> {
        if self.settings.has_rate_limits && !self.submits.take(now.unix_ms) {
            return Err(Refusal::RateLimited);
        }
        let profile = self.settings.profile;
        let submission = match dialect {
            Dialect::Generate => Submission::read_generate(profile, body)?,
            Dialect::Jobs => Submission::read_jobs(profile, body)?,
        };
        let choice = self.choose(header_words, &submission.title)?;
        let faults = &choice.scenario.exchange;
        let fault = if faults.submits.is_empty() {
            None
        } else {
            faults
                .of_submit(self.submit_counts.count(choice.fingerprint))
                .cloned()
        };
        let mut reply_plan = ReplyPlan {
            delay: Duration::from_millis(faults.answer_delay_ms),
            ..Reply::Html502.into()
        };
        match fault {
            Some(SubmitFault::Refuse(refusal)) => return Err(refusal),
            Some(SubmitFault::Status(status)) => {
                reply_plan.reply = self.refused(status, &Refusal::Code(status));
                return Ok(reply_plan);
            }
            Some(SubmitFault::Html { is_taken: false }) => return Ok(reply_plan),
            Some(SubmitFault::Html { is_taken: true } | SubmitFault::Cut) | None => {}
        }
        let is_early = choice.scenario.delivery.is_early;
        let callback_url = submission.callback_url.clone();
        let (number, task_id) = self.create_task(now, submission, choice)?;
        if is_early {
            reply_plan.early = self.advance_task(number, now);
        }
        reply_plan.reply = match fault {
            Some(SubmitFault::Html { .. }) => Reply::Html502,
            Some(SubmitFault::Cut) => Reply::Cut,
            _ => Reply::Envelope(200, envelope::success(json!({ "taskId": task_id }))),
        };
        reply_plan.task = Some(CreatedTask {
            task_id,
            callback_url,
        });
        Ok(reply_plan)
    }

    /// Chooses the scenario by the header, else by the title, else the default one.
    fn choose(
        &mut self,
        header_words: Option<&str>,
        title: &str,
    ) -> Result<ChosenScenario, Refusal> {
        if let Some(words) = header_words.or_else(|| title::words_in_title(title)) {
            let scenario = Scenario::parse(words).map_err(Refusal::Invalid)?;
            return Ok(ChosenScenario {
                scenario,
                words: words.to_owned(),
                fingerprint: seed::of_text(&format!("{words}\n{title}")),
            });
        }
        let default_scenario = &mut self.default_scenario;
        let (scenario, words) = (
            default_scenario.scenario.clone(),
            default_scenario.words.clone(),
        );
        let fingerprint = seed::of_text(&words);
        if let Some(left) = &mut default_scenario.tasks_left {
            *left = left.saturating_sub(1);
            if *left == 0 {
                self.default_scenario = self.settings.default_scenario.clone();
            }
        }
        Ok(ChosenScenario {
            scenario,
            words,
            fingerprint,
        })
    }

    fn create_task(
        &mut self,
        now: Moment,
        submission: Submission,
        choice: ChosenScenario,
    ) -> Result<(u64, String), Refusal> {
        let number = self.next_number;
        let mut rng = self.settings.seed.stream(number);
        let task_id = seed::hex(&mut rng, TASK_ID_DIGITS);
        let (scenario, drawn) = choice.scenario.with_random_words(&mut rng);
        let (plan, track_count) = self.plan(&submission, &scenario, &mut rng)?;
        self.make_room()?;
        let paid = self.credits.pay().ok_or(Refusal::NoCredits)?;
        self.next_number += 1;
        let facts = Facts {
            task_id: task_id.clone(),
            submission,
            tracks: (0..track_count)
                .map(|_| TrackFacts::draw(&mut rng))
                .collect(),
            created_unix_ms: now.unix_ms,
            tracks_unix_ms: None,
            credits_consumed: TASK_CREDITS,
            has_extra_members: scenario.course.has_extra_members,
            words: std::iter::once(choice.words)
                .chain(drawn)
                .collect::<Vec<_>>()
                .join(", "),
        };
        let task = Task::new(facts, plan, now, paid);
        let entry = TaskEntry::new(task, &scenario.exchange);
        self.tasks.insert(number, entry);
        self.numbers.insert(task_id.clone(), number);
        self.reschedule(number);
        Ok((number, task_id))
    }

    fn plan(
        &self,
        submission: &Submission,
        scenario: &Scenario,
        rng: &mut Rng,
    ) -> Result<(Plan, usize), Refusal> {
        let context = PlanContext {
            profile: self.settings.profile,
            timing: self.settings.timing.of_task(rng),
            is_documented: self.settings.style.is_documented,
        };
        let (mut plan, track_count) = match &scenario.script {
            None => (scenario.course.plan(context), scenario.course.track_count),
            Some(name) => {
                let script = self
                    .scripts
                    .get(name)
                    .ok_or_else(|| Refusal::Invalid(format!("the script {name:?} is not found")))?;
                (script.plan.clone(), script.track_count)
            }
        };
        if submission.dialect == Dialect::Jobs && scenario.script.is_none() {
            plan.keep_last_callback();
        }
        Ok((scenario.delivery.apply(plan), track_count))
    }

    /// Evicts the first finished task if the maximum number of tasks is kept.
    fn make_room(&mut self) -> Result<(), Refusal> {
        if self.tasks.len() < self.settings.tasks_kept_max {
            return Ok(());
        }
        let oldest = self.finished.pop_front().ok_or(Refusal::Maintenance)?;
        if let Some(entry) = self.tasks.remove(&oldest) {
            self.numbers.remove(&entry.task.facts.task_id);
        }
        Ok(())
    }
}
