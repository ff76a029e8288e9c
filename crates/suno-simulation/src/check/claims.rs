//! Checks claims and settlements: fencing, attempts, and dead letters.

use super::*;

/// The number of claims of an event that lapse while nothing else is claimed, before it becomes
/// a dead letter.
const LONE_LAPSES: u32 = Dispatcher::LAPSES_MAX - LAPSES_SUSPECT;

impl Checker {
    pub(super) fn granted(&mut self, claim: &Claim, is_repeated: bool) {
        let (ticket, key, at) = (claim.ticket, key_of(&claim.key), self.at);
        if !is_repeated {
            let is_held = |event: &Event| event.key.task == key.task && event.is_held(at);
            let is_free = !self.events.values().any(is_held);
            promise!(self, S3: is_free, "another claim of the task holds: {claim:?}");
            self.is_prompt(ticket.event, key);
            self.make_stale(key.task, ticket);
        }
        let is_alone = self.is_alone(ticket);
        let Some(event) = self.events.get_mut(&ticket.event) else {
            promise!(self, S5: false, "a claim of an event that is not stored: {claim:?}");
            return;
        };
        if is_repeated {
            let is_same = event.holds(ticket) && event.shown.attempts == claim.attempt;
            promise!(self, S5: is_same, "a repeated claim differs: {claim:?}");
            return;
        }
        let lapsed = event.lease.take();
        event.lone_lapses += u32::from(lapsed.is_some_and(|lease| lease.is_alone));
        let lapses = event.shown.lapses + u32::from(lapsed.is_some());
        let counts = (event.shown.attempts + 1, lapses);
        let is_counted = (claim.attempt, claim.lapses) == counts;
        promise!(self, S5: is_counted, "attempt and lapse {counts:?} expected: {claim:?}");
        let grows = (event.latest).is_none_or(|latest| latest.epoch < ticket.epoch);
        promise!(self, S4: grows, "the epoch does not grow: {claim:?}");
        let age = at - event.open_since;
        let is_so_old = millis(claim.age).abs_diff(age) <= 1;
        promise!(self, E5: is_so_old, "the event is {age} ms old, not {:?}: {claim:?}", claim.age);
        (event.shown.attempts, event.shown.lapses) = counts;
        event.latest = Some(ticket);
        event.lease = Some(Lease {
            ticket,
            by: self.by,
            until: at + millis(claim.holds_for),
            is_alone,
        });
    }

    /// Whether the worker holds no other claims. From now on, the claims that it holds are not
    /// alone.
    fn is_alone(&mut self, ticket: Ticket) -> bool {
        let mut is_alone = true;
        for lease in self.events.values_mut().flat_map(|event| &mut event.lease) {
            let is_other = lease.ticket.worker == ticket.worker && lease.ticket != ticket;
            if is_other && lease.until > self.at {
                (lease.is_alone, is_alone) = (false, false);
            }
        }
        is_alone
    }

    pub(super) fn settled(&mut self, ticket: Ticket, end: &Settlement, settled: SettleResult) {
        let event = self.events.get(&ticket.event);
        let expected = match event {
            Some(event) if event.holds(ticket) => SettleResult::Settled,
            Some(event) if event.latest != Some(ticket) => SettleResult::Lost,
            Some(event) if event.settled_by == Some(ticket) => SettleResult::AlreadySettled,
            // It was superseded after its lease had ended.
            Some(_) => settled,
            None => SettleResult::Lost,
        };
        promise!(self, S4: settled == expected, "{settled:?} instead of {expected:?}");
        if settled != SettleResult::Settled {
            return;
        }
        self.is_right(ticket, end);
        let Some(event) = self.events.get_mut(&ticket.event) else {
            return;
        };
        event.lease = None;
        event.settled_by = Some(ticket);
        match end {
            Settlement::Release => event.shown.attempts = event.shown.attempts.saturating_sub(1),
            _ => (event.shown.lapses, event.lone_lapses) = (0, 0),
        }
        self.tasks[event.key.task].free_since = self.at;
    }

    /// Whether the event may end in this way.
    fn is_right(&mut self, ticket: Ticket, end: &Settlement) {
        let Some(event) = self.events.get(&ticket.event) else {
            return;
        };
        let (key, knobs) = (event.key, &self.plan.knobs);
        let plan = &self.plan.tasks[key.task];
        let asked = match plan.work {
            Work::AsksForWait(_, seconds) => seconds.saturating_mul(1_000),
            _ => 0,
        };
        let age = self.at - event.open_since;
        let most = asked
            .max(millis(Dispatcher::BACKOFF_MAX))
            .min(knobs.retry_for_ms);
        match end {
            Settlement::Retry { after, .. } => {
                let is_bounded = millis(*after) <= most;
                promise!(self, E5: is_bounded, "{key:?}: a retry waits for {after:?}");
            }
            Settlement::Dead { cause, .. } => {
                promise!(self, S8: event.told_dead, "{key:?} is dead: no handler was notified");
                let is_denied = knobs.confirm && plan.end() != Some(key.stage);
                let is_right = match cause {
                    DeadCause::Exhausted => {
                        age >= knobs.retry_for_ms
                            && event.shown.attempts >= Dispatcher::ATTEMPTS_MIN
                    }
                    DeadCause::Lapsed => event.lone_lapses >= LONE_LAPSES,
                    DeadCause::GivenUp => event.gave_up == Some(ticket) || is_denied,
                    _ => false,
                };
                let lapses = event.lone_lapses;
                let text = format!("after {age} ms and {lapses} lapses alone");
                promise!(self, S8: is_right, "{key:?} is dead ({cause}) {text}");
            }
            _ => {}
        }
    }

    pub(super) fn extended(&mut self, ticket: Ticket, lease: Millis, holds: bool) {
        let until = self.at + lease;
        let event = self.events.get_mut(&ticket.event);
        let event = event.filter(|event| event.holds(ticket));
        promise!(self, S4: event.is_some() == holds, "{ticket:?} is extended: {holds}");
        if let Some(event) = event {
            event.lease.iter_mut().for_each(|lease| lease.until = until);
            (event.ready_at, event.ready_first_at) = (until, until);
            event.shown.until = until;
        }
    }
}

impl Event {
    fn holds(&self, ticket: Ticket) -> bool {
        self.lease.is_some_and(|lease| lease.ticket == ticket)
    }
}
