//! What handlers do: one of a task at a time, and never back.

use super::*;

#[derive(Debug)]
pub(super) struct RunningHandler {
    ticket: Ticket,
    task: usize,
    by: Option<Process>,
    /// The task was claimed by another worker.
    is_stale: bool,
}

impl Checker {
    /// From this claim on, other workers must not take a step for the task.
    pub(super) fn make_stale(&mut self, task: usize, claimed: Ticket) {
        for handler in self
            .handlers
            .iter_mut()
            .filter(|handler| handler.task == task)
        {
            let (event, worker) = (handler.ticket.event, handler.ticket.worker);
            handler.is_stale |= (event, worker) != (claimed.event, claimed.worker);
        }
    }

    pub(super) fn handler(&mut self, by: Option<Process>, what: &What) {
        match what {
            What::Begun(ticket, key) => self.handler_begins(by, *ticket, *key),
            What::Stepped(ticket) => self.is_fresh(*ticket),
            What::Ended(ticket, result) => {
                self.is_fresh(*ticket);
                self.handler_ends(by, *ticket);
                if let Some(event) = self.events.get_mut(&ticket.event)
                    && *result == "gives up"
                {
                    event.gave_up = event.lease.map(|lease| lease.ticket);
                }
            }
            What::Cancelled(ticket) => self.handler_ends(by, *ticket),
            What::ToldDead(event, _) => {
                let event = self.events.get_mut(event);
                event.into_iter().for_each(|event| event.told_dead = true);
            }
            What::Died(_) => self.handlers.retain(|handler| handler.by != by),
            _ => {}
        }
    }

    fn handler_begins(&mut self, by: Option<Process>, ticket: Ticket, key: Key) {
        self.goes_forward(ticket, key);
        let is_twice = |other: &RunningHandler| other.task == key.task && other.by == by;
        let is_alone = !self.handlers.iter().any(is_twice);
        promise!(self, S3: is_alone, "one process runs another handler beside {ticket:?}");
        if let Some(event) = self.events.get_mut(&ticket.event) {
            event.begun += 1;
        }
        self.handlers.push(RunningHandler {
            ticket,
            task: key.task,
            by,
            is_stale: false,
        });
    }

    fn handler_ends(&mut self, by: Option<Process>, ticket: Ticket) {
        let is_other = |handler: &RunningHandler| handler.ticket != ticket || handler.by != by;
        self.handlers.retain(is_other);
    }

    /// No other worker has claimed the task of a handler that takes a step.
    fn is_fresh(&mut self, ticket: Ticket) {
        let handler = self
            .handlers
            .iter()
            .find(|handler| handler.ticket == ticket);
        let is_fresh = handler.is_none_or(|handler| !handler.is_stale);
        promise!(self, S3: is_fresh, "{ticket:?} goes on although its task is claimed by another");
    }

    /// No later stage of the task is done.
    fn goes_forward(&mut self, ticket: Ticket, key: Key) {
        let rank = key.stage.stage().rank();
        let is_later = |event: &&Event| {
            event.key.task == key.task
                && event.shown.state == StateName::Done
                && rank.is_some()
                && event.key.stage.stage().rank() > rank
        };
        let later = self.events.values().find(is_later).map(|event| event.key);
        let event = self.events.get(&ticket.event);
        if later.is_some() && event.is_some_and(|event| event.may_go_back) {
            self.exempt("S6: a person said so");
        } else {
            promise!(self, S6: later.is_none(), "{key:?} is handled after {later:?}");
        }
    }
}
