//! Acknowledgements that a reader of `suno listen --ack` writes to stdin, one JSON object a line.

use std::collections::HashMap;
use std::io::{self, BufRead, Read};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use serde::Deserialize;
use suno_callback::{EventId, HandlerError};
use tokio::sync::{oneshot, watch};

use crate::span::Span;

/// The maximum length of a line on stdin, in bytes.
const LINE_BYTES_MAX: u64 = 64 * 1_024;
/// The default reason of an acknowledgement.
const NO_REASON: &str = "the reader gave no reason";

/// The reader's answer about an event.
#[derive(Debug, Deserialize)]
#[serde(untagged, deny_unknown_fields)]
enum Acknowledgement {
    Done {
        ack: i64,
    },
    Retry {
        retry: i64,
        after: Option<String>,
        reason: Option<String>,
    },
    Dead {
        dead: i64,
        reason: Option<String>,
    },
}

type HandlerResult = Result<(), HandlerError>;

/// The events that were printed but are not yet acknowledged.
#[derive(Debug, Clone)]
pub(crate) struct Acknowledgements {
    waiting: Arc<Mutex<HashMap<i64, oneshot::Sender<HandlerResult>>>>,
    ended: watch::Receiver<bool>,
}

/// An event that is about to be printed. Dropping it stops waiting for its acknowledgement.
pub(crate) struct Unacknowledged {
    all: Acknowledgements,
    event: i64,
    outcome: oneshot::Receiver<HandlerResult>,
}

impl Acknowledgements {
    /// Starts reading stdin on a separate thread.
    pub(crate) fn start() -> io::Result<Self> {
        let waiting = Arc::default();
        let (end, ended) = watch::channel(false);
        let all = Self { waiting, ended };
        let told = all.clone();
        thread::Builder::new()
            .name("stdin".to_owned())
            .spawn(move || {
                told.read(&mut io::stdin().lock());
                end.send_replace(true);
            })?;
        Ok(all)
    }

    /// Registers an event, before it is printed.
    pub(crate) fn expect(&self, event: EventId) -> Unacknowledged {
        let (tell, outcome) = oneshot::channel();
        self.waiting().insert(event.0, tell);
        Unacknowledged {
            all: self.clone(),
            event: event.0,
            outcome,
        }
    }

    /// Resolves when stdin has ended and there can be no more acknowledgements.
    pub(crate) async fn ended(&self) {
        let mut ended = self.ended.clone();
        let _ = ended.wait_for(|ended| *ended).await;
    }

    /// Reads and processes lines until stdin ends.
    fn read(&self, stdin: &mut impl BufRead) {
        let mut line = Vec::new();
        loop {
            match read_line(stdin, &mut line) {
                Ok(Line::End) => return,
                Ok(Line::Whole) => self.take_line(&line),
                Ok(Line::TooLong) => {
                    tracing::warn!("ignored a line on stdin of more than {LINE_BYTES_MAX} bytes")
                }
                Err(err) => {
                    tracing::error!(%err, "cannot read stdin");
                    return;
                }
            }
        }
    }

    fn take_line(&self, line: &[u8]) {
        if line.trim_ascii().is_empty() {
            return;
        }
        // The line can contain anything, so it is not logged.
        let Some((event, outcome)) = outcome(line) else {
            tracing::warn!(
                "ignored a line on stdin that is not an acknowledgement, such as {{\"ack\":1}}"
            );
            return;
        };
        match self.waiting().remove(&event) {
            // If the claim was lost in the meantime, the receiver is gone; the event is printed
            // again.
            Some(tell) => drop(tell.send(outcome)),
            None => tracing::warn!(
                event,
                "ignored an acknowledgement of an event that is not waiting for one"
            ),
        }
    }

