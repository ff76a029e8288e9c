//! What the provider's word for the state of a task means, together with its result and its error.

use crate::output::Ready;
use crate::{Code, Product, Stage};

/// What a record, or a callback in the shape of a record, says about its task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    Failed,
    /// Finished, with a result.
    Succeeded,
    /// Said to be finished, but there is no result.
    WithoutResult,
    Text,
    First,
    Running,
}

/// The values from which the verdict is derived.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Evidence<'a> {
    /// The word for the state; `None` if none was sent.
    pub(crate) word: Option<&'a str>,
    pub(crate) ready: Ready,
    /// Whether an error code is set that is not a success.
    pub(crate) has_error: bool,
    pub(crate) product: &'a Product,
}

/// The meaning of a word alone.
enum Word {
    Success,
    Failure,
    Undelivered,
    Text,
    First,
    Other,
}

impl Word {
    /// `successFlag` can be a number, whose meaning depends on the product (`PROTOCOL.md 4.20`).
    fn of(word: &str, product: &Product) -> Self {
        let is_generation = word.starts_with("GENERATE_") && word.ends_with("_FAILED");
        match word {
            "SUCCESS" | "success" | "complete" | "1" => Self::Success,
            "CREATE_TASK_FAILED"
            | "SENSITIVE_WORD_ERROR"
            | "FAILED"
            | "fail"
            | "failed"
            | "error"
            | "3" => Self::Failure,
            _ if is_generation => Self::Failure,
            "2" if *product == Product::MIDI => Self::Failure,
            "CALLBACK_EXCEPTION" => Self::Undelivered,
            "TEXT_SUCCESS" => Self::Text,
            "FIRST_SUCCESS" => Self::First,
            _ => Self::Other,
        }
    }
}

impl Evidence<'_> {
    /// Derives the verdict (`PROTOCOL.md 7.22`, `7.24`, `7.50`).
    pub(crate) fn verdict(&self) -> Verdict {
        let Ready { ready, total } = self.ready;
        let word = self.word.map(|word| Word::of(word, self.product));
        match word {
            Some(Word::Failure) => Verdict::Failed,
            Some(Word::Success) | None if ready > 0 => Verdict::Succeeded,
            // The provider could not reach the callback URL, which says nothing about the result.
            Some(Word::Undelivered) if ready > 0 && ready == total => Verdict::Succeeded,
            Some(Word::Undelivered) if ready > 0 => Verdict::Running,
            // The error is set minutes before the status changes.
            _ if self.has_error => Verdict::Failed,
            Some(Word::Success) => Verdict::WithoutResult,
            Some(Word::Text) => Verdict::Text,
            Some(Word::First) => Verdict::First,
            Some(Word::Undelivered | Word::Other) | None => Verdict::Running,
        }
    }

    /// The stage that a callback without `callbackType` and with code 200 reports.
    pub(crate) fn stage(&self) -> Stage {
        match self.verdict() {
            Verdict::Failed => Stage::Failed,
            Verdict::Succeeded | Verdict::WithoutResult => Stage::Complete,
            Verdict::Text => Stage::Text,
            Verdict::First => Stage::First,
            Verdict::Running => Stage::derive(Code::SUCCESS, self.word),
        }
    }
}
