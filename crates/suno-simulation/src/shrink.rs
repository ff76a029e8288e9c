//! Makes a plan smaller that breaks a promise, so that a reader sees why.

use std::time::{Duration, Instant};

use crate::mutant::Mutant;
use crate::plan::{Plan, Work};
use crate::run::run;

const BUDGET: Duration = Duration::from_secs(30);

/// The smallest plan found that breaks the same promise.
pub(crate) fn shrink(plan: &Plan, row: Option<&str>, mutant: Option<Mutant>) -> Plan {
    let started = Instant::now();
    let is_same = |plan: &Plan| run(plan, mutant).row() == row;
    smallest(plan, |plan| started.elapsed() < BUDGET && is_same(plan))
}

/// Leaves out what a plan can do without, as long as it `fails`.
fn smallest(plan: &Plan, mut fails: impl FnMut(&Plan) -> bool) -> Plan {
    let mut plan = plan.clone();
    without(&mut plan, &mut fails, |plan| &mut plan.faults);
    without(&mut plan, &mut fails, |plan| &mut plan.tasks);
    without(&mut plan, &mut fails, |plan| &mut plan.acts);
    for task in 0..plan.tasks.len() {
        without(&mut plan, &mut fails, |plan| {
            &mut plan.tasks[task].callbacks
        });
    }
    let simpler: [fn(&mut Plan); 6] = [
        |plan| plan.knobs.noise_percent = 0,
        |plan| plan.knobs.op_delay_ms = 0,
        |plan| plan.knobs.one_more_day = false,
        |plan| plan.knobs.confirm = false,
        |plan| plan.nodes.iter_mut().for_each(|node| node.wall_ms = 0),
        |plan| (plan.tasks.iter_mut()).for_each(|task| task.work = Work::Takes(10)),
    ];
    for simplify in simpler {
        let mut changed = plan.clone();
        simplify(&mut changed);
        if changed != plan && fails(&changed) {
            plan = changed;
        }
    }
    plan
}

/// Leaves out halves of a list, then quarters, and so on.
fn without<T>(
    plan: &mut Plan,
    fails: &mut impl FnMut(&Plan) -> bool,
    list: impl Fn(&mut Plan) -> &mut Vec<T>,
) {
    let mut step = list(plan).len().div_ceil(2);
    while step > 0 {
        let mut from = 0;
        while from < list(plan).len() {
            let mut smaller = plan.clone();
            let items = list(&mut smaller);
            items.drain(from..(from + step).min(items.len()));
            let tasks = smaller.tasks.len();
            smaller.acts.retain(|act| act.task < tasks);
            if fails(&smaller) {
                *plan = smaller;
            } else {
                from += step;
            }
        }
        step /= 2;
    }
}
