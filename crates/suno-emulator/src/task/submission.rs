//! The content of a submit: parsed and checked as the provider does, and kept for the echo in
//! polls.

use serde_json::{Map, Value};

use super::title;
use crate::profile::{Profile, Refusal};

/// The maximum length of a title where the provider's pages state one (`PROTOCOL.md 1.4`).
const TITLE_CHARS_MAX: usize = 100;
/// The maximum length of lyrics (`PROTOCOL.md 1.11`).
const LYRICS_CHARS_MAX: usize = 5000;
/// The maximum size of all kept members. The provider's only known bound is that of the body.
const ECHO_BYTES_MAX: usize = 64 * 1024;
/// The default model (`PROTOCOL.md 1.8`).
const DEFAULT_MODEL: &str = "V4_5PLUS";

/// The dialect of a submit: the provider has two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dialect {
    /// `generate/add-instrumental` (`PROTOCOL.md 1`).
    Generate,
    /// `jobs/createTask` (`PROTOCOL.md 5`).
    Jobs,
}

/// The parts of a submit that the emulator uses.
#[derive(Clone, Debug)]
pub(crate) struct Submission {
    pub(crate) dialect: Dialect,
    pub(crate) title: String,
    pub(crate) tags: String,
    pub(crate) model: String,
    pub(crate) callback_url: String,
    /// The known members as they were sent. Polls repeat them in `param`.
    pub(crate) echo: Map<String, Value>,
}

/// The names of the members in a dialect.
struct MemberNames {
    upload_url: &'static str,
    negative_tags: &'static str,
    vocal_gender: &'static str,
    weights: [&'static str; 3],
    /// The names of the other known members.
    rest: &'static [&'static str],
}

const GENERATE: MemberNames = MemberNames {
    upload_url: "uploadUrl",
    negative_tags: "negativeTags",
    vocal_gender: "vocalGender",
    weights: ["styleWeight", "weirdnessConstraint", "audioWeight"],
    rest: &["callBackUrl", "lyrics", "model", "tags", "title", "variety"],
};

const JOBS: MemberNames = MemberNames {
    upload_url: "upload_url",
    negative_tags: "negative_tags",
    vocal_gender: "vocal_gender",
    weights: ["style_weight", "weirdness_constraint", "audio_weight"],
    rest: &["model", "tags", "title"],
};

impl Submission {
    /// Parses a submit of `generate/add-instrumental`.
    pub(crate) fn read_generate(profile: Profile, body: &[u8]) -> Result<Self, Refusal> {
        let members = object(body)?;
        check_input(profile, &GENERATE, &members)?;
        let callback_url = required(&members, "callBackUrl")?;
        Self::build(Dialect::Generate, &GENERATE, &members, callback_url).bounded()
    }

    /// Parses a submit of `jobs/createTask`.
    pub(crate) fn read_jobs(profile: Profile, body: &[u8]) -> Result<Self, Refusal> {
        let members = object(body)?;
        if required(&members, "model")? != "ai-music-api/add-instrumental" {
            return Err(Refusal::Invalid("The model is not supported.".to_owned()));
        }
        let Some(Value::Object(input)) = members.get("input") else {
            return Err(Refusal::Invalid("Please enter input.".to_owned()));
        };
        check_input(profile, &JOBS, input)?;
        let callback_url = required(&members, "callBackUrl")?;
        let mut submission = Self::build(Dialect::Jobs, &JOBS, input, callback_url);
        let input = Value::Object(std::mem::take(&mut submission.echo));
        let callback_url = Value::from(submission.callback_url.as_str());
        submission.echo = [
            ("callBackUrl", callback_url),
            ("input", input),
            ("model", members["model"].clone()),
        ]
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect();
        submission.bounded()
    }

    fn bounded(self) -> Result<Self, Refusal> {
        if Value::Object(self.echo.clone()).to_string().len() > ECHO_BYTES_MAX {
            return Err(Refusal::TooLong("The request is too long.".to_owned()));
        }
        Ok(self)
    }

