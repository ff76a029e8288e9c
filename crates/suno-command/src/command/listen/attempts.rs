//! Prints what happens at destinations: attempts and changes of their state.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use suno_callback::{Clock, EventKey, SystemClock};
use suno_gateway::Observer;
use suno_gateway::attempt::Attempt;
use suno_gateway::breaker::Transition;
use suno_gateway::destination::{Action, DestinationName};
use suno_gateway::signing::MessageId;

use crate::line::{AttemptLine, Line};
use crate::output;
use crate::printer::Printer;

/// Prints every attempt as JSON or, for people, every attempt that failed. No line is waited for: a slow
/// reader misses some. Others can be told as well.
pub(super) struct Attempts {
    printer: Printer,
    json: bool,
    others: OnceLock<Vec<Arc<dyn Observer>>>,
}

impl Attempts {
    pub(super) fn new(printer: Printer, json: bool) -> Self {
        let others = OnceLock::new();
        Self {
            printer,
            json,
            others,
        }
    }

    /// Tells others as well, from now on. Only the first call counts.
    pub(super) fn tell(&self, others: Vec<Arc<dyn Observer>>) {
        let _ = self.others.set(others);
    }

    fn print(&self, line: &Line<'_>) {
        if let Ok(line) = output::json_line(line) {
            self.printer.print_if_possible(line);
        }
    }
}

impl Observer for Attempts {
    fn on_attempt(&self, id: &MessageId, key: &EventKey, attempt: &Attempt) {
        if let Some(others) = self.others.get() {
            others.on_attempt(id, key, attempt);
        }
        if self.json {
            self.print(&Line::Attempt(Box::new(AttemptLine::new(id, key, attempt))));
        } else if attempt.action != Action::Done {
            self.printer.print_if_possible(sentence(key, attempt));
        }
    }

    fn on_transition(&self, destination: &DestinationName, transition: Transition) {
        if let Some(others) = self.others.get() {
            others.on_transition(destination, transition);
        }
        let (name, state) = (destination.as_str(), word(transition));
        if self.json {
            return self.print(&Line::DestinationState { name, state });
        }
        let what = match transition {
            Transition::Opened => "is down; its events wait in the store",
            Transition::Paused => "refuses every event and is paused; its events wait in the store",
            _ => "works again",
        };
        let time = SystemClock.now().strftime("%H:%M:%S%.3f");
        self.printer
            .print_if_possible(format!("{time} {name} {what}"));
    }
}

/// Returns the state after a change as one word.
fn word(transition: Transition) -> &'static str {
    match transition {
        Transition::Opened => "open",
        Transition::Paused => "paused",
        _ => "closed",
    }
}

/// Formats an attempt that failed as one line for people.
fn sentence(key: &EventKey, attempt: &Attempt) -> String {
    let task = Some(key.task_id().as_str());
    let mut text = output::beginning(SystemClock.now(), task, key.stage().as_str());
    let took = output::duration(Duration::from_millis(attempt.duration_ms));
    text += &format!("{}: attempt {} ", attempt.destination, attempt.number);
    text += &output::visible(&attempt.outcome.to_string());
    text += &format!(" after {took}");
    text += &match (attempt.action, attempt.retry_in_ms) {
        (Action::Pause, _) => "; it waits".to_owned(),
        (_, Some(wait)) => {
            let wait = output::duration(Duration::from_millis(wait));
            format!("; tried again in {wait}")
        }
        (_, None) if attempt.is_replay => String::new(),
        (_, None) => "; it is a dead letter".to_owned(),
    };
    text
}
