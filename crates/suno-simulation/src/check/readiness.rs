//! Checks promptness and order: how long ready events wait for a claim.

use super::*;

/// The maximum time that a ready event waits for a healthy process with a free slot.
const PROMPT: Millis = 1_000;
/// The time that processes need after a fault: the time-out of the store and the pause after it.
const RECOVERY: Millis = 13_000;
/// The maximum time that a process waits for a store that does not report that there is something
/// to claim.
const HANGING: Millis = 60_000;

impl Checker {
    /// Records entries that may excuse a wait.
    pub(super) fn take_world(&mut self, entry: &Entry) {
        let mut excused_until = entry.at;
        match &entry.what {
            What::Begins(FaultKind::CutOff) | What::Died(_) | What::Stopping => {
                self.running.retain(|by| Some(*by) != entry.by);
            }
            What::Started => self.running.extend(entry.by),
            What::Begins(kind) if kind.holds_up() => self.faults += 1,
            What::Ends(kind) if kind.holds_up() => self.faults -= 1,
            What::OperationFails("wait", FaultKind::StoreFull | FaultKind::LosesAnswer) => {}
            What::OperationFails("wait", _) => excused_until += HANGING,
            What::OperationFails(..) | What::Redriven(..) => {}
            What::Granted(..) | What::Settled(..) => {
                if !self.has_free_place() || self.has_suspect() {
                    self.full_until = entry.at;
                }
                return;
            }
            _ => return,
        }
        self.excuse_until(excused_until);
    }

    fn excuse_until(&mut self, until: Millis) {
        self.excused_until = until.max(self.excused_until);
    }

    fn has_free_place(&self) -> bool {
        // A handler ends shortly after its lease.
        let now = self.at.saturating_sub(self.plan.knobs.noise_ms);
        let leases = self.events.values().filter_map(|event| event.lease);
        let held: Vec<_> = leases.filter(|lease| lease.until >= now).collect();
        self.running.iter().any(|by| {
            let its = held.iter().filter(|lease| lease.by == *by).count() as u64;
            its < self.plan.knobs.handlers_max && self.plan.nodes[by.0].dispatches
        })
    }

    /// A suspected event makes others wait.
    fn has_suspect(&self) -> bool {
        self.events.values().any(|event| {
            let lapses = event.shown.lapses + u32::from(event.lease.is_some());
            is_open(event.shown.state) && event.shown.lapses > 0 && lapses >= LAPSES_SUSPECT
        })
    }

    pub(super) fn is_prompt(&mut self, event: EventId, key: Key) {
        let at = self.at;
        let event = self.events.get(&event);
        let ready_at = event.filter(|event| event.is_claimable(at));
        let latest = &mut self.granted_ready_at;
        *latest = ready_at.map(|event| event.ready_first_at).max(*latest);
        if self.faults > 0 || self.has_suspect() {
            self.excuse_until(at);
            self.exempt("E3: something is wrong");
        } else if let Some(event) = event {
            let recovered_at = match self.excused_until {
                0 => 0,
                until => until + RECOVERY,
            };
            let since = (event.ready_at.max(self.tasks[key.task].free_since))
                .max(self.full_until)
                .max(recovered_at);
            let (waited, text) = (at.saturating_sub(since), "while a slot was free");
            let is_prompt =
                waited <= PROMPT + 8 * (self.plan.knobs.op_delay_ms + self.plan.knobs.noise_ms);
            promise!(self, E3: is_prompt, "{key:?} was ready for {waited} ms {text}");
        }
    }

    /// At the end of a request, all remaining events became ready later than those that were
    /// granted.
    pub(super) fn claimed(&mut self) {
        let at = self.at;
        let Some(granted) = self.granted_ready_at.take() else {
            return;
        };
        if self.has_suspect() {
            self.exempt("E4: an event is suspected");
            return;
        }
        let is_passed = |(id, event): &(&EventId, &Event)| {
            let is_left = event.is_claimable(at) && event.ready_at < granted;
            is_left && self.is_its_turn(at, **id, event)
        };
        if let Some((_, event)) = self.events.iter().find(is_passed) {
            let (key, ready) = (event.key, event.ready_at);
            promise!(self, E4: false, "{key:?}, ready since {ready}, waits for one of {granted}");
        }
    }

    /// Whether an event is the first of its task, and no claim of the task blocks it.
    fn is_its_turn(&self, at: Millis, id: EventId, event: &Event) -> bool {
        let place = |id: EventId, event: &Event| (event.key.stage.stage().rank(), id);
        let mut events = self.events.iter();
        events.all(|(other_id, other)| {
            let is_before = place(*other_id, other) < place(id, event);
            other.key.task != event.key.task
                || other.lease.is_none()
                    && other.shown.lapses == 0
                    && !(is_before && other.is_claimable(at))
        })
    }
}

impl Event {
    pub(super) fn is_held(&self, at: Millis) -> bool {
        self.lease.is_some_and(|lease| lease.until > at)
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
