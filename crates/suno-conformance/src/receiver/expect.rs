//! The expected results of deliveries, and their comparison with the actual ones.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::json;
use suno_callback::Event;
use suno_types::Callback;

use crate::compare::differences;
use crate::parts::Headers;

/// The expected results.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Expect {
    pub(crate) answers: Vec<ExpectAnswer>,
    pub(crate) handled: Vec<Handled>,
    quarantined: u64,
    projection: BTreeMap<String, Standing>,
}

/// The expected response to a step.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ExpectAnswer {
    pub(crate) status: u16,
    #[serde(default)]
    headers: Headers,
    #[serde(default)]
    header_names: Vec<String>,
    #[serde(default)]
    pub(crate) body_excludes: Vec<String>,
}

/// An event that reached the handler. Besides task, stage and code, only what both the case and the
/// receiver list is compared.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Handled {
    pub(crate) task_id: String,
    pub(crate) stage: String,
    pub(crate) code: i64,
    #[serde(default = "first")]
    pub(crate) revision: Option<u32>,
    pub(crate) product: Option<String>,
    /// What the callback URL had after the path of the receiver.
    pub(crate) path: Option<String>,
    pub(crate) query: Option<String>,
}

/// The progress of a task.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Standing {
    stage: String,
    code: i64,
    tracks_ready: Option<usize>,
}

/// The actual response.
#[derive(Debug)]
pub(crate) struct ExpectedAnswer {
    pub(crate) status: u16,
    pub(crate) headers: Headers,
    pub(crate) body: Vec<u8>,
}

/// The revision of an event that lists none.
#[expect(
    clippy::unnecessary_wraps,
    reason = "it is the default of an optional member"
)]
fn first() -> Option<u32> {
    Some(0)
}

impl From<&Event> for Handled {
    fn from(event: &Event) -> Self {
        let suffix = event.suffix();
        Self {
            revision: Some(event.revision()),
            path: Some(suffix.path().to_owned()),
            query: Some(suffix.query().to_owned()),
            stage: comparable_stage(event.stage().as_str()),
            ..Self::from(event.callback())
        }
    }
}

/// The stage as it is compared. After `unspecified`, a receiver may add what tells such callbacks of
/// one task apart.
pub(crate) fn comparable_stage(stage: &str) -> String {
    let is_told_apart = stage.starts_with("unspecified-");
    String::from(if is_told_apart { "unspecified" } else { stage })
}

/// The first revision, with an unknown URL.
impl From<&Callback> for Handled {
    fn from(callback: &Callback) -> Self {
        Self {
            task_id: callback.task_id.to_string(),
            stage: callback.stage().to_string(),
            code: callback.code.0,
            revision: first(),
            product: Some(callback.product().to_string()),
            path: None,
            query: None,
        }
    }
}

impl Handled {
    /// Whether two events report the same stage of a task.
    pub(crate) fn is_of_stage(&self, other: &Self) -> bool {
        let stage = |event: &Self| (event.task_id.clone(), event.stage.clone(), event.code);
        stage(self) == stage(other)
    }

    /// The event as far as it can be compared with another one.
    fn comparable_with(&self, other: Option<&Self>) -> String {
        type Member = (&'static str, fn(&Handled) -> Option<String>);
        const MEMBERS: [Member; 4] = [
            ("revision", |event| {
                event.revision.map(|number| number.to_string())
            }),
            ("product", |event| event.product.clone()),
            ("path", |event| event.path.clone()),
            ("query", |event| event.query.clone()),
        ];
        let mut text = format!("{} {} {}", self.task_id, self.stage, self.code);
        for (name, member) in MEMBERS {
            let is_in_both = other.is_none_or(|other| member(other).is_some());
            if let Some(value) = member(self).filter(|_| is_in_both) {
                text += &format!(" {name} {value:?}");
            }
        }
        text
    }
}

impl Standing {
    pub(super) fn new(stage: String, code: i64, tracks_ready: usize) -> Self {
        Self {
            stage,
            code,
            tracks_ready: Some(tracks_ready),
        }
    }
}

impl Expect {
    /// Returns what is wrong with the case itself.
    pub(super) fn flaws(&self, steps: usize) -> Vec<String> {
        match self.answers.len() {
            answers if answers == steps => Vec::new(),
            answers => vec![format!(
                "the case expects {answers} answers to {steps} steps"
            )],
        }
    }

    pub(crate) fn judge_answers(&self, answers: &[ExpectedAnswer]) -> Vec<String> {
        let pairs = self.answers.iter().zip(answers).enumerate();
        pairs
            .flat_map(|(place, (expected, answer))| expected.judge(place, answer))
            .collect()
    }

    pub(crate) fn judge_handled(&self, handled: &[Handled]) -> Vec<String> {
        let words = |all: &[Handled], others: &[Handled]| -> Vec<String> {
            let placed = all.iter().enumerate();
            placed
                .map(|(place, event)| event.comparable_with(others.get(place)))
                .collect()
        };
        let (expected, got) = (words(&self.handled, handled), words(handled, &self.handled));
        differences(&json!({"handled": expected}), &json!({"handled": got}))
    }

    pub(super) fn judge_quarantined(&self, quarantined: u64) -> Vec<String> {
        let expected = json!({"quarantined": self.quarantined});
        differences(&expected, &json!({"quarantined": quarantined}))
    }

