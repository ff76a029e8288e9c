//! The plan of a run: everything that happens in it, as data. A run depends on its plan alone.

use serde::{Deserialize, Serialize};

/// A moment or a time, in milliseconds since the start of the run.
pub type Millis = u64;

/// One run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Plan {
    /// Decides what the plan leaves open, such as the delay of each operation.
    pub seed: u64,
    /// Settings of the world.
    pub knobs: Knobs,
    /// The processes. The first one is healthy in the end, whatever befalls the others.
    pub nodes: Vec<NodePlan>,
    /// The tasks.
    pub tasks: Vec<TaskPlan>,
    /// What goes wrong.
    pub faults: Vec<Fault>,
    /// What persons do.
    pub redrives: Vec<RedrivePlan>,
}

/// Settings of the world.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Knobs {
    /// Which store holds the events.
    pub store: StoreKind,
    /// The provider's record must confirm callbacks.
    pub confirm: bool,
    /// The lease of claims.
    pub lease_ms: Millis,
    /// How many handlers one node runs.
    pub places: u64,
    /// How long a handler may take.
    pub handler_timeout_ms: Millis,
    /// For how long a failing event is retried.
    pub retry_for_ms: Millis,
    /// How often a reconciler looks without being asked to.
    pub reconcile_ms: Millis,
    /// After what time a submitted task is due.
    pub due_after_ms: Millis,
    /// For how long keys are kept.
    pub keys_for_ms: Millis,
    /// How often old events are purged.
    pub purge_every_ms: Millis,
    /// How long an operation of the store takes at most without a fault.
    pub op_delay_ms: Millis,
    /// In how many of a hundred polls a task has to wait although it could go on.
    pub noise_percent: u64,
    /// For how long at most.
    pub noise_ms: Millis,
    /// When all faults end.
    pub heal_at_ms: Millis,
    /// A day passes after that.
    pub one_more_day: bool,
}

/// Which store holds the events.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[expect(
    clippy::exhaustive_enums,
    reason = "it belongs to this crate and its command"
)]
pub enum StoreKind {
    /// A server with a clock of its own, in memory.
    Memory,
    /// A file of SQLite.
    Sqlite,
}

/// A process.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct NodePlan {
    /// It claims and handles.
    pub dispatches: bool,
    /// It asks the provider about due tasks.
    pub reconciles: bool,
    /// It purges what is old.
    pub purges: bool,
    /// How far its wall clock is ahead.
    pub wall_ms: i64,
}

/// A task, from its submit to its end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct TaskPlan {
    /// When it is submitted.
    pub submit_at_ms: Millis,
    /// Which node submits it.
    pub submitter: usize,
    /// The answer to the submit is lost, so that only the callback makes the task known.
    pub answer_lost: bool,
    /// When the provider reaches the stages, after the submit.
    pub stages: Vec<(Millis, StageName)>,
    /// The callbacks.
    pub callbacks: Vec<CallbackPlan>,
    /// What handling its events is like.
    pub work: Work,
}

/// The stages that are simulated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[expect(
    clippy::exhaustive_enums,
    reason = "it belongs to this crate and its command"
)]
pub enum StageName {
    /// See `suno_types::Stage`.
    Text,
    /// See `suno_types::Stage`.
    First,
    /// See `suno_types::Stage`.
    Complete,
    /// See `suno_types::Stage`.
    Failed,
    /// A stage that this version does not know.
    Other,
}

/// A callback.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct CallbackPlan {
    /// When it is sent, after the submit.
    pub after_ms: Millis,
    /// The stage that it reports.
    pub stage: StageName,
    /// What it says.
    pub body: Body,
    /// Which node gets it first.
    pub node: usize,
    /// It is sent once, and not again if there is no 200.
    pub once: bool,
}

/// What a callback says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[expect(
    clippy::exhaustive_enums,
    reason = "it belongs to this crate and its command"
)]
pub enum Body {
    /// The truth.
    Genuine,
    /// The truth in other words: URLs are signed anew.
    Renewed,
    /// Something else, with a valid signature.
    Forged,
    /// Trusted but not understood.
    Garbled,
    /// Signed with another key.
    Unsigned,
}

