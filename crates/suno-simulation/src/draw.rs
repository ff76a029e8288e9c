//! Draws plans from seeds.

use crate::dice::Draw;
use crate::plan::FaultKind::*;
use crate::plan::StageName::*;
use crate::plan::*;

const DAY: Millis = 86_400_000;
/// More often than any handler begins.
const ALWAYS: u32 = u32::MAX;

/// What goes wrong, and the faults that it consists of; their numbers are drawn. In each run, some
/// of it is switched off: where everything goes wrong at once, one fault hides another.
const TROUBLES: [(&str, &[FaultKind]); 17] = [
    ("store errors", &[Refuses, LosesAnswer, LosesAnswer, Full]),
    ("store hangs", &[Hangs, HangsForEver]),
    ("store late", &[Delays(0), CarriesOutLate(0)]),
    ("cut off", &[CutOff]),
    ("deaths", &[Death, DeathAtPoll(0), DeathAfterCommit(0)]),
    ("stops", &[Stop]),
    ("stalls", &[Stall]),
    ("wall steps", &[WallStep(0)]),
    (
        "provider errors",
        &[ProviderRefuses, ProviderAsksForWait(0)],
    ),
    ("provider hangs", &[ProviderHangs]),
    ("network", &[Network, Dependency]),
    ("handlers", &[]),
    ("killers", &[]),
    ("forgery", &[]),
    ("persons", &[]),
    ("purges", &[]),
    ("backlog", &[]),
];

impl Plan {
    /// Draws a plan.
    pub(crate) fn draw(seed: u64, store: StoreKind) -> Self {
        let mut draw = Draw { seed, drawn: 0 };
        // None in a twentieth of the runs, one in a third, and otherwise about a third of them.
        let mut troubles = match draw.range(0, 99) {
            0..5 => Vec::new(),
            5..38 => vec![draw.pick(&TROUBLES)],
            _ => (TROUBLES.into_iter().filter(|_| draw.percent(35))).collect(),
        };
        let has = |name: &str| troubles.iter().any(|(trouble, _)| *trouble == name);
        if store == StoreKind::Sqlite && (has("deaths") || has("stops") || has("killers")) {
            // A process that opens the file takes a step of the clock for time that has passed.
            troubles.retain(|(trouble, _)| *trouble != "wall steps");
        }
        let nodes = draw.pick(&[1, 1, 2, 2, 3]);
        let mut drawing = Drawing {
            draw,
            troubles,
            nodes,
        };
        let knobs = drawing.knobs(store);
        let tasks = drawing.if_has("backlog", (15, 40), (1, 24));
        let tasks: Vec<_> = (0..tasks).map(|_| drawing.task(&knobs)).collect();
        Self {
            seed,
            nodes: (0..nodes).map(|index| drawing.node(index == 0)).collect(),
            faults: drawing.faults(&knobs),
            acts: drawing.acts(&knobs, tasks.len()),
            knobs,
            tasks,
        }
    }
}

struct Drawing {
    draw: Draw,
    troubles: Vec<(&'static str, &'static [FaultKind])>,
    nodes: usize,
}

impl Drawing {
    /// True in `percent` of a hundred cases of runs that have a trouble.
    fn has(&mut self, name: &str, percent: u64) -> bool {
        self.troubles.iter().any(|(trouble, _)| *trouble == name) && self.draw.percent(percent)
    }

    /// A number from the first bounds in runs that have a trouble, and otherwise from the second.
    fn if_has(&mut self, name: &str, bounds: (u64, u64), otherwise: (u64, u64)) -> u64 {
        let percent = u64::from(self.has(name, 100)) * 100;
        self.draw.either(percent, bounds, otherwise)
    }

    fn node(&mut self, is_first: bool) -> NodePlan {
        let is_skewed = self.has("wall steps", 50);
        let step = self.step();
        NodePlan {
            dispatches: is_first || self.draw.percent(70),
            reconciles: is_first || self.draw.percent(50),
            purges: is_first || self.draw.percent(30),
            wall_ms: if is_skewed { step } else { 0 },
        }
    }

