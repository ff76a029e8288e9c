//! The ledger of submits: which tasks are expected, and when to ask about them.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use suno_types::TaskId;

use super::{Held, Inspect, StoreError, later};

/// The ledger of submits, in the same store as the events.
///
/// A submit is written down before it is sent, since afterwards it may be too late: the process may
/// die before the answer, and the provider has neither an idempotency key nor a list of tasks
/// (`PROTOCOL.md 1.16` to `1.18`). When the answer came, its task is expected, and asked about if
/// its last callback does not come.
///
/// Every operation is atomic, and returns only after what it wrote would survive a power cut.
///
/// # Contract
///
/// Submits:
///
/// * An intent stays open until it is withdrawn, its task is expected, or a delivery names it.
/// * A delivery that names an open intent closes it and makes its task expected, in the transaction
///   that stores the delivery; one of which no task can be read leaves the intent as it is.
/// * [`open_intents`](Self::open_intents) come in the order of their making.
///
/// Tasks:
///
/// * A task is expected once: another [`expect`](Self::expect) changes nothing but closes its
///   intent.
/// * A task is due from its moment on, the longest due first.
/// * Of any number of concurrent calls of [`due`](Self::due), one gets a task; nobody else does
///   before its lease ends, and from then on it is due again.
/// * A task with one event of a last stage that is no dead letter needs no asking:
///   [`due`](Self::due) forgets it. One with both last stages, or with a dead letter, is asked
///   about.
/// * Only the ticket of the latest lease can postpone or finish; any other is
///   [`Lost`](Held::Lost) and changes nothing.
/// * [`purge`](Inspect::purge) forgets intents with the keys of their age, and tasks never.
#[async_trait]
pub trait TaskLedger: Inspect {
    /// Writes down that a submit is about to be sent.
    ///
    /// # Errors
    ///
    /// [`StoreError`]; nothing must be sent then.
    async fn intend(&self, intent: Intent) -> Result<(), StoreError>;

    /// Strikes out a submit that surely did nothing.
    ///
    /// # Errors
    ///
    /// [`StoreError`]
    async fn withdraw(&self, submit: SubmitId) -> Result<(), StoreError>;

    /// Submits that were intended before a moment and never heard of again: a task may exist and
    /// may have been paid for. At most so many, the oldest first.
    ///
    /// # Errors
    ///
    /// [`StoreError`]
    async fn open_intents(
        &self,
        before: Timestamp,
        intents_max: u32,
    ) -> Result<Vec<Intent>, StoreError>;

    /// Expects callbacks of a task.
    ///
    /// # Errors
    ///
    /// [`StoreError`]
    async fn expect(&self, expected: Expected) -> Result<(), StoreError>;

    /// Takes tasks that are due to be asked about.
    ///
    /// # Errors
    ///
    /// [`StoreError`]; none was taken then.
    async fn due(&self, request: DueRequest) -> Result<Vec<Due>, StoreError>;

    /// Makes a task due again at `until`.
    ///
    /// # Errors
    ///
    /// [`StoreError`]
    async fn postpone(&self, ticket: &DueTicket, until: Timestamp) -> Result<Held, StoreError>;

    /// Forgets a task about which nothing more is to be asked.
    ///
    /// # Errors
    ///
    /// [`StoreError`]
    async fn finish(&self, ticket: &DueTicket) -> Result<Held, StoreError>;
}

/// The name that a submit has before the provider names its task. It stands at the end of the
/// callback URL, and is as unguessable as the bytes that it is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SubmitId([u8; 16]);

/// Text that is no [`SubmitId`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the name of a submit is 32 lower-case hexadecimal digits")]
#[non_exhaustive]
pub struct InvalidSubmitId;

impl SubmitId {
    /// A name of random bytes; whoever can guess them can claim a task for a submit.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// The bytes, for stores.
    #[must_use]
    pub const fn bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

/// 32 lower-case hexadecimal digits.
impl fmt::Display for SubmitId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl FromStr for SubmitId {
    type Err = InvalidSubmitId;

