//! The provider's state: tasks, credits, attempts, and what is due when.
//!
//! Pure: each call is told the time and returns what to answer or what to send. The server and the
//! pacer around it do the rest.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;

use crate::body::Style;
use crate::fault::exchange::Strikes;
use crate::profile::Profile;
use crate::scenario::Scenario;
use crate::scenario::script::Script;
use crate::secret::Secret;
use crate::seed::Seed;
use crate::task::outbox::RetryRule;
use crate::task::timing::Timing;

mod attempt_log;
mod control;
mod credits;
mod entry;
mod limits;
mod queries;
mod reply;
mod schedule;
mod sending;
mod submit;

use attempt_log::AttemptLog;
pub(crate) use control::SCRIPTS_MAX;
pub use control::TaskSummary;
use credits::Ledger;
use entry::TaskEntry;
use limits::Window;
pub(crate) use queries::{Medium, MediumKind};
pub(crate) use reply::{Reception, Reply};
use schedule::Schedule;

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
pub(crate) struct Provider {
    rules: Rules,
    scripts: BTreeMap<String, Arc<Script>>,
    standing: Standing,
    tasks: BTreeMap<u64, TaskEntry>,
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

impl Provider {
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

    fn entry_mut(&mut self, task_id: &str) -> Option<&mut TaskEntry> {
        self.tasks.get_mut(self.numbers.get(task_id)?)
    }
}
