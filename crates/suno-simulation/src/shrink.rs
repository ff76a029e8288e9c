//! Makes a plan smaller that breaks a promise, so that a reader sees why.

use std::time::{Duration, Instant};

use crate::history::Row;
use crate::mutant::Mutant;
use crate::plan::{Plan, Work};
use crate::run::run;

/// How long shrinking takes at most.
const BUDGET: Duration = Duration::from_secs(30);

/// The smallest plan found that breaks the same promise.
#[must_use]
pub fn shrink(plan: &Plan, row: Row, mutant: Option<Mutant>) -> Plan {
    let started = Instant::now();
    smallest(plan, |plan| {
        started.elapsed() < BUDGET
            && run(plan, mutant)
                .violation
                .is_some_and(|violation| violation.row == row)
    })
}

/// Leaves out what a plan can do without, as long as it `fails`.
fn smallest(plan: &Plan, mut fails: impl FnMut(&Plan) -> bool) -> Plan {
    let mut plan = plan.clone();
    without(&mut plan, &mut fails, |plan| &mut plan.faults);
    without(&mut plan, &mut fails, |plan| &mut plan.tasks);
    without(&mut plan, &mut fails, |plan| &mut plan.redrives);
    for task in 0..plan.tasks.len() {
        without(&mut plan, &mut fails, |plan| {
            &mut plan.tasks[task].callbacks
        });
    }
    simpler(&mut plan, &mut fails);
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
            smaller.redrives.retain(|redrive| redrive.task < tasks);
            if fails(&smaller) {
                *plan = smaller;
            } else {
                from += step;
            }
        }
        step /= 2;
    }
}

/// Sets knobs to what is simplest.
fn simpler(plan: &mut Plan, fails: &mut impl FnMut(&Plan) -> bool) {
    let changes: [fn(&mut Plan); 6] = [
        |plan| plan.knobs.noise_percent = 0,
        |plan| plan.knobs.op_delay_ms = 0,
        |plan| plan.knobs.one_more_day = false,
        |plan| plan.knobs.confirm = false,
        |plan| plan.nodes.iter_mut().for_each(|node| node.wall_ms = 0),
        |plan| {
            plan.tasks
                .iter_mut()
                .for_each(|task| task.work = Work::Takes(10))
        },
    ];
    for change in changes {
        let mut changed = plan.clone();
        change(&mut changed);
        if changed != *plan && fails(&changed) {
            *plan = changed;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::draw;
    use crate::plan::StoreKind;

    #[test]
    fn what_is_not_needed_is_left_out() {
        let plans = (0..).map(|seed| draw::plan(seed, StoreKind::Memory));
        let plan = plans
            .into_iter()
            .find(|plan| plan.tasks.len() > 8 && plan.faults.len() > 3);
        let plan = plan.unwrap();
        let (task, fault) = (plan.tasks[5].clone(), plan.faults[2].clone());
        let small = smallest(&plan, |plan| {
            let has_task = plan
                .tasks
                .iter()
                .any(|other| other.submit_at_ms == task.submit_at_ms);
            has_task && plan.faults.contains(&fault)
        });
        assert_eq!((small.tasks.len(), small.faults), (1, vec![fault]));
        assert!(small.tasks[0].callbacks.is_empty() && small.redrives.is_empty());
    }
}
