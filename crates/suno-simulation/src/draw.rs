//! Draws plans from seeds.

use crate::dice::Draw;
use crate::plan::{
    Act, ActKind, Body, CallbackPlan, Fault, FaultKind, Knobs, Millis, NodePlan, Plan, StageName,
    StoreKind, TaskPlan, Work,
};
use FaultKind::{
    CarriesOutLate, CutOff, Death, DeathAfterCommit, DeathAtPoll, Delays, Dependency, Full, Hangs,
    HangsForEver, LosesAnswer, Network, ProviderAsksForWait, ProviderHangs, ProviderRefuses,
    Refuses, Stall, Stop, WallStep,
};
use StageName::{Complete, Failed, First, Other, Text};

const DAY: Millis = 86_400_000;

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
        "provider",
        &[ProviderRefuses, ProviderHangs, ProviderAsksForWait(0)],
    ),
    ("dependency", &[Dependency]),
    ("network", &[Network]),
    ("handlers", &[]),
    ("killers", &[]),
    ("forgery", &[]),
    ("persons", &[]),
    ("purges", &[]),
    ("backlog", &[]),
];

impl Plan {
    /// Draws a plan.
    #[must_use]
    pub fn draw(seed: u64, store: StoreKind) -> Self {
        let mut draw = Draw::new(seed);
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
        let mut drawing = Drawing { draw, troubles };
        let nodes = drawing.nodes();
        let knobs = drawing.knobs(store);
        let tasks = drawing.tasks(&knobs, nodes.len());
        Self {
            seed,
            faults: drawing.faults(&knobs, nodes.len()),
            acts: drawing.acts(&knobs, tasks.len()),
            knobs,
            nodes,
            tasks,
        }
    }
}

struct Drawing {
    draw: Draw,
    troubles: Vec<(&'static str, &'static [FaultKind])>,
}

impl Drawing {
    fn has(&self, name: &str) -> bool {
        self.troubles.iter().any(|(trouble, _)| *trouble == name)
    }

    /// True in `percent` of a hundred cases of runs that have a trouble.
    fn has_now(&mut self, name: &str, percent: u64) -> bool {
        self.has(name) && self.draw.percent(percent)
    }

    fn nodes(&mut self) -> Vec<NodePlan> {
        let nodes = self.draw.pick(&[1, 1, 2, 2, 3]);
        let node = |index| NodePlan {
            dispatches: index == 0 || self.draw.percent(70),
            reconciles: index == 0 || self.draw.percent(50),
            purges: index == 0 || self.draw.percent(30),
            wall_ms: if self.has_now("wall steps", 50) {
                self.step()
            } else {
                0
            },
        };
        (0..nodes).map(node).collect()
    }

    /// How far a wall clock is set.
    fn step(&mut self) -> i64 {
        let far = [2_000, 61_000, 400_000, 3_600_000, DAY, 31 * DAY];
        let far = self.draw.pick(&far).cast_signed();
        if self.draw.percent(50) { far } else { -far }
    }

    fn knobs(&mut self, store: StoreKind) -> Knobs {
        let [is_cut_off, has_backlog, has_purges] =
            ["cut off", "backlog", "purges"].map(|name| self.has(name));
        let draw = &mut self.draw;
        // A day of short leases takes long to simulate, and so does one of a store that is asked
        // each second in vain.
        let one_more_day = draw.percent(20) && !is_cut_off;
        let lease_min = if one_more_day { 60_000 } else { 2_000 };
        let keys_for = if has_purges {
            (600_000, 7_200_000)
        } else {
            (30 * DAY, 30 * DAY)
        };
        Knobs {
            store,
            one_more_day,
            lease_ms: draw.magnitude(lease_min, 120_000),
            op_delay_ms: if draw.percent(65) {
                draw.magnitude(1, 50)
            } else {
                0
            },
            noise_percent: if draw.percent(65) {
                draw.range(1, 15)
            } else {
                0
            },
            noise_ms: draw.pick(&[0, 0, 1, 5, 20]),
            retry_for_ms: if draw.percent(2) {
                DAY
            } else {
                draw.magnitude(120_000, 3_600_000)
            },
            confirm: draw.percent(35),
            places: draw.pick(if has_backlog {
                &[1, 2, 3]
            } else {
                &[1, 1, 2, 3, 4, 6, 9, 12, 16]
            }),
            handler_timeout_ms: draw.pick(&[600_000, 120_000, 30_000]),
            reconcile_ms: draw.magnitude(30_000, 600_000),
            due_after_ms: draw.magnitude(30_000, 300_000),
            keys_for_ms: draw.magnitude(keys_for.0, keys_for.1),
            purge_every_ms: draw.magnitude(300_000, 3_600_000),
            heal_at_ms: draw.magnitude(60_000, 1_200_000),
        }
    }

