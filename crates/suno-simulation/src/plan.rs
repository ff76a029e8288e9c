//! The plan of a run: everything that happens in it, as data. A run depends only on its plan.
//! Times are in milliseconds from the start of the run.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use suno_callback::Dispatcher;
use suno_types::Stage;

pub(crate) type Millis = u64;

pub(crate) fn millis(duration: Duration) -> Millis {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Plan {
    /// The seed for everything that the plan leaves open, such as the delay of each operation.
    pub(crate) seed: u64,
    pub(crate) knobs: Knobs,
    /// The processes. The first one dispatches and is healthy at the end.
    pub(crate) nodes: Vec<NodePlan>,
    pub(crate) tasks: Vec<TaskPlan>,
    pub(crate) faults: Vec<Fault>,
    pub(crate) acts: Vec<Act>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Knobs {
    pub(crate) store: StoreKind,
    /// The provider's record must confirm callbacks.
    pub(crate) confirm: bool,
    pub(crate) lease_ms: Millis,
    pub(crate) handlers_max: u64,
    pub(crate) handler_timeout_ms: Millis,
    pub(crate) retry_for_ms: Millis,
    pub(crate) reconcile_every_ms: Millis,
    /// The delay after a submit when the provider is asked about its task.
    pub(crate) due_after_ms: Millis,
    pub(crate) keys_for_ms: Millis,
    pub(crate) purge_every_ms: Millis,
    /// The maximum duration of an operation of the store without a fault.
    pub(crate) op_delay_ms: Millis,
    /// The percentage of polls in which a task that could continue has to wait.
    pub(crate) noise_percent: u64,
    pub(crate) noise_ms: Millis,
    /// The time at which all faults end.
    pub(crate) heal_at_ms: Millis,
    /// The run lasts until every task must be decided.
    pub(crate) one_more_day: bool,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum StoreKind {
    #[default]
    Memory,
    Sqlite,
    Postgres,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct NodePlan {
    pub(crate) dispatches: bool,
    pub(crate) reconciles: bool,
    pub(crate) purges: bool,
    /// How far its wall clock is ahead.
    pub(crate) wall_ms: i64,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct TaskPlan {
    pub(crate) submit_at_ms: Millis,
    pub(crate) submitter: usize,
    /// The response to the submit is lost, so that only the callback makes the task known.
    pub(crate) answer_lost: bool,
    /// The times after the submit at which the provider reaches the stages.
    pub(crate) stages: Vec<(Millis, StageName)>,
    pub(crate) callbacks: Vec<CallbackPlan>,
    pub(crate) work: Work,
    /// The time after the submit at which the second track is ready, although the task has ended
    /// before. `None`: it has one track.
    #[serde(default)]
    pub(crate) fuller_at_ms: Option<Millis>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) enum StageName {
    Text,
    First,
    Complete,
    Failed,
    Other,
}

/// The identity of an event: the index of its task in the plan, its stage, and its revision.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Key {
    pub(crate) task: usize,
    pub(crate) stage: StageName,
    pub(crate) revision: u32,
}

impl Key {
    /// The first event of a stage.
    pub(crate) fn first(task: usize, stage: StageName) -> Self {
        Self {
            task,
            stage,
            revision: 0,
        }
    }

    /// Whether both are events of one stage of a task.
    pub(crate) fn is_of_stage(self, other: Self) -> bool {
        (self.task, self.stage) == (other.task, other.stage)
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct CallbackPlan {
    pub(crate) after_ms: Millis,
    pub(crate) stage: StageName,
    pub(crate) body: Body,
    /// The node that receives it first.
    pub(crate) node: usize,
    /// It is not sent again if the response is not 200.
    pub(crate) once: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Body {
    Genuine,
    /// The true content in another form: URLs are signed anew.
    Renewed,
    /// The true content after the second track became ready.
    Fuller,
    /// Something else, with more tracks than the task ever has and a valid signature.
    ForgedFuller,
    /// Something else, with a valid signature.
    Forged,
    /// Trusted but not understood.
    Garbled,
    /// Signed with another key.
    Unsigned,
}

/// The behaviour of the handlers of a task. A first `u32` says how often they do it before they
/// succeed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Work {
    Takes(Millis),
    Fails(u32, Millis),
    AsksForWait(u32, u64),
    CannotTake(u32),
    GivesUp,
    Panics(u32),
    Hangs(u32),
    KillsProcess(u32),
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Fault {
    pub(crate) at_ms: Millis,
    /// Its duration; at most until all faults end.
    pub(crate) for_ms: Millis,
    /// The node that has it. `None`: all.
    pub(crate) node: Option<usize>,
    /// The percentage of store operations that go wrong, if it is a fault of the store.
    pub(crate) percent: u64,
    pub(crate) kind: FaultKind,
}

/// Faults of the store come first; they all delay events.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Serialize, Deserialize)]
pub(crate) enum FaultKind {
    /// An operation of the store is not carried out, and returns an error.
    Refuses,
    /// It is carried out, and returns an error.
    LosesAnswer,
    StoreFull,
    /// It is carried out after this time, and answered after the same time again.
    Delays(Millis),
    /// It is carried out after this time, even if its caller has stopped waiting.
    CarriesOutLate(Millis),
    /// It is carried out when the fault ends.
    Hangs,
    HangsForEver,
    Stall,
    /// The node cannot reach the store, not even after the other faults end.
    CutOff,
    /// The process dies now. It is started again at the end of the fault, like after the next
    /// three.
    Death,
    /// It dies at one of about this many polls of its tasks.
    DeathAtPoll(u64),
    /// It dies after one of about this many operations of the store, before the answer.
    DeathAfterCommit(u64),
    Stop,
    /// The wall clock of the node is set, and set back at the end.
    WallStep(i64),
    ProviderRefuses,
    ProviderHangs,
    ProviderAsksForWait(u64),
    /// All handlers fail.
    Dependency,
    Network,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Act {
    pub(crate) at_ms: Millis,
    pub(crate) task: usize,
    pub(crate) stage: StageName,
    pub(crate) kind: ActKind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum ActKind {
    Redrive,
    RedriveSuperseded,
    Decide,
    Requeue,
}

impl Plan {
    pub(crate) fn end_of(&self, fault: &Fault) -> Millis {
        match fault.kind {
            FaultKind::CutOff => Millis::MAX,
            _ => self.knobs.heal_at_ms.min(fault.at_ms + fault.for_ms),
        }
    }

    /// The time after the last fault by which every event has ended.
    pub(crate) fn quiet_within(&self) -> Millis {
        const RETRY_PAUSE: Millis = 600_000;
        /// An event that could not be tried in its time has some attempts after it.
        const ATTEMPTS: Millis = Dispatcher::ATTEMPTS_MIN as Millis;
        let knobs = &self.knobs;
        let work = |task: &TaskPlan| match task.work {
            Work::Takes(for_ms) => 4 * for_ms,
            Work::Fails(u32::MAX, _) | Work::Hangs(u32::MAX) => {
                knobs.retry_for_ms + ATTEMPTS * knobs.handler_timeout_ms
            }
            Work::Fails(times, for_ms) => u64::from(times) * 4 * for_ms,
            Work::Hangs(times) => u64::from(times) * 4 * knobs.handler_timeout_ms,
            Work::KillsProcess(times) => u64::from(times.min(6)) * 4 * (knobs.lease_ms + 2_000),
            _ => 0,
        };
        let works: Millis = self.tasks.iter().map(work).sum();
        let sent = self.tasks.iter().flat_map(|task| {
            let sent = task.callbacks.iter();
            sent.map(|callback| task.submit_at_ms + callback.after_ms + 200_000)
        });
        let late = sent.max().unwrap_or(0).saturating_sub(knobs.heal_at_ms);
        late + knobs.retry_for_ms + ATTEMPTS * RETRY_PAUSE + 4 * knobs.lease_ms + works
    }

    /// Whether nothing goes wrong, not even in handlers.
    pub(crate) fn is_calm(&self) -> bool {
        self.faults.is_empty()
            && self.tasks.iter().all(|task| {
                let mut callbacks = task.callbacks.iter();
                matches!(task.work, Work::Takes(for_ms) if for_ms < self.knobs.handler_timeout_ms)
                    && !task.answer_lost
                    && task.end().is_some()
                    && callbacks.all(|callback| callback.body == Body::Genuine)
            })
    }
}

impl FaultKind {
    pub(crate) fn is_of_store(self) -> bool {
        self < Self::Stall
    }

    /// Whether events may have to wait because of the fault.
    pub(crate) fn holds_up(self) -> bool {
        self <= Self::Stall
    }
}

impl TaskPlan {
    /// Returns the stage at which the task truly ends.
    pub(crate) fn end(&self) -> Option<StageName> {
        let (_, last) = self.stages.last()?;
        last.stage().is_terminal().then_some(*last)
    }

    /// Whether a callback reports another end than the true one.
    pub(crate) fn has_forged_end(&self) -> bool {
        self.callbacks.iter().any(|callback| {
            let is_end = callback.stage.stage().is_terminal();
            is_end && Some(callback.stage) != self.end() && callback.body != Body::Unsigned
        })
    }
}

impl StageName {
    pub(crate) fn stage(self) -> Stage {
        match self {
            Self::Text => Stage::Text,
            Self::First => Stage::First,
            Self::Complete => Stage::Complete,
            Self::Failed => Stage::Failed,
            Self::Other => Stage::from("cover"),
        }
    }

    pub(crate) fn of(stage: &Stage) -> Self {
        let known = [Self::Text, Self::First, Self::Complete, Self::Failed];
        let mut known = known.into_iter().filter(|name| name.stage() == *stage);
        known.next().unwrap_or(Self::Other)
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "task {} {:?}", self.task, self.stage)?;
        match self.revision {
            0 => Ok(()),
            revision => write!(f, " {revision}"),
        }
    }
}
