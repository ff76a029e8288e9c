//! The simulated provider: it answers requests about tasks, and sends callbacks.

use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::Request;
use suno_callback::simulation::enter;
use suno_callback::{RecordInfo, RecordInfoError, async_trait};
use suno_types::signature::WebhookKey;
use suno_types::{TaskId, TaskKind, TaskRecord};
use tokio::time::{sleep, timeout};

use crate::clock::START_MS;
use crate::history::{What, hash_of};
use crate::ids::{index_of, submit_id, task_id};
use crate::plan::{Body, CallbackPlan, FaultKind, Key, StageName};
use crate::world::World;
use crate::world::node::Life;

pub(crate) const KEY: &str = "whk-simulated";
const ANSWER_TIMEOUT: Duration = Duration::from_secs(15);
/// The delays in seconds at which a callback is sent, and repeated if the response was
/// not 200.
const SENT_AFTER: [u64; 4] = [0, 5, 30, 120];

#[derive(Debug)]
pub(crate) struct Provider(pub(crate) Arc<Life>);

#[async_trait]
impl RecordInfo for Provider {
    async fn record(
        &self,
        asked: &TaskId,
        _kind: &TaskKind,
    ) -> Result<Option<TaskRecord>, RecordInfoError> {
        use FaultKind::{ProviderAsksForWait, ProviderHangs, ProviderRefuses};
        let (life, world) = (&self.0, &self.0.world);
        let task = index_of(asked);
        let delay = world.dice("provider", task, world.now()) % 300;
        sleep(Duration::from_millis(delay)).await;
        for fault in world.active(life.node) {
            let wait = match fault.kind {
                ProviderRefuses | ProviderHangs => None,
                ProviderAsksForWait(seconds) => Some(Duration::from_secs(seconds)),
                _ => continue,
            };
            life.record(What::Answers(task, "away"));
            if fault.kind == ProviderHangs {
                pending().await
            }
            return Err(RecordInfoError::new("the provider is away").with_retry_after(wait));
        }
        let stage = world.stage_of(task);
        let answer = match stage {
            None => "unknown",
            Some(stage) if stage.stage().is_terminal() => "ended",
            Some(_) => "running",
        };
        life.record(What::Answers(task, answer));
        let tracks = world.tracks_of(task);
        Ok(stage.and_then(|stage| record(task, asked, stage, tracks)))
    }
}

impl World {
    fn stage_of(&self, task: usize) -> Option<StageName> {
        let since = self.now() - self.checker().submitted_at(task)?;
        let stages = self.plan.tasks.get(task)?.stages.iter();
        let reached = stages.rev().find(|(after, _)| *after <= since);
        reached.map(|(_, stage)| *stage)
    }

    /// The number of tracks that are ready.
    fn tracks_of(&self, task: usize) -> usize {
        let Some(submitted_at) = self.checker().submitted_at(task) else {
            return 0;
        };
        let plan = self.plan.tasks.get(task);
        let fuller_at = plan.and_then(|plan| plan.fuller_at_ms);
        1 + usize::from(fuller_at.is_some_and(|at| at <= self.now() - submitted_at))
    }

    /// Sends a callback of a task, and repeats it until the response is 200.
    pub(crate) async fn send(self: Arc<Self>, task: usize, number: usize) {
        let plan = &self.plan.tasks[task].callbacks[number];
        let stage = plan.stage;
        sleep(Duration::from_millis(plan.after_ms)).await;
        let body = Bytes::from(body(task, number, plan));
        let times = if plan.once { 1 } else { SENT_AFTER.len() };
        for (time, pause) in SENT_AFTER.into_iter().take(times).enumerate() {
            sleep(Duration::from_secs(pause)).await;
            self.record(None, What::Sent(Key::first(task, stage), plan.body, time));
            let node = (plan.node + time) % self.nodes.len();
            let is_lost = self.has_fault(plan.node, FaultKind::Network);
            let mut status = 0;
            if !is_lost {
                status = (self.deliver(task, node, plan.body, &body).await).unwrap_or(0);
            }
            self.record(None, What::Answered(hash_of(&body), status));
            if status == 200 {
                return;
            }
        }
    }

