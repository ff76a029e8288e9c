//! A world: it executes a plan from the first submit until everything has ended, and for a day
//! more.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use suno_callback::simulation::enter;
use suno_callback::*;
use suno_store_sqlite::SqliteStore;
use suno_types::TaskId;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep, sleep_until};

use crate::check::Checker;
use crate::clock::MachineClock;
use crate::history::{Entry, Outcome, Process, What, dice};
use crate::node::{Life, Node, lock};
use crate::plan::{Act, ActKind, Fault, FaultKind, Key, Millis, Plan, StageName, StoreKind};
use crate::store::{Double, millis};

/// The time by which tasks must be decided: a day, and five answers with pauses of up to an hour.
const DECIDED_WITHIN: Millis = 30 * 3_600_000;

pub(crate) struct World {
    pub(crate) plan: Plan,
    pub(crate) nodes: Vec<Node>,
    store: Arc<dyn IdempotencyStore>,
    /// Unconfirmed events count as confirmed, which is an injected bug.
    pub(crate) forged_counts: bool,
    /// The file of the store, which each process opens separately.
    file: PathBuf,
    start: Instant,
    checker: Mutex<Checker>,
    is_over: AtomicBool,
    is_broken: Notify,
}

impl World {
    /// Creates a world whose events are stored in `file`, if the plan says so.
    pub(crate) fn new(
        plan: &Plan,
        mutant: Option<&str>,
        file: &Path,
    ) -> Result<Arc<Self>, StoreError> {
        let nodes = 0..plan.nodes.len();
        let is_file = plan.knobs.store == StoreKind::Sqlite;
        // Processes that share a file are on one machine.
        let machine = |node| MachineClock::new(plan, Some(if is_file { 0 } else { node }));
        let mut server = MachineClock::new(plan, None);
        if mutant == Some("wall-clock") {
            server = machine(0);
            server.follows_wall = true;
        }
        Ok(Arc::new(Self {
            plan: plan.clone(),
            nodes: nodes.map(|node| Node::new(machine(node))).collect(),
            store: match is_file {
                true => Arc::new(SqliteStore::open_inline(file, machine(0))?),
                false => Arc::new(MemoryStore::with_clock(server)),
            },
            file: file.to_owned(),
            forged_counts: mutant == Some("forged-counts"),
            start: Instant::now(),
            checker: Mutex::new(Checker::new(plan)),
            is_over: AtomicBool::new(false),
            is_broken: Notify::new(),
        }))
    }

    pub(crate) fn open(&self, node: usize) -> Result<Arc<dyn IdempotencyStore>, StoreError> {
        let clock = self.nodes[node].clock.clone();
        Ok(match self.plan.knobs.store {
            StoreKind::Memory => self.store.clone(),
            StoreKind::Sqlite => Arc::new(SqliteStore::open_inline(&self.file, clock)?),
        })
    }

    pub(crate) fn now(&self) -> Millis {
        millis(self.start.elapsed())
    }

    async fn until(&self, at: Millis) {
        sleep_until(self.start + Duration::from_millis(at)).await;
    }

    pub(crate) fn is_over(&self) -> bool {
        self.is_over.load(Ordering::Relaxed)
    }

