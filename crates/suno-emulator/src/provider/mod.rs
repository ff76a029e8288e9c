//! The provider's state: tasks, credits, attempts, and what is due when.
//!
//! Pure: each call is told the time and returns what to answer or what to send. The server and the
//! pacer around it do the rest.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use crate::body::Style;
use crate::clock::Moment;
use crate::fault::exchange::Strikes;
use crate::profile::Profile;
use crate::provider::credits::Ledger;
use crate::provider::limits::Window;
use crate::scenario::Scenario;
use crate::scenario::script::Script;
use crate::secret::Secret;
use crate::seed::Seed;
use crate::sender::sign;
use crate::task::Task;
use crate::task::attempt::{Attempt, AttemptLog, AttemptOutcome};
use crate::task::outbox::{Parcel, RetryRule, Settled};
use crate::task::plan::Signing;
use crate::task::timing::Timing;

mod control;
pub(crate) mod credits;
pub(crate) mod limits;
mod queries;
mod schedule;
mod submit;

pub(crate) use control::SCRIPTS_MAX;
pub use control::TaskSummary;
pub(crate) use queries::{Medium, MediumKind};
use schedule::Schedule;
pub(crate) use submit::{Reception, Reply};

/// How long ago a stale timestamp was, in seconds.
const STALE_SECONDS: u64 = 3600;

/// What does not change while an emulator runs.
#[derive(Debug)]
pub(crate) struct Rules {
    pub(crate) profile: Profile,
    pub(crate) webhook_key: Option<Secret>,
    pub(crate) seed: Seed,
    pub(crate) timing: Timing,
    pub(crate) retry: RetryRule,
    pub(crate) style: Style,
    pub(crate) credits: u64,
    pub(crate) rate_limits: bool,
    pub(crate) standing: Standing,
    pub(crate) tasks_kept_max: usize,
    pub(crate) attempts_kept_max: usize,
    /// Whether somebody takes the attempts that are filed.
    pub(crate) is_observed: bool,
}

/// The scenario of tasks that choose none.
#[derive(Clone, Debug, Default)]
pub(crate) struct Standing {
    pub(crate) words: String,
    pub(crate) scenario: Scenario,
    /// For how many tasks it stands; `None` for all.
    pub(crate) tasks_left: Option<u32>,
}

/// The provider's state.
#[derive(Debug)]
pub(crate) struct Desk {
    rules: Rules,
    scripts: BTreeMap<String, Arc<Script>>,
    standing: Standing,
    tasks: BTreeMap<u64, Task>,
    numbers: HashMap<String, u64>,
    schedule: Schedule,
    /// Finished tasks, the longest finished first.
    finished: VecDeque<u64>,
    next_number: u64,
    ledger: Ledger,
    submits: Window,
    strikes: Strikes,
    log: AttemptLog,
    /// Counts the resets, so that what was sent before one is not settled after it.
    generation: u64,
}

/// One callback on its way out.
#[derive(Clone)]
pub(crate) struct Dispatch {
    generation: u64,
    task_number: u64,
    pub(crate) task_id: String,
    pub(crate) post: String,
    pub(crate) number: u32,
    attempts_max: u32,
    pub(crate) unix_ms: u64,
    pub(crate) url: String,
    pub(crate) timestamp: Option<String>,
    pub(crate) signature: Option<String>,
    pub(crate) body: Bytes,
    is_forged: bool,
}

/// What came of a dispatch.
pub(crate) struct Outcome {
    pub(crate) outcome: AttemptOutcome,
    pub(crate) answer: Bytes,
    pub(crate) duration: Duration,
}

impl Desk {
    pub(crate) fn new(rules: Rules, scripts: BTreeMap<String, Arc<Script>>) -> Self {
        Self {
            scripts,
            standing: rules.standing.clone(),
            tasks: BTreeMap::new(),
            numbers: HashMap::new(),
            schedule: Schedule::default(),
            finished: VecDeque::new(),
            next_number: 1,
            ledger: Ledger::new(rules.credits),
            submits: Window::of_submits(),
            strikes: Strikes::default(),
            log: AttemptLog::new(rules.attempts_kept_max, rules.is_observed),
            generation: 0,
            rules,
        }
    }

    pub(crate) fn profile(&self) -> Profile {
        self.rules.profile
    }

    /// The number that everything by chance follows from.
    pub(crate) fn seed(&self) -> u64 {
        self.rules.seed.number()
    }

    fn task(&self, task_id: &str) -> Option<&Task> {
        self.tasks.get(self.numbers.get(task_id)?)
    }

    fn task_mut(&mut self, task_id: &str) -> Option<&mut Task> {
        self.tasks.get_mut(self.numbers.get(task_id)?)
    }

    /// When something is due next.
    pub(crate) fn due_at(&self) -> Option<u64> {
        self.schedule.first().map(|(at_ms, _)| at_ms)
    }

    /// Whether no task has anything left to do.
    pub(crate) fn is_idle(&self) -> bool {
        self.finished.len() == self.tasks.len()
    }

