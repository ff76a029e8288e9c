//! A member of a submit: its name on both routes, its type, and its bounds.

use std::borrow::Cow;

use serde_json::{Map, Value, json};

use super::Route;
use crate::profile::{Profile, Refusal};
use crate::title;

/// A member that an operation knows. Unknown members are ignored.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Member {
    /// The name on the direct route, which is also the name in the input that is kept.
    pub(crate) name: &'static str,
    /// The name on the jobs route, where it is not the same in snake_case.
    job_name: Option<&'static str>,
    pub(crate) kind: Kind,
    required: Required,
}

/// The type and the bounds of a member.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Kind {
    /// A string of at most this many characters.
    Text {
        chars_max: usize,
    },
    /// A string that only the pages of sunoapi.org bound.
    ShortAtSunoApi {
        chars_max: usize,
    },
    Url,
    Urls {
        count_max: usize,
    },
    Flag,
    Number {
        min: f64,
        max: f64,
    },
    /// One of these words, or an empty string.
    Word(&'static [&'static str]),
}

/// The routes on which a member must be given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Required {
    Never,
    Direct,
    Jobs,
    Always,
}

impl Member {
    const fn new(name: &'static str, kind: Kind) -> Self {
        Self {
            name,
            job_name: None,
            kind,
            required: Required::Never,
        }
    }

    /// Creates a member whose only bound is that of the whole submit.
    pub(crate) const fn text(name: &'static str) -> Self {
        Self::short(name, usize::MAX)
    }

    pub(crate) const fn short(name: &'static str, chars_max: usize) -> Self {
        Self::new(name, Kind::Text { chars_max })
    }

    pub(crate) const fn short_at_sunoapi(name: &'static str, chars_max: usize) -> Self {
        Self::new(name, Kind::ShortAtSunoApi { chars_max })
    }

    pub(crate) const fn url(name: &'static str) -> Self {
        Self::new(name, Kind::Url)
    }

    pub(crate) const fn urls(name: &'static str, count_max: usize) -> Self {
        Self::new(name, Kind::Urls { count_max })
    }

    pub(crate) const fn flag(name: &'static str) -> Self {
        Self::new(name, Kind::Flag)
    }

    pub(crate) const fn number(name: &'static str, min: f64, max: f64) -> Self {
        Self::new(name, Kind::Number { min, max })
    }

    pub(crate) const fn word(name: &'static str, words: &'static [&'static str]) -> Self {
        Self::new(name, Kind::Word(words))
    }

    pub(crate) const fn required(mut self) -> Self {
        self.required = Required::Always;
        self
    }

    pub(crate) const fn required_directly(mut self) -> Self {
        self.required = Required::Direct;
        self
    }

    pub(crate) const fn required_in_jobs(mut self) -> Self {
        self.required = Required::Jobs;
        self
    }

    pub(crate) const fn called_in_jobs(mut self, name: &'static str) -> Self {
        self.job_name = Some(name);
        self
    }

    pub(crate) fn is_required(&self, route: Route) -> bool {
        match self.required {
            Required::Never => false,
            Required::Direct => route == Route::Direct,
            Required::Jobs => route == Route::Jobs,
            Required::Always => true,
        }
    }

    pub(crate) fn name_on(&self, route: Route) -> Cow<'static, str> {
        match (route, self.job_name) {
            (Route::Direct, _) => Cow::Borrowed(self.name),
            (Route::Jobs, Some(name)) => Cow::Borrowed(name),
            (Route::Jobs, None) => Cow::Owned(snake_case(self.name)),
        }
    }

    /// Checks the member and returns its value, if it is given. The message about a missing member
    /// is observed for `callBackUrl` (`PROTOCOL.md 1.30`), and assumed for others.
    pub(crate) fn read(
        &self,
        profile: Profile,
        route: Route,
        members: &Map<String, Value>,
    ) -> Result<Option<Value>, Refusal> {
        let name = self.name_on(route);
        let given = members.get(&*name).filter(|value| !value.is_null());
        if self.is_required(route) && given.is_none_or(|value| self.is_blank(value)) {
            return Err(missing(&name));
        }
        let Some(value) = given else {
            return Ok(None);
        };
        self.check(profile, &name, value)?;
        Ok(Some(value.clone()))
    }

    /// Whether a value does not count as given.
    fn is_blank(&self, value: &Value) -> bool {
        match self.kind {
            Kind::Text { .. } | Kind::ShortAtSunoApi { .. } | Kind::Url | Kind::Word(_) => {
                value.as_str().is_none_or(|text| text.trim().is_empty())
            }
            Kind::Urls { .. } => value.as_array().is_none_or(Vec::is_empty),
            Kind::Flag | Kind::Number { .. } => false,
        }
    }

