//! Faults on the way of the callbacks: a plan goes in, a plan comes out.

use crate::task::plan::{Change, Content, Forgery, POSTS_MAX, Plan, Post, Signing, Step, Tracks};

/// How often one callback can be sent at most.
pub(crate) const COPIES_MAX: u32 = 16;

/// What happens to the callbacks of a task.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct DeliveryFaults {
    pub(crate) drops: Vec<Target>,
    pub(crate) copies: Vec<(Target, u32)>,
    pub(crate) delays: Vec<(Target, u64)>,
    /// The order by name; those that are not named follow, the last one first.
    pub(crate) order: Option<Vec<String>>,
    pub(crate) signing: Signing,
    pub(crate) forgeries: Vec<Forgery>,
    pub(crate) unknown_type: bool,
    pub(crate) early: bool,
}

/// Which callbacks a fault strikes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    All,
    Named(String),
}

impl Target {
    fn strikes(&self, post: &Post) -> bool {
        match self {
            Self::All => true,
            Self::Named(name) => *name == post.name,
        }
    }
}

/// A callback and when it is due.
type Timed = (u64, Post);

impl DeliveryFaults {
    /// The plan with these faults.
    pub(crate) fn strike(&self, plan: Plan) -> Plan {
        let mut changes = Vec::new();
        let mut posts: Vec<Timed> = Vec::new();
        for step in plan.steps {
            changes.push((step.at_ms, step.change));
            posts.extend(step.posts.into_iter().map(|post| (step.at_ms, post)));
        }
        for (_, post) in &mut posts {
            if post.signing == Signing::Right {
                post.signing = self.signing;
            }
        }
        self.add_strangers(&mut posts);
        self.delay(&mut posts);
        self.reorder(&mut posts);
        let mut posts = self.multiply(posts);
        for (_, post) in &mut posts {
            post.dropped |= self.drops.iter().any(|target| target.strikes(post));
        }
        posts.truncate(POSTS_MAX);
        let plan = merge(changes, posts);
        if self.early { hastened(plan) } else { plan }
    }

    /// What nobody asked for comes right after the first callback.
    fn add_strangers(&self, posts: &mut Vec<Timed>) {
        let Some(at_ms) = posts.first().map(|(at_ms, _)| *at_ms) else {
            return;
        };
        let unknown = self.unknown_type.then(|| {
            let content = Content::Stage {
                callback_type: "preview".into(),
                message: "Preview generated successfully.".into(),
                tracks: Tracks::Unfinished,
            };
            Post {
                signing: self.signing,
                ..Post::new("preview", content)
            }
        });
        let forged = self.forgeries.iter().map(|forgery| {
            let content = Content::Forged(*forgery);
            Post {
                signing: Signing::Copied,
                ..Post::new(forgery.name(), content)
            }
        });
        let strangers: Vec<Timed> = unknown
            .into_iter()
            .chain(forged)
            .map(|post| (at_ms, post))
            .collect();
        posts.splice(1..1, strangers);
    }

    fn delay(&self, posts: &mut [Timed]) {
        for (at_ms, post) in posts {
            for (target, by_ms) in &self.delays {
                if target.strikes(post) {
                    *at_ms = at_ms.saturating_add(*by_ms);
                }
            }
        }
    }

    /// Puts the callbacks into the order that was asked for. None leaves before its time, since
    /// what it tells of has not happened: earlier ones wait for it.
    fn reorder(&self, posts: &mut Vec<Timed>) {
        let Some(order) = &self.order else { return };
        let place = |post: &Post| order.iter().position(|name| *name == post.name);
        let (mut named, mut rest): (Vec<Timed>, Vec<Timed>) = std::mem::take(posts)
            .into_iter()
            .partition(|(_, post)| place(post).is_some());
        named.sort_by_key(|(_, post)| place(post));
        rest.reverse();
        let mut not_before_ms = 0;
        for (at_ms, post) in named.into_iter().chain(rest) {
            not_before_ms = at_ms.max(not_before_ms);
            posts.push((not_before_ms, post));
        }
    }

    fn multiply(&self, posts: Vec<Timed>) -> Vec<Timed> {
        let times = |post: &Post| {
            let copies = self
                .copies
                .iter()
                .filter(|(target, _)| target.strikes(post));
            copies
                .map(|(_, times)| *times)
                .max()
                .unwrap_or(1)
                .min(COPIES_MAX)
        };
        let copies = posts.into_iter().flat_map(|timed| {
            let times = times(&timed.1) as usize;
            std::iter::repeat_n(timed, times)
        });
        copies.collect()
    }
}

/// One step for each change and each callback, by time; a change stands before a callback of the
/// same time, which tells of it.
fn merge(changes: Vec<(u64, Change)>, posts: Vec<Timed>) -> Plan {
    let changes = changes.into_iter().map(|(at_ms, change)| Step {
        at_ms,
        change,
        posts: Vec::new(),
    });
    let posts = posts.into_iter().map(|(at_ms, post)| Step {
        at_ms,
        change: Change::default(),
        posts: vec![post],
    });
    let mut steps: Vec<Step> = changes.chain(posts).collect();
    // The sort is stable, so that what is due at the same time keeps its order.
    steps.sort_by_key(|step| step.at_ms);
    Plan { steps }
}

/// The plan in which everything up to the first callback is due at once.
fn hastened(mut plan: Plan) -> Plan {
    if let Some(first) = plan.steps.iter().position(|step| !step.posts.is_empty()) {
        for step in &mut plan.steps[..=first] {
            step.at_ms = 0;
        }
    }
    plan
}

#[cfg(test)]
mod tests {
    use super::{COPIES_MAX, DeliveryFaults, Target};
    use crate::task::plan::{Content, POSTS_MAX, Plan, Post, Step};

    fn plan(posts: usize) -> Plan {
        let post = || Post::new("raw", Content::Raw(serde_json::Value::Null));
        let step = |at_ms| Step {
            at_ms,
            posts: vec![post()],
            ..Step::default()
        };
        Plan {
            steps: (0..posts as u64).map(step).collect(),
        }
    }

    fn posts(plan: &Plan) -> usize {
        plan.steps.iter().map(|step| step.posts.len()).sum()
    }

    #[test]
    fn copies_are_bounded_for_each_callback_and_for_the_plan() {
        let copies = vec![(Target::All, 1000)];
        let faults = DeliveryFaults {
            copies,
            ..DeliveryFaults::default()
        };
        assert_eq!(posts(&faults.strike(plan(1))), COPIES_MAX as usize);
        assert_eq!(posts(&faults.strike(plan(40))), POSTS_MAX);
    }

    #[test]
    fn no_fault_leaves_what_happens_as_it_was() {
        let flat = |plan: &Plan| -> Vec<(u64, Vec<Post>)> {
            let steps = plan.steps.iter().filter(|step| !step.posts.is_empty());
            steps.map(|step| (step.at_ms, step.posts.clone())).collect()
        };
        let before = plan(5);
        let after = DeliveryFaults::default().strike(before.clone());
        assert_eq!(flat(&before), flat(&after));
    }
}
