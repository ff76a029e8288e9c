//! A world: it runs a plan from the first submit to a day after the last fault.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use suno_callback::{EventRecord, EventState, IdempotencyStore, MemoryStore, StoreError, SubmitId};
use suno_store_sqlite::SqliteStore;
use suno_types::TaskId;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep, sleep_until};

use crate::check::Checker;
use crate::clock::MachineClock;
use crate::coverage::Coverage;
use crate::dice::Dice;
use crate::history::{Entry, History, Row, Shown, Violation, What};
use crate::mutant::Mutant;
use crate::node::{Life, Node, lock};
use crate::plan::{Fault, FaultKind, Millis, NodePlan, Plan, StoreFault, StoreKind};
use crate::store::millis;

/// How long a task may be expected before it must be decided: a day, then five answers with pauses of
/// up to an hour.
const DECIDED_WITHIN: Millis = 30 * 3_600_000;

/// Everything that the processes of a run have in common.
pub(crate) struct World {
    pub(crate) plan: Plan,
    pub(crate) dice: Dice,
    pub(crate) nodes: Vec<Node>,
    pub(crate) store: Arc<dyn IdempotencyStore>,
    /// The mistake that is put in.
    pub(crate) mutant: Option<Mutant>,
    /// The file of the store, which each process opens by itself.
    file: Option<PathBuf>,
    start: Instant,
    record: Mutex<Record>,
    is_over: AtomicBool,
    broken: Notify,
}

#[derive(Debug)]
struct Record {
    history: History,
    checker: Checker,
    violation: Option<Violation>,
    submitted_at: Vec<Option<Millis>>,
    /// How often handlers of an event have begun.
    begun: BTreeMap<i64, u32>,
    polls: u64,
}

/// What a run came to.
#[derive(Debug)]
#[non_exhaustive]
pub struct Outcome {
    /// The first promise that was not kept.
    pub violation: Option<Violation>,
    /// A hash of everything that happened.
    pub hash: u64,
    /// The last entries of the history.
    pub tail: String,
    /// How many polls the tasks of all nodes had.
    pub polls: u64,
    /// How many entries the history has.
    pub entries: usize,
    pub(crate) coverage: Coverage,
}

impl Outcome {
    pub(crate) fn failed(violation: Violation) -> Self {
        Self {
            violation: Some(violation),
            hash: 0,
            tail: String::new(),
            polls: 0,
            entries: 0,
            coverage: Coverage::default(),
        }
    }
}

impl fmt::Debug for World {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("World")
    }
}

impl World {
    /// A world whose events are in a file in `dir`, if the plan says so.
    pub(crate) fn new(
        plan: &Plan,
        mutant: Option<Mutant>,
        dir: &Path,
    ) -> Result<Arc<Self>, StoreError> {
        let start = Instant::now();
        let host = MachineClock::new(start, plan.nodes[0].wall_ms);
        let clock = |node: &NodePlan| match plan.knobs.store {
            StoreKind::Memory => MachineClock::new(start, node.wall_ms),
            // Processes on one file are on one machine.
            StoreKind::Sqlite => host.clone(),
        };
        let clocks: Vec<_> = plan.nodes.iter().map(clock).collect();
        let (store, file): (Arc<dyn IdempotencyStore>, _) = match plan.knobs.store {
            StoreKind::Memory => {
                let clock = match mutant {
                    Some(Mutant::WallClock) => clocks[0].following_wall(),
                    _ => MachineClock::new(start, 0),
                };
                (Arc::new(MemoryStore::with_clock(clock)), None)
            }
            StoreKind::Sqlite => {
                let path = dir.join("events.db");
                (Arc::new(SqliteStore::open_inline(&path, host)?), Some(path))
            }
        };
        let nodes = clocks.into_iter().enumerate();
        Ok(Arc::new(Self {
            plan: plan.clone(),
            dice: Dice::new(plan.seed),
            nodes: nodes
                .map(|(index, clock)| Node::new(index, clock))
                .collect(),
            store,
            mutant,
            file,
            start,
            record: Mutex::new(Record {
                history: History::default(),
                checker: Checker::new(plan),
                violation: None,
                submitted_at: vec![None; plan.tasks.len()],
                begun: BTreeMap::new(),
                polls: 0,
            }),
            is_over: AtomicBool::new(false),
            broken: Notify::new(),
        }))
    }