    /// How far a wall clock is set.
    fn step(&mut self) -> i64 {
        let far = [2_000, 61_000, 400_000, 3_600_000, DAY, 31 * DAY];
        let far = self.draw.pick(&far).cast_signed();
        if self.draw.percent(50) { far } else { -far }
    }

    fn knobs(&mut self, store: StoreKind) -> Knobs {
        // A day of short leases takes long to simulate, and so does one of a store that is asked
        // each second in vain.
        let one_more_day = !self.has("cut off", 100) && self.draw.percent(20);
        let lease_min = if one_more_day { 60_000 } else { 2_000 };
        let places = self.if_has("backlog", (1, 3), (1, 16));
        let keys_for_ms = self.if_has("purges", (600_000, 7_200_000), (30 * DAY, 30 * DAY));
        let draw = &mut self.draw;
        Knobs {
            store,
            confirm: draw.percent(35),
            lease_ms: draw.magnitude(lease_min, 120_000),
            places,
            handler_timeout_ms: draw.pick(&[600_000, 120_000, 30_000]),
            retry_for_ms: draw.either(2, (DAY, DAY), (120_000, 3_600_000)),
            reconcile_every_ms: draw.magnitude(30_000, 600_000),
            due_after_ms: draw.magnitude(30_000, 300_000),
            keys_for_ms,
            purge_every_ms: draw.magnitude(300_000, 3_600_000),
            op_delay_ms: draw.either(65, (1, 50), (0, 0)),
            noise_percent: draw.either(65, (1, 15), (0, 0)),
            noise_ms: draw.pick(&[0, 0, 1, 5, 20]),
            heal_at_ms: draw.magnitude(60_000, 1_200_000),
            one_more_day,
        }
    }

    fn task(&mut self, knobs: &Knobs) -> TaskPlan {
        let course: &[StageName] = match self.draw.range(0, 19) {
            0..12 => &[Text, First, Complete],
            12..14 => &[Text, Complete],
            14..16 => &[Text, Failed],
            16..18 => &[Failed],
            18 => &[Text, First],
            _ => &[],
        };
        let (mut at, mut stages, mut callbacks) = (0, Vec::new(), Vec::new());
        for stage in course {
            at += self.draw.magnitude(100, 60_000);
            stages.push((at, *stage));
            for copy in 0..self.draw.pick(&[0, 1, 1, 1, 1, 1, 1, 2, 2, 3]) {
                callbacks.push(self.callback(at, *stage, copy));
            }
        }
        if self.has("forgery", 60) {
            callbacks.extend((0..self.draw.range(1, 3)).map(|_| self.forged()));
        }
        let spread = self.draw.pick(&[1_000, 60_000, knobs.heal_at_ms]);
        TaskPlan {
            submit_at_ms: self.draw.range(0, spread.min(knobs.heal_at_ms)),
            submitter: self.draw.place(self.nodes),
            answer_lost: self.draw.percent(10),
            stages,
            callbacks,
            work: self.work(knobs),
        }
    }

    fn callback(&mut self, at: Millis, stage: StageName, copy: u64) -> CallbackPlan {
        let draw = &mut self.draw;
        let late = draw.pick(&[0, 0, 0, 5_000, 100_000]) + copy * draw.pick(&[0, 10, 30_000]);
        let body = draw.pick(&[Body::Renewed, Body::Genuine]);
        CallbackPlan {
            after_ms: at + draw.range(0, 500) + late,
            stage,
            body: if copy > 0 { body } else { Body::Genuine },
            node: draw.place(self.nodes),
            once: draw.percent(20),
        }
    }

    fn forged(&mut self) -> CallbackPlan {
        let draw = &mut self.draw;
        CallbackPlan {
            after_ms: draw.magnitude(10, 120_000),
            stage: draw.pick(&[Text, First, Complete, Complete, Failed, Failed, Other]),
            body: draw.pick(&[Body::Forged, Body::Forged, Body::Garbled, Body::Unsigned]),
            node: draw.place(self.nodes),
            once: true,
        }
    }

