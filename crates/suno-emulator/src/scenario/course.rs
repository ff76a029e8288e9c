//! The course of a task: its stages and its ending, without faults.

use std::borrow::Cow;

use crate::operation::Product;
use crate::profile::Profile;
use crate::task::plan::{
    Change, Content, Failure, FailureShape, Plan, PlannedCallback, Step, Tracks,
};
use crate::task::timing::Timing;

/// The usual number of tracks.
const TRACKS: usize = 2;

/// The course of a task.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Course {
    /// The stages that happen, or `None` for the usual ones before the ending.
    pub(crate) stages: Option<Stages>,
    pub(crate) ending: Ending,
    pub(crate) failure_shape: FailureShape,
    /// The tracks of the stage `text`, if a word chose them.
    pub(crate) text_tracks: Option<Tracks>,
    pub(crate) track_count: usize,
    /// Whether the last track is finished first.
    pub(crate) is_last_track_first: bool,
    /// The time after the submit during which polls do not find the task.
    pub(crate) hidden_ms: u64,
    /// The time during which polls show success without tracks.
    pub(crate) trackless_ms: u64,
    /// The extra duration of the stage `first`.
    pub(crate) first_lasts_ms: u64,
    /// The status in polls in place of `TEXT_SUCCESS` and `FIRST_SUCCESS`.
    pub(crate) running_status: Option<String>,
    /// The final status in polls in place of the usual one.
    pub(crate) end_status: Option<String>,
    /// Whether bodies have unknown members.
    pub(crate) has_extra_members: bool,
    /// Whether callbacks have the shape of records.
    pub(crate) has_record_shape: bool,
}

/// The stages that happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stages {
    pub(crate) text: bool,
    pub(crate) first: bool,
    pub(crate) complete: bool,
}

/// The ending of a task.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Ending {
    #[default]
    Complete,
    /// The generation fails with this code, or with the provider's usual one.
    Failed {
        code: Option<u16>,
    },
    /// The task fails before anything is generated.
    CreateFailed,
    SensitiveWord,
    /// Polls show `PENDING` with an error long before the task fails.
    PendingError,
}

impl Default for Course {
    fn default() -> Self {
        Self {
            stages: None,
            ending: Ending::default(),
            failure_shape: FailureShape::default(),
            text_tracks: None,
            track_count: TRACKS,
            is_last_track_first: false,
            hidden_ms: 0,
            trackless_ms: 0,
            first_lasts_ms: 0,
            running_status: None,
            end_status: None,
            has_extra_members: false,
            has_record_shape: false,
        }
    }
}

/// The values besides the course that a plan depends on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PlanContext {
    pub(crate) profile: Profile,
    pub(crate) product: Product,
    pub(crate) timing: Timing,
    /// Whether bodies follow the provider's pages.
    pub(crate) is_documented: bool,
}

impl Course {
    /// Returns the plan of a task.
    pub(crate) fn plan(&self, context: PlanContext) -> Plan {
        let PlanContext {
            product,
            timing,
            is_documented,
            ..
        } = context;
        let mut stages = self.stages.unwrap_or_else(|| self.usual_stages());
        let mut last_ms = timing.complete_ms.saturating_add(self.first_lasts_ms);
        let mut steps = Vec::new();
        if self.hidden_ms > 0 {
            steps.push(visibility_step(0, false));
            steps.push(visibility_step(self.hidden_ms, true));
        }
        if !product.is_song() {
            // Other products have no stages before the ending, and are finished earlier.
            (stages.text, stages.first) = (false, false);
            last_ms = timing.first_ms;
            if matches!(self.ending, Ending::Complete | Ending::Failed { .. }) {
                steps.push(self.running_step(timing.text_ms));
            }
        }
        if stages.text {
            steps.push(self.text_step(timing, is_documented));
        }
        if stages.first {
            steps.push(self.first_step(timing, is_documented));
        }
        match self.ending {
            Ending::Complete if !stages.complete => {}
            Ending::Complete => steps.extend(self.complete_steps(last_ms)),
            _ => steps.extend(self.failure_steps(context, stages, last_ms)),
        }
        steps.sort_by_key(|step| step.at_ms);
        Plan { steps }
    }

