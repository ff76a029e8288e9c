//! Runs one plan on a runtime of its own, whose time is simulated.

use std::cell::Cell;
use std::fmt::Write;
use std::panic;
use std::path::Path;
use std::sync::{Arc, Once};

use suno_callback::simulation::mutate;
use tempfile::TempDir;
use tokio::runtime::Builder;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};

use crate::handler::PLANNED;
use crate::history::What;
use crate::mutant::Mutant;
use crate::plan::Plan;
use crate::world::{Outcome, World, stuck};

thread_local! {
    static IS_SIMULATING: Cell<bool> = const { Cell::new(false) };
    static PANICKED: Cell<bool> = const { Cell::new(false) };
}

/// Runs a plan.
#[must_use]
pub fn run(plan: &Plan, mutant: Option<Mutant>) -> Outcome {
    simulate(plan, mutant).0
}

/// Runs a plan, and returns its whole history for people.
#[must_use]
pub fn trace(plan: &Plan, mutant: Option<Mutant>) -> (Outcome, String) {
    let (outcome, world) = simulate(plan, mutant);
    let trace = world.map_or_else(String::new, |world| world.trace());
    (outcome, trace)
}

fn simulate(plan: &Plan, mutant: Option<Mutant>) -> (Outcome, Option<Arc<World>>) {
    watch_panics();
    let Ok(dir) = dir() else {
        return (Outcome::failed(stuck("no directory")), None);
    };
    fastrand::seed(plan.seed);
    let mutation = mutant.and_then(Mutant::mutation);
    mutate(mutation.as_slice());
    IS_SIMULATING.set(true);
    PANICKED.set(false);
    let runtime = Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build();
    let Ok(runtime) = runtime else {
        return (Outcome::failed(stuck("no runtime")), None);
    };
    let (mut outcome, world) = runtime.block_on(async {
        let world = match World::new(plan, mutant, dir.path()) {
            Ok(world) => world,
            Err(err) => return (Outcome::failed(stuck(&format!("no store: {err}"))), None),
        };
        let log = Log(world.clone());
        let _logging = tracing::subscriber::set_default(log);
        (world.run().await, Some(world))
    });
    drop(runtime);
    IS_SIMULATING.set(false);
    mutate(&[]);
    if PANICKED.get() {
        outcome
            .violation
            .get_or_insert_with(|| stuck("a task panicked"));
    }
    (outcome, world)
}

/// A directory for the files of a run: in memory where that exists.
fn dir() -> std::io::Result<TempDir> {
    let memory = Path::new("/dev/shm");
    if memory.is_dir() {
        TempDir::new_in(memory)
    } else {
        TempDir::new()
    }
}

/// Notes panics that no plan speaks of, and keeps those that one does to itself.
fn watch_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let usual = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            let is_planned = info.payload().downcast_ref::<&str>() == Some(&PLANNED);
            if IS_SIMULATING.get() && is_planned {
                return;
            }
            PANICKED.set(true);
            usual(info);
        }));
    });
}

/// Records what is logged at ERROR.
struct Log(Arc<World>);

impl Subscriber for Log {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.is_event() && *metadata.level() == Level::ERROR
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        if *event.metadata().level() == Level::ERROR {
            let mut message = Message::default();
            event.record(&mut message);
            self.0.record(None, What::Error(message.0));
        }
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

#[derive(Default)]
struct Message(String);

impl Visit for Message {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        if field.name() == "message" {
            let _ = write!(self.0, "{value:?}");
        }
    }
}