    fn check(&self, profile: Profile, name: &str, value: &Value) -> Result<(), Refusal> {
        let invalid = |rule: String| Err(Refusal::Invalid(format!("{name} must be {rule}.")));
        match self.kind {
            Kind::Text { chars_max } => is_short(name, value, chars_max),
            Kind::ShortAtSunoApi { chars_max } if profile == Profile::SunoApi => {
                is_short(name, value, chars_max)
            }
            Kind::ShortAtSunoApi { .. } | Kind::Url => Ok(()),
            Kind::Urls { count_max } => match value.as_array() {
                Some(urls) if urls.len() <= count_max && urls.iter().all(Value::is_string) => {
                    Ok(())
                }
                _ => invalid(format!("a list of at most {count_max} URLs")),
            },
            Kind::Flag if value.is_boolean() => Ok(()),
            Kind::Flag => invalid("true or false".to_owned()),
            Kind::Number { min, max } => match value.as_f64() {
                Some(number) if (min..=max).contains(&number) => Ok(()),
                _ => invalid(format!("a number from {min} to {max}")),
            },
            Kind::Word(words) => match value.as_str() {
                Some(word) if word.is_empty() || words.contains(&word) => Ok(()),
                _ => invalid(format!("one of {}", words.join(", "))),
            },
        }
    }

    /// Returns a value that the member accepts.
    pub(crate) fn example(&self) -> Value {
        match self.kind {
            Kind::Url => json!("https://files.example.com/voice.mp3"),
            Kind::Urls { .. } => json!([
                "https://files.example.com/one.mp3",
                "https://files.example.com/two.mp3",
            ]),
            Kind::Flag => json!(false),
            Kind::Number { min, .. } if self.name.ends_with("EndS") => json!(min + 10.0),
            Kind::Number { min, .. } => json!(min),
            Kind::Word(words) => json!(words[0]),
            Kind::Text { .. } | Kind::ShortAtSunoApi { .. } => match self.name {
                "taskId" | "sunoTaskId" | "task_id" => json!("5c790000000000000000000000000001"),
                "audioId" => json!("e2310000-0000-4000-8000-000000000001"),
                "model" => json!("V5"),
                "style" | "tags" => json!("folk, strings"),
                "negativeTags" => json!("drums"),
                _ => json!("Lantern"),
            },
        }
    }

    /// Returns the JSON Schema of the member.
    pub(crate) fn schema(&self) -> Value {
        match self.kind {
            Kind::Text { chars_max } | Kind::ShortAtSunoApi { chars_max } => {
                let mut schema = json!({ "type": "string" });
                if chars_max != usize::MAX {
                    schema["maxLength"] = json!(chars_max);
                }
                schema
            }
            Kind::Url => json!({ "type": "string", "format": "uri" }),
            Kind::Urls { count_max } => json!({
                "type": "array",
                "items": { "type": "string", "format": "uri" },
                "maxItems": count_max,
            }),
            Kind::Flag => json!({ "type": "boolean" }),
            Kind::Number { min, max } => {
                json!({ "type": "number", "minimum": min, "maximum": max })
            }
            Kind::Word(words) => json!({ "type": "string", "enum": words }),
        }
    }
}

/// Returns the refusal of a submit without this member.
pub(crate) fn missing(name: &str) -> Refusal {
    Refusal::Invalid(format!("Please enter {name}."))
}

/// Checks the length of a text. The words of a scenario do not count.
fn is_short(name: &str, value: &Value, chars_max: usize) -> Result<(), Refusal> {
    let text = title::without_words(value.as_str().unwrap_or_default());
    if text.chars().count() > chars_max {
        return Err(Refusal::TooLong(format!("{name} is too long.")));
    }
    Ok(())
}

pub(super) fn snake_case(camel: &str) -> String {
    let mut snake = String::with_capacity(camel.len() + 4);
    for letter in camel.chars() {
        if letter.is_ascii_uppercase() {
            snake.push('_');
        }
        snake.push(letter.to_ascii_lowercase());
    }
    snake
}

#[cfg(test)]
mod tests {
    use super::snake_case;

    #[test]
    fn the_names_of_the_jobs_route_follow_from_those_of_the_direct_one() {
        for (camel, snake) in [
            ("uploadUrl", "upload_url"),
            ("infillStartS", "infill_start_s"),
            ("title", "title"),
            ("uploadUrlList", "upload_url_list"),
        ] {
            assert_eq!(snake_case(camel), snake);
        }
    }
}
