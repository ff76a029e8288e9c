//! Draws plans from seeds.

use crate::history::dice;
use crate::plan::FaultKind::*;
use crate::plan::StageName::*;
use crate::plan::*;

const DAY: Millis = 86_400_000;
const ALWAYS: u32 = u32::MAX;

/// Kinds of trouble, with the faults that they consist of; the number of each is drawn. Each run
/// disables some of them: if everything goes wrong at once, one fault hides another.
const TROUBLES: [(&str, &[FaultKind]); 17] = [
    (
        "store errors",
        &[Refuses, LosesAnswer, LosesAnswer, StoreFull],
    ),
    ("store hangs", &[Hangs, HangsForEver]),
    ("store late", &[Delays(0), CarriesOutLate(0)]),
    ("cut off", &[CutOff]),
    ("deaths", &[Death, DeathAtPoll(0), DeathAfterCommit(0)]),
    ("stops", &[Stop]),
    ("stalls", &[Stall]),
    ("wall steps", &[WallStep(0)]),
    ("provider waits", &[ProviderAsksForWait(0), Dependency]),
    ("provider", &[ProviderRefuses, ProviderHangs]),
    ("network", &[Network]),
    ("handlers", &[]),
    ("killers", &[]),
    ("forgery", &[]),
    ("persons", &[]),
    ("purges", &[]),
    ("backlog", &[]),
];

impl Plan {
    pub(crate) fn draw(seed: u64, store: StoreKind) -> Self {
        let mut draw = Draw {
            seed,
            ..Draw::default()
        };
        // None in a twentieth of the runs, one in a third, and about a third of them otherwise.
        let mut troubles = match draw.range(0, 99) {
            0..5 => Vec::new(),
            5..38 => vec![draw.pick(&TROUBLES)],
            _ => (TROUBLES.into_iter().filter(|_| draw.percent(35))).collect(),
        };
        draw.nodes = draw.pick(&[1, 1, 2, 2, 3]);
        let has = |name: &str| troubles.iter().any(|(trouble, _)| *trouble == name);
        if store != StoreKind::Memory && (has("deaths") || has("stops") || has("killers")) {
            // A process that opens the store takes a change of the clock for elapsed time.
            troubles.retain(|(trouble, _)| *trouble != "wall steps");
        }
        draw.troubles = troubles;
        let knobs = draw.knobs(store);
        let tasks = draw.if_has("backlog", (15, 40), (1, 24));
        let tasks: Vec<_> = (0..tasks).map(|_| draw.task(&knobs)).collect();
        Self {
            seed,
            nodes: (0..draw.nodes).map(|index| draw.node(index == 0)).collect(),
            faults: draw.faults(&knobs),
            acts: draw.acts(&knobs, tasks.len()),
            knobs,
            tasks,
        }
    }
}

/// A stream of random numbers from which a plan is drawn.
#[derive(Default)]
struct Draw {
    seed: u64,
    drawn: u64,
    troubles: Vec<(&'static str, &'static [FaultKind])>,
    nodes: usize,
}

impl Draw {
    /// Returns a number from `low` to `high`, both included.
    fn range(&mut self, low: u64, high: u64) -> u64 {
        self.drawn += 1;
        low + dice(self.seed, "plan", [self.drawn, 0]) % (high - low + 1)
    }

    /// Returns a number from `low` to `high` whose magnitude is uniform, so that small numbers are
    /// as frequent as large ones.
    fn magnitude(&mut self, low: u64, high: u64) -> u64 {
        if low == high {
            return low;
        }
        let base = low << self.range(0, u64::from((high / low).ilog2()));
        self.range(base, high.min(2 * base - 1))
    }

    /// Returns a magnitude from the first bounds in `percent` of a hundred cases, or else from the
    /// second.
    fn either(&mut self, percent: u64, bounds: (u64, u64), others: (u64, u64)) -> u64 {
        let (low, high) = [others, bounds][usize::from(self.percent(percent))];
        self.magnitude(low, high)
    }

    fn percent(&mut self, percent: u64) -> bool {
        self.range(0, 99) < percent
    }

    fn place(&mut self, length: usize) -> usize {
        usize::try_from(self.range(1, length as u64) - 1).unwrap_or_default()
    }

    fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.place(of.len())]
    }

    /// Returns true in `percent` of a hundred cases, if the run has a trouble.
    fn has(&mut self, name: &str, percent: u64) -> bool {
        self.troubles.iter().any(|(trouble, _)| *trouble == name) && self.percent(percent)
    }

    /// Returns a magnitude from the first bounds if the run has a trouble, or else from the second.
    fn if_has(&mut self, name: &str, bounds: (u64, u64), others: (u64, u64)) -> u64 {
        let percent = u64::from(self.has(name, 100)) * 100;
        self.either(percent, bounds, others)
    }

    fn node(&mut self, is_first: bool) -> NodePlan {
        let ahead = [0, self.step()];
        NodePlan {
            dispatches: is_first || self.percent(70),
            reconciles: is_first || self.percent(50),
            purges: is_first || self.percent(30),
            wall_ms: ahead[usize::from(self.has("wall steps", 50))],
        }
    }

    fn step(&mut self) -> i64 {
        let far = [2_000, 61_000, 400_000, 3_600_000, DAY, 31 * DAY];
        let far = self.pick(&far).cast_signed();
        if self.percent(50) { far } else { -far }
    }

    fn knobs(&mut self, store: StoreKind) -> Knobs {
        // A day of short leases takes long to simulate, and so does a day of polling an empty store
        // each second.
        let one_more_day = !self.has("cut off", 100) && self.percent(20);
        // Each operation of a server takes real milliseconds.
        let one_more_day = one_more_day && store != StoreKind::Postgres;
        let lease_min = if one_more_day { 60_000 } else { 2_000 };
        Knobs {
            store,
            confirm: self.percent(35),
            lease_ms: self.magnitude(lease_min, 120_000),
            handlers_max: self.if_has("backlog", (1, 3), (1, 16)),
            handler_timeout_ms: self.pick(&[600_000, 120_000, 30_000]),
            retry_for_ms: self.either(2, (DAY, DAY), (120_000, 3_600_000)),
            reconcile_every_ms: self.magnitude(30_000, 600_000),
            due_after_ms: self.magnitude(30_000, 300_000),
            keys_for_ms: self.if_has("purges", (600_000, 7_200_000), (30 * DAY, 30 * DAY)),
            purge_every_ms: self.magnitude(300_000, 3_600_000),
            op_delay_ms: self.either(65, (1, 50), (0, 0)),
            noise_percent: self.either(65, (1, 15), (0, 0)),
            noise_ms: self.pick(&[0, 0, 1, 5, 20]),
            heal_at_ms: self.magnitude(60_000, 1_200_000),
            one_more_day,
        }
    }

    fn task(&mut self, knobs: &Knobs) -> TaskPlan {
        let course: &[StageName] = match self.range(0, 19) {
            0..12 => &[Text, First, Complete],
            12..14 => &[Text, Complete],
            14..16 => &[Text, Failed],
            16..18 => &[Failed],
            18 => &[Text, First],
            _ => &[],
        };
        let (mut at, mut stages, mut callbacks) = (0, Vec::new(), Vec::new());
        for stage in course {
            at += self.magnitude(100, 60_000);
            stages.push((at, *stage));
            for copy in 0..self.pick(&[0, 1, 1, 1, 1, 1, 1, 2, 2, 3]) {
                callbacks.push(self.callback(at, *stage, copy));
            }
        }
        if self.has("forgery", 60) {
            callbacks.extend((0..self.range(1, 3)).map(|_| self.forged()));
        }
        let fuller_at_ms = (course.last() == Some(&Complete) && self.percent(25))
            .then(|| at + self.magnitude(10, 100_000));
        if let Some(at) = fuller_at_ms {
            for copy in 0..self.pick(&[0, 1, 1, 2]) {
                let body = Body::Fuller;
                let callback = self.callback(at, Complete, copy);
                callbacks.push(CallbackPlan { body, ..callback });
            }
        }
        let spread = self.pick(&[1_000, 60_000, knobs.heal_at_ms]);
        TaskPlan {
            submit_at_ms: self.range(0, spread.min(knobs.heal_at_ms)),
            submitter: self.place(self.nodes),
            answer_lost: self.percent(10),
            stages,
            callbacks,
            work: self.work(knobs),
            fuller_at_ms,
        }
    }

    fn callback(&mut self, at: Millis, stage: StageName, copy: u64) -> CallbackPlan {
        let late = self.pick(&[0, 0, 0, 5_000, 100_000]) + copy * self.pick(&[0, 10, 30_000]);
        let body = self.pick(&[Body::Renewed, Body::Genuine]);
        CallbackPlan {
            after_ms: at + self.range(0, 500) + late,
            stage,
            body: if copy > 0 { body } else { Body::Genuine },
            node: self.place(self.nodes),
            once: self.percent(20),
        }
    }

    fn forged(&mut self) -> CallbackPlan {
        CallbackPlan {
            after_ms: self.magnitude(10, 120_000),
            stage: self.pick(&[Text, First, Complete, Complete, Failed, Failed, Other]),
            body: self.pick(&[
                Body::Forged,
                Body::Forged,
                Body::ForgedFuller,
                Body::Garbled,
                Body::Unsigned,
            ]),
            node: self.place(self.nodes),
            once: true,
        }
    }

    fn work(&mut self, knobs: &Knobs) -> Work {
        let (kills, fails) = (self.has("killers", 10), self.has("handlers", 60));
        let has_backlog = self.has("backlog", 100);
        let (times, long) = (self.pick(&[1, 2, ALWAYS]), self.magnitude(100, 10_000));
        if kills {
            return Work::KillsProcess(times);
        } else if has_backlog && self.percent(30) {
            return Work::Fails(self.pick(&[1, 3]), long);
        } else if has_backlog {
            return Work::Takes(long);
        } else if fails {
            return match self.range(0, 6) {
                0 => Work::Hangs(times),
                1 => Work::Panics(times),
                2 => Work::GivesUp,
                3 => Work::AsksForWait(self.pick(&[1, 2, 3]), self.pick(&[1, 30, 1_000, u64::MAX])),
                4 => Work::CannotTake(self.pick(&[1, 3, 30])),
                _ => Work::Fails(self.pick(&[1, 5, 12, ALWAYS]), long),
            };
        }
        let longest = knobs.handler_timeout_ms.min(4 * knobs.lease_ms) - 1_000;
        Work::Takes(match self.percent(40) {
            true => self.range(1_000, longest),
            false => self.magnitude(10, 2_000),
        })
    }

    fn faults(&mut self, knobs: &Knobs) -> Vec<Fault> {
        let mut faults = Vec::new();
        for (_, kinds) in self.troubles.clone() {
            for _ in 0..self.range(1, 3) {
                if !kinds.is_empty() && (self.nodes > 1 || !kinds.contains(&CutOff)) {
                    faults.push(self.fault(kinds, knobs));
                }
            }
        }
        faults
    }

    fn fault(&mut self, kinds: &[FaultKind], knobs: &Knobs) -> Fault {
        let (step, nodes) = (self.step(), self.nodes);
        let kind = match self.pick(kinds) {
            Delays(_) => Delays(self.magnitude(100, 40_000)),
            CarriesOutLate(_) => CarriesOutLate(self.magnitude(100, 40_000)),
            DeathAtPoll(_) => DeathAtPoll(self.magnitude(1, 2_000)),
            DeathAfterCommit(_) => DeathAfterCommit(self.magnitude(1, 30)),
            WallStep(_) => WallStep(step),
            ProviderAsksForWait(_) => ProviderAsksForWait(self.pick(&[60, 100_000, u64::MAX])),
            kind => kind,
        };
        let of_all = kind.is_of_store() && self.percent(60);
        let of_leases = (knobs.lease_ms / 2, 4 * knobs.lease_ms);
        Fault {
            at_ms: self.magnitude(1_000, knobs.heal_at_ms),
            for_ms: self.either(50, of_leases, (200, knobs.heal_at_ms)),
            node: match kind {
                CutOff => Some(nodes - 1),
                ProviderRefuses | ProviderHangs | ProviderAsksForWait(_) | Dependency => None,
                _ => (!of_all).then_some(self.place(nodes)),
            },
            percent: self.pick(&[10, 40, 100]),
            kind,
        }
    }

    fn acts(&mut self, knobs: &Knobs, tasks: usize) -> Vec<Act> {
        use ActKind::{Decide, Redrive, RedriveSuperseded, Requeue};
        let acts = self.if_has("persons", (1, 6), (0, 0));
        let act = |_| Act {
            at_ms: self.range(1_000, 2 * knobs.heal_at_ms),
            task: self.place(tasks),
            stage: self.pick(&[Text, First, Complete, Failed]),
            kind: self.pick(&[Redrive, Redrive, RedriveSuperseded, Decide, Requeue]),
        };
        (0..acts).map(act).collect()
    }
}