    /// Returns the step at which a task that is not a song begins to run.
    fn running_step(&self, at_ms: u64) -> Step {
        let change = Change {
            status: Some(self.running("GENERATING")),
            ..Change::default()
        };
        Step {
            at_ms,
            change,
            callbacks: Vec::new(),
        }
    }

    fn usual_stages(&self) -> Stages {
        match self.ending {
            Ending::Complete => Stages {
                text: true,
                first: true,
                complete: true,
            },
            Ending::Failed { .. } => Stages {
                text: true,
                first: false,
                complete: false,
            },
            _ => Stages {
                text: false,
                first: false,
                complete: false,
            },
        }
    }

    fn text_step(&self, timing: Timing, is_documented: bool) -> Step {
        // The provider's pages show an empty list, integrators saw tracks without audio
        // (PROTOCOL.md 2.5, 2.6).
        let usual = if is_documented {
            Tracks::Empty
        } else {
            Tracks::Unfinished
        };
        let tracks = self.text_tracks.unwrap_or(usual);
        let status = self.running("TEXT_SUCCESS");
        stage_step(
            timing.text_ms,
            "text",
            "Text generated successfully.",
            status,
            tracks,
        )
    }

    fn first_step(&self, timing: Timing, is_documented: bool) -> Step {
        let tracks = if is_documented {
            Tracks::FirstAlone
        } else if self.is_last_track_first {
            Tracks::LastReady
        } else {
            Tracks::FirstReady
        };
        let message = "First audio generated successfully.";
        stage_step(
            timing.first_ms,
            "first",
            message,
            self.running("FIRST_SUCCESS"),
            tracks,
        )
    }

    fn complete_steps(&self, at_ms: u64) -> Vec<Step> {
        let message = "All generated successfully.";
        let mut step = stage_step(
            at_ms,
            "complete",
            message,
            self.end("SUCCESS"),
            Tracks::Ready,
        );
        if self.trackless_ms == 0 {
            return vec![step];
        }
        let tracks = step.change.tracks.replace(Tracks::Empty);
        let later = Step {
            at_ms: at_ms.saturating_add(self.trackless_ms),
            change: Change {
                tracks,
                ..Change::default()
            },
            callbacks: Vec::new(),
        };
        vec![step, later]
    }

    fn failure_steps(&self, context: PlanContext, stages: Stages, last_ms: u64) -> Vec<Step> {
        let PlanContext {
            profile,
            product,
            timing,
            ..
        } = context;
        let usual_code = product.failure_code(profile);
        let (at_ms, status, code) = match self.ending {
            Ending::Failed { code } => {
                let at_ms = if stages.first {
                    last_ms
                } else {
                    timing.first_ms
                };
                (at_ms, "GENERATE_AUDIO_FAILED", code.unwrap_or(usual_code))
            }
            Ending::SensitiveWord => (timing.text_ms, "SENSITIVE_WORD_ERROR", 400),
            Ending::PendingError => (last_ms, "GENERATE_AUDIO_FAILED", usual_code),
            _ => (timing.text_ms, "CREATE_TASK_FAILED", usual_code),
        };
        let failure = Failure {
            code,
            message: profile.failure_message(code).into(),
        };
        let mut steps = Vec::new();
        if self.ending == Ending::PendingError {
            let change = Change {
                failure: Some(failure.clone()),
                ..Change::default()
            };
            steps.push(Step {
                at_ms: timing.text_ms,
                change,
                callbacks: Vec::new(),
            });
        }
        let change = Change {
            status: Some(self.end(status)),
            failure: Some(failure.clone()),
            is_refunded: profile.is_refunded(code),
            ..Change::default()
        };
        let content = Content::Failure {
            failure,
            shape: self.failure_shape,
        };
        steps.push(Step {
            at_ms,
            change,
            callbacks: vec![PlannedCallback::new("error", content)],
        });
        steps
    }

