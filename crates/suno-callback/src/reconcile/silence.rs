//! Notices that callbacks do not arrive: tasks end, and each of them is known only because the
//! provider was asked.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::throttle::Throttle;
use crate::token::shown_path;

/// The number of tasks in a row that are recovered without any callback before it is reported.
const TASKS_REPORTED: u64 = 3;

/// The tasks that were recovered by polling. Clones count together.
#[derive(Debug, Clone, Default)]
pub(super) struct Silence {
    state: Arc<Mutex<State>>,
    throttle: Throttle,
}

#[derive(Debug, Default)]
struct State {
    /// The number of tasks recovered so far.
    recovered: u64,
    /// The number of them since the last callback.
    in_a_row: u64,
    /// The number of callbacks that had been accepted when the last task was recovered.
    callbacks: u64,
    /// The callback URL of the last submit, without anything secret.
    callback_url: Option<String>,
}

impl Silence {
    fn state(&self) -> MutexGuard<'_, State> {
        // No data is left half-changed when something panics.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn recovered(&self) -> u64 {
        self.state().recovered
    }

    /// Remembers the callback URL of a submit.
    #[cfg(feature = "client")]
    pub(super) fn note_callback_url(&self, url: &str) {
        self.state().callback_url = without_secrets(url);
    }

    /// Counts a recovered task. `callbacks` is the number of callbacks that this process has accepted
    /// so far; `is_unheard` says that no callback had reported the end of the task. Logs a warning
    /// after each third task in a row without a callback.
    pub(super) fn note(&self, callbacks: u64, is_unheard: bool) {
        let (tasks, url) = {
            let mut state = self.state();
            state.recovered += 1;
            if std::mem::replace(&mut state.callbacks, callbacks) != callbacks {
                state.in_a_row = 0;
            }
            state.in_a_row += u64::from(is_unheard);
            if !is_unheard || !state.in_a_row.is_multiple_of(TASKS_REPORTED) {
                return;
            }
            (state.in_a_row, state.callback_url.clone())
        };
        if self.throttle.admits("no callback arrived") {
            let url = url.map(|url| format!(" {url}")).unwrap_or_default();
            tracing::warn!(
                "no callback arrived for the last {tasks} tasks; they were recovered by polling: \
                 check that the callback URL{url} reaches this receiver"
            );
        }
    }
}

/// Returns the scheme, the host and the path of a URL. A segment of the path that is long enough to
/// be a token is left out. Returns `None` if the text is not such a URL.
#[cfg_attr(
    not(feature = "client"),
    expect(dead_code, reason = "only a submitter knows the URL")
)]
fn without_secrets(url: &str) -> Option<String> {
    let end = url.find(['?', '#']).unwrap_or(url.len());
    let (scheme, rest) = url[..end].split_once("://")?;
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let host = authority
        .rsplit_once('@')
        .map_or(authority, |(_, host)| host);
    Some(format!("{scheme}://{host}{}", shown_path(path)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_callback_url_is_shown_without_its_secrets() {
        for (url, shown) in [
            (
                "https://a.example/suno/callback",
                Some("https://a.example/suno/callback"),
            ),
            (
                "https://user:word@a.example:8443/cb/0123456789abcdef/orders?token=x#y",
                Some("https://a.example:8443/cb/…/orders"),
            ),
            ("http://a.example?token=x/y", Some("http://a.example")),
            ("nonsense", None),
        ] {
            assert_eq!(without_secrets(url).as_deref(), shown);
        }
    }

    #[test]
    fn tasks_are_counted_and_a_callback_begins_a_new_row() {
        let silence = Silence::default();
        for callbacks in [0, 0, 1, 1] {
            silence.note(callbacks, true);
        }
        silence.note(1, false);
        let state = silence.state();
        assert_eq!((state.recovered, state.in_a_row), (5, 2));
    }
}
