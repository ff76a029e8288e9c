//! What handlers do: one of a task at a time, and never back.

use super::Checker;
use crate::history::{Grant, Row, Ticket, Violation, What};
use crate::plan::{Millis, StageName};
use suno_callback::StateName;

/// The handlers that run.
#[derive(Debug, Default)]
pub(super) struct Handlers(Vec<Handler>);

#[derive(Debug)]
struct Handler {
    ticket: Ticket,
    task: usize,
    by: Option<(usize, u32)>,
    /// The task was claimed by another worker.
    is_stale: bool,
}

impl Handlers {
    /// From this grant on, other workers must not take a step for the task.
    pub(super) fn granted(&mut self, grant: &Grant) {
        for handler in self
            .0
            .iter_mut()
            .filter(|handler| handler.task == grant.task)
        {
            let goes_on = handler.ticket.event == grant.ticket.event
                && handler.ticket.worker == grant.ticket.worker;
            handler.is_stale |= !goes_on;
        }
    }

    fn begun(
        &mut self,
        ticket: Ticket,
        task: usize,
        by: Option<(usize, u32)>,
    ) -> Result<(), Violation> {
        let is_twice = |handler: &Handler| handler.task == task && handler.by == by;
        if let Some(other) = self.0.iter().find(|handler| is_twice(handler)) {
            let text = format!("one process runs {:?} and begins {ticket:?}", other.ticket);
            return Err(Violation::new(Row::S3, text));
        }
        self.0.push(Handler {
            ticket,
            task,
            by,
            is_stale: false,
        });
        Ok(())
    }

    fn stepped(&self, ticket: Ticket) -> Result<(), Violation> {
        let of_ticket = |handler: &&Handler| handler.ticket == ticket;
        match self.0.iter().find(of_ticket) {
            Some(handler) if handler.is_stale => {
                let text = format!("{ticket:?} goes on although its task is claimed by another");
                Err(Violation::new(Row::S3, text))
            }
            _ => Ok(()),
        }
    }

    fn ended(&mut self, ticket: Ticket, by: Option<(usize, u32)>) {
        self.0
            .retain(|handler| handler.ticket != ticket || handler.by != by);
    }

    fn died(&mut self, by: Option<(usize, u32)>) {
        self.0.retain(|handler| handler.by != by);
    }
}

impl Checker {
    pub(super) fn handler(
        &mut self,
        _at: Millis,
        by: Option<(usize, u32)>,
        what: &What,
    ) -> Result<(), Violation> {
        match what {
            What::Begun {
                ticket,
                task,
                stage,
            } => {
                self.goes_forward(*ticket, *task, *stage)?;
                self.handlers.begun(*ticket, *task, by)?;
            }
            What::Stepped { ticket, .. } => self.handlers.stepped(*ticket)?,
            What::Ended { ticket, result, .. } => {
                self.handlers.stepped(*ticket)?;
                self.handlers.ended(*ticket, by);
                if *result == "gives up"
                    && let Some(event) = self.events.get_mut(&ticket.event)
                {
                    event.gave_up = event.claim.map(|claim| claim.ticket);
                }
            }
            What::Cancelled { ticket, .. } => self.handlers.ended(*ticket, by),
            What::ToldDead { event, .. } => {
                if let Some(event) = self.events.get_mut(event) {
                    event.told_dead = true;
                }
            }
            What::Died(_) => self.handlers.died(by),
            _ => {}
        }
        Ok(())
    }

    /// No later stage of the task is done.
    fn goes_forward(
        &mut self,
        ticket: Ticket,
        task: usize,
        stage: StageName,
    ) -> Result<(), Violation> {
        let rank = stage.stage().rank();
        let is_later = |event: &&super::Event| {
            event.task == task
                && event.shown.state == StateName::Done
                && rank.is_some()
                && event.stage.stage().rank() > rank
        };
        let Some(later) = self.events.values().find(is_later) else {
            return Ok(());
        };
        if self
            .events
            .get(&ticket.event)
            .is_some_and(|event| event.may_go_back)
        {
            self.coverage.exempt("S6: a person said so");
            return Ok(());
        }
        let text = format!("task {task} {stage:?} is handled after {:?}", later.stage);
        Err(Violation::new(Row::S6, text))
    }
}