    fn work(&mut self, knobs: &Knobs) -> Work {
        let (kills, fails) = (self.has("killers", 10), self.has("handlers", 60));
        let (has_backlog, draw) = (self.has("backlog", 100), &mut self.draw);
        let (times, long) = (draw.pick(&[1, 2, ALWAYS]), draw.magnitude(100, 10_000));
        if kills {
            return Work::KillsProcess(times);
        } else if has_backlog && draw.percent(30) {
            return Work::Fails(draw.pick(&[1, 3]), long);
        } else if has_backlog {
            return Work::Takes(long);
        } else if fails {
            return match draw.range(0, 5) {
                0 => Work::Hangs(times),
                1 => Work::Panics(times),
                2 => Work::GivesUp,
                3 => Work::AsksForWait(draw.pick(&[1, 2, 3]), draw.pick(&[1, 30, 1_000, u64::MAX])),
                _ => Work::Fails(draw.pick(&[1, 5, 12, ALWAYS]), long),
            };
        }
        let longest = knobs.handler_timeout_ms.min(4 * knobs.lease_ms) - 1_000;
        Work::Takes(match draw.percent(40) {
            true => draw.range(1_000, longest),
            false => draw.magnitude(10, 2_000),
        })
    }

    fn faults(&mut self, knobs: &Knobs) -> Vec<Fault> {
        let mut faults = Vec::new();
        for (_, kinds) in self.troubles.clone() {
            for _ in 0..self.draw.range(1, 3) {
                if !kinds.is_empty() && (self.nodes > 1 || !kinds.contains(&CutOff)) {
                    faults.push(self.fault(kinds, knobs));
                }
            }
        }
        faults
    }

    fn fault(&mut self, kinds: &[FaultKind], knobs: &Knobs) -> Fault {
        let (step, nodes, draw) = (self.step(), self.nodes, &mut self.draw);
        let kind = match draw.pick(kinds) {
            Delays(_) => Delays(draw.magnitude(100, 40_000)),
            CarriesOutLate(_) => CarriesOutLate(draw.magnitude(100, 40_000)),
            DeathAtPoll(_) => DeathAtPoll(draw.magnitude(1, 2_000)),
            DeathAfterCommit(_) => DeathAfterCommit(draw.magnitude(1, 30)),
            WallStep(_) => WallStep(step),
            ProviderAsksForWait(_) => ProviderAsksForWait(draw.pick(&[60, 100_000, u64::MAX])),
            kind => kind,
        };
        let of_all = kind.is_of_store() && draw.percent(60);
        let of_leases = (knobs.lease_ms / 2, 4 * knobs.lease_ms);
        Fault {
            at_ms: draw.magnitude(1_000, knobs.heal_at_ms),
            for_ms: draw.either(50, of_leases, (200, knobs.heal_at_ms)),
            node: match kind {
                CutOff => Some(nodes - 1),
                ProviderRefuses | ProviderHangs | ProviderAsksForWait(_) | Dependency => None,
                _ => (!of_all).then_some(draw.place(nodes)),
            },
            percent: draw.pick(&[10, 40, 100]),
            kind,
        }
    }

    fn acts(&mut self, knobs: &Knobs, tasks: usize) -> Vec<Act> {
        use ActKind::{Decide, Redrive, RedriveEvenIfSuperseded, RequeueQuarantine};
        let acts = self.if_has("persons", (1, 6), (0, 0));
        let act = |_| Act {
            at_ms: self.draw.range(1_000, 2 * knobs.heal_at_ms),
            task: self.draw.place(tasks),
            stage: self.draw.pick(&[Text, First, Complete, Failed]),
            kind: (self.draw).pick(&[
                Redrive,
                Redrive,
                RedriveEvenIfSuperseded,
                Decide,
                RequeueQuarantine,
            ]),
        };
        (0..acts).map(act).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_draws_one_plan_which_is_read_as_it_is_written() {
        for seed in 0..50 {
            let plan = Plan::draw(seed, StoreKind::Memory);
            let text = serde_json::to_string(&plan).unwrap();
            assert_eq!(plan, serde_json::from_str(&text).unwrap());
            assert_eq!(plan, Plan::draw(seed, StoreKind::Memory));
            assert_ne!(plan, Plan::draw(seed + 1, StoreKind::Memory));
        }
    }
}