    /// The store as a process has it that starts on a machine with this clock.
    pub(crate) fn open(&self, clock: &MachineClock) -> Arc<dyn IdempotencyStore> {
        let Some(path) = &self.file else {
            return self.store.clone();
        };
        match SqliteStore::open_inline(path, clock.clone()) {
            Ok(store) => Arc::new(store),
            Err(err) => {
                self.violate(Violation::new(
                    Row::Sound,
                    format!("the file cannot be opened: {err}"),
                ));
                self.store.clone()
            }
        }
    }

    /// The time since the start.
    pub(crate) fn now(&self) -> Millis {
        millis(self.start.elapsed())
    }

    pub(crate) fn is_over(&self) -> bool {
        self.is_over.load(Ordering::Relaxed)
    }

    /// Adds an entry to the history, and checks it.
    pub(crate) fn record(&self, by: Option<(usize, u32)>, what: What) {
        let entry = Entry {
            at: self.now(),
            by,
            what,
        };
        let checked = {
            let mut record = lock(&self.record);
            if record.violation.is_some() || self.is_over() {
                return;
            }
            record.history.add(entry.clone());
            record.checker.take(&entry)
        };
        if let Err(violation) = checked {
            self.violate(violation);
        }
    }

    /// A promise is broken: the run ends.
    pub(crate) fn violate(&self, violation: Violation) {
        lock(&self.record).violation.get_or_insert(violation);
        self.broken.notify_one();
    }

    /// Records how the events of a task stand, where that has changed.
    pub(crate) fn show(&self, node: usize, life: u32, task: usize, records: &[EventRecord]) {
        let now = self.now();
        let (changed, gone) = {
            let record = lock(&self.record);
            let changed: Vec<_> = records
                .iter()
                .map(|event| (event, shown(event, now, record.checker.shown(event.id.0))))
                .filter(|(event, shown)| record.checker.shown(event.id.0) != Some(*shown))
                .collect();
            let known = record.checker.events_of(task);
            let is_gone = |event: &i64| !records.iter().any(|record| record.id.0 == *event);
            (changed, known.filter(is_gone).collect::<Vec<_>>())
        };
        for (event, shown) in changed {
            let stage = crate::plan::StageName::of(event.key.stage());
            self.record(
                Some((node, life)),
                What::State {
                    event: event.id.0,
                    task,
                    stage,
                    shown,
                },
            );
        }
        for event in gone {
            self.record(Some((node, life)), What::Gone { event });
        }
    }

    pub(crate) fn task_of(&self, event: i64) -> Option<usize> {
        lock(&self.record).checker.task_of(event)
    }

    /// How often handlers of an event had begun before.
    pub(crate) fn begun(&self, event: i64) -> u32 {
        let mut record = lock(&self.record);
        let begun = record.begun.entry(event).or_default();
        *begun += 1;
        *begun - 1
    }

    pub(crate) fn set_submitted(&self, task: usize) {
        lock(&self.record).submitted_at[task] = Some(self.now());
    }

    pub(crate) fn submitted_at(&self, task: usize) -> Option<Millis> {
        lock(&self.record).submitted_at.get(task).copied().flatten()
    }

    /// A callback has named the submit of a task.
    pub(crate) fn met(&self, submit: SubmitId, task: usize) {
        if submit == submit_id(task) {
            self.record(None, What::Expected { task });
        }
    }

    /// What goes wrong for a node now.
    pub(crate) fn find_fault<T>(
        &self,
        node: usize,
        find: impl Fn(FaultKind) -> Option<T>,
    ) -> Option<T> {
        self.active(node).find_map(|fault| find(fault.kind))
    }

    fn active(&self, node: usize) -> impl Iterator<Item = &Fault> {
        let now = self.now();
        self.plan.faults.iter().filter(move |fault| {
            let is_its = fault.node.is_none_or(|of| of == node);
            is_its && fault.at_ms <= now && now < self.plan.end_of(fault)
        })
    }

    pub(crate) fn has_fault(&self, node: usize, is: impl Fn(FaultKind) -> bool) -> bool {
        self.find_fault(node, |kind| is(kind).then_some(()))
            .is_some()
    }

    /// What goes wrong with an operation of the store, and until when.
    pub(crate) fn store_fault(&self, node: usize, dice: Dice) -> Option<(StoreFault, Millis)> {
        let with_end = |fault: &Fault| Some((fault.kind.of_store(dice)?, self.plan.end_of(fault)));
        self.active(node).find_map(with_end)
    }

