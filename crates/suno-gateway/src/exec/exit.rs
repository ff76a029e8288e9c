//! Decides what an exit code means.

use std::collections::BTreeMap;
use std::io;

use rustix::io::Errno;

use crate::course::EXIT_RETRY;
use crate::destination::Action;

/// The code for input that the program cannot use, by an old convention (`EX_DATAERR`).
const EXIT_DATA: i32 = 65;
/// The codes of a shell for a command that may not be run, and for one that was not found.
const EXIT_NOT_EXECUTABLE: i32 = 126;
const EXIT_NOT_FOUND: i32 = 127;

/// Decides what an exit code means. The default is the table of [the module](super).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ExitPolicy {
    codes: BTreeMap<i32, Action>,
    others: Option<Action>,
}

impl ExitPolicy {
    /// Returns the default policy.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets what a code means, also 0.
    #[must_use]
    pub fn with_code(mut self, code: i32, action: Action) -> Self {
        self.codes.insert(code, action);
        self
    }

    /// Sets what a code means that neither the table nor [`with_code`](Self::with_code) names. The
    /// default is [`Action::Retry`].
    #[must_use]
    pub fn with_other_codes(mut self, action: Action) -> Self {
        self.others = Some(action);
        self
    }

    /// Returns what a code means.
    #[must_use]
    pub fn action(&self, code: i32) -> Action {
        if let Some(action) = self.codes.get(&code) {
            return *action;
        }
        match code {
            0 => Action::Done,
            EXIT_RETRY => Action::Retry,
            EXIT_DATA => Action::BadEvent,
            EXIT_NOT_EXECUTABLE | EXIT_NOT_FOUND => Action::Pause,
            // A shell reports a signal of its command like this.
            129.. => Action::Retry,
            _ => self.others.unwrap_or(Action::Retry),
        }
    }

    /// Returns whether a command could not be started because it does not exist, must not be
    /// executed, or is not a program.
    pub(super) fn is_missing(err: &io::Error) -> bool {
        matches!(
            err.kind(),
            io::ErrorKind::NotFound | io::ErrorKind::PermissionDenied
        ) || err.raw_os_error() == Some(Errno::NOEXEC.raw_os_error())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_has_an_action_and_can_be_given_another() {
        let policy = ExitPolicy::new();
        for code in 0..=255 {
            let expected = match code {
                0 => Action::Done,
                65 => Action::BadEvent,
                126 | 127 => Action::Pause,
                _ => Action::Retry,
            };
            assert_eq!(policy.action(code), expected, "{code}");
        }
        let policy = ExitPolicy::new()
            .with_other_codes(Action::BadEvent)
            .with_code(3, Action::Abandon)
            .with_code(0, Action::Retry);
        for (code, expected) in [
            (0, Action::Retry),
            (1, Action::BadEvent),
            (3, Action::Abandon),
            (75, Action::Retry),
            (137, Action::Retry),
        ] {
            assert_eq!(policy.action(code), expected, "{code}");
        }
    }

    #[test]
    fn a_file_that_is_no_program_is_missing_and_a_full_machine_is_not() {
        for (errno, expected) in [
            (Errno::NOENT, true),
            (Errno::ACCESS, true),
            (Errno::NOEXEC, true),
            (Errno::AGAIN, false),
            (Errno::NOMEM, false),
        ] {
            let err = io::Error::from_raw_os_error(errno.raw_os_error());
            assert_eq!(ExitPolicy::is_missing(&err), expected, "{err}");
        }
    }
}
