//! Taking a task: what scenario it gets, whether there is a place and credits, and the answer.

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

/// How many hexadecimal digits a task id has (`PROTOCOL.md 1.15`).
const TASK_ID_DIGITS: usize = 32;

/// A scenario and what it was chosen by.
struct ChosenScenario {
    scenario: Scenario,
    /// Its words.
    words: String,
    /// The same for submits that are the same, for faults that end after some times.
    fingerprint: u64,
}

impl Provider {
    /// Takes a submit.
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

    /// The answer to a submit that is refused whatever the desk holds.
    pub(crate) fn refusal(&self, refusal: &Refusal) -> ReplyPlan {
        self.refused(200, refusal).into()
    }

    pub(super) fn refused(&self, status: u16, refusal: &Refusal) -> Reply {
        Reply::Envelope(status, envelope::refusal(self.rules.profile, refusal))
    }

    fn try_submit(
        &mut self,
        now: Moment,
        dialect: Dialect,
        header_words: Option<&str>,
        body: &[u8],
    ) -> Result<ReplyPlan, Refusal> {
        if self.rules.has_rate_limits && !self.submits.take(now.unix_ms) {
            return Err(Refusal::RateLimited);
        }
        let profile = self.rules.profile;
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

    /// The header decides, then the title, then what stands for all.
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
                self.default_scenario = self.rules.default_scenario.clone();
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
        let mut rng = self.rules.seed.stream(number);
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
            profile: self.rules.profile,
            timing: self.rules.timing.of_task(rng),
            is_documented: self.rules.style.is_documented,
        };
        let (mut plan, track_count) = match &scenario.script {
            None => (scenario.course.plan(context), scenario.course.track_count),
            Some(name) => {
                let script = self.scripts.get(name).ok_or_else(|| {
                    Refusal::Invalid(format!("the emulator has no script {name:?}"))
                })?;
                (script.plan.clone(), script.track_count)
            }
        };
        if submission.dialect == Dialect::Jobs && scenario.script.is_none() {
            plan.keep_last_callback();
        }
        Ok((scenario.delivery.apply(plan), track_count))
    }

    /// Evicts the longest finished task if there is no place for another.
    fn make_room(&mut self) -> Result<(), Refusal> {
        if self.tasks.len() < self.rules.tasks_kept_max {
            return Ok(());
        }
        let oldest = self.finished.pop_front().ok_or(Refusal::Maintenance)?;
        if let Some(entry) = self.tasks.remove(&oldest) {
            self.numbers.remove(&entry.task.facts.task_id);
        }
        Ok(())
    }
}