    /// Delivers a callback once, and returns the status of the response, if any.
    async fn deliver(&self, task: usize, node: usize, says: Body, body: &Bytes) -> Option<u16> {
        let life = self.nodes[node].life()?;
        let receiver = life.receiver()?;
        let seconds = (START_MS + self.now()) / 1_000;
        let key = if says == Body::Unsigned { "other" } else { KEY };
        let signature = WebhookKey::new(key).sign(&task_id(task), seconds);
        let request = Request::post(format!("/suno/callback/{}", submit_id(task)))
            .header("content-type", "application/json")
            .header("x-webhook-timestamp", seconds)
            .header("x-webhook-signature", signature)
            .body(body.clone());
        let request = request.ok()?;
        let receiving = tokio::spawn(enter(life, async move { receiver.receive(request).await }));
        let abort = receiving.abort_handle();
        let answered = timeout(ANSWER_TIMEOUT, receiving).await;
        abort.abort();
        Some(answered.ok()?.ok()?.status().as_u16())
    }
}

fn body(task: usize, number: usize, plan: &CallbackPlan) -> String {
    let (id, stage) = (task_id(task), plan.stage.stage());
    let (track, url, code) = match plan.body {
        Body::Forged | Body::ForgedFuller => {
            (format!("forged-{task}-{number}"), "forged".to_owned(), 531)
        }
        Body::Renewed => (format!("track-{task}"), format!("signed-{number}"), 501),
        _ => (format!("track-{task}"), "signed".to_owned(), 501),
    };
    match (plan.body, plan.stage) {
        (Body::Garbled, _) => format!(
            r#"{{"code":"ok","msg":"{number}","data":{{"callbackType":"text","task_id":"{id}"}}}}"#
        ),
        (_, StageName::Failed) => format!(
            r#"{{"code":{code},"msg":"{url}","data":{{"callbackType":"error","task_id":"{id}","data":[]}}}}"#
        ),
        _ => {
            let tracks = match plan.body {
                Body::Fuller => 2,
                Body::ForgedFuller => 5,
                _ => 1,
            };
            let tracks = tracks_named(&track, tracks, |id| {
                format!(
                    r#"{{"id":"{id}","audio_url":"https://media.example.com/{url}.mp3","duration":12.5}}"#
                )
            });
            format!(
                r#"{{"code":200,"msg":"ok","data":{{"callbackType":"{stage}","task_id":"{id}","data":[{tracks}]}}}}"#
            )
        }
    }
}

/// Returns the JSON of so many tracks, whose ids begin with a name.
fn tracks_named(name: &str, tracks: usize, track: impl Fn(String) -> String) -> String {
    let id = |number| match number {
        0 => name.to_owned(),
        number => format!("{name}-{number}"),
    };
    let tracks: Vec<_> = (0..tracks).map(|number| track(id(number))).collect();
    tracks.join(",")
}

fn record(task: usize, asked: &TaskId, stage: StageName, tracks: usize) -> Option<TaskRecord> {
    let (status, code) = match stage {
        StageName::Text | StageName::Other => ("TEXT_SUCCESS", "null"),
        StageName::First => ("FIRST_SUCCESS", "null"),
        StageName::Complete => ("SUCCESS", "null"),
        StageName::Failed => ("GENERATE_AUDIO_FAILED", "501"),
    };
    let tracks = match stage {
        StageName::Failed => String::new(),
        _ => tracks_named(&format!("track-{task}"), tracks, |id| {
            format!(
                r#"{{"id":"{id}","audioUrl":"https://media.example.com/signed.mp3","duration":12.5}}"#
            )
        }),
    };
    let body = format!(
        r#"{{"code":200,"data":{{"taskId":"{asked}","status":"{status}","errorCode":{code},"response":{{"sunoData":[{tracks}]}}}}}}"#
    );
    TaskRecord::decode(body.as_bytes()).ok()?.data
}