    /// A handler ends its process, which is started again.
    pub(crate) fn kill(self: &Arc<Self>, life: &Arc<Life>) {
        let (world, node) = (self.clone(), life.node);
        life.die("by a handler");
        tokio::spawn(async move {
            sleep(Duration::from_secs(1)).await;
            world.nodes[node].start(&world);
        });
    }

    pub(crate) async fn until(&self, at: Millis) {
        sleep_until(self.start + Duration::from_millis(at)).await;
    }

    /// Runs the plan.
    pub(crate) async fn run(self: &Arc<Self>) -> Outcome {
        for node in &self.nodes {
            node.start(self);
        }
        for task in 0..self.plan.tasks.len() {
            tokio::spawn(self.clone().submit(task));
        }
        for fault in 0..self.plan.faults.len() {
            tokio::spawn(self.clone().befall(fault));
        }
        for redrive in self.plan.redrives.clone() {
            tokio::spawn(self.clone().redrive(redrive));
        }
        tokio::select! {
            biased;
            () = self.broken.notified() => {}
            () = self.phases() => {}
        }
        self.end()
    }

    /// Load and faults; then everything must end; then a day passes.
    async fn phases(&self) {
        self.until(self.plan.knobs.heal_at_ms).await;
        self.record(None, What::AllHealed);
        let quiet_by = self.now() + self.plan.quiet_within();
        while self.now() < quiet_by && !self.is_quiet() {
            sleep(Duration::from_secs(20)).await;
        }
        self.check(|checker| checker.all_have_ended(self.now()));
        if self.plan.knobs.one_more_day {
            self.until(self.now() + DECIDED_WITHIN).await;
            self.check(|checker| checker.all_have_ended(self.now()));
            self.check(Checker::all_are_decided);
        }
        if let Ok(counts) = self.store.counts().await {
            self.check(|checker| checker.counts_agree(counts));
        }
    }

    fn is_quiet(&self) -> bool {
        let record = lock(&self.record);
        record.checker.is_quiet()
    }

    fn check(&self, check: impl FnOnce(&Checker) -> Result<(), Violation>) {
        let checked = check(&lock(&self.record).checker);
        if let Err(violation) = checked {
            self.violate(violation);
        }
    }

    fn end(&self) -> Outcome {
        self.is_over.store(true, Ordering::Relaxed);
        let lives: Vec<_> = self.nodes.iter().filter_map(Node::life).collect();
        for life in lives {
            self.nodes[life.node].forget();
            lock(&self.record).polls += life.polls();
            life.clear();
        }
        let mut record = lock(&self.record);
        Outcome {
            violation: record.violation.take(),
            hash: record.history.hash(),
            tail: record.history.tail(40),
            polls: record.polls,
            entries: record.history.entries.len(),
            coverage: std::mem::take(&mut record.checker.coverage),
        }
    }

    /// The whole history, for people.
    pub(crate) fn trace(&self) -> String {
        lock(&self.record).history.tail(usize::MAX)
    }
}

/// The state that a record shows. One that has ended by itself keeps its end.
fn shown(record: &EventRecord, now: Millis, before: Option<Shown>) -> Shown {
    let left = match record.state {
        EventState::Claimed { holds_for: left } | EventState::Waiting { ready_in: left } => {
            Some(millis(left))
        }
        _ => None,
    };
    let before = before.filter(|before| before.state == record.state.into() && before.until <= now);
    let until = match (left, before) {
        (Some(0), Some(before)) => before.until,
        (Some(left), _) => now + left,
        (None, _) => 0,
    };
    Shown {
        state: record.state.into(),
        until,
        attempts: record.attempts,
        lapses: record.lapses,
        unconfirmed: record.unconfirmed,
    }
}

/// The id of the task at a place of the plan.
pub(crate) fn task_id(task: usize) -> TaskId {
    #[expect(clippy::expect_used, reason = "digits are an id")]
    TaskId::new(format!("{task:032}")).expect("digits are an id")
}

/// The place of a task in the plan.
pub(crate) fn index_of(task: &TaskId) -> usize {
    task.as_str().parse().unwrap_or(usize::MAX)
}

pub(crate) fn submit_id(task: usize) -> SubmitId {
    SubmitId::from_bytes((task as u128).to_be_bytes())
}

/// The place of a submit's task in the plan.
pub(crate) fn task_of(submit: SubmitId) -> usize {
    usize::try_from(u128::from_be_bytes(*submit.bytes())).unwrap_or(usize::MAX)
}

/// A run that got nowhere.
pub(crate) fn stuck(text: &str) -> Violation {
    Violation::new(Row::Sound, text)
}
