//! The parameters of a query, which must be known, and of a path.

use http::Uri;
use jiff::Timestamp;
use suno_callback::{EventId, FollowCursor, Search, StateName};
use suno_types::{Code, Product, Stage, TaskId};

use super::super::problem::Problem;

/// The default number of events or entries of a page.
const LIMIT: u32 = 50;
/// The maximum number of events or entries of a page.
pub(super) const LIMIT_MAX: u32 = 500;

/// The page that is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Parameters {
    pub(super) after: Option<FollowCursor>,
    pub(super) limit: u32,
    pub(super) search: Search,
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

    /// Reads `after`, which is the number of an entry, and `limit`.
    ///
    /// # Errors
    ///
    /// As [`of_events`](Self::of_events).
    pub(super) fn of_page(uri: &Uri) -> Result<(Option<EventId>, u32), Problem> {
        let Self { after, limit, .. } = Self::read(uri, &["after", "limit"])?;
        match after {
            Some(after) if after.through() != after.last() => {
                Err(Problem::parameter("after", "an id"))
            }
            after => Ok((after.map(FollowCursor::last), limit)),
        }
    }

    fn read(uri: &Uri, known: &[&'static str]) -> Result<Self, Problem> {
        let mut found = Self {
            after: None,
            limit: LIMIT,
            search: Search::default(),
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
        let search = &mut self.search;
        match name {
            "after" => self.after = Some(text.parse().map_err(|_| expected("a cursor"))?),
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
                search.filter.state = Some(state.ok_or_else(|| expected(known))?);
            }
            "stage" => search.filter.stage = Some(Stage::from(text)),
            "since" => {
                search.filter.received_from = Some(time(text).ok_or_else(|| expected(TIME))?);
            }
            "until" => {
                search.filter.received_before = Some(time(text).ok_or_else(|| expected(TIME))?);
            }
            "task" => {
                search.task = Some(TaskId::new(text).map_err(|_| expected("the id of a task"))?);
            }
            "code" => search.code = Some(Code(text.parse().map_err(|_| expected("an integer"))?)),
            _ => search.product = Some(Product::from(text)),
        }
        Ok(())
    }
}

const TIME: &str = "a time such as 2026-11-28T12:00:00Z";

fn time(text: &str) -> Option<Timestamp> {
    text.parse().ok()
}

/// Reads the number of an event or an entry.
fn id(text: &str) -> Option<EventId> {
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
        let after = Some(FollowCursor::after(EventId(7)));
        assert_eq!((found.after, found.limit), (after, 500));
        assert_eq!(found.search.filter.state, Some(StateName::Dead));
        assert!(read("after=7.12").is_ok());
        let of_page = |query: &str| Parameters::of_page(&query.parse().unwrap());
        let page = of_page("/v1/quarantine?after=7").map_err(|problem| problem.word);
        assert_eq!(page, Ok((Some(EventId(7)), LIMIT)));
        assert!(of_page("/v1/quarantine?after=7.12").is_err());
        for wrong in [
            "sate=dead",
            "after=-1",
            "after=",
            "after=12.7",
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