    fn waiting(&self) -> MutexGuard<'_, HashMap<i64, oneshot::Sender<HandlerResult>>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The result of reading a line.
enum Line {
    Whole,
    TooLong,
    End,
}

/// Reads the next line into `line`. The rest of a line that is too long is skipped, because it
/// could look like another line.
fn read_line(stdin: &mut impl BufRead, line: &mut Vec<u8>) -> io::Result<Line> {
    line.clear();
    // The newline is not counted.
    let read = stdin.take(LINE_BYTES_MAX + 1).read_until(b'\n', line)?;
    Ok(if read == 0 {
        Line::End
    } else if read as u64 <= LINE_BYTES_MAX || line.ends_with(b"\n") {
        Line::Whole
    } else {
        stdin.skip_until(b'\n')?;
        Line::TooLong
    })
}

/// Parses a line into an event id and an answer. Returns `None` if the line is not an
/// acknowledgement.
fn outcome(line: &[u8]) -> Option<(i64, HandlerResult)> {
    let reason = |reason: Option<String>| reason.unwrap_or_else(|| NO_REASON.to_owned());
    Some(match serde_json::from_slice(line).ok()? {
        Acknowledgement::Done { ack } => (ack, Ok(())),
        Acknowledgement::Retry {
            retry,
            after,
            reason: why,
        } => {
            let err = match after {
                Some(after) => {
                    let Span(wait) = after.parse().ok()?;
                    HandlerError::retry_after(wait, reason(why))
                }
                None => HandlerError::retry(reason(why)),
            };
            (retry, Err(err))
        }
        Acknowledgement::Dead { dead, reason: why } => {
            (dead, Err(HandlerError::give_up(reason(why))))
        }
    })
}

impl Unacknowledged {
    /// Waits for the reader's answer. It never resolves without an answer.
    pub(crate) async fn outcome(mut self) -> HandlerResult {
        match (&mut self.outcome).await {
            Ok(outcome) => outcome,
            // If the same event was printed again, the later print waits for the answer.
            Err(_) => std::future::pending().await,
        }
    }
}

impl Drop for Unacknowledged {
    fn drop(&mut self) {
        // By now, another attempt of the same event may be registered under this id.
        self.outcome.close();
        let mut waiting = self.all.waiting();
        if waiting
            .get(&self.event)
            .is_some_and(oneshot::Sender::is_closed)
        {
            waiting.remove(&self.event);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_that_is_too_long_is_passed_over_whole() {
        let longest = "x".repeat(usize::try_from(LINE_BYTES_MAX).unwrap());
        let stdin = format!("{longest}\n{longest}{{\"ack\":1}}\nlast");
        let (mut stdin, mut line) = (stdin.as_bytes(), Vec::new());
        let mut next = || {
            let read = read_line(&mut stdin, &mut line).unwrap();
            (read, line.len())
        };
        assert!(matches!(next(), (Line::Whole, 65_537)));
        assert!(matches!(next(), (Line::TooLong, _)));
        assert!(matches!(next(), (Line::Whole, 4)));
        assert!(matches!(next(), (Line::End, _)));
    }

    #[test]
    fn what_is_no_acknowledgement_is_not_taken_for_one() {
        for line in [
            "",
            "1",
            "{}",
            "[1]",
            r#"{"ack":"1"}"#,
            r#"{"ack":1,"retry":1}"#,
            r#"{"ack":1,"more":1}"#,
            r#"{"retry":1,"after":10}"#,
            r#"{"retry":1,"after":"soon"}"#,
            r#"{"dead":1,"after":"1s"}"#,
            r#"{"ack":1}{"ack":2}"#,
            "\u{feff}{\"ack\":1}",
        ] {
            assert!(outcome(line.as_bytes()).is_none(), "{line}");
        }
        for (line, event, is_done) in [
            (r#"{"ack":1}"#, 1, true),
            (" {\"ack\": 7 }\r\n", 7, true),
            (r#"{"retry":2}"#, 2, false),
            (r#"{"retry":2,"after":"10s","reason":"busy"}"#, 2, false),
            (r#"{"dead":3,"reason":"no such user"}"#, 3, false),
            (r#"{"dead":3}"#, 3, false),
        ] {
            let (said_of, outcome) = outcome(line.as_bytes()).unwrap();
            assert_eq!((said_of, outcome.is_ok()), (event, is_done), "{line}");
        }
    }
}
