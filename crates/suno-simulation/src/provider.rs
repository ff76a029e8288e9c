//! The provider: it is asked about tasks, and sends callbacks.

use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::Request;
use suno_callback::simulation::enter;
use suno_callback::{CouldNotAsk, RecordInfo, SubmitId, async_trait};
use suno_types::signature::WebhookKey;
use suno_types::{Code, TaskId, TaskRecord, TaskStatus, Track, TrackId};
use tokio::time::{sleep, timeout};

use crate::clock::START_MS;
use crate::history::{What, hash_of};
use crate::node::Life;
use crate::plan::{Body, CallbackPlan, FaultKind, ProviderFault, StageName};
use crate::world::{World, index_of, task_id};

/// The key that signs callbacks.
pub(crate) const KEY: &str = "whk-simulated";
/// How long the provider waits for an answer to a callback.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(15);
/// When a callback is sent again that was not answered with 200.
const AGAIN_AFTER: [u64; 3] = [5, 30, 120];

/// Asks the provider on behalf of a node.
#[derive(Debug)]
pub(crate) struct Provider(pub(crate) Arc<Life>);

#[async_trait]
impl RecordInfo for Provider {
    async fn record(&self, asked: &TaskId) -> Result<Option<TaskRecord>, CouldNotAsk> {
        let (life, world) = (&self.0, &self.0.world);
        let task = index_of(asked);
        life.record(What::Asked { task });
        let dice = world.dice.of("provider").at(task as u64).at(world.now());
        sleep(Duration::from_millis(dice.below(300))).await;
        let (result, answer) = match world.provider_fault(life.node) {
            None => world.truth(task, asked),
            Some(ProviderFault::Refuses) => (Err(CouldNotAsk::new("it refuses")), "refuses"),
            Some(ProviderFault::Hangs) => {
                life.record(What::Answers {
                    task,
                    answer: "hangs",
                });
                pending().await
            }
            Some(ProviderFault::AsksForWait(seconds)) => {
                let wait = Some(Duration::from_secs(seconds));
                (
                    Err(CouldNotAsk::new("later").with_retry_after(wait)),
                    "asks for a wait",
                )
            }
        };
        life.record(What::Answers { task, answer });
        result
    }
}

