//! The form on the page: submits tasks to an emulator in this process, with a scenario each.

use std::sync::Arc;

use suno_callback::Submitter;
use suno_callback::async_trait;
use suno_emulator::Emulator;
use suno_gateway::admin::{PlaygroundTask, Scenario};
use suno_types::{GenerateSong, Model};
use tokio::sync::Mutex;

/// What can happen to a task: the words for the emulator, a name, and a sentence.
const SCENARIOS: [[&str; 3]; 11] = [
    [
        "",
        "The usual course",
        "Text, then the first track, then both.",
    ],
    [
        "duplicate",
        "Delivered twice",
        "Each callback is sent again; its event is handled once.",
    ],
    [
        "reorder",
        "Out of order",
        "Later stages overtake earlier ones, which are then passed over.",
    ],
    [
        "early",
        "Before the answer",
        "A callback arrives before the submit is answered.",
    ],
    [
        "drop-complete",
        "The last one is lost",
        "No callback says that the task is complete; the provider is asked.",
    ],
    [
        "forge",
        "Forged",
        "A stranger sends a body of his own with a signature that he has seen.",
    ],
    [
        "bad-signature",
        "A wrong signature",
        "The receiver refuses the callback with 401.",
    ],
    [
        "stale-timestamp",
        "An old signature",
        "The time of the signature is too far in the past: 401.",
    ],
    [
        "unknown-type",
        "An unknown stage",
        "A stage of which nobody knows the meaning is stored and handed on.",
    ],
    [
        "second-first",
        "The second track first",
        "The tracks are finished in the other order.",
    ],
    [
        "fail=531",
        "The task fails",
        "The generation fails, and the credits are given back.",
    ],
];

/// An emulator and a submitter whose callbacks a receiver in this process takes.
#[derive(Debug, Clone)]
pub(crate) struct Playground {
    emulator: Arc<Emulator>,
    submitter: Submitter,
    callback_url: String,
    /// A scenario is chosen for the next task, so tasks are submitted one at a time.
    turn: Arc<Mutex<()>>,
}

impl Playground {
    pub(crate) fn new(emulator: Arc<Emulator>, submitter: Submitter, callback_url: &str) -> Self {
        Self {
            emulator,
            submitter,
            callback_url: callback_url.to_owned(),
            turn: Arc::default(),
        }
    }
}

#[async_trait]
impl suno_gateway::admin::Playground for Playground {
    fn scenarios(&self) -> Vec<Scenario> {
        let all = SCENARIOS.iter();
        all.map(|[word, title, about]| Scenario::new(word, title, about))
            .collect()
    }

    async fn submit(&self, task: PlaygroundTask) -> Result<String, String> {
        let or = |text: String, otherwise: &str| match text.trim() {
            "" => otherwise.to_owned(),
            _ => text,
        };
        let request = GenerateSong::builder()
            .lyrics(or(
                task.prompt,
                "[Verse]\nThe lights come on along the quay",
            ))
            .model(Model::V6)
            .style(or(task.style, "folk, warm"))
            .title(or(task.title, "Harbour lights"))
            .custom_mode(true)
            .callback_url(&*self.callback_url)
            .build()
            .map_err(|err| err.to_string())?;
        let _turn = self.turn.lock().await;
        self.emulator
            .set_scenario(&task.scenario, Some(1))
            .map_err(|err| err.to_string())?;
        let submitted = self.submitter.submit(&request).await;
        submitted
            .map(|submitted| submitted.task_id.to_string())
            .map_err(|err| err.to_string())
    }
}
