//! Draws plans from seeds.

use crate::dice::Draw;
use crate::plan::{
    Body, CallbackPlan, Fault, FaultKind, Knobs, Millis, NodePlan, Plan, ProviderFault,
    RedrivePlan, StageName, StoreFault, StoreKind, TaskPlan, Work,
};

const DAY: Millis = 86_400_000;

/// The kinds of things that go wrong. In each run, some of them are switched off: where everything
/// goes wrong at once, one fault hides another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Trouble {
    StoreErrors,
    StoreHangs,
    StoreLate,
    CutOff,
    Deaths,
    Stops,
    Stalls,
    WallSteps,
    Provider,
    Dependency,
    Network,
    Handlers,
    Killers,
    Forgery,
    Persons,
    Purges,
    Backlog,
}

const TROUBLES: [Trouble; 17] = [
    Trouble::StoreErrors,
    Trouble::StoreHangs,
    Trouble::StoreLate,
    Trouble::CutOff,
    Trouble::Deaths,
    Trouble::Stops,
    Trouble::Stalls,
    Trouble::WallSteps,
    Trouble::Provider,
    Trouble::Dependency,
    Trouble::Network,
    Trouble::Handlers,
    Trouble::Killers,
    Trouble::Forgery,
    Trouble::Persons,
    Trouble::Purges,
    Trouble::Backlog,
];

/// Draws a plan.
#[must_use]
pub fn plan(seed: u64, store: StoreKind) -> Plan {
    let mut draw = Draw::new(seed);
    let mut troubles = troubles(&mut draw);
    let ends_lives = [Trouble::Deaths, Trouble::Stops, Trouble::Killers];
    if store == StoreKind::Sqlite && ends_lives.iter().any(|trouble| troubles.contains(trouble)) {
        // A process that opens the file takes a step of the clock for time that has passed.
        troubles.retain(|trouble| *trouble != Trouble::WallSteps);
    }
    let mut drawing = Drawing { draw, troubles };
    let nodes = drawing.nodes();
    let knobs = drawing.knobs(store);
    let tasks = drawing.tasks(&knobs, nodes.len());
    let faults = drawing.faults(&knobs, nodes.len());
    let redrives = drawing.redrives(&knobs, tasks.len());
    Plan {
        seed,
        knobs,
        nodes,
        tasks,
        faults,
        redrives,
    }
}

/// None in a twentieth of the runs, one in a third, and otherwise about a third of them.
fn troubles(draw: &mut Draw) -> Vec<Trouble> {
    match draw.range(0, 99) {
        0..5 => Vec::new(),
        5..38 => vec![draw.pick(&TROUBLES)],
        _ => TROUBLES.into_iter().filter(|_| draw.percent(35)).collect(),
    }
}

struct Drawing {
    draw: Draw,
    troubles: Vec<Trouble>,
}

impl Drawing {
    fn has(&self, trouble: Trouble) -> bool {
        self.troubles.contains(&trouble)
    }

    fn nodes(&mut self) -> Vec<NodePlan> {
        let nodes = self.draw.pick(&[1, 1, 2, 2, 3]);
        let skewed = self.has(Trouble::WallSteps);
        (0..nodes)
            .map(|index| NodePlan {
                dispatches: index == 0 || self.draw.percent(70),
                reconciles: index == 0 || self.draw.percent(50),
                purges: index == 0 || self.draw.percent(30),
                wall_ms: if skewed && self.draw.percent(50) {
                    self.step()
                } else {
                    0
                },
            })
            .collect()
    }

    /// How far a wall clock is set.
    fn step(&mut self) -> i64 {
        let far = self
            .draw
            .pick(&[2_000, 61_000, 400_000, 3_600_000, DAY, 31 * DAY]);
        let far = far.cast_signed();
        if self.draw.percent(50) { far } else { -far }
    }

    fn knobs(&mut self, store: StoreKind) -> Knobs {
        let draw = &mut self.draw;
        // Leases are extended all the time, so that a day of short ones is long.
        // So are stores that are asked each second in vain.
        let is_cut_off = self.troubles.contains(&Trouble::CutOff);
        let one_more_day = draw.percent(20) && !is_cut_off;
        let lease_ms = draw.magnitude(if one_more_day { 60_000 } else { 2_000 }, 120_000);
        let is_slow = draw.percent(65);
        let is_noisy = draw.percent(65);
        let retry_for_ms = match draw.range(0, 49) {
            0 => DAY,
            _ => draw.magnitude(120_000, 3_600_000),
        };
        let has_backlog = self.troubles.contains(&Trouble::Backlog);
        Knobs {
            store,
            confirm: draw.percent(35),
            lease_ms,
            places: if has_backlog {
                draw.range(1, 3)
            } else {
                draw.magnitude(1, 16)
            },
            handler_timeout_ms: draw.pick(&[600_000, 120_000, 30_000]),
            retry_for_ms,
            reconcile_ms: draw.magnitude(30_000, 600_000),
            due_after_ms: draw.magnitude(30_000, 300_000),
            keys_for_ms: match self.troubles.contains(&Trouble::Purges) {
                true => draw.magnitude(600_000, 7_200_000),
                false => 30 * DAY,
            },
            purge_every_ms: draw.magnitude(300_000, 3_600_000),
            op_delay_ms: if is_slow { draw.magnitude(1, 50) } else { 0 },
            noise_percent: if is_noisy { draw.range(1, 15) } else { 0 },
            noise_ms: draw.pick(&[0, 0, 1, 5, 20]),
            heal_at_ms: draw.magnitude(60_000, 1_200_000),
            one_more_day,
        }
    }

