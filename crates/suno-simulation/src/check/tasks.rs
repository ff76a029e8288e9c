//! Checks tasks: their handlers run one at a time and never go back, each event and each task ends,
//! and no wrong time persists.

use super::*;

const PAUSE_MAX: Millis = Reconciler::PAUSE_MAX.as_millis() as Millis * 11 / 10 + 1;

impl Checker {
    /// Records submits, and requests to the provider about tasks.
    pub(super) fn ledger(&mut self, what: &What) {
        let at = self.at;
        match what {
            What::Submitted(task) => self.tasks[*task].submitted_at = Some(at),
            What::Intended(task) => self.tasks[*task].intended_at = Some(at),
            What::Expected(task) => _ = self.tasks[*task].expected_at.get_or_insert(at),
            What::Postponed(task, after) => {
                promise!(self, E5: *after <= PAUSE_MAX, "task {task} is postponed for {after} ms");
            }
            What::Answers(task, "running" | "unknown") => self.tasks[*task].answers += 1,
            What::ToldGivenUp(task) => {
                let known = &mut self.tasks[*task];
                known.is_told_given_up = true;
                let age = at - known.intended_at.or(known.expected_at).unwrap_or(at);
                let answers = known.answers;
                let may = age >= millis(Reconciler::AGE_MAX) && answers >= Reconciler::ANSWERS_MIN;
                let text = format!("after {age} ms and {answers} answers");
                promise!(self, E2: may, "task {task} is given up {text}");
            }
            What::Logged(message) => {
                let is_excused = !self.plan.is_calm();
                promise!(self, E7: is_excused, "an error although nothing is wrong: {message}");
            }
            _ => {}
        }
    }

    pub(crate) fn all_have_ended(&mut self, at: Millis) {
        let (bound, healed_at) = (self.plan.quiet_within(), self.plan.knobs.heal_at_ms);
        let is_late = |event: &&Event| {
            is_open(event.shown.state) && at - event.open_since.max(healed_at) >= bound
        };
        if let Some(event) = self.events.values().find(is_late) {
            promise!(self, E1: false, "{:?} is still {:?}", event.key, event.shown);
        }
    }

    pub(crate) fn is_quiet(&self) -> bool {
        !self.events.values().any(|event| is_open(event.shown.state))
    }

    pub(crate) fn all_are_decided(&mut self) {
        for task in 0..self.tasks.len() {
            let is_decided = self.tasks[task].expected_at.is_none() || self.is_decided(task);
            promise!(self, E2: is_decided, "no handler learned how task {task} has ended");
        }
    }

    fn is_decided(&self, task: usize) -> bool {
        let (plan, known) = (&self.plan.tasks[task], &self.tasks[task]);
        let Some(stage) = plan.end() else {
            return known.is_told_given_up || known.has_end;
        };
        let key = Key::first(task, stage);
        let is_handled =
            |event: &Event| matches!(event.shown.state, StateName::Done | StateName::Dead);
        // A forged end may have been accepted, and an event may be forgotten.
        let is_misled = plan.has_forged_end() && !self.plan.knobs.confirm && known.has_end;
        let may_purge = self.plan.knobs.keys_for_ms < 10 * 86_400_000;
        let is_forgotten = may_purge && !self.find(key, |_| true);
        self.find(key, is_handled) || is_misled || is_forgotten
    }

    /// The store's counts must match its lists.
    pub(crate) fn counts_agree(&mut self, mut counts: Counts) {
        for state in StateName::ALL {
            let is_its = |event: &&Event| event.shown.state == state;
            let shown = self.events.values().filter(is_its).count() as u64;
            let counted = *counts.of(state);
            promise!(self, S7: shown == counted, "{state}: {counted} counted and {shown} shown");
        }
    }

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
            What::Begun(ticket, key, tracks) => {
                self.goes_forward(*ticket, *key);
                self.says_more_than_before(*ticket, *key, *tracks);
                let other = self.handlers.insert((by, key.task), (*ticket, false));
                promise!(self, S3: other.is_none(), "{ticket:?} begins beside {other:?}");
                self.change(&ticket.event, |event| {
                    event.begun += 1;
                    let has_succeeded = event.handled.is_some_and(|(_, succeeded)| succeeded);
                    event.handled = Some((*tracks, has_succeeded));
                });
            }
            What::Stepped(ticket, key) => self.is_fresh(*ticket, *key),
            What::Ended(ticket, key, end) => {
                self.is_fresh(*ticket, *key);
                self.handlers.remove(&(by, key.task));
                if *end == "succeeds" {
                    let succeeded = |event: &mut Event| {
                        event.handled = event.handled.map(|(tracks, _)| (tracks, true));
                    };
                    self.change(&ticket.event, succeeded);
                }
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

    /// A handler takes a step only if no other worker has claimed its task.
    fn is_fresh(&mut self, ticket: Ticket, key: Key) {
        let handler = self.handlers.get(&(self.by, key.task));
        let is_stale = handler.is_some_and(|(_, is_stale)| *is_stale);
        promise!(self, S3: !is_stale, "{ticket:?} goes on although its task is claimed by another");
    }

    /// No later stage of the task, and no later revision that was handled, may be done.
    fn goes_forward(&mut self, ticket: Ticket, key: Key) {
        let rank = key.stage.stage().rank();
        let is_later = |event: &&Event| {
            let is_done = event.key.task == key.task && event.shown.state == StateName::Done;
            let is_stage = rank.is_some() && event.key.stage.stage().rank() > rank;
            let is_revision = event.key.is_of_stage(key) && event.key.revision > key.revision;
            is_done && (is_stage || (is_revision && event.begun > 0))
        };
        let later = self.events.values().find(is_later).map(|event| event.key);
        let event = self.events.get(&ticket.event);
        if later.is_some() && event.is_some_and(|event| event.may_go_back) {
            self.exempt("S6: a person requested it");
        } else {
            promise!(self, S6: later.is_none(), "{key:?} is handled after {later:?}");
        }
    }
}
