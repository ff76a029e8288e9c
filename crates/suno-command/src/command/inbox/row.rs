//! An event as it is listed, with what its body says.

use suno_callback::{EventRecord, IdempotencyStore};
use suno_types::{Callback, Output};

use super::store_failed;
use crate::failure::Failure;

/// An event as it is listed.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) record: EventRecord,
    /// The title of the first result that has one.
    pub(super) title: Option<String>,
}

impl Row {
    /// Reads what a list leaves out.
    pub(super) async fn read(
        store: &dyn IdempotencyStore,
        record: EventRecord,
    ) -> Result<Self, Failure> {
        let events = store.find(record.key.task_id()).await;
        let events = events.map_err(store_failed)?;
        let full = events.into_iter().find(|event| event.id == record.id);
        let callback = full.and_then(|event| decoded(&event));
        Ok(Self {
            title: callback.as_ref().and_then(title),
            record,
        })
    }

    /// An event whose body was not read.
    pub(super) fn without_body(record: EventRecord) -> Self {
        Self {
            record,
            title: None,
        }
    }
}

/// Decodes the body of an event, if it has one.
pub(super) fn decoded(event: &EventRecord) -> Option<Callback> {
    Callback::decode(event.raw.as_deref()?).ok()
}

/// Returns the title of the first result that has one.
fn title(callback: &Callback) -> Option<String> {
    let title = match callback.output() {
        Output::Songs(tracks) => tracks.iter().find_map(|track| track.title.clone()),
        Output::Lyrics(all) => all.iter().find_map(|lyrics| lyrics.title.clone()),
        _ => None,
    };
    title.map(|title| title.to_string())
}
