//! Executes one plan on its own runtime with simulated time.

use std::cell::Cell;
use std::io::{self, Write};
use std::path::Path;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Once};
use std::time::Duration;
use std::{panic, process, thread};

use suno_callback::simulation::{Mutation, mutate};
use tempfile::TempDir;
use tokio::runtime::Builder;
use tracing::Level;

use crate::clock::MachineClock;
use crate::handler::PLANNED;
use crate::history::{OperationOutcome, What};
use crate::plan::{Plan, StoreKind};
use crate::server::Server;
use crate::services::services;
use crate::world::World;

/// The maximum real time of a run. Nearly all take less than a second, unless a task spins.
const REAL_TIME_MAX: Duration = Duration::from_secs(30);
/// The same run over a server.
const REAL_TIME_MAX_ON_SERVER: Duration = Duration::from_secs(180);

/// Bugs that the simulation must find: each is the behaviour of an earlier version. They are
/// injected into the product, and some of them also or only into the world.
pub(crate) const MUTANTS: [(&str, Option<Mutation>); 10] = [
    ("one-claim-per-turn", Some(Mutation::OneClaimPerTurn)),
    ("runs-without-lease", Some(Mutation::RunsWithoutLease)),
    ("unbounded-wait", Some(Mutation::UnboundedWait)),
    ("ten-attempts", Some(Mutation::TenAttempts)),
    ("grants-by-number", Some(Mutation::GrantsByNumber)),
    // The store measures time with a wall clock.
    ("wall-clock", Some(Mutation::GivenUpByAge)),
    ("suspects-together", Some(Mutation::SuspectsTogether)),
    (
        "handles-every-revision",
        Some(Mutation::HandlesEveryRevision),
    ),
    ("sees-no-revisions", Some(Mutation::SeesNoRevisions)),
    // Unconfirmed events count as confirmed.
    ("forged-counts", None),
];

thread_local! {
    static HAS_PANICKED: Cell<bool> = const { Cell::new(false) };
}

/// Executes a plan, on a server if it says so. A run that does not end in time ends the program.
pub(crate) fn run(plan: &Plan, mutant: Option<&str>, server: Option<&str>) -> OperationOutcome {
    let _watched = watch(plan);
    watch_panics();
    let mutation = MUTANTS.iter().find(|(word, _)| Some(*word) == mutant);
    mutate(mutation.and_then(|(_, mutation)| *mutation).as_slice());
    HAS_PANICKED.set(false);
    let mut outcome = OperationOutcome::default();
    match simulated(plan, mutant, server) {
        Ok(simulated) => outcome = simulated,
        Err(err) => outcome.fail("Sound", format!("it cannot be run: {err}")),
    }
    mutate(&[]);
    if HAS_PANICKED.get() {
        outcome.fail("Sound", "a task panicked");
    }
    outcome
}

fn simulated(
    plan: &Plan,
    mutant: Option<&str>,
    server: Option<&str>,
) -> io::Result<OperationOutcome> {
    let memory = Path::new("/dev/shm");
    let dir = memory.is_dir().then(|| TempDir::new_in(memory));
    let dir = dir.unwrap_or_else(TempDir::new)?;
    // The name of the directory is drawn from the same numbers as the back-off of the product.
    fastrand::seed(plan.seed);
    let mut builder = Builder::new_current_thread();
    let runtime = builder.enable_time().start_paused(true).build()?;
    runtime.block_on(async {
        let server = match plan.knobs.store {
            StoreKind::Postgres => {
                let url = server.ok_or_else(|| io::Error::other("no server was named"))?;
                let wall = MachineClock::of_server(plan);
                Some(Server::start(url, wall).map_err(io::Error::other)?)
            }
            _ => None,
        };
        let file = dir.path().join("events.db");
        let world = World::new(plan, mutant, &file, server, services).map_err(io::Error::other)?;
        let log = Log(world.clone());
        let subscriber = tracing_subscriber::fmt()
            .with_max_level(Level::ERROR)
            .without_time()
            .with_ansi(false)
            .with_writer(move || log.clone());
        let _logging = tracing::subscriber::set_default(subscriber.finish());
        let outcome = world.run().await;
        world.clean_up();
        Ok(outcome)
    })
}

/// Ends the program unless the returned guard is dropped in time.
fn watch(plan: &Plan) -> mpsc::Sender<()> {
    let (running, ended) = mpsc::channel();
    let (seed, store) = (plan.seed, plan.knobs.store);
    let at_most = match store {
        StoreKind::Postgres => REAL_TIME_MAX_ON_SERVER,
        StoreKind::Memory | StoreKind::Sqlite => REAL_TIME_MAX,
    };
    thread::spawn(move || {
        if ended.recv_timeout(at_most) == Err(RecvTimeoutError::Timeout) {
            let text = format!("seed {seed} ({store:?}) does not end within {at_most:?}");
            let _ = writeln!(io::stderr(), "simulate: error: {text}");
            process::exit(1);
        }
    });
    running
}

/// Records panics that are not part of a plan, and does not print those that are.
fn watch_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let usual = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            let is_planned = info.payload().downcast_ref::<&str>() == Some(&PLANNED);
            if !is_planned {
                HAS_PANICKED.set(true);
                usual(info);
            }
        }));
    });
}

#[derive(Clone)]
struct Log(Arc<World>);

impl Write for Log {
    fn write(&mut self, text: &[u8]) -> io::Result<usize> {
        let line = String::from_utf8_lossy(text).trim().to_owned();
        self.0.record(None, What::Logged(line));
        Ok(text.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