    pub(crate) fn checker(&self) -> MutexGuard<'_, Checker> {
        lock(&self.checker)
    }

    /// Adds an entry to the history, and checks it. The run ends if a promise is broken.
    pub(crate) fn record(&self, by: Option<Process>, what: What) {
        let at = self.now();
        let mut checker = self.checker();
        if !self.is_over() && checker.outcome.violation.is_none() {
            checker.take(Entry { at, by, what });
            if checker.outcome.violation.is_some() {
                self.is_broken.notify_one();
            }
        }
    }

    pub(crate) fn active(&self, node: usize) -> impl Iterator<Item = &Fault> {
        let now = self.now();
        self.plan.faults.iter().filter(move |fault| {
            let is_its = fault.node.is_none_or(|of| of == node);
            is_its && fault.at_ms <= now && now < self.plan.end_of(fault)
        })
    }

    pub(crate) fn has_fault(&self, node: usize, kind: FaultKind) -> bool {
        self.active(node).any(|fault| fault.kind == kind)
    }

    pub(crate) fn dice(&self, purpose: &str, node: usize, counter: u64) -> u64 {
        dice(self.plan.seed, purpose, [node as u64, counter])
    }

    pub(crate) fn store_fault(&self, node: usize, dice: u64) -> Option<(FaultKind, Millis)> {
        use FaultKind::{CutOff, HangsForEver, Refuses};
        let strikes = |fault: &&Fault| match fault.kind {
            CutOff => true,
            kind => kind.is_of_store() && dice % 100 < fault.percent,
        };
        let fault = self.active(node).find(strikes)?;
        let kind = match fault.kind {
            CutOff if dice.is_multiple_of(2) => HangsForEver,
            CutOff => Refuses,
            kind => kind,
        };
        Some((kind, self.plan.end_of(fault)))
    }

    pub(crate) async fn run(self: &Arc<Self>) -> Outcome {
        (0..self.nodes.len()).for_each(|node| Life::start(self, node));
        for task in 0..self.plan.tasks.len() {
            tokio::spawn(self.clone().submit(task));
        }
        for fault in self.plan.faults.clone() {
            tokio::spawn(self.clone().befall(fault));
        }
        for act in self.plan.acts.clone() {
            tokio::spawn(self.clone().act(act));
        }
        tokio::select! {
            biased;
            () = self.is_broken.notified() => {}
            () = self.phases() => {}
        }
        self.is_over.store(true, Ordering::Relaxed);
        self.nodes.iter().for_each(Node::end);
        std::mem::take(&mut self.checker().outcome)
    }

    /// Applies load and faults; then everything must end; then a day passes.
    async fn phases(&self) {
        self.until(self.plan.knobs.heal_at_ms).await;
        let quiet_by = self.now() + self.plan.quiet_within();
        while self.now() < quiet_by && !self.checker().is_quiet() {
            sleep(Duration::from_secs(20)).await;
        }
        self.checker().all_have_ended(self.now());
        if self.plan.knobs.one_more_day {
            self.until(self.now() + DECIDED_WITHIN).await;
            self.checker().all_have_ended(self.now());
            self.checker().all_are_decided();
        }
        if let Ok(counts) = self.store.counts().await {
            self.checker().counts_agree(counts);
        }
    }

    /// Submits a task: the intent is recorded, the provider creates the task, and it is expected.
    async fn submit(self: Arc<Self>, task: usize) {
        let plan = &self.plan.tasks[task];
        self.until(plan.submit_at_ms).await;
        let Some(life) = self.nodes[plan.submitter].life() else {
            return;
        };
        let (submit, answer_lost) = (submit_id(task), plan.answer_lost);
        let due_after = Duration::from_millis(self.plan.knobs.due_after_ms);
        let (double, world) = (Double::new(life.clone()), self.clone());
        let submitting = async move {
            let intent = Intent::new(submit, jiff::Timestamp::UNIX_EPOCH, due_after);
            if double.intend(&intent).await.is_err() {
                return;
            }
            world.record(None, What::Submitted(task));
            for number in 0..world.plan.tasks[task].callbacks.len() {
                tokio::spawn(world.clone().send(task, number));
            }
            if !answer_lost {
                let expected = ExpectedTask::new(task_id(task), due_after).with_submit(submit);
                let _ = double.expect(&expected).await;
            }
        };
        tokio::spawn(enter(life, submitting));
    }

    /// Applies a fault, from its start to its end. The plan decides what happens in between.
    async fn befall(self: Arc<Self>, fault: Fault) {
        use FaultKind::{CutOff, Death, DeathAfterCommit, DeathAtPoll, Stall, Stop};
        self.until(fault.at_ms).await;
        let node = fault.node.unwrap_or_default();
        let life = self.nodes[node].life();
        let by = life.as_ref().map(|life| life.process());
        self.record(fault.node.and(by), What::Begins(fault.kind));
        match (fault.kind, life) {
            (CutOff, _) => return,
            (Death, Some(life)) => life.die("by the plan"),
            (Stop, Some(life)) => {
                let _ = tokio::spawn(enter(life.clone(), life.stop())).await;
            }
            _ => {}
        }
        self.until(self.plan.end_of(&fault)).await;
        self.record(None, What::Ends(fault.kind));
        match (fault.kind, self.nodes[node].life()) {
            (Stall, Some(life)) => life.resume(),
            (Death | DeathAtPoll(_) | DeathAfterCommit(_) | Stop, None) => Life::start(&self, node),
            _ => {}
        }
    }

    async fn act(self: Arc<Self>, act: Act) {
        self.until(act.at_ms).await;
        let Some(life) = self.nodes[0].life() else {
            return;
        };
        let (double, task, stage) = (Double::new(life), task_id(act.task), act.stage.stage());
        let how = match act.kind {
            ActKind::Decide => return drop(double.decide(&task, &stage).await),
            ActKind::Requeue => {
                let confirms = self.plan.knobs.confirm;
                return drop(requeue_quarantine(&double, confirms).await);
            }
            ActKind::Redrive => Redrive::Current,
            ActKind::RedriveSuperseded => Redrive::EvenIfSuperseded,
        };
        let events = self.store.find(&task).await.unwrap_or_default();
        if let Some(event) = events.iter().find(|event| *event.key.stage() == stage) {
            let _ = double.redrive(&[event.id], how).await;
        }
    }
}

pub(crate) fn task_id(task: usize) -> TaskId {
    #[expect(clippy::expect_used, reason = "digits are an id")]
    TaskId::new(format!("{task:032}")).expect("digits are an id")
}

pub(crate) fn index_of(task: &TaskId) -> usize {
    task.as_str().parse().unwrap_or(usize::MAX)
}

pub(crate) fn key_of(key: &EventKey) -> Key {
    let (task, stage) = (index_of(key.task_id()), StageName::of(key.stage()));
    Key { task, stage }
}

pub(crate) fn submit_id(task: usize) -> SubmitId {
    SubmitId::from_bytes((task as u128).to_be_bytes())
}

pub(crate) fn task_of(submit: SubmitId) -> usize {
    usize::try_from(u128::from_be_bytes(*submit.bytes())).unwrap_or(usize::MAX)
}
