//! Notes each attempt in the history of its task.

use suno_callback::history::{HistoryEntry, HistoryKind, HistoryWriter};
use suno_callback::{Clock, EventKey, SystemClock};

use crate::attempt::Attempt;
use crate::breaker::Transition;
use crate::destination::DestinationName;
use crate::observe::Observer;
use crate::signing::MessageId;

/// An observer that writes attempts and replays into a history.
#[derive(Debug, Clone)]
pub struct AttemptNotes(HistoryWriter);

impl AttemptNotes {
    /// Notes attempts with `writer`, which need not note handlers as well
    /// ([`HistoryWriter::without_handlers`]).
    #[must_use]
    pub fn new(writer: HistoryWriter) -> Self {
        Self(writer)
    }
}

impl Observer for AttemptNotes {
    fn on_attempt(&self, _: &MessageId, key: &EventKey, attempt: &Attempt) {
        let kind = match attempt.is_replay {
            true => HistoryKind::REPLAY,
            false => HistoryKind::ATTEMPT,
        };
        let entry = HistoryEntry::new(key.task_id().clone(), kind, SystemClock.now())
            .with_stage(key.stage().clone(), key.revision())
            .with_detail(attempt);
        self.0.note(entry);
    }

    fn on_transition(&self, _: &DestinationName, _: Transition) {}
}
