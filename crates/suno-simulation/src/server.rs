//! A store in PostgreSQL in a world with simulated time: a real server with real connections. Its clock is
//! the wall clock of the first node, which plans set.
//!
//! Connections need real time, so they live on a runtime of their own. An operation takes no simulated
//! time: the world is paused until the server has answered.

use std::fmt;
use std::future::Future;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::time::Duration;

use jiff::Timestamp;
use suno_callback::*;
use suno_store_postgres::tokio_postgres::{Client, NoTls, connect};
use suno_store_postgres::{PostgresConfig, PostgresStore, Wake};
use suno_testkit::postgres::TestSchema;
use suno_types::{Stage, TaskId};
use tokio::runtime::{Builder, Handle, Runtime};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until};

use crate::clock::MachineClock;

/// The age of the monotonic clock at the start of the world.
const UPTIME_MICROS: u64 = 86_400_000_000;
/// The connections of a process.
const CONNECTIONS: usize = 3;
/// The latest real time within an operation at which its connections are ended.
const SEVERED_WITHIN_MICROS: u64 = 4_000;

/// The server's clock in a table, which the world sets before each operation.
const CLOCK: &str = "
    CREATE TABLE {schema}.simulated (now bigint NOT NULL);
    INSERT INTO {schema}.simulated VALUES (0);
    CREATE OR REPLACE FUNCTION {schema}.wall() RETURNS bigint LANGUAGE sql VOLATILE AS
        $$ SELECT now FROM {schema}.simulated $$;
    UPDATE {schema}.meta SET clock_offset = 0, seen = 0;";

/// A schema on a server.
pub(crate) struct Server {
    runtime: OwnRuntime,
    schema: TestSchema,
    /// The connection that sets the clock.
    control: Arc<Client>,
    start: Instant,
    /// The wall clock of the server.
    wall: MachineClock,
    /// The monotonic clock of all processes.
    clock: ServerClock,
    /// The number of changes that other processes must look at.
    changes: watch::Sender<u64>,
}

impl Server {
    /// Makes a schema that is dropped with it. The server has the wall clock of a machine, which is set.
    pub(crate) fn start(url: &str, wall: MachineClock) -> Result<Self, StoreError> {
        let schema = TestSchema::new(url);
        let runtime = OwnRuntime::start()?;
        let control = schema.url().to_owned();
        let control = runtime.wait_for(async move { connect(&control, NoTls).await });
        let (control, connection) = control?.map_err(unavailable)?;
        runtime.handle.spawn(connection);
        let server = Self {
            runtime,
            control: Arc::new(control),
            start: Instant::now(),
            wall,
            clock: ServerClock::default(),
            changes: watch::Sender::default(),
            schema,
        };
        // The first store makes the schema by the server's own clock, which nothing has used then.
        drop(server.connect("first")?);
        server.end("first");
        server.schema.sql(CLOCK).map_err(unavailable)?;
        Ok(server)
    }

    /// Drops the schema, and ends all connections: what is left of a run may refer to the server for
    /// ever.
    pub(crate) fn remove(&self) {
        self.end("%");
        let _ = self.schema.sql("DROP SCHEMA IF EXISTS {schema} CASCADE");
        self.runtime.shut_down();
    }

    /// Opens the store as another process does, which has a name.
    pub(crate) fn open(
        self: &Arc<Self>,
        process: &str,
    ) -> Result<Arc<dyn IdempotencyStore>, StoreError> {
        let store = self.connect(process)?;
        let server = self.clone();
        let looked = Mutex::default();
        Ok(Arc::new(ServerStore {
            store,
            server,
            looked,
        }))
    }

    /// Ends the connections of all stores, at a random moment within the next operation.
    pub(crate) fn sever(&self, dice: u64) {
        let after = Duration::from_micros(dice % SEVERED_WITHIN_MICROS);
        let (control, all) = (self.control.clone(), self.application("%"));
        self.runtime.handle.spawn(async move {
            sleep(after).await;
            terminate(&control, &all).await;
        });
    }

