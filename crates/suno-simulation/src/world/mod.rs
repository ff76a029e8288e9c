//! A world: what a plan says, the nodes and the store that it happens to, and what has happened.

pub(crate) mod node;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use suno_callback::*;
use suno_store_sqlite::SqliteStore;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

use crate::check::Checker;
use crate::clock::MachineClock;
use crate::history::{Entry, Process, What, dice};
use crate::plan::{Fault, FaultKind, Millis, Plan, StoreKind, millis};
use crate::server::Server;

use self::node::{Life, Node, Services, lock};

pub(crate) struct World {
    pub(crate) plan: Plan,
    pub(crate) nodes: Vec<Node>,
    pub(crate) store: Arc<dyn IdempotencyStore>,
    /// Starts what runs in a process.
    services: fn(&Arc<Life>) -> Services,
    /// Unconfirmed events count as confirmed, which is a mistake.
    pub(crate) forged_counts: bool,
    /// The file of the store, which each process opens separately.
    file: PathBuf,
    /// The server of the store, if the plan says so.
    server: Option<Arc<Server>>,
    start: Instant,
    checker: Mutex<Checker>,
    pub(crate) is_over: AtomicBool,
    pub(crate) is_broken: Notify,
}

impl World {
    /// A world whose events are in `file` or on a server, if the plan says so.
    pub(crate) fn new(
        plan: &Plan,
        mutant: Option<&str>,
        file: &Path,
        server: Option<Server>,
        services: fn(&Arc<Life>) -> Services,
    ) -> Result<Arc<Self>, StoreError> {
        let on_server = server.map(Arc::new);
        let nodes = 0..plan.nodes.len();
        let is_file = plan.knobs.store == StoreKind::Sqlite;
        // Processes on one file are on one machine.
        let machine = |node| MachineClock::new(plan, Some(if is_file { 0 } else { node }));
        let mut server = MachineClock::new(plan, None);
        if mutant == Some("wall-clock") {
            server = machine(0);
            server.follows_wall = true;
        }
        Ok(Arc::new(Self {
            plan: plan.clone(),
            nodes: nodes.map(|node| Node::new(machine(node))).collect(),
            store: match &on_server {
                Some(on_server) => on_server.open("world")?,
                None if is_file => Arc::new(SqliteStore::open_inline(file, machine(0))?),
                None => Arc::new(MemoryStore::with_clock(server)),
            },
            server: on_server,
            services,
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
        if let Some(server) = &self.server {
            return server.open(&node.to_string());
        }
        Ok(match self.plan.knobs.store {
            StoreKind::Memory | StoreKind::Postgres => self.store.clone(),
            StoreKind::Sqlite => Arc::new(SqliteStore::open_inline(&self.file, clock)?),
        })
    }

    /// Ends the connections to the server, if there is one, within the next operation.
    pub(crate) fn sever(&self, dice: u64) {
        if let Some(server) = &self.server {
            server.sever(dice);
        }
    }

    /// Removes what the run has left on the server.
    pub(crate) fn clean_up(&self) {
        if let Some(server) = &self.server {
            server.remove();
        }
    }

    /// Ends the connections of a process that is dead.
    pub(crate) fn disconnect(&self, node: usize) {
        if let Some(server) = &self.server {
            server.end(&node.to_string());
        }
    }

    pub(crate) fn now(&self) -> Millis {
        millis(self.start.elapsed())
    }

    pub(crate) async fn until(&self, at: Millis) {
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
}