    pub(super) fn judge_projection(&self, got: &BTreeMap<String, Standing>) -> Vec<String> {
        let tasks = self.projection.iter();
        tasks
            .flat_map(|(task_id, expected)| expected.judge(task_id, got.get(task_id)))
            .collect()
    }
}

impl ExpectAnswer {
    /// Returns the differences from the expected response to step `place`.
    pub(crate) fn judge(&self, place: usize, answer: &ExpectedAnswer) -> Vec<String> {
        let mut found = Vec::new();
        if self.status != answer.status {
            found.push(format!(
                "answers[{place}].status: expected {}, got {}",
                self.status, answer.status
            ));
        }
        for (name, value) in &self.headers {
            let has =
                |(other, got): &(String, String)| name.eq_ignore_ascii_case(other) && value == got;
            if !answer.headers.iter().any(has) {
                found.push(format!(
                    "answers[{place}]: expected the header {name}: {value}"
                ));
            }
        }
        for name in &self.header_names {
            let is = |(other, _): &(String, String)| name.eq_ignore_ascii_case(other);
            if !answer.headers.iter().any(is) {
                found.push(format!("answers[{place}]: expected the header {name}"));
            }
        }
        let texts = answer.texts();
        if self
            .body_excludes
            .iter()
            .any(|secret| texts.iter().any(|text| text.contains(secret)))
        {
            found.push(format!(
                "answers[{place}]: the response contains a text that it must not contain"
            ));
        }
        found
    }
}

impl ExpectedAnswer {
    fn texts(&self) -> Vec<String> {
        let headers = self
            .headers
            .iter()
            .flat_map(|(name, value)| [name.clone(), value.clone()]);
        headers
            .chain([String::from_utf8_lossy(&self.body).into_owned()])
            .collect()
    }
}

impl Standing {
    fn judge(&self, task_id: &str, got: Option<&Self>) -> Vec<String> {
        let form = |standing: &Self, tracks: bool| {
            let mut form = json!({"stage": standing.stage, "code": standing.code});
            if tracks {
                form["tracks_ready"] = json!(standing.tracks_ready);
            }
            form
        };
        let tracks = self.tracks_ready.is_some();
        let got = got.map(|got| form(got, tracks));
        let expected = json!({"projection": {task_id: form(self, tracks)}});
        differences(&expected, &json!({"projection": {task_id: got}}))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, headers: &[(&str, &str)], body: &str) -> ExpectedAnswer {
        let headers = headers
            .iter()
            .map(|(name, value)| (name.to_string(), value.to_string()));
        ExpectedAnswer {
            status,
            headers: headers.collect(),
            body: body.into(),
        }
    }

    #[test]
    fn an_answer_is_judged_by_status_headers_and_what_it_must_not_show() {
        let expected: ExpectAnswer = serde_json::from_value(json!({
            "status": 405, "headers": [["Allow", "POST"]], "header_names": ["X"],
            "body_excludes": ["secret"]
        }))
        .unwrap();
        let good = answer(405, &[("allow", "POST"), ("x", "y")], "{}");
        assert_eq!(expected.judge(0, &good), Vec::<String>::new());
        let bad = [
            answer(404, &[("allow", "POST"), ("x", "y")], "{}"),
            answer(405, &[("allow", "GET"), ("x", "y")], "{}"),
            answer(405, &[("allow", "POST"), ("y", "y")], "{}"),
            answer(405, &[("allow", "POST"), ("x", "a secret")], "{}"),
            answer(405, &[("allow", "POST"), ("x", "y")], "a secret"),
        ];
        for answer in bad {
            assert_eq!(expected.judge(0, &answer).len(), 1, "{answer:?}");
        }
    }

    #[test]
    fn an_event_is_judged_by_its_revision_and_the_members_that_are_listed() {
        let event = |more: serde_json::Value| -> Handled {
            let mut event = json!({"task_id": "t", "stage": "complete", "code": 200});
            let members = event.as_object_mut().unwrap();
            members.extend(more.as_object().unwrap().clone());
            serde_json::from_value(event).unwrap()
        };
        let expect = |more| Expect {
            answers: Vec::new(),
            handled: vec![event(more)],
            quarantined: 0,
            projection: BTreeMap::new(),
        };
        let got = [event(json!({"product": "wav", "query": "a=1", "path": ""}))];
        for listed in [
            json!({}),
            json!({"product": "wav"}),
            json!({"query": "a=1", "path": ""}),
        ] {
            assert!(
                expect(listed.clone()).judge_handled(&got).is_empty(),
                "{listed}"
            );
        }
        for other in [
            json!({"product": "mp4"}),
            json!({"query": ""}),
            json!({"revision": 1}),
        ] {
            assert_eq!(
                expect(other.clone()).judge_handled(&got).len(),
                1,
                "{other}"
            );
        }
        assert_eq!(expect(json!({})).judge_handled(&[]).len(), 1);
    }

    #[test]
    fn a_task_is_judged_by_the_members_that_are_listed() {
        let without: Standing =
            serde_json::from_value(json!({"stage": "failed", "code": 501})).unwrap();
        let with = Standing::new("failed".to_owned(), 501, 1);
        assert!(without.judge("t", Some(&with)).is_empty());
        assert_eq!(
            with.judge("t", Some(&Standing::new("failed".to_owned(), 501, 2)))
                .len(),
            1
        );
        assert_eq!(
            with.judge("t", Some(&Standing::new("first".to_owned(), 501, 1)))
                .len(),
            1
        );
        assert_eq!(with.judge("t", None).len(), 1);
    }
}
