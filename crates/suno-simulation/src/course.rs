//! The course of a run: tasks are submitted, faults begin and end, and persons act.

use std::sync::Arc;
use std::time::Duration;

use suno_callback::simulation::enter;
use suno_callback::{ExpectedTask, IdempotencyStore, Intent, Redrive};
use tokio::time::sleep;

use crate::history::What;
use crate::plan::{FaultKind, RedrivePlan};
use crate::store::Double;
use crate::world::{World, submit_id, task_id};

impl World {
    /// Submits a task: the intent is written down, the provider makes the task, and it is expected.
    pub(crate) async fn submit(self: Arc<Self>, task: usize) {
        let plan = self.plan.tasks[task].clone();
        self.until(plan.submit_at_ms).await;
        let submit = submit_id(task);
        let due_after = Duration::from_millis(self.plan.knobs.due_after_ms);
        let Some(life) = self.nodes[plan.submitter].life() else {
            return;
        };
        let double = Double::new(life.clone());
        let world = self.clone();
        let submitting = async move {
            let intent = Intent::new(submit, jiff::Timestamp::UNIX_EPOCH, due_after);
            if double.intend(&intent).await.is_err() {
                return;
            }
            world.begin(task);
            if !plan.answer_lost {
                let expected = ExpectedTask::new(task_id(task), due_after).with_submit(submit);
                let _ = double.expect(&expected).await;
            }
        };
        tokio::spawn(enter(life, submitting));
    }

    /// The provider has made a task: callbacks follow.
    fn begin(self: &Arc<Self>, task: usize) {
        self.set_submitted(task);
        self.record(None, What::Submitted { task });
        for (number, callback) in self.plan.tasks[task].callbacks.iter().enumerate() {
            let (world, after) = (self.clone(), Duration::from_millis(callback.after_ms));
            tokio::spawn(async move {
                sleep(after).await;
                world.send(task, number, Some(submit_id(task))).await;
            });
        }
    }

    /// A fault, from its begin to its end.
    pub(crate) async fn befall(self: Arc<Self>, number: usize) {
        let fault = self.plan.faults[number].clone();
        let ends_at = self.plan.end_of(&fault);
        self.until(fault.at_ms).await;
        let node = &self.nodes[fault.node.unwrap_or_default()];
        let life = node.life();
        match (fault.kind, life.clone()) {
            (FaultKind::Death, Some(life)) => life.die("by the plan"),
            (FaultKind::DeathAtPoll(poll), Some(life)) => life.will_die_at_poll(poll),
            (FaultKind::DeathAfterCommit(commits), Some(life)) => {
                life.will_die_after_commits(commits)
            }
            (FaultKind::Stop, Some(life)) => {
                let _ = tokio::spawn(enter(life.clone(), life.stop())).await;
            }
            (FaultKind::Stall, Some(life)) => {
                life.stall();
                self.until(ends_at).await;
                life.resume();
            }
            (FaultKind::WallStep(by_ms), _) => {
                node.clock.step(by_ms);
                self.until(ends_at).await;
                node.clock.step(-by_ms);
            }
            (FaultKind::CutOff, Some(life)) => life.record(What::CutOff),
            (FaultKind::Store(..), _) => {
                self.record(None, What::Fault(number));
                self.until(ends_at).await;
                self.record(None, What::Healed(number));
            }
            _ => {}
        }
        if fault.kind.ends_a_life() {
            self.until(ends_at).await;
            life.iter().for_each(|life| life.will_live());
            self.nodes[node.index].start(&self);
        }
    }

    pub(crate) async fn redrive(self: Arc<Self>, plan: RedrivePlan) {
        self.until(plan.at_ms).await;
        let Some(life) = self.nodes[0].life() else {
            return;
        };
        let double = Double::new(life);
        let how = if plan.even_if_superseded {
            Redrive::EvenIfSuperseded
        } else {
            Redrive::Current
        };
        let events = self
            .store
            .find(&task_id(plan.task))
            .await
            .unwrap_or_default();
        let stage = plan.stage.stage();
        if let Some(event) = events.iter().find(|event| *event.key.stage() == stage) {
            let _ = double.redrive(&[event.id], how).await;
        }
    }
}
