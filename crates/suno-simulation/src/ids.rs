//! The tasks of a plan by their numbers: the ids that they have in the product, and back.

use suno_callback::{EventKey, SubmitId};
use suno_types::TaskId;

use crate::plan::{Key, StageName};

pub(crate) fn task_id(task: usize) -> TaskId {
    #[expect(clippy::expect_used, reason = "digits are an id")]
    TaskId::new(format!("{task:032}")).expect("digits are an id")
}

pub(crate) fn index_of(task: &TaskId) -> usize {
    task.as_str().parse().unwrap_or(usize::MAX)
}

pub(crate) fn key_of(key: &EventKey) -> Key {
    Key {
        task: index_of(key.task_id()),
        stage: StageName::of(key.stage()),
        revision: key.revision(),
    }
}

pub(crate) fn submit_id(task: usize) -> SubmitId {
    SubmitId::from_bytes((task as u128).to_be_bytes())
}

pub(crate) fn task_of(submit: SubmitId) -> usize {
    usize::try_from(u128::from_be_bytes(*submit.bytes())).unwrap_or(usize::MAX)
}