/// What handling the events of a task is like.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[expect(
    clippy::exhaustive_enums,
    reason = "it belongs to this crate and its command"
)]
pub enum Work {
    /// It succeeds after some time.
    Takes(Millis),
    /// It fails so many times, after some time.
    Fails(u32, Millis),
    /// It fails so many times and asks for a wait of so many seconds.
    AsksForWait(u32, u64),
    /// It gives up at once.
    GivesUp,
    /// It panics so many times.
    Panics(u32),
    /// It never ends, so many times.
    Hangs(u32),
    /// It ends its process, so many times.
    Kills(u32),
}

/// Something that goes wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Fault {
    /// When it begins.
    pub at_ms: Millis,
    /// How long it lasts; at most until all faults end.
    pub for_ms: Millis,
    /// Which node it befalls. `None`: all.
    pub node: Option<usize>,
    /// What it is.
    pub kind: FaultKind,
}

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[expect(
    clippy::exhaustive_enums,
    reason = "it belongs to this crate and its command"
)]
pub enum FaultKind {
    /// So many of a hundred operations of the store go wrong in this way.
    Store(StoreFault, u64),
    /// The node cannot reach the store, not even when the other faults end.
    CutOff,
    /// The process stands still.
    Stall,
    /// The process dies now, and is started again at the end.
    Death,
    /// The process dies at the so-manieth poll of its tasks after this, and is started again at the
    /// end.
    DeathAtPoll(u64),
    /// The process dies after the so-manieth operation of the store was carried out and before it is
    /// answered.
    DeathAfterCommit(u64),
    /// The process stops as it should, and is started again at the end.
    Stop,
    /// The wall clock of the node is set by so many milliseconds, and back at the end.
    WallStep(i64),
    /// The provider cannot be asked.
    Provider(ProviderFault),
    /// What handlers need is away: they all fail.
    Dependency,
    /// Callbacks that are sent are lost.
    Network,
}

/// How an operation of the store goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[expect(
    clippy::exhaustive_enums,
    reason = "it belongs to this crate and its command"
)]
pub enum StoreFault {
    /// An error, and nothing is done.
    Refuses,
    /// It is done, and answered with an error.
    LosesAnswer,
    /// There is no room.
    Full,
    /// It is carried out after so many milliseconds, and that is answered after the same time again.
    Delays(Millis),
    /// It is carried out after so many milliseconds although its caller may not wait any more.
    CarriesOutLate(Millis),
    /// There is no answer before the fault ends.
    Hangs,
    /// There is never an answer.
    HangsForEver,
}

/// How the provider cannot be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[expect(
    clippy::exhaustive_enums,
    reason = "it belongs to this crate and its command"
)]
pub enum ProviderFault {
    /// It answers with an error.
    Refuses,
    /// It does not answer.
    Hangs,
    /// It answers with an error, and asks for a wait of so many seconds.
    AsksForWait(u64),
}

/// A person redrives an event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct RedrivePlan {
    /// When.
    pub at_ms: Millis,
    /// The place of the task in the plan.
    pub task: usize,
    /// The stage.
    pub stage: StageName,
    /// Even if a later stage was handled.
    pub even_if_superseded: bool,
}

impl Plan {
    /// Reads a plan.
    ///
    /// # Errors
    ///
    /// If the text is no plan.
    pub fn from_json(text: &str) -> Result<Self, serde_json::Error> {
        serde_json::from_str(text)
    }

    /// When a fault ends.
    pub(crate) fn end_of(&self, fault: &Fault) -> Millis {
        match fault.kind {
            FaultKind::CutOff => Millis::MAX,
            _ => fault
                .at_ms
                .saturating_add(fault.for_ms)
                .min(self.knobs.heal_at_ms),
        }
    }

