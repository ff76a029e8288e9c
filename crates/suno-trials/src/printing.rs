//! Prints the lines of receivers that are parts of this program: like those of
//! `suno listen --json`.

use std::io::{self, Write};
use std::net::SocketAddr;

use jiff::Timestamp;
use serde_json::{Value, json};
use suno_callback::{Event, Receiver};

/// Prints the address on which the receiver listens.
pub(crate) fn print_listening(address: SocketAddr) -> io::Result<()> {
    let url = format!("http://{address}{}", Receiver::PATH);
    print(&json!({"event": "listening", "url": url}))
}

/// The word for an event that another handler works for at the same time.
pub(crate) const AT_ONCE: &str = "at_once";

/// Prints that another handler works for an event.
pub(crate) fn print_at_once(event: &Event) -> io::Result<()> {
    print(&json!({"event": AT_ONCE, "task_id": event.task_id().as_str()}))
}

/// Prints that an event was handled, and when its handler began.
pub(crate) fn print_handled_since(event: &Event, began: Timestamp) -> io::Result<()> {
    let task = event.task_id().as_str();
    print(&json!({"event": "handled", "task_id": task, "began": began.to_string()}))
}

/// Prints that an event was handled.
pub(crate) fn print_handled(event: &Event) -> io::Result<()> {
    print(&json!({"event": "handled", "task_id": event.task_id().as_str()}))
}

fn print(line: &Value) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    writeln!(stdout, "{line}")?;
    stdout.flush()
}
