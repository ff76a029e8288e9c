//! Writes attempts into the history of their tasks.

use jiff::Timestamp;
use serde_json::json;
use suno_callback::EventKey;
use suno_callback::history::{HistoryEntry, HistoryKind, HistoryWriter};

use crate::attempt::Attempt;
use crate::breaker::Transition;
use crate::destination::DestinationName;
use crate::observe::Observer;
use crate::signing::MessageId;

/// An [`Observer`] that notes each attempt in the history of its task.
///
/// Use it with a writer that notes [no handlers](HistoryWriter::without_handlers) as the observer of the
/// pipeline: an attempt says more than the end of the handler that made it.
#[derive(Debug, Clone)]
pub struct AttemptHistory {
    writer: HistoryWriter,
}

impl AttemptHistory {
    /// Notes attempts with this writer.
    #[must_use]
    pub fn new(writer: HistoryWriter) -> Self {
        Self { writer }
    }

    fn note(&self, key: &EventKey, attempt: &Attempt, at: Timestamp) {
        let entry = HistoryEntry::new(key.task_id().clone(), HistoryKind::ATTEMPT, at)
            .with_stage(key.stage().clone(), key.revision())
            .with_detail(&json!(attempt));
        self.writer.note(entry);
    }
}

impl Observer for AttemptHistory {
    /// Replays are left out: who asks for one notes it, with the reason.
    fn on_attempt(&self, _: &MessageId, key: &EventKey, attempt: &Attempt) {
        if !attempt.is_replay {
            self.note(key, attempt, attempt.started_at);
        }
    }

    fn on_transition(&self, _: &DestinationName, _: Transition) {}
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use suno_callback::history::{History, MemoryHistory};
    use suno_types::{Stage, TaskId};

    use super::*;
    use crate::attempt::{AnswerRecord, KeptText, Outcome};
    use crate::destination::Action;

    #[tokio::test]
    async fn an_attempt_is_an_entry_of_its_task_and_a_replay_is_not() {
        let history = Arc::new(MemoryHistory::new());
        let (writer, writing) = HistoryWriter::start(history.clone());
        let observer = AttemptHistory::new(writer);
        let task_id = TaskId::new("t").unwrap();
        let key = EventKey::new(task_id.clone(), Stage::Complete).with_revision(2);
        let answer = AnswerRecord::new(503, KeptText::head("later", false));
        let outcome = Outcome::Answered(answer);
        let mut attempt = Attempt::new("shop", 3, Timestamp::UNIX_EPOCH, outcome, Action::Retry);
        let id = MessageId::of(&key);
        observer.on_attempt(&id, &key, &attempt);
        attempt.is_replay = true;
        observer.on_attempt(&id, &key, &attempt);
        writing.stop().await;
        let entries = history.of_task(&task_id).await.unwrap();
        assert_eq!(entries.len(), 1);
        assert_eq!(
            (entries[0].kind.as_str(), entries[0].revision),
            ("attempt", 2)
        );
        let read: Attempt = serde_json::from_str(entries[0].detail()).unwrap();
        attempt.is_replay = false;
        assert_eq!(read, attempt);
    }
}
