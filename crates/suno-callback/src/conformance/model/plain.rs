//! The contract as a plain model: a list of events, scanned from the beginning each time.
//!
//! It shares no code with the stores, so that a mistake cannot be in both.

use suno_types::Stage;

use super::operation::{How, Polled, Said};
use crate::store::bounds::{LAPSES_SUSPECT, NUDGES_MAX, REVISIONS_MAX};
use crate::store::{
    Acceptance, Decision, ExtendResult, Redrive, RedriveResult, SettleResult, StateName,
};

/// The lease of claims in the model, in seconds.
pub(super) const LEASE: u64 = 60;

/// An event; its number is its index in the list.
#[derive(Debug, Clone)]
pub(super) struct Event {
    pub(super) task: usize,
    pub(super) stage: Stage,
    pub(super) revision: u32,
    pub(super) unconfirmed: bool,
    /// The content of the event, followed by that of its conflicts.
    pub(super) said: Vec<Said>,
    pub(super) state: State,
    pub(super) attempts: u32,
    pub(super) lapses: u32,
    nudges: u32,
    /// The latest ticket, as a number of the model.
    latest: Option<usize>,
}

/// A state with the second at which it began or will end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    Ready(u64),
    Claimed(u64),
    Waiting(u64),
    Done,
    Dead,
    Superseded,
}

impl State {
    pub(super) fn name(self) -> StateName {
        match self {
            Self::Ready(_) => StateName::Ready,
            Self::Claimed(_) => StateName::Claimed,
            Self::Waiting(_) => StateName::Waiting,
            Self::Done => StateName::Done,
            Self::Dead => StateName::Dead,
            Self::Superseded => StateName::Superseded,
        }
    }

    fn is_settled(self) -> bool {
        matches!(self, Self::Done | Self::Dead | Self::Superseded)
    }

    /// Returns when the event became ready to be claimed, if it has.
    fn ready_since(self, now: u64) -> Option<u64> {
        match self {
            Self::Ready(at) | Self::Claimed(at) | Self::Waiting(at) => (at <= now).then_some(at),
            _ => None,
        }
    }
}

/// Returns the number of results that a delivery of a stage reports: a failure has none.
fn results(stage: &Stage, said: Said) -> u16 {
    match stage.as_str() {
        "failed" => 0,
        _ => said.results,
    }
}

fn rank(stage: &Stage) -> u8 {
    match stage.as_str() {
        "text" => 1,
        "first" => 2,
        "complete" | "failed" => 3,
        _ => 0,
    }
}

impl Event {
    /// Whether what it says was shown to be true or was handled.
    fn is_shown(&self) -> bool {
        !self.unconfirmed || (self.revision == 0 && self.state == State::Done)
    }

    pub(super) fn results(&self) -> u16 {
        results(&self.stage, self.said[0])
    }

    fn makes_late(&self, stage: &Stage) -> bool {
        let is_other_last = rank(stage) == 3 && rank(&self.stage) == 3 && self.stage != *stage;
        let is_earlier = rank(stage) > 0 && rank(stage) < rank(&self.stage);
        self.is_shown() && (is_earlier || is_other_last)
    }

    fn supersedes(&self, other: &Self) -> bool {
        let is_earlier = self.stage == other.stage && self.revision > other.revision;
        self.makes_late(&other.stage) || (self.is_shown() && is_earlier)
    }

    fn confirm(&mut self, said: Said, now: u64) -> Acceptance {
        let was_not_handled = self.state == State::Dead
            || (self.state == State::Done && self.revision > 0 && self.unconfirmed);
        self.unconfirmed = false;
        let former = self.said.remove(0);
        self.said.retain(|known| *known != said);
        self.said.insert(0, said);
        if former != said {
            self.said.push(former);
        }
        if was_not_handled {
            self.reopen(now);
        } else if let State::Waiting(until) = self.state {
            self.state = State::Ready(now.min(until));
        }
        Acceptance::Confirmed
    }

    fn hear_again(&mut self, said: Said, now: u64) -> Acceptance {
        let waits = matches!(self.state, State::Waiting(until) if until > now);
        if self.unconfirmed && waits && self.nudges < NUDGES_MAX {
            self.nudges += 1;
            self.state = State::Ready(now);
        }
        if self.said.contains(&said) {
            return Acceptance::Duplicate;
        }
        self.said.push(said);
        Acceptance::Conflict
    }

    fn reopen(&mut self, now: u64) {
        (self.state, self.attempts, self.lapses) = (State::Ready(now), 0, 0);
    }
}

/// An expected task.
#[derive(Debug, Clone, Copy)]
pub(super) struct Expected {
    pub(super) task: usize,
    pub(super) since: u64,
    pub(super) due: u64,
    pub(super) is_asked: bool,
    pub(super) answers: u32,
}

#[derive(Debug, Default)]
pub(super) struct Model {
    pub(super) events: Vec<Event>,
    /// In the order in which they became expected.
    pub(super) expected: Vec<Expected>,
    pub(super) now: u64,
    /// The event of each granted ticket.
    tickets: Vec<usize>,
}