    fn tasks(&mut self, knobs: &Knobs, nodes: usize) -> Vec<TaskPlan> {
        let has_backlog = self.has("backlog");
        let draw = &mut self.draw;
        let tasks = if has_backlog {
            draw.range(15, 40)
        } else {
            draw.magnitude(1, 24)
        };
        (0..tasks).map(|_| self.task(knobs, nodes)).collect()
    }

    fn task(&mut self, knobs: &Knobs, nodes: usize) -> TaskPlan {
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
                callbacks.push(self.callback(at, *stage, copy, nodes));
            }
        }
        if self.has_now("forgery", 60) {
            callbacks.extend((0..self.draw.range(1, 3)).map(|_| self.forged(nodes)));
        }
        let spread = self.draw.pick(&[1_000, 60_000, knobs.heal_at_ms]);
        TaskPlan {
            submit_at_ms: self.draw.range(0, spread.min(knobs.heal_at_ms)),
            submitter: self.draw.place(nodes),
            answer_lost: self.draw.percent(10),
            stages,
            callbacks,
            work: self.work(knobs),
        }
    }

    fn callback(&mut self, at: Millis, stage: StageName, copy: u64, nodes: usize) -> CallbackPlan {
        let draw = &mut self.draw;
        let late = draw.pick(&[0, 0, 0, 5_000, 100_000]) + copy * draw.pick(&[0, 10, 30_000]);
        let is_renewed = copy > 0 && draw.percent(50);
        CallbackPlan {
            after_ms: at + draw.range(0, 500) + late,
            stage,
            body: if is_renewed {
                Body::Renewed
            } else {
                Body::Genuine
            },
            node: draw.place(nodes),
            once: draw.percent(20),
        }
    }

    fn forged(&mut self, nodes: usize) -> CallbackPlan {
        let draw = &mut self.draw;
        CallbackPlan {
            after_ms: draw.magnitude(10, 120_000),
            stage: draw.pick(&[Text, First, Complete, Complete, Failed, Failed, Other]),
            body: draw.pick(&[Body::Forged, Body::Forged, Body::Garbled, Body::Unsigned]),
            node: draw.place(nodes),
            once: true,
        }
    }

    fn work(&mut self, knobs: &Knobs) -> Work {
        const ALWAYS: u32 = u32::MAX;
        if self.has_now("killers", 10) {
            return Work::Kills(self.draw.pick(&[1, 2, ALWAYS]));
        }
        let (has_backlog, fails) = (self.has("backlog"), self.has_now("handlers", 60));
        let draw = &mut self.draw;
        let (long, wait) = (
            draw.magnitude(10, 10_000),
            draw.pick(&[1, 30, 1_000, u64::MAX]),
        );
        if has_backlog && draw.percent(30) {
            return Work::Fails(draw.pick(&[1, 3]), long.max(100));
        } else if has_backlog {
            return Work::Takes(long.max(100));
        } else if fails {
            return match draw.range(0, 5) {
                0 => Work::Hangs(draw.pick(&[1, 2, ALWAYS])),
                1 => Work::Panics(draw.pick(&[1, 3, ALWAYS])),
                2 => Work::GivesUp,
                3 => Work::AsksForWait(draw.pick(&[1, 2, 3]), wait),
                _ => Work::Fails(draw.pick(&[1, 5, 12, ALWAYS]), long),
            };
        }
        let longest = knobs.handler_timeout_ms.min(4 * knobs.lease_ms) - 1_000;
        let is_long = draw.percent(40);
        let (low, high) = if is_long {
            (1_000, longest.max(1_001))
        } else {
            (10, 2_000)
        };
        Work::Takes(if is_long {
            draw.range(low, high)
        } else {
            draw.magnitude(low, high)
        })
    }

    fn faults(&mut self, knobs: &Knobs, nodes: usize) -> Vec<Fault> {
        let mut faults = Vec::new();
        for (_, kinds) in self.troubles.clone() {
            for _ in 0..self.draw.range(1, 3) {
                if !kinds.is_empty() && (nodes > 1 || !kinds.contains(&CutOff)) {
                    faults.push(self.fault(kinds, knobs, nodes));
                }
            }
        }
        faults
    }

    fn fault(&mut self, kinds: &[FaultKind], knobs: &Knobs, nodes: usize) -> Fault {
        let step = self.step();
        let draw = &mut self.draw;
        let kind = match draw.pick(kinds) {
            Delays(_) => Delays(draw.magnitude(100, 40_000)),
            CarriesOutLate(_) => CarriesOutLate(draw.magnitude(100, 40_000)),
            DeathAtPoll(_) => DeathAtPoll(draw.magnitude(1, 2_000)),
            DeathAfterCommit(_) => DeathAfterCommit(draw.magnitude(1, 30)),
            WallStep(_) => WallStep(step),
            ProviderAsksForWait(_) => ProviderAsksForWait(draw.pick(&[1, 60, 100_000, u64::MAX])),
            kind => kind,
        };
        let (lease_ms, is_short) = (knobs.lease_ms, draw.percent(50));
        let short = draw.range(lease_ms / 2, 4 * lease_ms);
        let (place, is_of_all) = (draw.place(nodes), draw.percent(60));
        Fault {
            at_ms: draw.magnitude(1_000, knobs.heal_at_ms),
            for_ms: if is_short {
                short
            } else {
                draw.magnitude(200, knobs.heal_at_ms)
            },
            node: match kind {
                CutOff => Some(nodes - 1),
                ProviderRefuses | ProviderHangs | ProviderAsksForWait(_) | Dependency => None,
                kind => (!(is_of_all && kind.is_of_store())).then_some(place),
            },
            percent: match kind {
                Hangs | HangsForEver => draw.pick(&[5, 30, 100]),
                _ => draw.pick(&[10, 50, 100]),
            },
            kind,
        }
    }

    fn acts(&mut self, knobs: &Knobs, tasks: usize) -> Vec<Act> {
        use ActKind::{Decide, Redrive, RedriveEvenIfSuperseded, Requeue};
        let acts = if self.has("persons") {
            self.draw.range(1, 6)
        } else {
            0
        };
        let kinds = [Redrive, Redrive, RedriveEvenIfSuperseded, Decide, Requeue];
        let act = |_| Act {
            at_ms: self.draw.range(1_000, 2 * knobs.heal_at_ms),
            task: self.draw.place(tasks),
            stage: self.draw.pick(&[Text, First, Complete, Failed]),
            kind: self.draw.pick(&kinds),
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
            assert_eq!(plan, Plan::draw(seed, StoreKind::Memory));
            assert_eq!(plan, serde_json::from_str(&text).unwrap());
            assert_ne!(plan, Plan::draw(seed + 1, StoreKind::Memory));
        }
    }

    #[test]
    fn some_plans_are_calm_and_most_are_not() {
        let calm = (0..1_000).filter(|seed| Plan::draw(*seed, StoreKind::Memory).is_calm());
        assert!((5..200).contains(&calm.count()));
    }
}
