//! A table of events for people: one line each, as wide as the terminal.

use suno_callback::StateName;

use super::cells::{cells, cut, line_cells, padded};
use super::row::Row;
use crate::output::visible;

/// The widths of columns, in cells.
const TIME: usize = 14;
const TASK: usize = 8;
const STAGE: usize = 8;
const STATE: usize = 10;
const TRIES: usize = 3;
/// The width from which the time and the attempts are shown.
const WIDE: usize = 64;
/// The minimum width of the number.
const NUMBER: usize = 5;

/// How wide a table is.
#[derive(Debug, Clone, Copy)]
pub(super) struct Table {
    width: usize,
}

impl Table {
    /// A table as wide as the terminal.
    pub(super) fn of_terminal() -> Self {
        Self {
            width: line_cells(),
        }
    }

    /// The names of the columns.
    pub(super) fn head(self) -> String {
        self.line(
            "ID",
            "RECEIVED (UTC)",
            ["TASK", "STAGE", "STATE"],
            "TRY",
            "TITLE",
        )
    }

    /// One event.
    pub(super) fn row(self, row: &Row) -> String {
        let record = &row.record;
        let stage = match record.key.revision() {
            0 => record.key.stage().as_str().to_owned(),
            revision => format!("{}/{revision}", record.key.stage().as_str()),
        };
        let title = match (&row.title, &record.reason, StateName::from(record.state)) {
            (_, Some(reason), StateName::Dead | StateName::Waiting) => reason.clone(),
            (Some(title), ..) => title.clone(),
            _ => String::new(),
        };
        self.line(
            &record.id.to_string(),
            &record.received_at.strftime("%m-%d %H:%M:%S").to_string(),
            [
                record.key.task_id().as_str(),
                &visible(&stage),
                StateName::from(record.state).as_str(),
            ],
            &record.attempts.to_string(),
            &visible(&title),
        )
    }

    fn line(
        self,
        id: &str,
        time: &str,
        [task, stage, state]: [&str; 3],
        tries: &str,
        title: &str,
    ) -> String {
        let mut line = format!("{id:>NUMBER$} ");
        if self.width >= WIDE {
            line += &format!("{} ", padded(time, TIME));
        }
        // The beginning of an id is enough to tell tasks apart.
        let task: String = task.chars().take(TASK).collect();
        line += &format!(
            "{} {} {}",
            padded(&task, TASK),
            padded(stage, STAGE),
            padded(state, STATE)
        );
        if self.width >= WIDE {
            line += &format!(" {tries:>TRIES$}");
        }
        let left = self.width.saturating_sub(cells(&line) + 1);
        if left > 0 && !title.is_empty() {
            line += &format!(" {}", cut(title, left));
        }
        cut(line.trim_end(), self.width)
    }
}

#[cfg(test)]
mod tests {
    use suno_callback::{EventId, EventKey, EventRecord};
    use suno_types::{Code, TaskId};

    use super::*;

    #[test]
    fn no_line_is_wider_than_the_terminal_and_none_can_change_it() {
        let titles = [
            "港の歌と海の歌と山の歌".repeat(20),
            "👩‍👩‍👧‍👦".repeat(40),
            "x".repeat(200),
            "\u{1b}]0;x\u{7}\u{202e}".repeat(9),
        ];
        for width in [20, 40, 64, 80, 200] {
            let table = Table { width };
            assert!(cells(&table.head()) <= width);
            for title in &titles {
                let key = EventKey::new(
                    TaskId::new("0f8c1b6de2a94c7f").unwrap(),
                    "mixed\u{1b}".into(),
                );
                let id = EventId(i64::MAX);
                let record = EventRecord::new(id, key, Code(200), jiff::Timestamp::UNIX_EPOCH);
                let line = table.row(&Row {
                    record,
                    title: Some(title.clone()),
                });
                assert!(cells(&line) <= width, "{line}");
                assert!(
                    !line.contains(['\u{1b}', '\u{7}', '\u{202e}', '\n']),
                    "{line:?}"
                );
            }
        }
    }
}