    /// Ends the connections of a process, as its death does.
    pub(crate) fn end(&self, process: &str) {
        let (control, its) = (self.control.clone(), self.application(process));
        let _ = self
            .runtime
            .wait_for(async move { terminate(&control, &its).await });
    }

    fn application(&self, process: &str) -> String {
        format!("{}-{process}", self.schema.name())
    }

    fn connect(&self, process: &str) -> Result<PostgresStore, StoreError> {
        let url = self.schema.url();
        let begin = if url.contains('?') { '&' } else { '?' };
        let application = self.application(process);
        let config = PostgresConfig::parse(&format!("{url}{begin}application_name={application}"))?
            .with_schema(self.schema.name())
            .with_connections(CONNECTIONS)
            .with_wake(Wake::Poll);
        let clock = self.clock.clone();
        self.run(PostgresStore::connect_with_clock(config, clock))?
    }

    /// Sets the clock, and carries an operation out.
    fn run<T: Send + 'static>(
        &self,
        act: impl Future<Output = T> + Send + 'static,
    ) -> Result<T, StoreError> {
        let elapsed = u64::try_from(self.start.elapsed().as_micros()).unwrap_or(u64::MAX);
        self.clock
            .0
            .store(UPTIME_MICROS + elapsed, Ordering::SeqCst);
        let now = self.wall.now().as_microsecond();
        let set = format!("UPDATE {}.simulated SET now = {now}", self.schema.name());
        let control = self.control.clone();
        self.runtime.wait_for(async move {
            // Before the table is there, the server's own clock counts.
            let _ = control.batch_execute(&set).await;
            act.await
        })
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.schema.name())
    }
}

async fn terminate(control: &Client, applications: &str) {
    let end =
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE $1";
    // The connections that are left end with the run.
    let _ = control.query(end, &[&applications]).await;
}

/// A runtime with real time. It may be dropped within the world's runtime, which must not wait.
struct OwnRuntime {
    runtime: Mutex<Option<Runtime>>,
    handle: Handle,
}

impl OwnRuntime {
    fn start() -> Result<Self, StoreError> {
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build();
        let runtime = runtime.map_err(unavailable)?;
        let handle = runtime.handle().clone();
        let runtime = Mutex::new(Some(runtime));
        Ok(Self { runtime, handle })
    }

    /// Drops what runs on it, without waiting.
    fn shut_down(&self) {
        let mut runtime = self.runtime.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(runtime) = runtime.take() {
            runtime.shutdown_background();
        }
    }

    /// Runs a future on it while this thread waits.
    fn wait_for<T: Send + 'static>(
        &self,
        act: impl Future<Output = T> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (done, result) = mpsc::channel();
        self.handle.spawn(async move {
            let _ = done.send(act.await);
        });
        result.recv().map_err(unavailable)
    }
}

impl Drop for OwnRuntime {
    fn drop(&mut self) {
        self.shut_down();
    }
}

