//! Promptness and order: how long what is ready waits for a claim.

use suno_callback::StateName;

use super::{Checker, Event, is_open};
use crate::history::{Entry, EventNumber, Grant, Row, Violation, What};
use crate::plan::{Millis, Plan};
use suno_callback::bounds::LAPSES_SUSPECT;

/// How long a ready event waits for a healthy process that has a free place.
const PROMPT: Millis = 1_000;
/// How long processes need after a fault: the time-out of the store and the pause after it.
const RECOVERY: Millis = 13_000;
/// How long a process waits at most for a store that does not say that there is something to claim.
const HANGING: Millis = 60_000;

/// What excuses that an event has to wait.
#[derive(Debug)]
pub(super) struct Readiness {
    /// How many faults are going on.
    faults: i64,
    /// Until when something was wrong.
    excused_until: Millis,
    /// Until when no healthy node had a free place.
    full_until: Millis,
    /// The nodes that run now, each with how often it was started.
    nodes: Vec<Option<u32>>,
    /// The latest moment since which an event of the present request was ready.
    granted_ready_at: Option<Millis>,
    slack: Millis,
}

impl Readiness {
    pub(super) fn new(plan: &Plan) -> Self {
        Self {
            faults: 0,
            excused_until: 0,
            full_until: 0,
            nodes: vec![None; plan.nodes.len()],
            granted_ready_at: None,
            slack: PROMPT + 8 * (plan.knobs.op_delay_ms + plan.knobs.noise_ms),
        }
    }
}

impl Checker {
    /// Takes in what may excuse a wait.
    pub(super) fn take_world(&mut self, entry: &Entry) {
        let change = match &entry.what {
            What::Fault(_) | What::Stalled => 1,
            What::Healed(_) | What::Resumed => -1,
            What::Started
            | What::Died(_)
            | What::Stopping
            | What::CutOff
            | What::OperationFails { .. }
            | What::Redriven { .. } => 0,
            What::Granted(_) | What::Settled { .. } => {
                if !self.has_free_place(entry.at) || self.has_suspect() {
                    self.readiness.full_until = entry.at;
                }
                return;
            }
            _ => return,
        };
        if let Some((node, life)) = entry.by {
            match entry.what {
                What::Started => self.readiness.nodes[node] = Some(life),
                What::Died(_) | What::Stopping | What::CutOff => self.readiness.nodes[node] = None,
                _ => {}
            }
        }
        self.readiness.faults += change;
        let hangs = matches!(
            entry.what,
            What::OperationFails { operation: "wait", how } if how.starts_with("an operation")
        );
        let until = entry.at + if hangs { HANGING } else { 0 };
        self.readiness.excused_until = until.max(self.readiness.excused_until);
    }

    fn has_free_place(&self, at: Millis) -> bool {
        let places = usize::try_from(self.plan.knobs.places).unwrap_or(usize::MAX);
        self.readiness.nodes.iter().enumerate().any(|(node, life)| {
            let is_its = |event: &&Event| {
                event.claim.is_some_and(|claim| {
                    Some(claim.by) == life.map(|life| (node, life)) && claim.until > at
                })
            };
            let claims = self.events.values().filter(is_its).count();
            life.is_some() && self.plan.nodes[node].dispatches && claims < places
        })
    }

    /// An event that is suspected of ending its process makes others wait.
    fn has_suspect(&self) -> bool {
        self.events.values().any(|event| {
            let lapses = event.lapses + u32::from(event.claim.is_some());
            is_open(event.shown.state) && event.lapses > 0 && lapses >= LAPSES_SUSPECT
        })
    }

    pub(super) fn is_prompt(&mut self, at: Millis, grant: &Grant) -> Result<(), Violation> {
        let event = self.events.get(&grant.ticket.event);
        let ready_at = event
            .filter(|event| event.is_claimable(at))
            .map(|event| event.ready_first_at);
        let latest = &mut self.readiness.granted_ready_at;
        *latest = ready_at.max(*latest);
        if self.readiness.faults > 0 || self.has_suspect() {
            self.readiness.excused_until = at.max(self.readiness.excused_until);
            self.coverage.exempt("E3: something is wrong");
            return Ok(());
        }
        let Some(event) = self.events.get(&grant.ticket.event) else {
            return Ok(());
        };
        let since = event
            .ready_at
            .max(self.tasks[grant.task].free_since)
            .max(self.readiness.full_until)
            .max(self.recovered_at());
        let waited = at.saturating_sub(since);
        if waited > self.readiness.slack {
            let text = format!(
                "task {} {:?} was ready for {waited} ms while a place was free",
                grant.task, grant.stage
            );
            return Err(Violation::new(Row::E3, text));
        }
        Ok(())
    }

    fn recovered_at(&self) -> Millis {
        match self.readiness.excused_until {
            0 => 0,
            until => until + RECOVERY,
        }
    }

    /// The end of a request: whatever is left was ready later than what was granted.
    pub(super) fn claimed(&mut self, at: Millis) -> Result<(), Violation> {
        let Some(granted_ready_at) = self.readiness.granted_ready_at.take() else {
            return Ok(());
        };
        if self.has_suspect() {
            self.coverage.exempt("E4: an event is suspected");
            return Ok(());
        }
        for (number, event) in &self.events {
            let is_left = event.is_claimable(at) && event.ready_at < granted_ready_at;
            if is_left && self.is_its_turn(at, *number, event) {
                let text = format!(
                    "task {} {:?} is ready since {} and was passed over for one that is since {granted_ready_at}",
                    event.task, event.stage, event.ready_at
                );
                return Err(Violation::new(Row::E4, text));
            }
        }
        Ok(())
    }
}

impl Checker {
    /// True if an event is the first of its task, and no claim of the task stands in its way.
    fn is_its_turn(&self, at: Millis, number: EventNumber, event: &Event) -> bool {
        let place = |number: EventNumber, event: &Event| (event.stage.stage().rank(), number);
        let mut of_task = self
            .events
            .iter()
            .filter(|(_, other)| other.task == event.task);
        of_task.all(|(other_number, other)| {
            let is_before = place(*other_number, other) < place(number, event);
            other.claim.is_none() && other.lapses == 0 && !(is_before && other.is_claimable(at))
        })
    }
}

impl Event {
    fn is_held(&self, at: Millis) -> bool {
        self.claim.is_some_and(|claim| claim.until > at)
    }

    fn is_claimable(&self, at: Millis) -> bool {
        match self.shown.state {
            StateName::Ready => true,
            StateName::Waiting => self.ready_at <= at,
            StateName::Claimed => !self.is_held(at) && self.ready_at <= at,
            _ => false,
        }
    }
}
