//! Formats and prints results on stdout, for people or as JSON lines. Logs go to stderr.

use std::io::{self, Write};
use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;
use suno_callback::{Acceptance, Content, Delivery, Event};
use suno_types::{Code, Output};

/// Prints one line and flushes it.
pub(crate) fn line(text: &str) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    writeln!(stdout, "{text}")?;
    stdout.flush()
}

/// Makes untrusted text safe for a terminal or a line: replaces control characters, line ends, and
/// characters that change the direction of text.
pub(crate) fn visible(text: &str) -> String {
    let shown = |c: char| match is_unsafe(c) {
        true => char::REPLACEMENT_CHARACTER,
        false => c,
    };
    text.chars().map(shown).collect()
}

/// Whether some reader takes a character for a line end, or some terminal for a command: control
/// characters, U+2028 and U+2029, and those that change the direction of text.
fn is_unsafe(c: char) -> bool {
    let turns = matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    c.is_control() || turns || matches!(c, '\u{2028}' | '\u{2029}')
}

/// Prints one object as a JSON line.
pub(crate) fn json(value: &impl Serialize) -> io::Result<()> {
    line(&json_line(value)?)
}

/// Encodes an object as a JSON line that is safe for every reader: the characters that [`visible`]
/// replaces are escaped. They can only occur inside strings.
pub(crate) fn json_line(value: &impl Serialize) -> serde_json::Result<String> {
    let json = serde_json::to_string(value)?;
    if !json.contains(is_unsafe) {
        return Ok(json);
    }
    let mut line = String::with_capacity(json.len() + 64);
    for c in json.chars() {
        match is_unsafe(c) {
            // All of these characters have four hexadecimal digits.
            true => line += &format!("\\u{:04x}", u32::from(c)),
            false => line.push(c),
        }
    }
    Ok(line)
}

/// Formats a handled event as one line for people.
pub(crate) fn sentence(event: &Event) -> String {
    let callback = event.callback();
    // The sender chooses the word for a stage, so control sequences must not reach the terminal.
    let stage = event.stage().as_str().escape_debug().to_string();
    let mut text = format!("{} {stage:<8}", event.task_id());
    if callback.code != Code::SUCCESS {
        text += &format!(" code {}", callback.code);
    }
    let ready = callback.results().count();
    match callback.output() {
        Output::Songs(tracks) => text += &format!(" {ready} of {} tracks ready", tracks.len()),
        _ => text += &format!(" {}: {ready} results", visible(callback.product().as_str())),
    }
    if event.revision() > 0 {
        text += &format!(", revision {}", event.revision());
    }
    if !event.suffix().is_empty() {
        text += &format!(", {}", visible(&event.suffix().to_string()));
    }
    if let Some(reference) = event.reference() {
        text += &format!(", {}", visible(reference.as_str()));
    }
    if event.attempt() > 1 {
        text += &format!(", attempt {}", event.attempt());
    }
    text
}

/// The number of characters of a task id in a line for people: enough to distinguish tasks.
const SHORT_ID_CHARS: usize = 8;

/// Formats the beginning of a line about a callback, for people: the time of day in UTC, a short task
/// id and the stage.
pub(crate) fn beginning(at: Timestamp, task_id: Option<&str>, stage: &str) -> String {
    let short = task_id.unwrap_or("-").chars().take(SHORT_ID_CHARS);
    let (short, stage) = (visible(&short.collect::<String>()), visible(stage));
    let time = at.strftime("%H:%M:%S%.3f");
    format!("{time} {short:<SHORT_ID_CHARS$} {stage:<8} ")
}

/// Formats a duration for people: "3 ms" or "15.0 s".
pub(crate) fn duration(duration: Duration) -> String {
    match duration.as_millis() {
        ms @ 0..1_000 => format!("{ms} ms"),
        _ => format!("{:.1} s", duration.as_secs_f64()),
    }
}

/// Formats an accepted callback as one line for people. `now` is when it was stored.
pub(crate) fn accepted(delivery: &Delivery, accepted: Acceptance, now: Timestamp) -> String {
    let (task_id, stage) = match &delivery.content {
        Content::Event { key, .. } => (Some(key.task_id()), key.stage().as_str()),
        Content::Quarantined { task_id, .. } => (task_id.as_ref(), "-"),
        _ => (None, "-"),
    };
    let mut text = beginning(
        delivery.received_at,
        task_id.map(|task_id| task_id.as_str()),
        stage,
    );
    text += &format!("accepted as {}", accepted.as_str());
    if let Content::Quarantined { reason, .. } = &delivery.content {
        text += &format!(", {}", visible(&reason.to_string()));
    }
    // The difference is negative if the clock was set back.
    let taken = Duration::try_from(now.duration_since(delivery.received_at)).unwrap_or_default();
    text + &format!(" in {}", duration(taken))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every character that a reader may take for more than text.
    fn hostile() -> String {
        let ranges = [0x00..=0x1f, 0x7f..=0x9f, 0x2028..=0x202e, 0x2066..=0x2069];
        let mut hostile: String = ranges
            .into_iter()
            .flatten()
            .filter_map(char::from_u32)
            .collect();
        hostile.extend(['\u{61c}', '\u{200e}', '\u{200f}']);
        hostile
    }

    #[test]
    fn a_line_of_json_holds_nothing_that_ends_a_line_or_moves_a_cursor() {
        let text = format!("a{}z \u{1f3b5}", hostile());
        let line = json_line(&text).unwrap();
        assert!(!line.contains(is_unsafe), "{line}");
        assert_eq!(serde_json::from_str::<String>(&line).unwrap(), text);
        assert!(line.ends_with("z \u{1f3b5}\""));
    }

    #[test]
    fn nothing_that_a_terminal_obeys_is_visible() {
        let shown = visible(&hostile());
        assert!(shown.chars().all(|c| c == char::REPLACEMENT_CHARACTER));
    }
}
