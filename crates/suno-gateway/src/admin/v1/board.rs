//! The list of tasks.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use http::{StatusCode, Uri};
use suno_callback::StateName;

use super::super::app::App;
use super::super::board::{EXPECTED, Filter, Question};
use super::super::problem::Problem;
use super::json;

/// The default number of tasks of a page.
const LIMIT: usize = 50;
/// The maximum number of tasks of a page.
const LIMIT_MAX: usize = 500;
/// The maximum number of characters of a text that is looked for.
const TEXT_CHARS_MAX: usize = 200;

/// `GET /v1/tasks`: a page of tasks, newest first, or what has changed.
pub(in super::super) async fn list(
    State(app): State<Arc<App>>,
    uri: Uri,
) -> Result<Response, Problem> {
    let question = read(&uri)?;
    let answer = app
        .board
        .answer(&question, &*app.store, &app.feed, &*app.clock);
    Ok(json::answer(StatusCode::OK, &answer.await?))
}

fn read(uri: &Uri) -> Result<Question, Problem> {
    const KNOWN: &str =
        "one of q, state, product, needs_person, before, limit, changed_after, each given once";
    let (mut filter, mut before, mut rows_max) = (Filter::default(), None, LIMIT);
    let (mut after, mut seen) = (None, Vec::new());
    for (name, text) in form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes()) {
        if seen.contains(&name) {
            return Err(Problem::parameter("name", KNOWN));
        }
        let expected = |expected| Problem::parameter(&name, expected);
        match &*name {
            "q" => {
                if text.chars().count() > TEXT_CHARS_MAX {
                    return Err(expected("at most 200 characters"));
                }
                filter.text = Some(text.to_lowercase());
            }
            "state" if text == EXPECTED => filter.is_expected = true,
            "state" => {
                let known = StateName::ALL.into_iter();
                let state = known.into_iter().find(|state| state.as_str() == text);
                const STATES: &str = "expected, ready, claimed, waiting, done, dead or superseded";
                let state = state.ok_or_else(|| expected(STATES))?;
                filter.state = Some(state);
            }
            "product" => filter.product = Some(text.into_owned()),
            "needs_person" => {
                let is_asked = text.parse().map_err(|_| expected("true or false"))?;
                filter.needs_person = is_asked;
            }
            "before" => before = Some(text.parse().map_err(|_| expected("an order"))?),
            "limit" => {
                let limit = text.parse().ok();
                let limit = limit.filter(|limit| (1..=LIMIT_MAX).contains(limit));
                rows_max = limit.ok_or_else(|| expected("from 1 to 500"))?;
            }
            "changed_after" => after = Some(text.into_owned()),
            _ => return Err(Problem::parameter("name", KNOWN)),
        }
        seen.push(name);
    }
    match after {
        // What changed may no longer match, which the reader has to learn.
        Some(_) if filter != Filter::default() || before.is_some() => Err(Problem::parameter(
            "changed_after",
            "given without a filter",
        )),
        Some(after) => Ok(Question::Changes { after, rows_max }),
        None => Ok(Question::Page {
            filter,
            before,
            rows_max,
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn word(query: &str) -> Option<&'static str> {
        let uri = format!("/v1/tasks?{query}").parse().unwrap();
        read(&uri).err().map(|problem| problem.word)
    }

    #[test]
    fn parameters_are_known_valid_and_given_once() {
        assert_eq!(
            word("q=L%C3%BCx&state=dead&needs_person=true&limit=500"),
            None
        );
        assert_eq!(word("state=expected&before=1764374400000000"), None);
        assert_eq!(word("changed_after=1.2&limit=10"), None);
        for wrong in [
            "sate=dead",
            "state=Dead",
            "q=a&q=b",
            "limit=0",
            "limit=501",
            "before=x",
            "needs_person=1",
            "changed_after=1.2&q=a",
        ] {
            assert_eq!(word(wrong), Some("parameter"), "{wrong}");
        }
    }
}
