//! Log lines as JSON objects, one a line, for programs that collect logs.

use std::error::Error;
use std::fmt;

use jiff::Timestamp;
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use suno_callback::{Clock, SystemClock};
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

use super::LINE_BYTES_MAX;
use crate::output;

/// The bytes of a line that are left for what is not a field.
const FRAME_BYTES_MAX: usize = 1_024;
/// The maximum number of causes of an error.
const CAUSES_MAX: usize = 8;

/// Formats an event as an object with `time`, `level`, `target`, `message` and `fields`. An error in the
/// fields is an object with `message` and `causes`.
#[derive(Debug, Clone, Copy)]
pub(super) struct JsonLines;

impl<S, N> FormatEvent<S, N> for JsonLines
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        _: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut fields = Fields::new(LINE_BYTES_MAX - FRAME_BYTES_MAX);
        event.record(&mut fields);
        let metadata = event.metadata();
        let line = fields.line(SystemClock.now(), *metadata.level(), metadata.target());
        writer.write_str(&line)?;
        writer.write_char('\n')
    }
}

/// Formats a line that is not an event, such as a message for people.
pub(super) fn line(level: Level, message: &str) -> String {
    let mut fields = Fields::new(LINE_BYTES_MAX - FRAME_BYTES_MAX);
    fields.message(message);
    fields.line(SystemClock.now(), level, "suno")
}

/// The fields of an event, as far as there is room.
struct Fields {
    message: String,
    fields: Map<String, Value>,
    /// The bytes that are left.
    room: usize,
    is_cut: bool,
}

impl Fields {
    fn new(room: usize) -> Self {
        Self {
            message: String::new(),
            fields: Map::new(),
            room,
            is_cut: false,
        }
    }

    fn message(&mut self, text: &str) {
        self.message = self.fitting(text);
    }

    /// Shortens a text to half of the room, so that others find some as well.
    fn fitting(&mut self, text: &str) -> String {
        let mut kept = String::new();
        let mut bytes = 2;
        for c in text.chars() {
            // As escaped: a control character becomes six bytes, and two surrogates twelve.
            bytes += if c.is_ascii_graphic() || c == ' ' {
                2
            } else {
                12
            };
            if bytes > self.room / 2 {
                self.is_cut = true;
                break;
            }
            kept.push(c);
        }
        self.room = self.room.saturating_sub(bytes);
        kept
    }

    fn put(&mut self, field: &Field, value: Value) {
        self.room = self.room.saturating_sub(field.name().len() + 32);
        match self.room {
            0 => self.is_cut = true,
            _ => drop(self.fields.insert(field.name().to_owned(), value)),
        }
    }

    fn line(self, time: Timestamp, level: Level, target: &str) -> String {
        #[derive(serde::Serialize)]
        struct Object<'a> {
            time: String,
            level: &'a str,
            target: &'a str,
            message: &'a str,
            #[serde(skip_serializing_if = "Map::is_empty")]
            fields: &'a Map<String, Value>,
            /// True if a value was cut off, because the size of a line is bounded.
            #[serde(skip_serializing_if = "Option::is_none")]
            truncated: Option<bool>,
        }

        let object = Object {
            time: format!("{time:.6}"),
            level: level.as_str(),
            target,
            message: &self.message,
            fields: &self.fields,
            truncated: self.is_cut.then_some(true),
        };
        // Strings and numbers can always be encoded.
        output::json_line(&object).unwrap_or_default()
    }
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let text = format!("{value:?}");
        match field.name() {
            "message" => self.message(&text),
            _ => {
                let text = self.fitting(&text);
                self.put(field, text.into());
            }
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "message" => self.message(value),
            _ => {
                let text = self.fitting(value);
                self.put(field, text.into());
            }
        }
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, value.into());
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, value.into());
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.put(field, value.into());
    }

    fn record_error(&mut self, field: &Field, value: &(dyn Error + 'static)) {
        let message = self.fitting(&value.to_string());
        let mut causes = Vec::new();
        let mut cause = value.source();
        while let Some(err) = cause.filter(|_| causes.len() < CAUSES_MAX) {
            causes.push(Value::from(self.fitting(&err.to_string())));
            cause = err.source();
        }
        let mut error = Map::new();
        error.insert("message".to_owned(), message.into());
        if !causes.is_empty() {
            error.insert("causes".to_owned(), causes.into());
        }
        self.put(field, error.into());
    }
}

/// Returns whether a line is already a JSON object.
pub(super) fn is_object(line: &str) -> bool {
    line.starts_with('{') && serde_json::from_str::<&RawValue>(line).is_ok()
}