    /// Lets what is due happen, up to the next callback that has to leave.
    pub(crate) fn next_dispatch(&mut self, now: Moment) -> Option<Dispatch> {
        while let Some((at_ms, number)) = self.schedule.first() {
            if at_ms > now.at_ms {
                return None;
            }
            if let Some(dispatch) = self.attend(number, now) {
                return Some(dispatch);
            }
        }
        None
    }

    /// Lets what is due for one task happen.
    fn attend(&mut self, number: u64, now: Moment) -> Option<Dispatch> {
        let Some(task) = self.tasks.get_mut(&number) else {
            self.schedule.put(number, None);
            return None;
        };
        let advanced = task.advance(now, &self.rules.style);
        let parcel = task.outbox.take(now.at_ms);
        if let Some(paid) = advanced.refund {
            self.ledger.refund(paid);
        }
        for unsent in advanced.unsent {
            let dispatch = unsigned(
                self.generation,
                number,
                task,
                unsent,
                now,
                &self.rules.retry,
            );
            self.log.file(dispatch.filed(Outcome::dropped()));
        }
        let dispatch = parcel.map(|parcel| {
            let signing = parcel.signing;
            let mut dispatch = unsigned(
                self.generation,
                number,
                task,
                parcel,
                now,
                &self.rules.retry,
            );
            if let Some(key) = &self.rules.webhook_key {
                sign_dispatch(&mut dispatch, task, signing, key);
            }
            dispatch
        });
        self.reschedule(number);
        dispatch
    }

    /// The attempts that were filed since the last call. Always empty without an observer.
    pub(crate) fn take_unobserved(&mut self) -> Vec<Attempt> {
        self.log.take_unobserved()
    }

    /// Says what came of a dispatch.
    pub(crate) fn settle(&mut self, now: Moment, dispatch: &Dispatch, outcome: Outcome) {
        if dispatch.generation != self.generation {
            return;
        }
        let delivered = outcome.outcome.is_delivered();
        self.log.file(dispatch.filed(outcome));
        if let Some(task) = self.tasks.get_mut(&dispatch.task_number) {
            let settled = task.outbox.settle(now.at_ms, delivered, &self.rules.retry);
            if settled == Settled::GivenUp {
                tracing::info!(task_id = dispatch.task_id, post = dispatch.post, "gave up");
            }
            self.reschedule(dispatch.task_number);
        }
    }

    /// Puts a task where it belongs after anything about it changed.
    fn reschedule(&mut self, number: u64) {
        let Some(task) = self.tasks.get_mut(&number) else {
            return;
        };
        self.schedule.put(number, task.due_at());
        let is_finished = task.is_finished();
        if is_finished == task.filed_as_finished {
            return;
        }
        task.filed_as_finished = is_finished;
        if is_finished {
            self.finished.push_back(number);
        } else {
            self.finished.retain(|other| *other != number);
        }
    }
}

fn unsigned(
    generation: u64,
    number: u64,
    task: &Task,
    parcel: Parcel,
    now: Moment,
    retry: &RetryRule,
) -> Dispatch {
    Dispatch {
        generation,
        task_number: number,
        task_id: task.facts.task_id.clone(),
        post: parcel.post,
        number: parcel.attempts,
        attempts_max: retry.attempts_max(parcel.signing),
        unix_ms: now.unix_ms,
        url: task.facts.submission.callback_url.clone(),
        timestamp: None,
        signature: None,
        is_forged: parcel.signing == Signing::Copied,
        body: parcel.body,
    }
}

/// Signs with a fresh timestamp, unless a fault has it otherwise.
fn sign_dispatch(dispatch: &mut Dispatch, task: &mut Task, signing: Signing, key: &Secret) {
    let is_flawed = |attempts| dispatch.number <= attempts;
    let mut seconds = dispatch.unix_ms / 1000;
    let mut key = key.reveal().to_owned();
    match signing {
        Signing::Wrong { attempts } if is_flawed(attempts) => key.push_str("-of-someone-else"),
        Signing::Stale { attempts } if is_flawed(attempts) => {
            seconds = seconds.saturating_sub(STALE_SECONDS);
        }
        Signing::Missing { attempts } if is_flawed(attempts) => return,
        Signing::Copied => seconds = task.signed_at_seconds.unwrap_or(seconds),
        _ => task.signed_at_seconds = Some(seconds),
    }
    let timestamp = seconds.to_string();
    dispatch.signature = Some(sign::signature(&key, &dispatch.task_id, &timestamp));
    dispatch.timestamp = Some(timestamp);
}

impl Outcome {
    /// It never left.
    fn dropped() -> Self {
        Self {
            outcome: AttemptOutcome::Dropped,
            answer: Bytes::new(),
            duration: Duration::ZERO,
        }
    }
}

impl Dispatch {
    fn filed(&self, outcome: Outcome) -> Attempt {
        Attempt {
            serial: 0,
            task_id: self.task_id.clone(),
            post: self.post.clone(),
            number: self.number,
            attempts_max: self.attempts_max,
            unix_ms: self.unix_ms,
            url: self.url.clone(),
            timestamp: self.timestamp.clone(),
            signature: self.signature.clone(),
            body: self.body.clone(),
            is_forged: self.is_forged,
            outcome: outcome.outcome,
            answer: outcome.answer,
            duration: outcome.duration,
        }
    }
}
