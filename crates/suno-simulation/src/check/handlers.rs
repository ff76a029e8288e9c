//! What handlers do: one of a task at a time, and never back.

use super::*;

impl Checker {
    /// From this claim on, other workers must not take a step for the task.
    pub(super) fn make_stale(&mut self, task: usize, claimed: Ticket) {
        for ((_, of), (ticket, is_stale)) in &mut self.handlers {
            let goes_on = (ticket.event, ticket.worker) == (claimed.event, claimed.worker);
            *is_stale |= *of == task && !goes_on;
        }
    }

    pub(super) fn handler(&mut self, what: &What) {
        let by = self.by;
        match what {
            What::Begun(ticket, key) => {
                self.goes_forward(*ticket, *key);
                let other = self.handlers.insert((by, key.task), (*ticket, false));
                promise!(self, S3: other.is_none(), "{ticket:?} begins beside {other:?}");
                self.change(&ticket.event, |event| event.begun += 1);
            }
            What::Stepped(ticket, key) => self.is_fresh(*ticket, *key),
            What::Ended(ticket, key, end) => {
                self.is_fresh(*ticket, *key);
                self.handlers.remove(&(by, key.task));
                if *end == "gives up" {
                    let given_up = |event: &mut Event| event.gave_up = event.latest;
                    self.change(&ticket.event, given_up);
                }
            }
            What::Cancelled(ticket, key) => {
                let its = ((by, key.task), *ticket);
                self.handlers
                    .retain(|of, (ticket, _)| (*of, *ticket) != its);
            }
            What::ToldDead(event, _) => {
                self.change(event, |event| event.told_dead = true);
            }
            What::Died(_) => self.handlers.retain(|(of, _), _| *of != by),
            _ => {}
        }
    }

    /// No other worker has claimed the task of a handler that takes a step.
    fn is_fresh(&mut self, ticket: Ticket, key: Key) {
        let handler = self.handlers.get(&(self.by, key.task));
        let is_stale = handler.is_some_and(|(_, is_stale)| *is_stale);
        promise!(self, S3: !is_stale, "{ticket:?} goes on although its task is claimed by another");
    }

    /// No later stage of the task is done.
    fn goes_forward(&mut self, ticket: Ticket, key: Key) {
        let rank = key.stage.stage().rank();
        let is_later = |event: &&Event| {
            let is_done = event.key.task == key.task && event.shown.state == StateName::Done;
            is_done && rank.is_some() && event.key.stage.stage().rank() > rank
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