    fn tasks(&mut self, knobs: &Knobs, nodes: usize) -> Vec<TaskPlan> {
        let tasks = match self.has(Trouble::Backlog) {
            true => self.draw.range(15, 40),
            false => self.draw.magnitude(1, 24),
        };
        (0..tasks).map(|_| self.task(knobs, nodes)).collect()
    }

    fn task(&mut self, knobs: &Knobs, nodes: usize) -> TaskPlan {
        let spread = self.draw.pick(&[1_000, 60_000, knobs.heal_at_ms]);
        let stages = self.stages();
        let callbacks = self.callbacks(&stages, nodes);
        TaskPlan {
            submit_at_ms: self.draw.range(0, spread.min(knobs.heal_at_ms)),
            submitter: self.node(nodes),
            answer_lost: self.draw.percent(10),
            stages,
            callbacks,
            work: self.work(knobs),
        }
    }

    fn node(&mut self, nodes: usize) -> usize {
        usize::try_from(self.draw.range(0, nodes as u64 - 1)).unwrap_or_default()
    }

    /// When the task truly reaches its stages.
    fn stages(&mut self) -> Vec<(Millis, StageName)> {
        use StageName::{Complete, Failed, First, Text};
        let course: &[StageName] = match self.draw.range(0, 19) {
            0..12 => &[Text, First, Complete],
            12..14 => &[Text, Complete],
            14..16 => &[Text, Failed],
            16..18 => &[Failed],
            18 => &[Text, First],
            _ => &[],
        };
        let mut at = 0;
        let stages = course.iter().map(|stage| {
            at += self.draw.magnitude(100, 60_000);
            (at, *stage)
        });
        stages.collect()
    }

    fn callbacks(&mut self, stages: &[(Millis, StageName)], nodes: usize) -> Vec<CallbackPlan> {
        let mut callbacks = Vec::new();
        for (at, stage) in stages {
            let copies = match self.draw.range(0, 9) {
                0 => 0,
                1 | 2 => 2,
                3 => 3,
                _ => 1,
            };
            for copy in 0..copies {
                callbacks.push(self.callback(*at, *stage, copy, nodes));
            }
        }
        if self.has(Trouble::Forgery) && self.draw.percent(60) {
            for _ in 0..self.draw.range(1, 3) {
                callbacks.push(self.forged(nodes));
            }
        }
        callbacks
    }

    fn callback(&mut self, at: Millis, stage: StageName, copy: u64, nodes: usize) -> CallbackPlan {
        let late = self.draw.pick(&[0, 0, 0, 5_000, 100_000]);
        CallbackPlan {
            after_ms: at + self.draw.range(0, 500) + copy * self.draw.pick(&[0, 10, 30_000]) + late,
            stage,
            body: if copy > 0 {
                self.draw.pick(&[Body::Genuine, Body::Renewed])
            } else {
                Body::Genuine
            },
            node: self.node(nodes),
            once: self.draw.percent(20),
        }
    }

    fn forged(&mut self, nodes: usize) -> CallbackPlan {
        use StageName::{Complete, Failed, First, Other, Text};
        CallbackPlan {
            after_ms: self.draw.magnitude(10, 120_000),
            stage: self
                .draw
                .pick(&[Text, First, Complete, Complete, Failed, Failed, Other]),
            body: self
                .draw
                .pick(&[Body::Forged, Body::Forged, Body::Garbled, Body::Unsigned]),
            node: self.node(nodes),
            once: true,
        }
    }

    fn work(&mut self, knobs: &Knobs) -> Work {
        if self.has(Trouble::Killers) && self.draw.percent(10) {
            return Work::Kills(self.draw.pick(&[1, 2, u32::MAX]));
        }
        if self.has(Trouble::Backlog) {
            return match self.draw.percent(30) {
                true => Work::Fails(self.draw.pick(&[1, 3]), self.draw.magnitude(100, 10_000)),
                false => Work::Takes(self.draw.magnitude(100, 10_000)),
            };
        }
        if self.has(Trouble::Handlers) && self.draw.percent(60) {
            return match self.draw.range(0, 5) {
                0 => Work::Hangs(self.draw.pick(&[1, 2, u32::MAX])),
                1 => Work::Panics(self.draw.pick(&[1, 3, u32::MAX])),
                2 => Work::GivesUp,
                3 => Work::AsksForWait(
                    self.draw.pick(&[1, 2, 3]),
                    self.draw.pick(&[1, 30, 1_000, u64::MAX]),
                ),
                _ => Work::Fails(
                    self.draw.pick(&[1, 5, 12, u32::MAX]),
                    self.draw.magnitude(10, 10_000),
                ),
            };
        }
        let longest = knobs.handler_timeout_ms.min(4 * knobs.lease_ms) - 1_000;
        match self.draw.percent(40) {
            true => Work::Takes(self.draw.range(1_000, longest.max(1_001))),
            false => Work::Takes(self.draw.magnitude(10, 2_000)),
        }
    }