impl Model {
    /// Returns the events of a stage of a task, in the order of their revisions.
    fn of_stage(&self, task: usize, stage: &Stage) -> Vec<usize> {
        let is_it = |place: &usize| {
            let event = &self.events[*place];
            event.task == task && event.stage == *stage
        };
        (0..self.events.len()).filter(is_it).collect()
    }

    pub(super) fn accept(
        &mut self,
        task: usize,
        stage: Stage,
        said: Said,
        unconfirmed: bool,
        claim: Option<usize>,
    ) -> Acceptance {
        let now = self.now;
        let of_stage = self.of_stage(task, &stage);
        let Some(last) = of_stage.last().copied() else {
            return self.store(task, stage, 0, said, unconfirmed);
        };
        let mut same = of_stage.iter().copied();
        if let Some(same) = same.find(|place| self.events[*place].said[0] == said) {
            let event = &mut self.events[same];
            return match event.unconfirmed && !unconfirmed {
                true => event.confirm(said, now),
                false => event.hear_again(said, now),
            };
        }
        let shown = of_stage.iter().map(|place| &self.events[*place]);
        let shown = shown.filter(|event| event.is_shown());
        let most = shown.map(Event::results).max();
        let latest = &mut self.events[last];
        let is_more = results(&stage, said) > most.unwrap_or(latest.results());
        if latest.unconfirmed && !unconfirmed {
            let is_first = latest.revision == 0;
            let is_handled = match latest.state {
                State::Done => is_first,
                State::Claimed(_) => claim.is_none() || claim != latest.latest,
                _ => false,
            };
            if (is_more && !is_handled) || (!is_more && (is_first || most.is_none())) {
                return latest.confirm(said, now);
            }
        }
        let is_asked =
            latest.unconfirmed && matches!(latest.state, State::Ready(_) | State::Waiting(_));
        let revision = latest.revision + 1;
        if is_more && !is_asked && revision <= REVISIONS_MAX {
            return self.store(task, stage, revision, said, unconfirmed);
        }
        let mut known = of_stage.into_iter();
        let known = known.find(|place| self.events[*place].said.contains(&said));
        self.events[known.unwrap_or(last)].hear_again(said, now)
    }

    fn store(
        &mut self,
        task: usize,
        stage: Stage,
        revision: u32,
        said: Said,
        unconfirmed: bool,
    ) -> Acceptance {
        let is_late =
            (self.events.iter()).any(|other| other.task == task && other.makes_late(&stage));
        let (state, accepted) = match is_late {
            true => (State::Superseded, Acceptance::Late),
            false if revision > 0 => (State::Ready(self.now), Acceptance::Revised),
            false => (State::Ready(self.now), Acceptance::New),
        };
        self.events.push(Event {
            task,
            stage,
            revision,
            unconfirmed,
            said: vec![said],
            state,
            attempts: 0,
            lapses: 0,
            nudges: 0,
            latest: None,
        });
        accepted
    }

    /// Claims events and returns their indices in the order of the claims.
    pub(super) fn claim(&mut self, events_max: usize, is_running: bool) -> Vec<usize> {
        let mut queue: Vec<_> = (0..self.events.len())
            .filter_map(|place| Some((self.events[place].state.ready_since(self.now)?, place)))
            .collect();
        queue.sort_unstable();
        let mut claimed = Vec::new();
        for (_, place) in queue {
            if claimed.len() == events_max {
                break;
            }
            if self.turn(self.events[place].task) != Some(place) {
                continue;
            }
            let event = &self.events[place];
            let lapses = event.lapses + u32::from(event.state.name() == StateName::Claimed);
            let is_suspected = lapses >= LAPSES_SUSPECT;
            if is_suspected && (is_running || !claimed.is_empty()) {
                continue;
            }
            self.grant(place, lapses);
            claimed.push(place);
            if is_suspected {
                break;
            }
        }
        claimed
    }

    /// Returns the event of a task that may be claimed.
    fn turn(&self, task: usize) -> Option<usize> {
        let of_task = |place: &usize| self.events[*place].task == task;
        let places = || (0..self.events.len()).filter(of_task);
        let is_held = |place: usize| matches!(self.events[place].state, State::Claimed(until) if until > self.now);
        if places().any(is_held) {
            return None;
        }
        places()
            .filter(|place| self.events[*place].state.ready_since(self.now).is_some())
            .min_by_key(|place| {
                let event = &self.events[*place];
                let is_lapsed = event.state.name() == StateName::Claimed;
                (!is_lapsed, rank(&event.stage), *place)
            })
    }

    fn grant(&mut self, place: usize, lapses: u32) {
        let event = &mut self.events[place];
        event.state = State::Claimed(self.now + LEASE);
        event.attempts += 1;
        event.lapses = lapses;
        event.latest = Some(self.tickets.len());
        self.tickets.push(place);
        let later = event.clone();
        for other in &mut self.events {
            let waits = other.state.name() == StateName::Waiting;
            if waits && other.task == later.task && later.supersedes(other) {
                other.state = State::Superseded;
            }
        }
    }