    fn build(
        dialect: Dialect,
        names: &MemberNames,
        members: &Map<String, Value>,
        callback_url: String,
    ) -> Self {
        let text = |name| {
            members
                .get(name)
                .and_then(Value::as_str)
                .unwrap_or_default()
                .to_owned()
        };
        let model = match text("model") {
            empty if empty.is_empty() => DEFAULT_MODEL.to_owned(),
            model => model,
        };
        let mut echo = members.clone();
        echo.retain(|name, _| names.has(name));
        Self {
            dialect,
            title: text("title"),
            tags: text("tags"),
            model,
            callback_url,
            echo,
        }
    }

    /// Returns the engine of the model. The engine names are observed; which model uses which is
    /// assumed (`PROTOCOL.md 2.21`).
    pub(crate) fn engine(&self) -> &'static str {
        if self.model.starts_with("V4") {
            "chirp-v4-5"
        } else {
            "chirp-crow"
        }
    }
}

impl MemberNames {
    fn has(&self, name: &str) -> bool {
        [self.upload_url, self.negative_tags, self.vocal_gender].contains(&name)
            || self.weights.contains(&name)
            || self.rest.contains(&name)
    }
}

fn object(body: &[u8]) -> Result<Map<String, Value>, Refusal> {
    match serde_json::from_slice(body) {
        Ok(Value::Object(members)) => Ok(members),
        Ok(_) => Err(Refusal::Invalid(
            "The request body must be an object.".to_owned(),
        )),
        Err(_) => Err(Refusal::Invalid(
            "The request body is not valid JSON.".to_owned(),
        )),
    }
}

/// Checks the members that both dialects share, in the order in which a form would.
fn check_input(
    profile: Profile,
    names: &MemberNames,
    members: &Map<String, Value>,
) -> Result<(), Refusal> {
    required(members, names.upload_url)?;
    let title = required(members, "title")?;
    required(members, "tags")?;
    required(members, names.negative_tags)?;
    if profile == Profile::SunoApi && title::without_words(&title).chars().count() > TITLE_CHARS_MAX
    {
        return Err(Refusal::TooLong("The title is too long.".to_owned()));
    }
    for weight in names.weights {
        check_number(members, weight, 1.0)?;
    }
    check_number(members, "variety", 4.0)?;
    match members.get(names.vocal_gender) {
        None | Some(Value::Null) => {}
        Some(Value::String(gender)) if ["", "f", "m"].contains(&gender.as_str()) => {}
        Some(_) => {
            return Err(Refusal::Invalid(format!(
                "{} must be m or f.",
                names.vocal_gender
            )));
        }
    }
    let lyrics = members
        .get("lyrics")
        .and_then(Value::as_str)
        .unwrap_or_default();
    if lyrics.chars().count() > LYRICS_CHARS_MAX {
        return Err(Refusal::TooLong("The lyrics are too long.".to_owned()));
    }
    Ok(())
}

/// Returns a member that must be a string and not blank. The message is observed for `callBackUrl`
/// (`PROTOCOL.md 1.30`) and assumed for the other members.
fn required(members: &Map<String, Value>, name: &str) -> Result<String, Refusal> {
    match members.get(name) {
        Some(Value::String(text)) if !text.trim().is_empty() => Ok(text.clone()),
        _ => Err(Refusal::Invalid(format!("Please enter {name}."))),
    }
}

fn check_number(members: &Map<String, Value>, name: &str, max: f64) -> Result<(), Refusal> {
    match members.get(name) {
        None | Some(Value::Null) => Ok(()),
        Some(value) if value.as_f64().is_some_and(|n| (0.0..=max).contains(&n)) => Ok(()),
        Some(_) => Err(Refusal::Invalid(format!(
            "{name} must be a number from 0 to {max}."
        ))),
    }
}
