//! Faults of callbacks. They turn a plan into another plan.

use crate::task::plan::{
    CALLBACKS_MAX, Change, Content, Forgery, Plan, PlannedCallback, SigningMode, Step, Tracks,
};

/// The maximum number of copies of one callback.
pub(crate) const COPIES_MAX: u32 = 16;

/// The faults of a task's callbacks.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct DeliveryFaults {
    pub(crate) drops: Vec<Target>,
    pub(crate) copies: Vec<(Target, u32)>,
    pub(crate) delays: Vec<(Target, u64)>,
    /// The order of callbacks by name. Callbacks that are not named follow in reverse order.
    pub(crate) order: Option<Vec<String>>,
    pub(crate) signing: SigningMode,
    pub(crate) forgeries: Vec<Forgery>,
    pub(crate) has_unknown_type: bool,
    pub(crate) is_early: bool,
}

/// The callbacks that a fault applies to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    All,
    Named(String),
}

impl Target {
    fn matches(&self, callback: &PlannedCallback) -> bool {
        match self {
            Self::All => true,
            Self::Named(name) => *name == callback.name,
        }
    }
}

/// The due time of a callback, and the callback.
type TimedCallback = (u64, PlannedCallback);

impl DeliveryFaults {
    /// Returns the plan with these faults.
    pub(crate) fn apply(&self, plan: Plan) -> Plan {
        let mut changes = Vec::new();
        let mut callbacks: Vec<TimedCallback> = Vec::new();
        for step in plan.steps {
            changes.push((step.at_ms, step.change));
            callbacks.extend(
                step.callbacks
                    .into_iter()
                    .map(|callback| (step.at_ms, callback)),
            );
        }
        for (_, callback) in &mut callbacks {
            if callback.signing == SigningMode::Right {
                callback.signing = self.signing;
            }
        }
        self.add_extra_callbacks(&mut callbacks);
        self.delay(&mut callbacks);
        self.reorder(&mut callbacks);
        let mut callbacks = self.multiply(callbacks);
        for (_, callback) in &mut callbacks {
            callback.is_dropped |= self.drops.iter().any(|target| target.matches(callback));
        }
        callbacks.truncate(CALLBACKS_MAX);
        let plan = merge(changes, callbacks);
        if self.is_early {
            start_early(plan)
        } else {
            plan
        }
    }

    /// Inserts callbacks of an unknown type and forged ones after the first callback.
    fn add_extra_callbacks(&self, callbacks: &mut Vec<TimedCallback>) {
        let Some(at_ms) = callbacks.first().map(|(at_ms, _)| *at_ms) else {
            return;
        };
        let unknown = self.has_unknown_type.then(|| {
            let content = Content::Stage {
                callback_type: "preview".into(),
                message: "Preview generated successfully.".into(),
                tracks: Tracks::Unfinished,
            };
            PlannedCallback {
                signing: self.signing,
                ..PlannedCallback::new("preview", content)
            }
        });
        let forged = self.forgeries.iter().map(|forgery| {
            let content = Content::Forged(*forgery);
            PlannedCallback {
                signing: SigningMode::Copied,
                ..PlannedCallback::new(forgery.name(), content)
            }
        });
        let extra: Vec<TimedCallback> = unknown
            .into_iter()
            .chain(forged)
            .map(|callback| (at_ms, callback))
            .collect();
        callbacks.splice(1..1, extra);
    }

    fn delay(&self, callbacks: &mut [TimedCallback]) {
        for (at_ms, callback) in callbacks {
            for (target, by_ms) in &self.delays {
                if target.matches(callback) {
                    *at_ms = at_ms.saturating_add(*by_ms);
                }
            }
        }
    }

