//! The parameters of a query, which must be known, and of a path.

use http::Uri;
use jiff::Timestamp;
use suno_callback::{EventFilter, EventId, EventRecord, StateName};
use suno_types::{Code, Stage, TaskId};

use super::super::problem::Problem;

/// The default number of events or entries of a page.
const LIMIT: u32 = 50;
/// The maximum number of events or entries of a page.
pub(super) const LIMIT_MAX: u32 = 500;

/// The page that is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Parameters {
    pub(super) after: Option<EventId>,
    pub(super) limit: u32,
    pub(super) filter: EventFilter,
    pub(super) task: Option<TaskId>,
    pub(super) product: Option<String>,
    pub(super) code: Option<Code>,
}

impl Parameters {
    /// Reads `after`, `limit` and the filters.
    ///
    /// # Errors
    ///
    /// Returns a problem that names the first parameter that is unknown, repeated or not valid.
    pub(super) fn of_events(uri: &Uri) -> Result<Self, Problem> {
        Self::read(
            uri,
            &[
                "after", "limit", "state", "stage", "product", "task", "code", "since", "until",
            ],
        )
    }

    /// Reads `after` and `limit`.
    ///
    /// # Errors
    ///
    /// As [`of_events`](Self::of_events).
    pub(super) fn of_page(uri: &Uri) -> Result<Self, Problem> {
        Self::read(uri, &["after", "limit"])
    }

    fn read(uri: &Uri, known: &[&'static str]) -> Result<Self, Problem> {
        let mut found = Self {
            after: None,
            limit: LIMIT,
            filter: EventFilter::default(),
            task: None,
            product: None,
            code: None,
        };
        let mut seen = Vec::new();
        let query = uri.query().unwrap_or_default();
        for (name, text) in form_urlencoded::parse(query.as_bytes()) {
            let Some(name) = known.iter().find(|known| **known == name) else {
                let detail = format!("one of {}", known.join(", "));
                return Err(Problem::parameter("name", &detail));
            };
            if seen.contains(name) {
                return Err(Problem::parameter(name, "given once"));
            }
            seen.push(*name);
            found.set(name, &text)?;
        }
        Ok(found)
    }

    fn set(&mut self, name: &'static str, text: &str) -> Result<(), Problem> {
        let expected = |expected| Problem::parameter(name, expected);
        match name {
            "after" => self.after = Some(id(text).ok_or_else(|| expected("an id"))?),
            "limit" => {
                let limit = text.parse().ok();
                let limit = limit.filter(|limit| (1..=LIMIT_MAX).contains(limit));
                self.limit = limit.ok_or_else(|| expected("from 1 to 500"))?;
            }
            "state" => {
                let state = StateName::ALL
                    .into_iter()
                    .find(|state| state.as_str() == text);
                let known = "ready, claimed, waiting, done, dead or superseded";
                self.filter.state = Some(state.ok_or_else(|| expected(known))?);
            }
            "stage" => self.filter.stage = Some(Stage::from(text)),
            "since" => self.filter.received_from = Some(time(text).ok_or_else(|| expected(TIME))?),
            "until" => {
                self.filter.received_before = Some(time(text).ok_or_else(|| expected(TIME))?)
            }
            "task" => {
                self.task = Some(TaskId::new(text).map_err(|_| expected("the id of a task"))?);
            }
            "code" => self.code = Some(Code(text.parse().map_err(|_| expected("an integer"))?)),
            _ => self.product = Some(text.to_owned()),
        }
        Ok(())
    }

    /// Whether the filter of the store has all conditions.
    pub(super) fn is_known_to_store(&self) -> bool {
        self.code.is_none() && self.product.is_none() && self.task.is_none()
    }

    /// Whether an event of a list matches the conditions that the store does not know.
    pub(super) fn contains(&self, record: &EventRecord) -> bool {
        let is_product = |product: &String| record.product.as_str() == product;
        self.code.is_none_or(|code| code == record.code)
            && self.product.as_ref().is_none_or(is_product)
            && self
                .task
                .as_ref()
                .is_none_or(|task| task == record.key.task_id())
    }

    /// Whether an event that was not found by the store's filter matches all conditions.
    pub(super) fn contains_all(&self, record: &EventRecord) -> bool {
        let (state, stage) = (record.state, record.key.stage());
        self.contains(record) && self.filter.contains(state, stage, record.received_at)
    }
}

const TIME: &str = "a time such as 2026-11-28T12:00:00Z";

fn time(text: &str) -> Option<Timestamp> {
    text.parse().ok()
}

/// Reads the number of an event or an entry.
pub(super) fn id(text: &str) -> Option<EventId> {
    let is_plain = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| is_plain).map(EventId)
}

/// Reads the id in a path. Another text names nothing.
///
/// # Errors
///
/// Returns a problem with status 404.
pub(super) fn path_id(text: &str, what: &str) -> Result<EventId, Problem> {
    id(text).ok_or_else(|| Problem::not_found(what))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(query: &str) -> Result<Parameters, String> {
        let uri = format!("/v1/events?{query}").parse().unwrap();
        Parameters::of_events(&uri).map_err(|problem| problem.word.to_owned())
    }

    #[test]
    fn parameters_are_known_valid_and_given_once() {
        let found =
            read("after=7&limit=500&state=dead&code=-1&until=2026-01-01T00:00:00Z").unwrap();
        assert_eq!((found.after, found.limit), (Some(EventId(7)), 500));
        assert_eq!(found.filter.state, Some(StateName::Dead));
        for wrong in [
            "sate=dead",
            "after=-1",
            "after=",
            "after=1&after=2",
            "limit=0",
            "limit=501",
            "state=Dead",
            "code=x",
            "since=yesterday",
            "task=",
            "after=99999999999999999999",
        ] {
            assert_eq!(read(wrong), Err("parameter".to_owned()), "{wrong}");
        }
    }
}
