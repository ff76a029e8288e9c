//! The handlers of a node: they take steps, fail, hang, panic, or end their process.

use std::sync::Arc;
use std::time::Duration;

use suno_callback::{CallbackHandler, DeadLetter, Event, GivenUpTask, HandlerError, async_trait};
use tokio::time::sleep;

use crate::history::{Ticket, What};
use crate::node::Life;
use crate::plan::{FaultKind, Millis, StageName, Work};
use crate::world::index_of;

/// In how many steps a handler does its work.
const STEPS: u64 = 3;
/// What a planned panic says.
pub(crate) const PLANNED: &str = "a planned panic";

/// Handles events as the plan says.
#[derive(Debug)]
pub(crate) struct Handler(pub(crate) Arc<Life>);

/// Says that a handler was cancelled, unless it has ended.
struct Guard<'a> {
    life: &'a Life,
    ticket: Ticket,
    task: usize,
    has_ended: bool,
}

impl Guard<'_> {
    fn step(&self) {
        let (ticket, task) = (self.ticket, self.task);
        self.life.record(What::Stepped { ticket, task });
    }

    fn end(mut self, result: &'static str) {
        self.has_ended = true;
        let (ticket, task) = (self.ticket, self.task);
        self.life.record(What::Ended {
            ticket,
            task,
            result,
        });
    }

    async fn work(&self, for_ms: Millis) {
        for _ in 0..STEPS {
            sleep(Duration::from_millis(for_ms / STEPS)).await;
            self.step();
        }
    }
}

impl Drop for Guard<'_> {
    fn drop(&mut self) {
        if !self.has_ended && !self.life.is_dead() {
            let (ticket, task) = (self.ticket, self.task);
            self.life.record(What::Cancelled { ticket, task });
        }
    }
}

impl Handler {
    async fn work(&self, event: &Event) -> Result<(), HandlerError> {
        let (life, world) = (&self.0, &self.0.world);
        let ticket = Ticket::of(&event.ticket());
        let (task, stage) = (index_of(event.task_id()), StageName::of(event.stage()));
        let Some(plan) = world.plan.tasks.get(task) else {
            return Ok(());
        };
        life.record(What::Begun {
            ticket,
            task,
            stage,
        });
        let guard = Guard {
            life,
            ticket,
            task,
            has_ended: false,
        };
        let times = world.begun(event.id().0);
        if world.has_fault(life.node, |kind| kind == FaultKind::Dependency) {
            guard.end("fails");
            return Err(HandlerError::retry("what it needs is away"));
        }
        match plan.work {
            Work::Fails(all, for_ms) if times < all => {
                guard.work(for_ms).await;
                guard.end("fails");
                return Err(HandlerError::retry("it fails"));
            }
            Work::AsksForWait(all, seconds) if times < all => {
                guard.end("asks for a wait");
                return Err(HandlerError::retry_after(
                    Duration::from_secs(seconds),
                    "later",
                ));
            }
            Work::GivesUp => {
                guard.end("gives up");
                return Err(HandlerError::give_up("it is no use"));
            }
            Work::Panics(all) if times < all => {
                guard.end("panics");
                std::panic::panic_any(PLANNED);
            }
            Work::Hangs(all) if times < all => std::future::pending::<()>().await,
            Work::Kills(all) if times < all => {
                world.kill(life);
                std::future::pending::<()>().await;
            }
            Work::Takes(for_ms) => guard.work(for_ms).await,
            _ => {}
        }
        guard.end("succeeds");
        Ok(())
    }
}

#[async_trait]
impl CallbackHandler for Handler {
    async fn on_text(&self, event: &Event) -> Result<(), HandlerError> {
        self.work(event).await
    }

    async fn on_first(&self, event: &Event) -> Result<(), HandlerError> {
        self.work(event).await
    }

    async fn on_complete(&self, event: &Event) -> Result<(), HandlerError> {
        self.work(event).await
    }

    async fn on_failed(&self, event: &Event) -> Result<(), HandlerError> {
        self.work(event).await
    }

    async fn on_other(&self, event: &Event) -> Result<(), HandlerError> {
        self.work(event).await
    }

    async fn on_dead_letter(&self, letter: &DeadLetter) {
        self.0.record(What::ToldDead {
            event: letter.id.0,
            cause: letter.cause,
        });
    }

    async fn on_given_up(&self, task: &GivenUpTask) {
        let age = u64::try_from(task.age.as_millis()).unwrap_or(u64::MAX);
        let (task, answers) = (index_of(&task.task_id), task.answers);
        self.0.record(What::ToldGivenUp { task, age, answers });
    }
}