    /// Reorders the callbacks. None is sent before its time, since what it reports has not happened
    /// yet: earlier callbacks wait for it.
    fn reorder(&self, callbacks: &mut Vec<TimedCallback>) {
        let Some(order) = &self.order else { return };
        let place =
            |callback: &PlannedCallback| order.iter().position(|name| *name == callback.name);
        let (mut named, mut rest): (Vec<TimedCallback>, Vec<TimedCallback>) =
            std::mem::take(callbacks)
                .into_iter()
                .partition(|(_, callback)| place(callback).is_some());
        named.sort_by_key(|(_, callback)| place(callback));
        rest.reverse();
        let mut not_before_ms = 0;
        for (at_ms, callback) in named.into_iter().chain(rest) {
            not_before_ms = at_ms.max(not_before_ms);
            callbacks.push((not_before_ms, callback));
        }
    }

    fn multiply(&self, callbacks: Vec<TimedCallback>) -> Vec<TimedCallback> {
        let times = |callback: &PlannedCallback| {
            let copies = self
                .copies
                .iter()
                .filter(|(target, _)| target.matches(callback));
            copies
                .map(|(_, times)| *times)
                .max()
                .unwrap_or(1)
                .min(COPIES_MAX)
        };
        let copies = callbacks.into_iter().flat_map(|timed| {
            let times = times(&timed.1) as usize;
            std::iter::repeat_n(timed, times)
        });
        copies.collect()
    }
}

/// Builds a plan with one step for each change and each callback, ordered by time. A change comes
/// before a callback of the same time, which reports it.
fn merge(changes: Vec<(u64, Change)>, callbacks: Vec<TimedCallback>) -> Plan {
    let changes = changes.into_iter().map(|(at_ms, change)| Step {
        at_ms,
        change,
        callbacks: Vec::new(),
    });
    let callbacks = callbacks.into_iter().map(|(at_ms, callback)| Step {
        at_ms,
        change: Change::default(),
        callbacks: vec![callback],
    });
    let mut steps: Vec<Step> = changes.chain(callbacks).collect();
    // The sort is stable: steps with the same time keep their order.
    steps.sort_by_key(|step| step.at_ms);
    Plan { steps }
}

/// Makes everything up to the first callback due at once.
fn start_early(mut plan: Plan) -> Plan {
    if let Some(first) = plan
        .steps
        .iter()
        .position(|step| !step.callbacks.is_empty())
    {
        for step in &mut plan.steps[..=first] {
            step.at_ms = 0;
        }
    }
    plan
}

#[cfg(test)]
mod tests {
    use super::{COPIES_MAX, DeliveryFaults, Target};
    use crate::task::plan::{CALLBACKS_MAX, Content, Plan, PlannedCallback, Step};

    fn plan(callbacks: usize) -> Plan {
        let callback = || PlannedCallback::new("raw", Content::Raw(serde_json::Value::Null));
        let step = |at_ms| Step {
            at_ms,
            callbacks: vec![callback()],
            ..Step::default()
        };
        Plan {
            steps: (0..callbacks as u64).map(step).collect(),
        }
    }

    fn callbacks(plan: &Plan) -> usize {
        plan.steps.iter().map(|step| step.callbacks.len()).sum()
    }

    #[test]
    fn copies_are_bounded_for_each_callback_and_for_the_plan() {
        let copies = vec![(Target::All, 1000)];
        let faults = DeliveryFaults {
            copies,
            ..DeliveryFaults::default()
        };
        assert_eq!(callbacks(&faults.apply(plan(1))), COPIES_MAX as usize);
        assert_eq!(callbacks(&faults.apply(plan(40))), CALLBACKS_MAX);
    }

    #[test]
    fn no_fault_leaves_what_happens_as_it_was() {
        let flat = |plan: &Plan| -> Vec<(u64, Vec<PlannedCallback>)> {
            let steps = plan.steps.iter().filter(|step| !step.callbacks.is_empty());
            steps
                .map(|step| (step.at_ms, step.callbacks.clone()))
                .collect()
        };
        let before = plan(5);
        let after = DeliveryFaults::default().apply(before.clone());
        assert_eq!(flat(&before), flat(&after));
    }
}
