//! Checks of members that depend on each other.

use serde_json::{Map, Value};

use super::Route;
use super::member::{missing, snake_case};
use crate::profile::{Profile, Refusal};

/// The checked members of a submit, by their names on the direct route.
#[derive(Debug)]
pub(crate) struct Input<'a> {
    pub(crate) profile: Profile,
    pub(crate) route: Route,
    pub(crate) members: &'a Map<String, Value>,
}

/// The maximum length of a prompt without custom mode. The pages of kie.ai state two bounds; the
/// larger one applies.
const SIMPLE_PROMPT_CHARS_MAX: [(Profile, usize); 2] =
    [(Profile::Kie, 3000), (Profile::SunoApi, 500)];
/// The bounds of the part of a song that a persona is made of, in seconds.
const PERSONA_SECONDS: std::ops::RangeInclusive<f64> = 10.0..=30.0;

impl Input<'_> {
    fn flag(&self, name: &str) -> bool {
        self.members.get(name).and_then(Value::as_bool) == Some(true)
    }

    fn number(&self, name: &str) -> Option<f64> {
        self.members.get(name).and_then(Value::as_f64)
    }

    fn has(&self, name: &str) -> bool {
        match self.members.get(name) {
            Some(Value::String(text)) => !text.trim().is_empty(),
            Some(_) => true,
            None => false,
        }
    }

    /// Requires each of these members, which must not be blank.
    fn need(&self, names: &[&str]) -> Result<(), Refusal> {
        self.need_where(names, |name| self.has(name))
    }

    /// Requires each of these members, which may be blank: public clients send them so.
    fn need_any(&self, names: &[&str]) -> Result<(), Refusal> {
        self.need_where(names, |name| self.members.contains_key(name))
    }

    fn need_where(&self, names: &[&str], is_given: impl Fn(&str) -> bool) -> Result<(), Refusal> {
        match names.iter().find(|name| !is_given(name)) {
            Some(name) => Err(missing(&self.name_on_route(name))),
            None => Ok(()),
        }
    }

    fn name_on_route(&self, name: &str) -> String {
        match self.route {
            Route::Direct => name.to_owned(),
            Route::Jobs => snake_case(name),
        }
    }

    /// Whether a member holds words of a song. Another one can do so too.
    fn has_lyrics(&self) -> bool {
        self.has("lyrics")
    }

    fn is_ordered(&self, from: &str, to: &str) -> Result<(), Refusal> {
        match (self.number(from), self.number(to)) {
            (Some(start), Some(end)) if end <= start => Err(Refusal::Invalid(format!(
                "{} must be greater than {}.",
                self.name_on_route(to),
                self.name_on_route(from)
            ))),
            _ => Ok(()),
        }
    }
}

pub(super) fn none(_: &Input<'_>) -> Result<(), Refusal> {
    Ok(())
}

/// In custom mode, style and title are needed, and words unless the song is instrumental. Otherwise
/// only a prompt is needed.
pub(super) fn custom_mode(input: &Input<'_>) -> Result<(), Refusal> {
    if !input.flag("customMode") {
        return simple_prompt(input);
    }
    input.need_any(&["style", "title"])?;
    if input.flag("instrumental") || input.has_lyrics() {
        return Ok(());
    }
    input.need_any(&["prompt"])
}

/// On the jobs route a mashup has only required members.
pub(super) fn mashup(input: &Input<'_>) -> Result<(), Refusal> {
    match input.route {
        Route::Direct => custom_mode(input),
        Route::Jobs => Ok(()),
    }
}

/// Like custom mode, where `customMode` may be left out: then anything that says what to sing is
/// enough.
pub(super) fn cover(input: &Input<'_>) -> Result<(), Refusal> {
    if input.members.contains_key("customMode") {
        return custom_mode(input);
    }
    if input.has("style") || input.has_lyrics() || input.flag("instrumental") {
        return Ok(());
    }
    input.need(&["prompt"])
}

fn simple_prompt(input: &Input<'_>) -> Result<(), Refusal> {
    input.need(&["prompt"])?;
    let prompt = input.members.get("prompt").and_then(Value::as_str);
    let chars = crate::title::without_words(prompt.unwrap_or_default())
        .chars()
        .count();
    let mut bounds = SIMPLE_PROMPT_CHARS_MAX.iter();
    if bounds.any(|(profile, max)| *profile == input.profile && chars > *max) {
        return Err(Refusal::TooLong("prompt is too long.".to_owned()));
    }
    Ok(())
}

/// With `defaultParamFlag`, the extension needs parameters of its own.
pub(super) fn extension(input: &Input<'_>) -> Result<(), Refusal> {
    if input.route == Route::Direct && input.flag("defaultParamFlag") {
        input.need_any(&["style", "title", "continueAt"])?;
    }
    Ok(())
}

pub(super) fn words(input: &Input<'_>) -> Result<(), Refusal> {
    if input.route == Route::Jobs || input.has_lyrics() {
        return Ok(());
    }
    input.need(&["prompt"])
}

/// A section is replaced in a track of an earlier task, or in an upload.
pub(super) fn section(input: &Input<'_>) -> Result<(), Refusal> {
    if !input.has("uploadUrl") {
        input.need(&["taskId", "audioId"])?;
    }
    input.is_ordered("infillStartS", "infillEndS")
}

pub(super) fn voice_part(input: &Input<'_>) -> Result<(), Refusal> {
    input.is_ordered("vocalStartS", "vocalEndS")
}

pub(super) fn persona_part(input: &Input<'_>) -> Result<(), Refusal> {
    let start = input.number("vocalStart").unwrap_or(0.0);
    let end = input.number("vocalEnd").unwrap_or(start + 30.0);
    if PERSONA_SECONDS.contains(&(end - start)) {
        return Ok(());
    }
    Err(Refusal::Invalid(format!(
        "{} must be 10 to 30 seconds after {}.",
        input.name_on_route("vocalEnd"),
        input.name_on_route("vocalStart")
    )))
}