    fn faults(&mut self, knobs: &Knobs, nodes: usize) -> Vec<Fault> {
        let mut faults = Vec::new();
        for trouble in self.troubles.clone() {
            for _ in 0..self.draw.range(1, 3) {
                if let Some(kind) = self.fault_kind(trouble, nodes) {
                    faults.push(self.fault(kind, knobs, nodes));
                }
            }
        }
        faults
    }

    fn fault_kind(&mut self, trouble: Trouble, nodes: usize) -> Option<FaultKind> {
        let draw = &mut self.draw;
        Some(match trouble {
            Trouble::StoreErrors => {
                let fault = draw.pick(&[
                    StoreFault::Refuses,
                    StoreFault::LosesAnswer,
                    StoreFault::LosesAnswer,
                    StoreFault::Full,
                ]);
                FaultKind::Store(fault, draw.pick(&[10, 50, 100]))
            }
            Trouble::StoreHangs => {
                let fault = draw.pick(&[StoreFault::Hangs, StoreFault::HangsForEver]);
                FaultKind::Store(fault, draw.pick(&[5, 30, 100]))
            }
            Trouble::StoreLate => {
                let late = draw.magnitude(100, 40_000);
                let fault =
                    draw.pick(&[StoreFault::Delays(late), StoreFault::CarriesOutLate(late)]);
                FaultKind::Store(fault, draw.pick(&[10, 50, 100]))
            }
            Trouble::CutOff if nodes > 1 => FaultKind::CutOff,
            Trouble::Deaths => match draw.range(0, 2) {
                0 => FaultKind::Death,
                1 => FaultKind::DeathAtPoll(draw.magnitude(1, 2_000)),
                _ => FaultKind::DeathAfterCommit(draw.magnitude(1, 30)),
            },
            Trouble::Stops => FaultKind::Stop,
            Trouble::Stalls => FaultKind::Stall,
            Trouble::WallSteps => FaultKind::WallStep(self.step()),
            Trouble::Provider => {
                let asked = draw.pick(&[1, 60, 100_000, u64::MAX]);
                FaultKind::Provider(draw.pick(&[
                    ProviderFault::Refuses,
                    ProviderFault::Hangs,
                    ProviderFault::AsksForWait(asked),
                ]))
            }
            Trouble::Dependency => FaultKind::Dependency,
            Trouble::Network => FaultKind::Network,
            _ => return None,
        })
    }

    fn fault(&mut self, kind: FaultKind, knobs: &Knobs, nodes: usize) -> Fault {
        let node = match kind {
            FaultKind::CutOff => Some(nodes - 1),
            FaultKind::Provider(_) | FaultKind::Dependency => None,
            FaultKind::Store(..) if self.draw.percent(60) => None,
            _ => Some(self.node(nodes)),
        };
        let for_ms = match self.draw.percent(50) {
            true => self.draw.range(knobs.lease_ms / 2, 4 * knobs.lease_ms),
            false => self.draw.magnitude(200, knobs.heal_at_ms),
        };
        Fault {
            at_ms: self.draw.magnitude(1_000, knobs.heal_at_ms),
            for_ms,
            node,
            kind,
        }
    }

    fn redrives(&mut self, knobs: &Knobs, tasks: usize) -> Vec<RedrivePlan> {
        use StageName::{Complete, Failed, First, Text};
        if !self.has(Trouble::Persons) {
            return Vec::new();
        }
        let redrives = self.draw.range(1, 6);
        let redrive = |_| RedrivePlan {
            at_ms: self.draw.range(1_000, 2 * knobs.heal_at_ms),
            task: self.node(tasks),
            stage: self.draw.pick(&[Text, First, Complete, Failed]),
            even_if_superseded: self.draw.percent(30),
        };
        (0..redrives).map(redrive).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_draws_the_same_plan_each_time_and_another_seed_another_one() {
        let drawn = |seed| plan(seed, StoreKind::Memory);
        assert_eq!(drawn(3), drawn(3));
        assert_ne!(drawn(3), drawn(4));
    }

    #[test]
    fn some_plans_are_calm_and_most_are_not() {
        let calm = (0..1_000).filter(|seed| plan(*seed, StoreKind::Memory).is_calm());
        assert!((5..200).contains(&calm.count()));
    }
}
