//! The provider's state: tasks, credits, attempts, and what is due when.
//!
//! It does no I/O: each call takes the time as an argument and returns what to answer or what to
//! send. The [runner](crate::runner) and the [server](crate::http) do the rest.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;

use crate::body::BodyStyle;
use crate::fault::exchange::SubmitCounts;
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
mod uploads;

use attempt_log::AttemptLog;
pub(crate) use control::SCRIPTS_MAX;
pub use control::TaskSummary;
use credits::CreditAccount;
use entry::TaskEntry;
use limits::RateLimit;
pub(crate) use queries::{MediaFile, MediaKind, RecordTarget};
pub(crate) use reply::{Reply, ReplyPlan};
use schedule::Schedule;
pub(crate) use submit::SubmitTarget;
pub(crate) use uploads::NewUpload;
use uploads::Uploads;

/// The settings of a provider, which do not change while it runs.
#[derive(Debug)]
pub(crate) struct ProviderSettings {
    pub(crate) profile: Profile,
    pub(crate) webhook_key: Option<Secret>,
    pub(crate) seed: Seed,
    pub(crate) timing: Timing,
    pub(crate) retry: RetryRule,
    pub(crate) style: BodyStyle,
    pub(crate) credits: u64,
    pub(crate) has_rate_limits: bool,
    pub(crate) default_scenario: DefaultScenario,
    pub(crate) tasks_kept_max: usize,
    pub(crate) attempts_kept_max: usize,
    /// Whether an observer takes the logged attempts.
    pub(crate) is_observed: bool,
}

/// The scenario of tasks that do not choose one.
#[derive(Clone, Debug, Default)]
pub(crate) struct DefaultScenario {
    pub(crate) words: String,
    pub(crate) scenario: Scenario,
    /// The number of tasks it still applies to, or `None` for all.
    pub(crate) tasks_left: Option<u32>,
}

/// The provider's state.
#[derive(Debug)]
pub(crate) struct Provider {
    settings: ProviderSettings,
    scripts: BTreeMap<String, Arc<Script>>,
    default_scenario: DefaultScenario,
    tasks: BTreeMap<u64, TaskEntry>,
    numbers: HashMap<String, u64>,
    /// The tasks of operations that make their product once for a track.
    once: HashMap<String, u64>,
    schedule: Schedule,
    /// Finished tasks, the first finished one first.
    finished: VecDeque<u64>,
    next_number: u64,
    credits: CreditAccount,
    submits: RateLimit,
    submit_counts: SubmitCounts,
    log: AttemptLog,
    uploads: Uploads,
    /// The number of resets. An attempt that was begun before a reset is ignored when it ends.
    generation: u64,
}

impl Provider {
    pub(crate) fn new(settings: ProviderSettings, scripts: BTreeMap<String, Arc<Script>>) -> Self {
        Self {
            scripts,
            default_scenario: settings.default_scenario.clone(),
            tasks: BTreeMap::new(),
            numbers: HashMap::new(),
            once: HashMap::new(),
            schedule: Schedule::default(),
            finished: VecDeque::new(),
            next_number: 1,
            credits: CreditAccount::new(settings.credits),
            submits: RateLimit::of_submits(),
            submit_counts: SubmitCounts::default(),
            log: AttemptLog::new(settings.attempts_kept_max, settings.is_observed),
            uploads: Uploads::default(),
            generation: 0,
            settings,
        }
    }

    pub(crate) fn profile(&self) -> Profile {
        self.settings.profile
    }

    /// Returns the random seed.
    pub(crate) fn seed(&self) -> u64 {
        self.settings.seed.number()
    }

    fn entry_mut(&mut self, task_id: &str) -> Option<&mut TaskEntry> {
        self.tasks.get_mut(self.numbers.get(task_id)?)
    }
}