type Answer = (Result<Option<TaskRecord>, CouldNotAsk>, &'static str);

impl World {
    /// What the record of a task says now.
    fn truth(&self, task: usize, asked: &TaskId) -> Answer {
        let since = self.submitted_at(task).map(|at| self.now() - at);
        let Some(since) = since else {
            return (Ok(None), "unknown");
        };
        let reached = self.plan.tasks[task]
            .stages
            .iter()
            .rev()
            .find(|(after, _)| *after <= since);
        let Some((_, stage)) = reached else {
            return (Ok(None), "unknown");
        };
        let answer = if stage.is_terminal() {
            "ended"
        } else {
            "running"
        };
        (Ok(Some(record(task, asked, *stage))), answer)
    }

    fn provider_fault(&self, node: usize) -> Option<ProviderFault> {
        self.find_fault(node, |kind| match kind {
            FaultKind::Provider(fault) => Some(fault),
            _ => None,
        })
    }

    /// Sends a callback of a task, and again until it is answered with 200.
    pub(crate) async fn send(
        self: Arc<Self>,
        task: usize,
        number: usize,
        submit: Option<SubmitId>,
    ) {
        let plan = self.plan.tasks[task].callbacks[number].clone();
        let body = Bytes::from(body(task, number, &plan));
        let again = AGAIN_AFTER
            .iter()
            .take(if plan.once { 0 } else { AGAIN_AFTER.len() });
        for (attempt, pause) in std::iter::once(&0).chain(again).enumerate() {
            sleep(Duration::from_secs(*pause)).await;
            let delivery = (task * 100 + number) as u64 * 10 + attempt as u64;
            self.record(
                None,
                What::Sent {
                    delivery,
                    task,
                    stage: plan.stage,
                    body: plan.body,
                },
            );
            let status = match self.has_fault(plan.node, |kind| kind == FaultKind::Network) {
                true => 0,
                false => {
                    self.deliver(
                        task,
                        (plan.node + attempt) % self.nodes.len(),
                        &plan,
                        &body,
                        submit,
                    )
                    .await
                }
            };
            self.record(
                None,
                What::Answered {
                    delivery,
                    body: hash_of(&body),
                    status,
                },
            );
            if status == 200 {
                return;
            }
        }
    }

    /// Delivers once; 0 if there was no answer.
    async fn deliver(
        &self,
        task: usize,
        node: usize,
        plan: &CallbackPlan,
        body: &Bytes,
        submit: Option<SubmitId>,
    ) -> u16 {
        let Some(life) = self.nodes[node].life() else {
            return 0;
        };
        let Some(receiver) = life.receiver() else {
            return 0;
        };
        let now = START_MS.unsigned_abs() + self.now();
        let key = if plan.body == Body::Unsigned {
            "whk-other"
        } else {
            KEY
        };
        let signature = WebhookKey::new(key).sign(&task_id(task), now / 1_000);
        let path = submit.map_or_else(
            || "/suno/callback".to_owned(),
            |submit| format!("/suno/callback/{submit}"),
        );
        let request = Request::post(path)
            .header("content-type", "application/json")
            .header("x-webhook-timestamp", now / 1_000)
            .header("x-webhook-signature", signature)
            .body(body.clone());
        let Ok(request) = request else { return 0 };
        let receiving = tokio::spawn(enter(life, async move { receiver.receive(request).await }));
        let abort = receiving.abort_handle();
        match timeout(ANSWER_TIMEOUT, receiving).await {
            Ok(Ok(answer)) => answer.status().as_u16(),
            _ => {
                abort.abort();
                0
            }
        }
    }
}

fn is_failure(stage: StageName) -> bool {
    stage == StageName::Failed
}

/// The body of a callback.
fn body(task: usize, number: usize, plan: &CallbackPlan) -> String {
    let id = task_id(task);
    let (track, url) = match plan.body {
        Body::Forged => (format!("forged-{task}-{number}"), "forged".to_owned()),
        Body::Renewed => (format!("track-{task}"), format!("signed-{number}")),
        _ => (format!("track-{task}"), "signed".to_owned()),
    };
    if plan.body == Body::Garbled {
        return format!(
            r#"{{"code":200,"msg":"{number}","data":{{"callbackType":["text"],"task_id":"{id}"}}}}"#
        );
    }
    if is_failure(plan.stage) {
        let code = if plan.body == Body::Forged { 531 } else { 501 };
        return format!(
            r#"{{"code":{code},"msg":"{url}","data":{{"callbackType":"error","task_id":"{id}","data":[]}}}}"#
        );
    }
    let stage = plan.stage.stage();
    format!(
        r#"{{"code":200,"msg":"ok","data":{{"callbackType":"{stage}","task_id":"{id}","data":[{{"id":"{track}","audio_url":"https://media.example.com/{url}.mp3","duration":12.5}}]}}}}"#
    )
}

/// The record of a task that has reached a stage.
fn record(task: usize, asked: &TaskId, stage: StageName) -> TaskRecord {
    let status = match stage {
        StageName::Text | StageName::Other => TaskStatus::TEXT_SUCCESS,
        StageName::First => TaskStatus::FIRST_SUCCESS,
        StageName::Complete => TaskStatus::SUCCESS,
        StageName::Failed => TaskStatus::GENERATE_AUDIO_FAILED,
    };
    let mut record = TaskRecord::new(asked.clone(), status);
    if is_failure(stage) {
        record.error_code = Some(Code::GENERATION_FAILED);
        return record;
    }
    let mut track = Track::new(0);
    track.id = TrackId::new(format!("track-{task}")).ok();
    track.audio_url = Some("https://media.example.com/signed.mp3".to_owned());
    track.duration = Some(12.5);
    record.tracks.push(track);
    record
}