    /// Returns the event whose current ticket this is.
    fn held(&mut self, ticket: usize) -> Option<&mut Event> {
        let event = &mut self.events[self.tickets[ticket]];
        let is_claimed = matches!(event.state, State::Claimed(_));
        (is_claimed && event.latest == Some(ticket)).then_some(event)
    }

    /// Whether a claim still holds.
    pub(super) fn holds(&mut self, ticket: usize) -> bool {
        let now = self.now;
        let held = self.held(ticket);
        held.is_some_and(|event| matches!(event.state, State::Claimed(until) if until > now))
    }

    pub(super) fn settle(&mut self, ticket: usize, how: How) -> SettleResult {
        let now = self.now;
        let place = self.tickets[ticket];
        let Some(event) = self.held(ticket) else {
            return match self.events[place].latest == Some(ticket) {
                true => SettleResult::AlreadySettled,
                false => SettleResult::Lost,
            };
        };
        if !matches!(how, How::Release) {
            event.lapses = 0;
        }
        event.state = match how {
            How::Done => State::Done,
            How::Retry { seconds } => State::Waiting(now + seconds),
            How::Dead => State::Dead,
            How::Release => {
                event.attempts -= 1;
                State::Ready(now)
            }
        };
        if event.state == State::Done {
            let done = event.clone();
            for other in &mut self.events {
                let is_open = other.task == done.task && !other.state.is_settled();
                if is_open && done.supersedes(other) {
                    other.state = State::Superseded;
                }
            }
        }
        SettleResult::Settled
    }

    pub(super) fn extend(&mut self, ticket: usize, seconds: u64) -> ExtendResult {
        let now = self.now;
        match self.held(ticket) {
            Some(event) => {
                event.state = State::Claimed(now + seconds);
                ExtendResult::Extended
            }
            None => ExtendResult::Lost,
        }
    }

    pub(super) fn redrive(&mut self, place: usize, redrive: Redrive) -> RedriveResult {
        let event = &self.events[place];
        if !event.state.is_settled() {
            return RedriveResult::NotSettled;
        }
        let is_superseded = self.events.iter().any(|other| {
            other.task == event.task && other.state == State::Done && other.supersedes(event)
        });
        if is_superseded && redrive == Redrive::Current {
            return RedriveResult::Superseded;
        }
        let now = self.now;
        self.events[place].reopen(now);
        RedriveResult::Ready
    }

    pub(super) fn expect(&mut self, task: usize, seconds: u64) {
        if self.expected.iter().all(|expected| expected.task != task) {
            self.expected.push(Expected {
                task,
                since: self.now,
                due: self.now + seconds,
                is_asked: false,
                answers: 0,
            });
        }
    }

    /// Takes the due tasks, and returns them as they were before that.
    pub(super) fn take_due(&mut self) -> Vec<Expected> {
        let now = self.now;
        let tasks = 0..super::operation::TASKS.len();
        let decided: Vec<_> = tasks.filter(|task| self.is_decided(*task)).collect();
        self.expected
            .retain(|expected| expected.due > now || !decided.contains(&expected.task));
        let due = self
            .expected
            .iter_mut()
            .filter(|expected| expected.due <= now);
        due.map(|expected| {
            let taken = *expected;
            (expected.due, expected.is_asked) = (now + LEASE, true);
            taken
        })
        .collect()
    }

    /// Does with a task that was taken what follows.
    pub(super) fn note_polled(&mut self, task: usize, polled: Polled) {
        let now = self.now;
        match polled {
            Polled::Nothing => {}
            Polled::Finished => self.expected.retain(|expected| expected.task != task),
            Polled::Postponed {
                seconds,
                is_answered,
            } => {
                for expected in &mut self.expected {
                    if expected.task == task {
                        (expected.due, expected.is_asked) = (now + seconds, false);
                        expected.answers += u32::from(is_answered);
                    }
                }
            }
        }
    }

    fn is_decided(&self, task: usize) -> bool {
        let of_task = self.events.iter().filter(|event| event.task == task);
        let ends: Vec<_> = of_task.filter(|event| rank(&event.stage) == 3).collect();
        let is_one_stage = ends.windows(2).all(|pair| pair[0].stage == pair[1].stage);
        is_one_stage && ends.iter().any(|event| event.is_shown())
    }

    /// Decides for a terminal stage.
    pub(super) fn decide(&mut self, task: usize, stage: &Stage) -> Decision {
        let of_stage = self.of_stage(task, stage).into_iter();
        let latest = of_stage.max_by_key(|place| {
            let event = &self.events[*place];
            (!event.unconfirmed, event.revision)
        });
        let Some(place) = latest else {
            return Decision::Gone;
        };
        for other in &mut self.events {
            let waits = matches!(other.state, State::Ready(_) | State::Waiting(_));
            let is_last = other.task == task && rank(&other.stage) == 3;
            if other.stage != *stage && is_last && waits {
                other.state = State::Superseded;
            }
        }
        if self.events[place].state != State::Superseded {
            return Decision::Unchanged;
        }
        let now = self.now;
        self.events[place].reopen(now);
        Decision::Ready
    }
}