    fn from_str(text: &str) -> Result<Self, InvalidSubmitId> {
        let digit = |digit: u8| match digit {
            b'0'..=b'9' => Ok(digit - b'0'),
            b'a'..=b'f' => Ok(digit - b'a' + 10),
            _ => Err(InvalidSubmitId),
        };
        let (pairs, rest) = text.as_bytes().as_chunks::<2>();
        let mut bytes = [0; 16];
        if pairs.len() != bytes.len() || !rest.is_empty() {
            return Err(InvalidSubmitId);
        }
        for (byte, [high, low]) in bytes.iter_mut().zip(pairs) {
            *byte = digit(*high)? << 4 | digit(*low)?;
        }
        Ok(Self(bytes))
    }
}

/// A submit that is about to be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Intent {
    /// Its name.
    pub submit: SubmitId,
    /// When it was written down.
    pub intended_at: Timestamp,
    /// When its task is to be asked about, if it becomes known by a callback.
    pub due_at: Timestamp,
}

impl Intent {
    /// A submit whose task is to be asked about `due_after` later.
    #[must_use]
    pub fn new(submit: SubmitId, intended_at: Timestamp, due_after: Duration) -> Self {
        Self {
            submit,
            intended_at,
            due_at: later(intended_at, due_after),
        }
    }
}

/// A task whose callbacks are expected.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Expected {
    /// The task.
    pub task_id: TaskId,
    /// The submit that it came of, if that was written down.
    pub submit: Option<SubmitId>,
    /// Since when.
    pub expected_at: Timestamp,
    /// When it is to be asked about.
    pub due_at: Timestamp,
}

impl Expected {
    /// A task that is to be asked about `due_after` later.
    #[must_use]
    pub fn new(task_id: TaskId, expected_at: Timestamp, due_after: Duration) -> Self {
        Self {
            task_id,
            submit: None,
            expected_at,
            due_at: later(expected_at, due_after),
        }
    }

    /// The same with the submit that it came of.
    #[must_use]
    pub fn with_submit(mut self, submit: SubmitId) -> Self {
        self.submit = Some(submit);
        self
    }
}

/// Which tasks to take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct DueRequest {
    /// The present moment.
    pub now: Timestamp,
    /// How long they are taken for.
    pub lease: Duration,
    /// How many at most.
    pub tasks_max: usize,
}

impl DueRequest {
    /// Takes at most `tasks_max` tasks from `now` on for `lease`.
    #[must_use]
    pub fn new(now: Timestamp, lease: Duration, tasks_max: usize) -> Self {
        Self {
            now,
            lease,
            tasks_max,
        }
    }

    /// When they are due again.
    #[must_use]
    pub fn until(&self) -> Timestamp {
        later(self.now, self.lease)
    }
}

/// A task that is to be asked about.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Due {
    /// The proof that it was taken.
    pub ticket: DueTicket,
    /// Since when its callbacks are expected.
    pub expected_at: Timestamp,
}

impl Due {
    /// A task that was taken.
    #[must_use]
    pub fn new(ticket: DueTicket, expected_at: Timestamp) -> Self {
        Self {
            ticket,
            expected_at,
        }
    }
}

/// The proof that a task was taken to be asked about. The epoch grows each time, so that an earlier
/// ticket is told apart.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct DueTicket {
    /// The task.
    pub task_id: TaskId,
    /// How often the task was taken, this time included.
    pub epoch: u32,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_a_submit_is_read_as_it_is_written() {
        let text = "00017f80ff1020304050607080abcdef";
        let submit: SubmitId = text.parse().unwrap();
        assert_eq!(submit.to_string(), text);
        for wrong in [
            "",
            &text[1..],
            &text[2..],
            &format!("{text}0"),
            &text.to_uppercase(),
            "0001 f80ff1020304050607080abcdef",
            "é0017f80ff1020304050607080abcdef",
        ] {
            assert_eq!(wrong.parse::<SubmitId>(), Err(InvalidSubmitId), "{wrong}");
        }
    }
}