    /// How long after the last fault every event has ended.
    pub(crate) fn quiet_within(&self) -> Millis {
        const RETRY_PAUSE: Millis = 600_000;
        let longest = self.knobs.retry_for_ms + self.knobs.handler_timeout_ms;
        let works = self.tasks.iter().map(|task| match task.work {
            Work::Fails(u32::MAX, _) | Work::Hangs(u32::MAX) => longest,
            Work::Takes(for_ms) => 4 * for_ms,
            Work::Fails(times, for_ms) => u64::from(times) * 4 * for_ms,
            Work::Hangs(times) => u64::from(times) * 4 * self.knobs.handler_timeout_ms,
            Work::Kills(times) => u64::from(times.min(6)) * 4 * (self.knobs.lease_ms + 2_000),
            _ => 0,
        });
        let last_callback = self.tasks.iter().flat_map(|task| {
            task.callbacks
                .iter()
                .map(|callback| task.submit_at_ms + callback.after_ms + 200_000)
        });
        let late = last_callback
            .max()
            .unwrap_or_default()
            .saturating_sub(self.knobs.heal_at_ms);
        late + self.knobs.retry_for_ms
            + RETRY_PAUSE
            + 4 * self.knobs.lease_ms
            + works.sum::<Millis>()
    }

    /// True if nothing goes wrong, not even in handlers.
    pub(crate) fn is_calm(&self) -> bool {
        let is_calm = |task: &TaskPlan| {
            matches!(task.work, Work::Takes(for_ms) if for_ms < self.knobs.handler_timeout_ms)
                && !task.answer_lost
                && task.end().is_some()
                && task
                    .callbacks
                    .iter()
                    .all(|callback| callback.body == Body::Genuine)
        };
        self.faults.is_empty() && self.tasks.iter().all(is_calm)
    }

    /// True if keys are forgotten within the run.
    pub(crate) fn may_purge(&self) -> bool {
        self.knobs.keys_for_ms < 10 * 86_400_000
    }

    /// The plan as people read it.
    #[must_use]
    pub fn to_json(&self) -> String {
        serde_json::to_string_pretty(self).unwrap_or_default()
    }
}

impl FaultKind {
    /// True if the process may end by it, so that it is started again.
    pub(crate) fn ends_a_life(self) -> bool {
        use FaultKind::{Death, DeathAfterCommit, DeathAtPoll, Stop};
        matches!(self, Death | DeathAfterCommit(_) | DeathAtPoll(_) | Stop)
    }
}

impl TaskPlan {
    /// The stage at which the task truly ends.
    pub(crate) fn end(&self) -> Option<StageName> {
        let last = self.stages.last()?.1;
        last.is_terminal().then_some(last)
    }

    /// True if a callback says that the task ends otherwise than it does.
    pub(crate) fn has_forged_end(&self) -> bool {
        let end = self.end();
        let is_false = |callback: &CallbackPlan| {
            callback.stage.is_terminal()
                && Some(callback.stage) != end
                && callback.body != Body::Unsigned
        };
        self.callbacks.iter().any(is_false)
    }
}

impl StageName {
    pub(crate) fn is_terminal(self) -> bool {
        matches!(self, Self::Complete | Self::Failed)
    }

    /// The stage of the product.
    pub(crate) fn stage(self) -> suno_types::Stage {
        use suno_types::Stage;
        match self {
            Self::Text => Stage::Text,
            Self::First => Stage::First,
            Self::Complete => Stage::Complete,
            Self::Failed => Stage::Failed,
            Self::Other => Stage::from("cover"),
        }
    }

    /// The name of a stage of the product.
    pub(crate) fn of(stage: &suno_types::Stage) -> Self {
        use suno_types::Stage;
        match stage {
            Stage::Text => Self::Text,
            Stage::First => Self::First,
            Stage::Complete => Self::Complete,
            Stage::Failed => Self::Failed,
            _ => Self::Other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_is_read_as_it_was_written() {
        for seed in 0..50 {
            let plan = crate::draw::plan(seed, StoreKind::Memory);
            assert_eq!(Plan::from_json(&plan.to_json()).unwrap(), plan);
        }
    }
}
