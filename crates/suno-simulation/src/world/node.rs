//! A process: it takes steps, is suspended, dies at any step, and is started again.

use std::fmt;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use suno_callback::simulation::{Gate, enter};
use suno_callback::*;
use tokio::time::sleep;

use super::World;
use crate::clock::MachineClock;
use crate::history::{Process, What};
use crate::plan::{Fault, FaultKind};

pub(crate) struct Node {
    pub(crate) clock: MachineClock,
    life: Mutex<Option<Arc<Life>>>,
    lives: AtomicU32,
}

/// The parts that run in a process.
pub(crate) type Services = (Receiver, Vec<BackgroundTask>);

pub(crate) struct Life {
    pub(crate) node: usize,
    number: u32,
    pub(crate) world: Arc<World>,
    pub(crate) store: Arc<dyn IdempotencyStore>,
    pub(crate) operations: AtomicU64,
    steps: Mutex<Steps>,
    services: Mutex<Option<Services>>,
}

#[derive(Debug, Default)]
struct Steps {
    is_dead: bool,
    waiting: Vec<Waker>,
    polls: u64,
    /// Whether the task that asked last was delayed.
    held_up: bool,
}

impl Node {
    pub(crate) fn new(clock: MachineClock) -> Self {
        let (life, lives) = (Mutex::default(), AtomicU32::new(0));
        Self { clock, life, lives }
    }

    pub(crate) fn life(&self) -> Option<Arc<Life>> {
        lock(&self.life).clone()
    }

    /// Drops everything that runs, so that nothing refers to the world any more.
    pub(crate) fn end(&self) {
        if let Some(life) = lock(&self.life).take() {
            lock(&life.services).take();
            lock(&life.steps).waiting.clear();
        }
    }
}

impl Life {
    /// Starts a process on a node, unless one is running there.
    pub(crate) fn start(world: &Arc<World>, node: usize) {
        let machine = &world.nodes[node];
        if world.is_over() || machine.life().is_some() {
            return;
        }
        let Ok(store) = world.open(node) else {
            return world
                .checker()
                .outcome
                .fail("Sound", "the file cannot be opened");
        };
        let life = Arc::new(Self {
            node,
            number: machine.lives.fetch_add(1, Ordering::Relaxed),
            world: world.clone(),
            store,
            operations: AtomicU64::new(0),
            steps: Mutex::default(),
            services: Mutex::default(),
        });
        *lock(&machine.life) = Some(life.clone());
        life.record(What::Started);
        let started = life.clone();
        tokio::spawn(enter(life, async move {
            *lock(&started.services) = Some((started.world.services)(&started));
        }));
    }

    pub(crate) fn process(&self) -> Process {
        (self.node, self.number)
    }

    pub(crate) fn record(&self, what: What) {
        self.world.record(Some(self.process()), what);
    }

    pub(crate) fn receiver(&self) -> Option<Receiver> {
        let services = lock(&self.services);
        services.as_ref().map(|(receiver, _)| receiver.clone())
    }

    pub(crate) fn is_dead(&self) -> bool {
        lock(&self.steps).is_dead
    }

    /// Whether the process dies before the answer to an operation that was carried out.
    pub(crate) fn dies_of_commit(&self, dice: u64) -> bool {
        let dies = |fault: &Fault| match fault.kind {
            FaultKind::DeathAfterCommit(of) => dice.is_multiple_of(of),
            _ => false,
        };
        if self.world.active(self.node).any(dies) {
            self.die("after a commit");
        }
        self.is_dead()
    }

    /// From now on, no task of the process takes another step.
    pub(crate) fn die(&self, how: &'static str) {
        if std::mem::replace(&mut lock(&self.steps).is_dead, true) {
            return;
        }
        lock(&self.world.nodes[self.node].life).take();
        self.world.disconnect(self.node);
        self.record(What::Died(how));
    }

    pub(crate) async fn stop(self: Arc<Self>) {
        self.record(What::Stopping);
        let services = lock(&self.services).take();
        for running in services.into_iter().flat_map(|(_, running)| running) {
            running.stop().await;
        }
        self.die("stopped");
    }

    /// Resumes the process: all tasks that have become ready are polled in a random
    /// order.
    pub(crate) fn resume(&self) {
        let waiting = std::mem::take(&mut lock(&self.steps).waiting);
        let mut waiting: Vec<_> = (0_u64..).zip(waiting).collect();
        waiting.sort_by_key(|(place, _)| self.world.dice("resume", self.node, *place));
        waiting.into_iter().for_each(|(_, waker)| waker.wake());
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
        steps.polls += 1;
        let polls = steps.polls;
        let dice = |purpose| self.world.dice(purpose, self.node, polls);
        let dies = |fault: &Fault| match fault.kind {
            FaultKind::DeathAtPoll(of) => dice("poll").is_multiple_of(of),
            _ => false,
        };
        if self.world.active(self.node).any(dies) {
            drop(steps);
            self.die("at a poll");
            return Poll::Pending;
        }
        if self.world.has_fault(self.node, FaultKind::Stall) {
            steps.waiting.push(cx.waker().clone());
            return Poll::Pending;
        }
        // A task that could continue is sometimes delayed, but not twice in a row.
        let knobs = &self.world.plan.knobs;
        let is_noisy = dice("noise") % 100 < knobs.noise_percent;
        steps.held_up = !steps.held_up && is_noisy;
        if !steps.held_up {
            return Poll::Ready(());
        }
        let pause = Duration::from_millis(dice("pause") % (knobs.noise_ms + 1));
        let waker = cx.waker().clone();
        tokio::spawn(async move {
            sleep(pause).await;
            waker.wake();
        });
        Poll::Pending
    }
}

/// A mutex that is never poisoned, because nothing panics while it is locked.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
