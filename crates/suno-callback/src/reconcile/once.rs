//! Decides whether a submit under a reference was made before, and with the same request.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use sha2::{Digest, Sha256};
use suno_types::{InvalidField, Request, Route, TaskId};

use crate::key::{Reference, SubmitId};
use crate::store::RecordedSubmit;

/// The outcome of [`Submitter::submit_once`](crate::Submitter::submit_once).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum SubmitOnce {
    /// The task exists.
    Submitted {
        /// The task.
        task_id: TaskId,
        /// The id of the submit that made it.
        submit: SubmitId,
        /// True if this call submitted it, false if an earlier one did.
        is_new: bool,
    },
    /// Another call is submitting it, so nothing was sent. Call again later.
    InFlight,
    /// An earlier submit was recorded and its outcome is not known, so nothing was sent: the task may
    /// exist and may have been paid for. It becomes known with its first callback.
    Unknown(RecordedSubmit),
    /// The reference was used for another request, so nothing was sent.
    OtherRequest,
}

/// The references that are being submitted in this process.
pub(super) type InFlight = Arc<Mutex<BTreeSet<Reference>>>;

/// The right to submit under a reference, which ends when it is dropped.
#[derive(Debug)]
pub(super) struct Turn {
    in_flight: InFlight,
    reference: Reference,
}

impl Turn {
    /// Takes the turn, unless another call has it.
    pub(super) fn take(in_flight: &InFlight, reference: &Reference) -> Option<Self> {
        lock(in_flight).insert(reference.clone()).then(|| Self {
            in_flight: in_flight.clone(),
            reference: reference.clone(),
        })
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        lock(&self.in_flight).remove(&self.reference);
    }
}

/// The set is whole after each change, so a panic elsewhere does not matter.
fn lock(in_flight: &InFlight) -> MutexGuard<'_, BTreeSet<Reference>> {
    in_flight.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What a request says, by which it is compared with an earlier one.
///
/// The store keeps no request. Instead, the last bytes of the submit id are a hash of the request and
/// of the first, random ones.
#[derive(Debug)]
pub(super) struct Content(Vec<u8>);

/// The random bytes of a submit id: as hard to guess as 80 bits are.
const RANDOM_BYTES: usize = 10;
/// The bytes of a submit id that are a hash. Two requests look the same once in 2^48 times.
const HASH_BYTES: usize = 16 - RANDOM_BYTES;

impl Content {
    /// Takes the content of a request.
    pub(super) fn of(request: &impl Request, route: Route) -> Result<Self, InvalidField> {
        let mut content = request.operation().as_str().as_bytes().to_vec();
        content.push(b'\n');
        content.extend(request.encode(route)?);
        Ok(Self(content))
    }

    /// Makes the submit id of this content.
    pub(super) fn submit_id(&self, random: [u8; RANDOM_BYTES]) -> SubmitId {
        let mut hash = Sha256::new();
        hash.update(random);
        hash.update(&self.0);
        let hash = hash.finalize();
        let mut bytes = [0; 16];
        let (first, last) = bytes.split_at_mut(RANDOM_BYTES);
        first.copy_from_slice(&random);
        last.copy_from_slice(&hash[..HASH_BYTES]);
        SubmitId::from_bytes(bytes)
    }

    /// Whether a submit id is of this content.
    fn is_of(&self, submit: SubmitId) -> bool {
        let random = submit.bytes().first_chunk::<RANDOM_BYTES>();
        random.is_some_and(|random| self.submit_id(*random) == submit)
    }
}

/// Returns the outcome that follows from the recorded submits of a reference; `None` if nothing follows.
pub(super) fn known(found: Vec<RecordedSubmit>, content: &Content) -> Option<SubmitOnce> {
    if found.iter().any(|recorded| !content.is_of(recorded.submit)) {
        return Some(SubmitOnce::OtherRequest);
    }
    let mut open = None;
    for recorded in found {
        match recorded.task_id {
            Some(task_id) => {
                return Some(SubmitOnce::Submitted {
                    task_id,
                    submit: recorded.submit,
                    is_new: false,
                });
            }
            None => open = Some(recorded),
        }
    }
    open.map(SubmitOnce::Unknown)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn content(text: &str) -> Content {
        Content(text.as_bytes().to_vec())
    }

    fn recorded(submit: SubmitId, task: Option<&str>) -> RecordedSubmit {
        RecordedSubmit {
            task_id: task.map(|task| TaskId::new(task).unwrap()),
            ..RecordedSubmit::new(submit, jiff::Timestamp::UNIX_EPOCH)
        }
    }

    #[test]
    fn a_submit_id_tells_its_request_from_others() {
        let one = content("one");
        let (id, other_id) = (one.submit_id([1; 10]), one.submit_id([2; 10]));
        assert!(id != other_id && one.is_of(id) && one.is_of(other_id));
        assert!(!content("two").is_of(id));
        assert!(!one.is_of(SubmitId::from_bytes([1; 16])));
    }

    #[test]
    fn what_is_recorded_decides_and_a_task_counts_more_than_an_open_intent() {
        let one = content("one");
        let (id, later) = (one.submit_id([1; 10]), one.submit_id([2; 10]));
        assert_eq!(known(vec![], &one), None);
        let open = recorded(id, None);
        let unknown = SubmitOnce::Unknown(open.clone());
        assert_eq!(known(vec![open.clone()], &one), Some(unknown));
        assert_eq!(
            known(vec![open.clone()], &content("two")),
            Some(SubmitOnce::OtherRequest)
        );
        let submitted = SubmitOnce::Submitted {
            task_id: TaskId::new("t").unwrap(),
            submit: later,
            is_new: false,
        };
        assert_eq!(
            known(vec![open, recorded(later, Some("t"))], &one),
            Some(submitted)
        );
    }

    #[test]
    fn one_call_has_the_turn_of_a_reference() {
        let in_flight = InFlight::default();
        let [one, other] = ["a", "b"].map(|name| Reference::new(name).unwrap());
        let turn = Turn::take(&in_flight, &one);
        assert!(turn.is_some() && Turn::take(&in_flight, &one).is_none());
        assert!(Turn::take(&in_flight, &other).is_some());
        drop(turn);
        assert!(Turn::take(&in_flight, &one).is_some());
    }
}
