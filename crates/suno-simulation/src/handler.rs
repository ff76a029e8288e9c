//! The handlers of a node: they take steps, fail, hang, panic, or kill their process.

use std::future::pending;
use std::panic::panic_any;
use std::sync::Arc;
use std::time::Duration;

use suno_callback::*;
use tokio::time::sleep;

use crate::history::What;
use crate::ids::{index_of, key_of};
use crate::plan::{FaultKind, Key, Millis, Work};
use crate::world::node::Life;

const STEPS: u64 = 3;
pub(crate) const PLANNED: &str = "a planned panic";

#[derive(Debug)]
pub(crate) struct Handler(pub(crate) Arc<Life>);

/// When dropped, records that a handler was cancelled.
struct Guard<'a>(&'a Life, Ticket, Key);

impl Drop for Guard<'_> {
    fn drop(&mut self) {
        if !self.0.is_dead() {
            self.0.record(What::Cancelled(self.1, self.2));
        }
    }
}

impl Handler {
    async fn steps(&self, ticket: Ticket, key: Key, for_ms: Millis) {
        for _ in 0..STEPS {
            sleep(Duration::from_millis(for_ms / STEPS)).await;
            self.0.record(What::Stepped(ticket, key));
        }
    }

    async fn work(&self, event: &Event) -> Result<(), HandlerError> {
        let (life, world) = (&self.0, &self.0.world);
        let (ticket, key) = (event.ticket(), key_of(event.key()));
        life.record(What::Begun(ticket, key, event.tracks().len()));
        let guard = Guard(life, ticket, key);
        let (_, begun) = world.checker().event(event.id()).unwrap_or_default();
        let times = begun.saturating_sub(1);
        let (end, result) = match world.plan.tasks[key.task].work {
            _ if world.has_fault(life.node, FaultKind::Dependency) => {
                ("fails", Err(HandlerError::retry("what it needs is away")))
            }
            Work::Fails(all, for_ms) if times < all => {
                self.steps(ticket, key, for_ms).await;
                ("fails", Err(HandlerError::retry("it fails")))
            }
            Work::AsksForWait(all, seconds) if times < all => {
                let wait = Duration::from_secs(seconds);
                ("fails", Err(HandlerError::retry_after(wait, "later")))
            }
            Work::CannotTake(all) if times < all => (
                "is released",
                Err(HandlerError::not_now("what it needs is down")),
            ),
            Work::GivesUp => ("gives up", Err(HandlerError::give_up("it is no use"))),
            Work::Panics(all) if times < all => panic_any(PLANNED),
            Work::Hangs(all) if times < all => pending().await,
            Work::KillsProcess(all) if times < all => {
                let (world, node) = (world.clone(), life.node);
                life.die("by a handler");
                tokio::spawn(async move {
                    sleep(Duration::from_secs(1)).await;
                    Life::start(&world, node);
                });
                pending().await
            }
            Work::Takes(for_ms) => {
                self.steps(ticket, key, for_ms).await;
                ("succeeds", Ok(()))
            }
            _ => ("succeeds", Ok(())),
        };
        life.record(What::Ended(ticket, key, end));
        std::mem::forget(guard);
        result
    }
}

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
