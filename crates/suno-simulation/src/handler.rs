//! The handlers of a node: they take steps, fail, hang, panic, or end their process.

use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use suno_callback::{
    CallbackHandler, DeadLetter, Event, GivenUpTask, HandlerError, Ticket, async_trait,
};
use tokio::time::sleep;

use crate::history::What;
use crate::node::Life;
use crate::plan::{FaultKind, Millis, Work};
use crate::world::{index_of, key_of};

/// In how many steps a handler does its work.
const STEPS: u64 = 3;
/// What a planned panic says.
pub(crate) const PLANNED: &str = "a planned panic";

/// Handles events as the plan says.
#[derive(Debug)]
pub(crate) struct Handler(pub(crate) Arc<Life>);

/// Records that a handler was cancelled, unless it has ended.
struct Guard<'a> {
    life: &'a Life,
    ticket: Ticket,
    has_ended: bool,
}

impl Guard<'_> {
    fn end(mut self, result: &'static str) {
        self.has_ended = true;
        self.life.record(What::Ended(self.ticket, result));
    }

    async fn work(&self, for_ms: Millis) {
        for _ in 0..STEPS {
            sleep(Duration::from_millis(for_ms / STEPS)).await;
            self.life.record(What::Stepped(self.ticket));
        }
    }
}

impl Drop for Guard<'_> {
    fn drop(&mut self) {
        if !self.has_ended && !self.life.is_dead() {
            self.life.record(What::Cancelled(self.ticket));
        }
    }
}

impl Handler {
    async fn work(&self, event: &Event) -> Result<(), HandlerError> {
        let (life, world) = (&self.0, &self.0.world);
        let (ticket, key) = (event.ticket(), key_of(event.key()));
        life.record(What::Begun(ticket, key));
        let guard = Guard {
            life,
            ticket,
            has_ended: false,
        };
        let times = world.checker().begun(event.id()).saturating_sub(1);
        if world.has_fault(life.node, |kind| kind == FaultKind::Dependency) {
            guard.end("fails");
            return Err(HandlerError::retry("what it needs is away"));
        }
        match world.plan.tasks[key.task].work {
            Work::Fails(all, for_ms) if times < all => {
                guard.work(for_ms).await;
                guard.end("fails");
                return Err(HandlerError::retry("it fails"));
            }
            Work::AsksForWait(all, seconds) if times < all => {
                guard.end("asks for a wait");
                let wait = Duration::from_secs(seconds);
                return Err(HandlerError::retry_after(wait, "later"));
            }
            Work::GivesUp => {
                guard.end("gives up");
                return Err(HandlerError::give_up("it is no use"));
            }
            Work::Panics(all) if times < all => {
                guard.end("panics");
                std::panic::panic_any(PLANNED);
            }
            Work::Hangs(all) if times < all => pending().await,
            Work::Kills(all) if times < all => {
                world.kill(life);
                pending::<()>().await;
            }
            Work::Takes(for_ms) => guard.work(for_ms).await,
            _ => {}
        }
        guard.end("succeeds");
        Ok(())
    }
}

/// Handles all stages alike.
macro_rules! handles {
    ($($on_stage:ident)*) => {
        #[async_trait]
        impl CallbackHandler for Handler {
            $(async fn $on_stage(&self, event: &Event) -> Result<(), HandlerError> {
                self.work(event).await
            })*

            async fn on_dead_letter(&self, letter: &DeadLetter) {
                self.0.record(What::ToldDead(letter.id, letter.cause));
            }

            async fn on_given_up(&self, task: &GivenUpTask) {
                self.0.record(What::ToldGivenUp(index_of(&task.task_id)));
            }
        }
    };
}

handles!(on_text on_first on_complete on_failed on_other);