fn unavailable(source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> StoreError {
    StoreError::new(StoreErrorKind::Unavailable).with_source(source)
}

/// The time of the world, for threads that do not live in it.
#[derive(Debug, Clone, Default)]
struct ServerClock(Arc<AtomicU64>);

impl Clock for ServerClock {
    fn now(&self) -> Timestamp {
        let micros = i64::try_from(self.0.load(Ordering::SeqCst)).unwrap_or(i64::MAX);
        Timestamp::from_microsecond(micros).unwrap_or_default()
    }

    fn monotonic(&self) -> Duration {
        Duration::from_micros(self.0.load(Ordering::SeqCst))
    }
}

/// The store of one process.
#[derive(Debug)]
struct ServerStore {
    store: PostgresStore,
    server: Arc<Server>,
    /// What was known at the last claim: the number of changes, and when the next event becomes ready.
    looked: Mutex<(u64, Option<Instant>)>,
}

impl ServerStore {
    fn looked(&self) -> MutexGuard<'_, (u64, Option<Instant>)> {
        self.looked.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn claim_now(&self, request: &ClaimRequest) -> Result<Claims, StoreError> {
        let (store, request) = (self.store.clone(), request.clone());
        let claims = self
            .server
            .run(async move { store.claim(&request).await })??;
        if !(claims.settled.is_empty() && claims.claims.is_empty()) {
            self.server.changes.send_modify(|changes| *changes += 1);
        }
        let due = claims.next_due.map(|next| Instant::now() + next);
        *self.looked() = (*self.server.changes.borrow(), due);
        Ok(claims)
    }
}

/// Implements the store by operations that take no simulated time. After some of them, depending on the
/// answer, the processes that wait look again.
macro_rules! operations {
    ($($name:ident(
        $($value:ident: $v:ty,)* $(&$reference:ident: $r:ty,)* $(*$last:ident: $l:ty,)?
    ) -> $out:ty $(, |$answer:ident| $changes:expr)?;)*) => {
        #[async_trait]
        impl IdempotencyStore for ServerStore {
            fn accepts_at_once(&self) -> usize {
                self.store.accepts_at_once()
            }

            $(
                async fn $name(
                    &self, $($value: $v,)* $($reference: &$r,)* $($last: $l,)?
                ) -> Result<$out, StoreError> {
                    let store = self.store.clone();
                    $(let $reference = $reference.to_owned();)*
                    let answer = self.server.run(async move {
                        store.$name($($value,)* $(&$reference,)* $($last,)?).await
                    })??;
                    $(let $answer = &answer;
                    if $changes {
                        self.server.changes.send_modify(|changes| *changes += 1);
                    })?
                    Ok(answer)
                }
            )*

            async fn claim(&self, request: &ClaimRequest) -> Result<Claims, StoreError> {
                self.claim_now(request)
            }

            /// Another process may have made something ready, or changed when something becomes ready.
            /// If it did so without an answer, it repeats the operation.
            async fn wait(&self, at_most: Duration) -> Result<(), StoreError> {
                let (seen, due) = *self.looked();
                let due = due.unwrap_or_else(|| Instant::now() + at_most);
                let mut changes = self.server.changes.subscribe();
                tokio::select! {
                    _ = changes.wait_for(|changes| *changes != seen) => {}
                    () = sleep(at_most) => {}
                    () = sleep_until(due) => {}
                }
                Ok(())
            }
        }
    };
}

operations! {
    accept(&deliveries: [Delivery],) -> Vec<Acceptance>, |_accepted| true;
    extend(&tickets: [Ticket], *lease: Duration,) -> Vec<ExtendResult>;
    find(&task_id: TaskId,) -> Vec<EventRecord>;
    list(&request: ListRequest,) -> Page<EventRecord>;
    conflicts(event: EventId,) -> Vec<ConflictRecord>;
    quarantine(after: Option<EventId>, entries_max: u32,) -> Page<QuarantinedDelivery>;
    counts() -> Counts;
    redrive(&events: [EventId], *how: Redrive,) -> Vec<RedriveResult>, |_redriven| true;
    adopt(&events: [AdoptedEvent],) -> Vec<Adoption>, |_adopted| true;
    requeue(entry: EventId, &delivery: Delivery,) -> Option<Acceptance>, |_requeued| true;
    decide(&task: TaskId, &stage: Stage,) -> Decision, |_decision| true;
    purge(&request: PurgeRequest,) -> PurgeReport;
    intend(&intent: Intent,) -> ();
    withdraw(submit: SubmitId,) -> ();
    open_intents(open_for: Duration, after: Option<u64>, intents_max: u32,) -> Vec<OpenIntent>;
    submits(&reference: Reference, *submits_max: u32,) -> Vec<RecordedSubmit>;
    expect(&task: ExpectedTask,) -> ();
    expected_tasks(before: Option<u64>, tasks_max: u32,) -> Vec<RecordedTask>;
    recorded_tasks(&task_ids: [TaskId],) -> Vec<RecordedTask>;
    due(&request: DueRequest,) -> DueTasks;
    postpone(&ticket: DueTicket, *postponement: Postponement,) -> bool;
    finish(&ticket: DueTicket,) -> bool;
}
