//! Submits: choosing the scenario, checking bounds and credits, creating the task.

use std::time::Duration;

use fastrand::Rng;
use serde_json::{Value, json};

use super::Provider;
use super::entry::TaskEntry;
use super::reply::{CreatedTask, Reply, ReplyPlan};
use crate::body::{envelope, product};
use crate::clock::Moment;
use crate::fault::exchange::SubmitFault;
use crate::operation::{Operation, Product, Route};
use crate::profile::Refusal;
use crate::scenario::Scenario;
use crate::scenario::course::PlanContext;
use crate::seed;
use crate::task::facts::{Facts, TrackFacts};
use crate::task::plan::Plan;
use crate::task::submission::Submission;
use crate::task::{Task, TaskEnding};
use crate::title;

/// The number of hexadecimal digits in a task id (`PROTOCOL.md 1.15`).
const TASK_ID_DIGITS: usize = 32;

/// The endpoint to which a submit is sent.
#[derive(Clone, Copy, Debug)]
pub(crate) enum SubmitTarget {
    /// The path of an operation.
    Direct(&'static Operation),
    /// `jobs/createTask`.
    Jobs,
}

impl SubmitTarget {
    /// Whether the rate limit counts the submit: it counts requests that generate something.
    fn is_generation(self) -> bool {
        match self {
            Self::Direct(operation) => !operation.product.is_immediate(),
            Self::Jobs => true,
        }
    }
}

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
        target: SubmitTarget,
        header_words: Option<&str>,
        body: &[u8],
    ) -> ReplyPlan {
        self.try_submit(now, target, header_words, body)
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
        target: SubmitTarget,
        header_words: Option<&str>,
        body: &[u8],
    ) -> Result<ReplyPlan, Refusal> {
        let is_limited = self.settings.has_rate_limits && target.is_generation();
        if is_limited && !self.submits.take(now.unix_ms) {
            return Err(Refusal::RateLimited);
        }
        let profile = self.settings.profile;
        let submission = match target {
            SubmitTarget::Direct(operation) => Submission::read_direct(profile, operation, body)?,
            SubmitTarget::Jobs => Submission::read_jobs(profile, body)?,
        };
        let choice = self.choose(header_words, &submission)?;
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
        if let Some(existing) = self.existing_task(&submission) {
            let envelope = envelope::existing(submission.product().task_id_name(), &existing);
            reply_plan.reply = Reply::Envelope(200, envelope);
            return Ok(reply_plan);
        }
        let is_early = choice.scenario.delivery.is_early;
        let callback_url = submission.callback_url.clone();
        let (number, task_id) = match self.earlier_phrase(&submission) {
            Some(number) => self.restart_task(now, number, submission, choice)?,
            None => self.create_task(now, submission, choice)?,
        };
        let data = self.submit_data(number, now)?;
        if is_early {
            reply_plan.early = self.advance_task(number, now);
        }
        reply_plan.reply = match fault {
            Some(SubmitFault::Html { .. }) => Reply::Html502,
            Some(SubmitFault::Cut) => Reply::Cut,
            _ => Reply::Envelope(200, envelope::success(data)),
        };
        reply_plan.task = Some(CreatedTask {
            task_id,
            callback_url,
        });
        Ok(reply_plan)
    }

    /// Returns the task that made the same product of the same track, if the operation makes it
    /// once and the task has not failed.
    fn existing_task(&self, submission: &Submission) -> Option<String> {
        let key = submission.once_key()?;
        let task = &self.tasks.get(self.once.get(&key)?)?.task;
        let has_failed = matches!(task.ending(), TaskEnding::Failed { .. });
        (!has_failed).then(|| task.facts.task_id.clone())
    }

    /// Returns `data` of the answer: the id of the task, or the result if there is nothing to wait
    /// for.
    fn submit_data(&mut self, number: u64, now: Moment) -> Result<Value, Refusal> {
        let Some(entry) = self.tasks.get_mut(&number) else {
            return Err(Refusal::ServerError);
        };
        let submission = &entry.task.facts.submission;
        if !submission.is_immediate() {
            let name = match submission.route {
                Route::Direct => submission.product().task_id_name(),
                Route::Jobs => Product::Song.task_id_name(),
            };
            return Ok(json!({ name: entry.task.facts.task_id }));
        }
        // Everything of such a task is due at once.
        self.advance_task(number, now);
        let Some(entry) = self.tasks.get(&number) else {
            return Err(Refusal::ServerError);
        };
        Ok(product::immediate(&entry.task.facts, &self.settings.style))
    }

    /// Chooses the scenario by the header, else by the title, else the default one.
    fn choose(
        &mut self,
        header_words: Option<&str>,
        submission: &Submission,
    ) -> Result<ChosenScenario, Refusal> {
        let title = &submission.label;
        let is_song = submission.product().is_song();
        if let Some(words) = header_words.or_else(|| title::words_in_title(title)) {
            let scenario = Scenario::parse(words).map_err(Refusal::Invalid)?;
            if !is_song && let Some(word) = scenario.song_words.first() {
                let reason = format!("the scenario word {word:?} is for songs only");
                return Err(Refusal::Invalid(reason));
            }
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
        let scenario = if is_song {
            scenario
        } else {
            scenario.without_song_words()
        };
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
        let product = submission.product();
        let (scenario, drawn) = choice
            .scenario
            .with_random_words(&mut rng, product.is_song());
        let (plan, file_count) = self.plan(&submission, &scenario, &mut rng)?;
        self.make_room()?;
        let paid = self.credits.pay(submission.operation.price)?;
        self.next_number += 1;
        let mut facts = Facts {
            task_id: task_id.clone(),
            tracks: (0..file_count)
                .map(|_| TrackFacts::draw(&mut rng))
                .collect(),
            created_unix_ms: now.unix_ms,
            tracks_unix_ms: None,
            completed_unix_ms: None,
            credits_consumed: submission.operation.price,
            credits_left: self.credits.left_hundredths(),
            is_voice_available: self.has_voice(submission.text("task_id")),
            has_extra_members: scenario.course.has_extra_members,
            has_record_shape: scenario.course.has_record_shape,
            restarts: 0,
            words: std::iter::once(choice.words)
                .chain(drawn)
                .collect::<Vec<_>>()
                .join(", "),
            submission,
        };
        self.recover(&mut facts);
        if let Some(key) = facts.submission.once_key() {
            self.once.insert(key, number);
        }
        let task = Task::new(facts, plan, now, paid);
        let entry = TaskEntry::new(task, &scenario.exchange);
        self.tasks.insert(number, entry);
        self.numbers.insert(task_id.clone(), number);
        self.reschedule(number);
        Ok((number, task_id))
    }

    /// Returns the task whose phrase is asked for again. The id in the answer is that of this task,
    /// which then has several callbacks.
    fn earlier_phrase(&self, submission: &Submission) -> Option<u64> {
        if submission.product() != Product::VoicePhrase {
            return None;
        }
        let number = *self.numbers.get(submission.text("taskId"))?;
        let earlier = &self.tasks.get(&number)?.task.facts.submission;
        let is_same =
            earlier.product() == submission.product() && earlier.route == submission.route;
        is_same.then_some(number)
    }

    /// Makes a task run again.
    fn restart_task(
        &mut self,
        now: Moment,
        number: u64,
        submission: Submission,
        choice: ChosenScenario,
    ) -> Result<(u64, String), Refusal> {
        let mut rng = self.settings.seed.stream(number);
        let (scenario, _) = choice.scenario.with_random_words(&mut rng, false);
        let (plan, _) = self.plan(&submission, &scenario, &mut rng)?;
        let price = submission.operation.price;
        let paid = self.credits.pay(price)?;
        let credits_left = self.credits.left_hundredths();
        let task = match self.tasks.get_mut(&number) {
            Some(entry) => &mut entry.task,
            None => return Err(Refusal::ServerError),
        };
        task.facts.credits_consumed = price;
        task.facts.credits_left = credits_left;
        task.facts.submission.callback_url = submission.callback_url;
        task.restart(plan, now, paid);
        let task_id = task.facts.task_id.clone();
        self.reschedule(number);
        Ok((number, task_id))
    }

    /// Whether this task made a voice.
    fn has_voice(&self, task_id: &str) -> bool {
        let number = self.numbers.get(task_id);
        number
            .and_then(|number| self.tasks.get(number))
            .is_some_and(|entry| {
                entry.task.facts.submission.product() == Product::Voice
                    && entry.task.ending() == TaskEnding::Complete
            })
    }

    /// Copies the tracks of the task that a recovery is about, if it is known.
    fn recover(&self, facts: &mut Facts) {
        if facts.submission.product() != Product::Recovery {
            return;
        }
        let number = self.numbers.get(facts.submission.text("sunoTaskId"));
        if let Some(entry) = number.and_then(|number| self.tasks.get(number)) {
            facts.tracks.clone_from(&entry.task.facts.tracks);
            facts.submission.title = entry.task.facts.submission.title.clone();
        }
    }

    /// Returns the plan of a task and the number of its tracks or files.
    fn plan(
        &self,
        submission: &Submission,
        scenario: &Scenario,
        rng: &mut Rng,
    ) -> Result<(Plan, usize), Refusal> {
        let product = submission.product();
        let context = PlanContext {
            profile: self.settings.profile,
            product,
            timing: self.settings.timing.of_task(rng),
            is_documented: self.settings.style.is_documented,
        };
        let count = match product.is_song() {
            true => scenario.course.track_count,
            false => product.file_count(),
        };
        let (mut plan, count) = match &scenario.script {
            None => (scenario.course.plan(context), count),
            Some(name) => {
                let script = self
                    .scripts
                    .get(name)
                    .ok_or_else(|| Refusal::Invalid(format!("the script {name:?} is not found")))?;
                (script.plan.clone(), script.track_count)
            }
        };
        if submission.callback_url.is_none() {
            plan.clear_callbacks();
        } else if submission.route == Route::Jobs && scenario.script.is_none() {
            plan.keep_last_callback();
        }
        if !submission.is_immediate() {
            return Ok((scenario.delivery.apply(plan), count));
        }
        match plan.failure() {
            Some(failure) => Err(Refusal::Code(failure.code)),
            None => Ok((plan.at_once(), count)),
        }
    }

    /// Evicts the first finished task if the maximum number of tasks is kept.
    fn make_room(&mut self) -> Result<(), Refusal> {
        if self.tasks.len() < self.settings.tasks_kept_max {
            return Ok(());
        }
        let oldest = self.finished.pop_front().ok_or(Refusal::Maintenance)?;
        if let Some(entry) = self.tasks.remove(&oldest) {
            self.numbers.remove(&entry.task.facts.task_id);
            if let Some(key) = entry.task.facts.submission.once_key() {
                // A later task may have replaced it.
                if self.once.get(&key) == Some(&oldest) {
                    self.once.remove(&key);
                }
            }
        }
        Ok(())
    }
}