    fn running(&self, usual: &'static str) -> Cow<'static, str> {
        self.running_status
            .clone()
            .map_or(Cow::Borrowed(usual), Cow::Owned)
    }

    fn end(&self, usual: &'static str) -> Cow<'static, str> {
        self.end_status
            .clone()
            .map_or(Cow::Borrowed(usual), Cow::Owned)
    }
}

fn stage_step(
    at_ms: u64,
    callback_type: &'static str,
    message: &'static str,
    status: Cow<'static, str>,
    tracks: Tracks,
) -> Step {
    let content = Content::Stage {
        callback_type: callback_type.into(),
        message: message.into(),
        tracks,
    };
    let change = Change {
        status: Some(status),
        tracks: Some(tracks),
        ..Change::default()
    };
    Step {
        at_ms,
        change,
        callbacks: vec![PlannedCallback::new(callback_type, content)],
    }
}

fn visibility_step(at_ms: u64, is_visible: bool) -> Step {
    let change = Change {
        is_visible: Some(is_visible),
        ..Change::default()
    };
    Step {
        at_ms,
        change,
        callbacks: Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use fastrand::Rng;

    use super::PlanContext;
    use crate::operation::Product;
    use crate::profile::Profile;
    use crate::scenario::Scenario;
    use crate::task::life::{DueSteps, Life};
    use crate::task::plan::{CALLBACKS_MAX, Plan};
    use crate::task::timing::Timing;

    fn random_plan(seed: u64) -> Plan {
        let mut rng = Rng::with_seed(seed);
        let scenario = Scenario::parse("random")
            .unwrap()
            .with_random_words(&mut rng, true)
            .0;
        let plan = scenario.course.plan(PlanContext {
            profile: Profile::Kie,
            product: Product::Song,
            timing: Timing::default().of_task(&mut rng),
            is_documented: rng.bool(),
        });
        scenario.delivery.apply(plan)
    }

    #[test]
    fn a_life_does_not_depend_on_the_steps_in_which_time_passes() {
        for seed in 0..2000 {
            let plan = random_plan(seed);
            assert!(plan.steps.is_sorted_by_key(|step| step.at_ms));
            let mut rng = Rng::with_seed(seed);
            let mut at_once = Life::new(plan.clone(), 500);
            let mut in_steps = Life::new(plan, 500);
            let all = at_once.advance(u64::MAX);
            let (mut callbacks, mut refunds, mut now_ms) = (Vec::new(), 0, 0);
            while !in_steps.is_over() {
                now_ms += rng.u64(1..60_000);
                let due = in_steps.advance(now_ms);
                refunds += u32::from(due.is_refunded);
                callbacks.extend(due.callbacks);
            }
            assert_eq!(callbacks, all.callbacks, "seed {seed}");
            assert!(callbacks.len() <= CALLBACKS_MAX);
            assert_eq!(refunds, u32::from(all.is_refunded), "seed {seed}");
            assert_eq!(in_steps.record(), at_once.record(), "seed {seed}");
        }
    }

    #[test]
    fn nothing_happens_before_its_time() {
        let plan = Plan {
            steps: random_plan(1)
                .steps
                .into_iter()
                .filter(|step| step.at_ms > 0)
                .collect(),
        };
        let first_ms = plan.steps[0].at_ms;
        let mut life = Life::new(plan, 1000);
        assert_eq!(life.due_at(), Some(1000 + first_ms));
        assert_eq!(life.advance(1000 + first_ms - 1), DueSteps::default());
        life.advance(1000 + first_ms);
        assert_ne!(life.due_at(), Some(1000 + first_ms));
    }
}
