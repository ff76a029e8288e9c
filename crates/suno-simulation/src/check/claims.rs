//! Claims and settlements: fencing, attempts, and dead letters.

use suno_callback::bounds::LAPSES_SUSPECT;
use suno_callback::{DeadCause, Dispatcher, Settled};

use super::{Checker, Claim};
use crate::history::{End, Grant, Row, Ticket, Violation};
use crate::plan::{Millis, Work};

/// How many claims of an event lapse while nothing else is claimed, before it is a dead letter.
const LONE_LAPSES: u32 = Dispatcher::LAPSES_MAX - LAPSES_SUSPECT;
/// How long a retry waits at most unless the handler asks for more.
const RETRY_MAX: Millis = Dispatcher::BACKOFF_MAX.as_millis() as Millis;

impl Checker {
    pub(super) fn granted(
        &mut self,
        at: Millis,
        by: (usize, u32),
        grant: &Grant,
    ) -> Result<(), Violation> {
        let ticket = grant.ticket;
        if !grant.is_repeated {
            self.is_free(at, grant)?;
            self.is_prompt(at, grant)?;
            self.handlers.granted(grant);
        }
        let is_alone = self.is_alone(at, ticket);
        let Some(event) = self.events.get_mut(&ticket.event) else {
            return Err(Violation::new(
                Row::S5,
                "a claim of an event that is not stored",
            ));
        };
        if grant.is_repeated {
            let is_same = event.claim.is_some_and(|claim| claim.ticket == ticket);
            if !is_same || event.attempts != grant.attempt {
                return Err(Violation::new(
                    Row::S5,
                    format!("a repeated claim differs: {grant:?}"),
                ));
            }
            return Ok(());
        }
        let lapsed = event.claim.take();
        event.lone_lapses += u32::from(lapsed.is_some_and(|claim| claim.is_alone));
        let lapses = event.lapses + u32::from(lapsed.is_some());
        if grant.attempt != event.attempts + 1 || grant.lapses != lapses {
            let text = format!(
                "attempt {} and lapse {lapses} expected: {grant:?}",
                event.attempts + 1
            );
            return Err(Violation::new(Row::S5, text));
        }
        if event
            .latest
            .is_some_and(|latest| latest.epoch >= ticket.epoch)
        {
            return Err(Violation::new(
                Row::S4,
                format!("the epoch does not grow: {grant:?}"),
            ));
        }
        if grant.age.abs_diff(at - event.open_since) > 1 {
            let text = format!("the event is {} ms old: {grant:?}", at - event.open_since);
            return Err(Violation::new(Row::E5, text));
        }
        (event.attempts, event.lapses) = (grant.attempt, lapses);
        event.latest = Some(ticket);
        let until = at + grant.holds_for;
        event.claim = Some(Claim {
            ticket,
            by,
            until,
            is_alone,
        });
        Ok(())
    }

    /// No claim of the task may hold.
    fn is_free(&self, at: Millis, grant: &Grant) -> Result<(), Violation> {
        let holds = |claim: &Claim| claim.until > at;
        let of_task = self
            .events
            .values()
            .filter(|event| event.task == grant.task);
        match of_task.filter_map(|event| event.claim).find(holds) {
            Some(claim) => Err(Violation::new(
                Row::S3,
                format!(
                    "granted while another claim of the task holds until {}: {grant:?}",
                    claim.until
                ),
            )),
            None => Ok(()),
        }
    }

    /// True if the worker holds no other claims. From now on, those that it holds are not alone.
    fn is_alone(&mut self, at: Millis, ticket: Ticket) -> bool {
        let mut is_alone = true;
        for event in self.events.values_mut() {
            let Some(claim) = &mut event.claim else {
                continue;
            };
            let is_other = claim.ticket.worker == ticket.worker && claim.ticket != ticket;
            if is_other && claim.until > at {
                claim.is_alone = false;
                is_alone = false;
            }
        }
        is_alone
    }

    pub(super) fn settled(
        &mut self,
        at: Millis,
        ticket: Ticket,
        end: End,
        settled: Settled,
    ) -> Result<(), Violation> {
        let expected = match self.events.get(&ticket.event) {
            Some(event) if event.claim.is_some_and(|claim| claim.ticket == ticket) => {
                Settled::Settled
            }
            Some(event) if event.latest != Some(ticket) => Settled::Lost,
            Some(event) if event.settled_by == Some(ticket) => Settled::AlreadySettled,
            // It was superseded after its lease had ended.
            Some(_) => settled,
            _ => Settled::Lost,
        };
        if settled != expected {
            return Err(Violation::new(
                Row::S4,
                format!("{settled:?} instead of {expected:?}"),
            ));
        }
        if settled != Settled::Settled {
            return Ok(());
        }
        self.is_right(at, ticket, end)?;
        let Some(event) = self.events.get_mut(&ticket.event) else {
            return Ok(());
        };
        event.claim = None;
        event.settled_by = Some(ticket);
        match end {
            End::Release => event.attempts = event.attempts.saturating_sub(1),
            _ => (event.lapses, event.lone_lapses) = (0, 0),
        }
        self.tasks[event.task].free_since = at;
        Ok(())
    }

    /// Whether the event may end so.
    fn is_right(&self, at: Millis, ticket: Ticket, end: End) -> Result<(), Violation> {
        let Some(event) = self.events.get(&ticket.event) else {
            return Ok(());
        };
        let plan = &self.plan.tasks[event.task];
        let knobs = &self.plan.knobs;
        let asked = match plan.work {
            Work::AsksForWait(_, seconds) => seconds.saturating_mul(1_000),
            _ => 0,
        };
        let age = at - event.open_since;
        let problem = match end {
            End::Retry(after) if after > asked.max(RETRY_MAX).min(knobs.retry_for_ms) => {
                let text = format!("a retry waits for {after} ms");
                return Err(Violation::new(Row::E5, text));
            }
            End::Dead(_) if !event.told_dead => "the handler was not told",
            End::Dead(DeadCause::Exhausted) if age < knobs.retry_for_ms => {
                "it was retried too short a time"
            }
            End::Dead(DeadCause::Lapsed) if event.lone_lapses < LONE_LAPSES => {
                "its claims lapsed beside others"
            }
            End::Dead(DeadCause::GivenUp) => {
                let is_denied = knobs.confirm && plan.end() != Some(event.stage);
                if event.gave_up == Some(ticket) || is_denied {
                    return Ok(());
                }
                "no handler gave it up"
            }
            End::Dead(DeadCause::Unreadable) => "it is readable",
            _ => return Ok(()),
        };
        let text = format!(
            "task {} {:?} is dead, but {problem}: {end:?}, age {age} ms, {} lapses alone",
            event.task, event.stage, event.lone_lapses
        );
        Err(Violation::new(Row::S8, text))
    }

    pub(super) fn extended(
        &mut self,
        at: Millis,
        ticket: Ticket,
        lease: Millis,
        is_extended: bool,
    ) -> Result<(), Violation> {
        let event = self.events.get_mut(&ticket.event);
        let event = event.filter(|event| event.claim.is_some_and(|claim| claim.ticket == ticket));
        if event.is_some() != is_extended {
            return Err(Violation::new(
                Row::S4,
                format!("{ticket:?} is extended: {is_extended}"),
            ));
        }
        if let Some(event) = event
            && let Some(claim) = &mut event.claim
        {
            claim.until = at + lease;
            (event.ready_at, event.ready_first_at) = (claim.until, claim.until);
            event.shown.until = claim.until;
        }
        Ok(())
    }
}
