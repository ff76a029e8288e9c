//! A process: it takes steps, stands still, dies at any of them, and is started again.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use suno_callback::simulation::{Gate, enter};
use suno_callback::{
    Dispatcher, IdempotencyStore, Inbox, Receiver, Reconciler, Retention, Running, Verification,
};
use tokio::time::sleep;

use crate::clock::MachineClock;
use crate::handler::Handler;
use crate::history::{Row, Violation, What};
use crate::plan::Millis;
use crate::provider::{KEY, Provider};
use crate::store::Double;
use crate::world::World;

/// How many polls at one moment mean that time will never move on.
const POLLS_AT_ONCE_MAX: u64 = 200_000;

/// A machine on which one process runs at a time.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) index: usize,
    pub(crate) clock: MachineClock,
    life: Mutex<Option<Arc<Life>>>,
    lives: AtomicU64,
}

/// A process from its start to its end.
pub(crate) struct Life {
    pub(crate) node: usize,
    pub(crate) number: u32,
    pub(crate) world: Arc<World>,
    /// The store as this process has opened it.
    pub(crate) store: Arc<dyn IdempotencyStore>,
    steps: Mutex<Steps>,
    receiver: Mutex<Option<Receiver>>,
    running: Mutex<Vec<Running>>,
    /// How many operations of the store were begun.
    operations: AtomicU64,
}

#[derive(Debug, Default)]
struct Steps {
    is_dead: bool,
    is_stalled: bool,
    waiting: Vec<Waker>,
    polls: u64,
    polls_at_once: u64,
    last_at: Millis,
    /// The task that asked last has been held up.
    held_up: bool,
    dies_at_poll: Option<u64>,
    dies_after_commits: Option<u64>,
}

impl Node {
    pub(crate) fn new(index: usize, clock: MachineClock) -> Self {
        Self {
            index,
            clock,
            life: Mutex::default(),
            lives: AtomicU64::new(0),
        }
    }

    /// The process that runs.
    pub(crate) fn life(&self) -> Option<Arc<Life>> {
        lock(&self.life).clone()
    }

    /// Starts a process, unless one runs.
    pub(crate) fn start(&self, world: &Arc<World>) {
        if world.is_over() || self.life().is_some() {
            return;
        }
        let number = self.lives.fetch_add(1, Ordering::Relaxed);
        let store = world.open(&self.clock);
        let life = Arc::new(Life {
            store,
            node: self.index,
            number: u32::try_from(number).unwrap_or_default(),
            world: world.clone(),
            steps: Mutex::default(),
            receiver: Mutex::default(),
            running: Mutex::default(),
            operations: AtomicU64::new(0),
        });
        *lock(&self.life) = Some(life.clone());
        life.record(What::Started);
        let built = life.clone();
        tokio::spawn(enter(life, async move { built.build() }));
    }

    /// Forgets the process, which ends it for everybody else.
    pub(crate) fn forget(&self) {
        *lock(&self.life) = None;
    }
}

impl Life {
    pub(crate) fn record(&self, what: What) {
        self.world.record(Some((self.node, self.number)), what);
    }

    /// Starts what the plan says of this node.
    fn build(self: &Arc<Self>) {
        let (plan, knobs) = (&self.world.plan.nodes[self.node], &self.world.plan.knobs);
        let clock = self.world.nodes[self.node].clock.clone();
        let store = Arc::new(Double::new(self.clone()));
        let inbox = Inbox::start(store.clone());
        let inbox = if knobs.confirm {
            inbox.with_confirmation()
        } else {
            inbox
        };
        let provider = Provider(self.clone());
        let handler = Arc::new(Handler(self.clone()));
        let reconciler = Reconciler::new(inbox.clone(), provider)
            .with_handler(handler.clone())
            .with_interval(Duration::from_millis(knobs.reconcile_ms))
            .with_clock(clock.clone());
        let mut running = Vec::new();
        if plan.dispatches {
            let dispatcher = match knobs.confirm {
                true => Dispatcher::new(inbox.clone(), reconciler.confirm(handler)),
                false => Dispatcher::new(inbox.clone(), handler),
            };
            let places = usize::try_from(knobs.places).unwrap_or(usize::MAX);
            running.push(
                dispatcher
                    .with_lease(Duration::from_millis(knobs.lease_ms))
                    .with_handlers_max(places)
                    .with_handler_timeout(Duration::from_millis(knobs.handler_timeout_ms))
                    .with_retry_for(Duration::from_millis(knobs.retry_for_ms))
                    .start(),
            );
        }
        if plan.reconciles {
            running.push(reconciler.start());
        }
        if plan.purges {
            let keys_for = Duration::from_millis(knobs.keys_for_ms);
            let retention = Retention::new(store)
                .with_keys_for(keys_for)
                .with_bodies_for(keys_for / 2)
                .with_dead_letters_for(keys_for * 2)
                .with_interval(Duration::from_millis(knobs.purge_every_ms));
            running.push(retention.start());
        }
        *lock(&self.running) = running;
        let receiver = Receiver::new(inbox, Verification::webhook_key(KEY)).with_clock(clock);
        *lock(&self.receiver) = Some(receiver);
    }

    /// What answers callbacks.
    pub(crate) fn receiver(&self) -> Option<Receiver> {
        lock(&self.receiver).clone()
    }

