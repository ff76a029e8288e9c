//! The course of a run, from the first submit until everything has ended, or for a day more.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use suno_callback::simulation::enter;
use suno_callback::*;
use tokio::time::sleep;

use crate::history::{OperationOutcome, What};
use crate::ids::{submit_id, task_id};
use crate::plan::{Act, ActKind, Fault, FaultKind, Millis};
use crate::store::Double;
use crate::world::World;
use crate::world::node::{Life, Node};

/// When tasks must be decided: after a day, and five answers with pauses of up to an hour.
const DECIDED_WITHIN: Millis = 30 * 3_600_000;

impl World {
    pub(crate) async fn run(self: &Arc<Self>) -> OperationOutcome {
        (0..self.nodes.len()).for_each(|node| Life::start(self, node));
        for task in 0..self.plan.tasks.len() {
            tokio::spawn(self.clone().submit(task));
        }
        for fault in self.plan.faults.clone() {
            tokio::spawn(self.clone().befall(fault));
        }
        for act in self.plan.acts.clone() {
            tokio::spawn(self.clone().act(act));
        }
        tokio::select! {
            biased;
            () = self.is_broken.notified() => {}
            () = self.phases() => {}
        }
        self.is_over.store(true, Ordering::Relaxed);
        self.nodes.iter().for_each(Node::end);
        std::mem::take(&mut self.checker().outcome)
    }

    /// Load and faults; then everything must end; then a day passes.
    async fn phases(&self) {
        self.until(self.plan.knobs.heal_at_ms).await;
        let quiet_by = self.now() + self.plan.quiet_within();
        while self.now() < quiet_by && !self.checker().is_quiet() {
            sleep(Duration::from_secs(20)).await;
        }
        self.checker().all_have_ended(self.now());
        if self.plan.knobs.one_more_day {
            self.until(self.now() + DECIDED_WITHIN).await;
            self.checker().all_have_ended(self.now());
            self.checker().all_are_decided();
        }
        self.checker().nothing_more_vanished();
        if let Ok(counts) = self.store.counts().await {
            self.checker().counts_agree(counts);
        }
    }

    /// Submits a task: the intent is written down, the provider makes the task, and it is expected.
    async fn submit(self: Arc<Self>, task: usize) {
        let plan = &self.plan.tasks[task];
        self.until(plan.submit_at_ms).await;
        let Some(life) = self.nodes[plan.submitter].life() else {
            return;
        };
        let (submit, answer_lost) = (submit_id(task), plan.answer_lost);
        let due_after = Duration::from_millis(self.plan.knobs.due_after_ms);
        let (double, world) = (Double::new(life.clone()), self.clone());
        let submitting = async move {
            let intent = Intent::new(submit, jiff::Timestamp::UNIX_EPOCH, due_after);
            if double.intend(&intent).await.is_err() {
                return;
            }
            world.record(None, What::Submitted(task));
            for number in 0..world.plan.tasks[task].callbacks.len() {
                tokio::spawn(world.clone().send(task, number));
            }
            if !answer_lost {
                let expected = ExpectedTask::new(task_id(task), due_after).with_submit(submit);
                let _ = double.expect(&expected).await;
            }
        };
        tokio::spawn(enter(life, submitting));
    }

    /// A fault, from its begin to its end. What it does meanwhile is asked of the plan.
    async fn befall(self: Arc<Self>, fault: Fault) {
        use FaultKind::{CutOff, Death, DeathAfterCommit, DeathAtPoll, Stall, Stop};
        self.until(fault.at_ms).await;
        let node = fault.node.unwrap_or_default();
        let life = self.nodes[node].life();
        let by = life.as_ref().map(|life| life.process());
        self.record(fault.node.and(by), What::Begins(fault.kind));
        match (fault.kind, life) {
            (CutOff, _) => return,
            (Death, Some(life)) => life.die("by the plan"),
            (Stop, Some(life)) => {
                let _ = tokio::spawn(enter(life.clone(), life.stop())).await;
            }
            _ => {}
        }
        self.until(self.plan.end_of(&fault)).await;
        self.record(None, What::Ends(fault.kind));
        match (fault.kind, self.nodes[node].life()) {
            (Stall, Some(life)) => life.resume(),
            (Death | DeathAtPoll(_) | DeathAfterCommit(_) | Stop, None) => Life::start(&self, node),
            _ => {}
        }
    }

    async fn act(self: Arc<Self>, act: Act) {
        self.until(act.at_ms).await;
        let Some(life) = self.nodes[0].life() else {
            return;
        };
        let (double, task, stage) = (Double::new(life), task_id(act.task), act.stage.stage());
        let how = match act.kind {
            ActKind::Decide => return drop(double.decide(&task, &stage).await),
            ActKind::Requeue => {
                let confirms = self.plan.knobs.confirm;
                return drop(requeue_quarantine(&double, confirms).await);
            }
            ActKind::Redrive => Redrive::Current,
            ActKind::RedriveSuperseded => Redrive::EvenIfSuperseded,
        };
        let events = self.store.find(&task).await.unwrap_or_default();
        if let Some(event) = events.iter().find(|event| *event.key.stage() == stage) {
            let _ = double.redrive(&[event.id], how).await;
        }
    }
}