    pub(crate) fn is_dead(&self) -> bool {
        lock(&self.steps).is_dead
    }

    /// The number of the next operation of the store.
    pub(crate) fn next_operation(&self) -> u64 {
        self.operations.fetch_add(1, Ordering::Relaxed)
    }

    /// An operation was carried out. True if the process dies of it, before it is answered.
    pub(crate) fn commits(self: &Arc<Self>) -> bool {
        let dies = {
            let mut steps = lock(&self.steps);
            let left = steps.dies_after_commits.map(|left| left.saturating_sub(1));
            steps.dies_after_commits = left.filter(|left| *left > 0);
            left == Some(0)
        };
        if dies {
            self.die("after a commit");
        }
        dies || self.is_dead()
    }

    pub(crate) fn will_die_after_commits(&self, commits: u64) {
        lock(&self.steps).dies_after_commits = Some(commits);
    }

    pub(crate) fn will_die_at_poll(&self, poll: u64) {
        let mut steps = lock(&self.steps);
        steps.dies_at_poll = Some(steps.polls + poll);
    }

    /// It does not die any more unless it has.
    pub(crate) fn will_live(&self) {
        let mut steps = lock(&self.steps);
        (steps.dies_at_poll, steps.dies_after_commits) = (None, None);
    }

    /// No task of the process takes another step.
    pub(crate) fn die(&self, how: &'static str) {
        if std::mem::replace(&mut lock(&self.steps).is_dead, true) {
            return;
        }
        self.world.nodes[self.node].forget();
        self.record(What::Died(how));
    }

    /// The process stops as it should.
    pub(crate) async fn stop(self: Arc<Self>) {
        self.record(What::Stopping);
        lock(&self.receiver).take();
        let running = std::mem::take(&mut *lock(&self.running));
        for running in running {
            running.stop().await;
        }
        self.die("stopped");
    }

    /// The process stands still.
    pub(crate) fn stall(&self) {
        lock(&self.steps).is_stalled = true;
        self.record(What::Stalled);
    }

    pub(crate) fn resume(&self) {
        let waiting = {
            let mut steps = lock(&self.steps);
            steps.is_stalled = false;
            std::mem::take(&mut steps.waiting)
        };
        self.record(What::Resumed);
        let dice = self.world.dice.of("resume").at(self.node as u64);
        let mut waiting: Vec<_> = waiting.into_iter().enumerate().collect();
        waiting.sort_by_key(|(place, _)| dice.at(*place as u64).below(u64::MAX));
        waiting.into_iter().for_each(|(_, waker)| waker.wake());
    }

    /// What belongs to this process is dropped, so that nothing refers to the world any more.
    pub(crate) fn clear(&self) {
        lock(&self.receiver).take();
        lock(&self.running).clear();
        lock(&self.steps).waiting.clear();
    }

    /// Whether a task is held up although it could go on, and for how long.
    fn noise(&self, steps: &mut Steps) -> Option<Millis> {
        let knobs = &self.world.plan.knobs;
        if knobs.noise_percent == 0 || std::mem::replace(&mut steps.held_up, false) {
            return None;
        }
        let dice = self
            .world
            .dice
            .of("noise")
            .at(self.node as u64)
            .at(steps.polls);
        steps.held_up = dice.percent(knobs.noise_percent);
        steps
            .held_up
            .then(|| dice.of("pause").below(knobs.noise_ms + 1))
    }

    /// Counts a poll; what it comes to besides.
    fn count(&self, steps: &mut Steps) -> Option<Violation> {
        steps.polls += 1;
        steps.polls_at_once += 1;
        if steps.polls_at_once < POLLS_AT_ONCE_MAX {
            return None;
        }
        let now = self.world.now();
        if now == steps.last_at {
            return Some(Violation::new(
                Row::Sound,
                format!("node {} spins", self.node),
            ));
        }
        (steps.last_at, steps.polls_at_once) = (now, 0);
        None
    }

    /// How many polls its tasks had.
    pub(crate) fn polls(&self) -> u64 {
        lock(&self.steps).polls
    }
}

impl fmt::Debug for Life {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "node {}.{}", self.node, self.number)
    }
}

impl Gate for Life {
    fn poll_step(&self, cx: &mut Context<'_>) -> Poll<()> {
        let mut steps = lock(&self.steps);
        if steps.is_dead || self.world.is_over() {
            return Poll::Pending;
        }
        if let Some(violation) = self.count(&mut steps) {
            self.world.violate(violation);
            return Poll::Pending;
        }
        if steps.dies_at_poll.is_some_and(|poll| poll <= steps.polls) {
            drop(steps);
            self.die("at a poll");
            return Poll::Pending;
        }
        if steps.is_stalled {
            steps.waiting.push(cx.waker().clone());
            return Poll::Pending;
        }
        match self.noise(&mut steps) {
            None => Poll::Ready(()),
            Some(0) => {
                cx.waker().wake_by_ref();
                Poll::Pending
            }
            Some(pause) => {
                let waker = cx.waker().clone();
                tokio::spawn(async move {
                    sleep(Duration::from_millis(pause)).await;
                    waker.wake();
                });
                Poll::Pending
            }
        }
    }
}

/// A mutex that is never poisoned: nothing panics while it is locked.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
