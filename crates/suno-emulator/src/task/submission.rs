//! The content of a submit: parsed and checked as the provider does, and kept for the echo in
//! polls.

use serde_json::{Map, Value};

use crate::operation::{
    CallbackUrl, Input, JOBS_MODEL_PREFIX, Member, Operation, Product, Route, missing,
};
use crate::profile::{Profile, Refusal};

/// The maximum size of all kept members. The provider's only known bound is that of the body.
const ECHO_BYTES_MAX: usize = 64 * 1024;
/// The default model (`PROTOCOL.md 1.8`).
const DEFAULT_MODEL: &str = "V4_5PLUS";

/// The members that can be a title, the best first.
const TITLES: [&str; 4] = ["title", "name", "prompt", "content"];

/// The parts of a submit that the emulator uses.
#[derive(Clone, Debug)]
pub(crate) struct Submission {
    pub(crate) operation: &'static Operation,
    pub(crate) route: Route,
    /// The title, or else the prompt.
    pub(crate) title: String,
    /// The title, or what else names the submit. It may begin with the words of a scenario.
    pub(crate) label: String,
    pub(crate) tags: String,
    /// The words of the song, or `""`.
    pub(crate) lyrics: String,
    pub(crate) model: String,
    /// `None` if the task sends no callbacks.
    pub(crate) callback_url: Option<String>,
    /// The known members, by their names on the direct route.
    pub(crate) input: Map<String, Value>,
    /// The known members as they were sent. Polls repeat them in `param`.
    pub(crate) echo: Map<String, Value>,
}

impl Submission {
    /// Parses a submit of an operation on the direct route.
    pub(crate) fn read_direct(
        profile: Profile,
        operation: &'static Operation,
        body: &[u8],
    ) -> Result<Self, Refusal> {
        let members = object(body)?;
        let read = read_members(profile, operation, Route::Direct, &members)?;
        let callback_url = match operation.callback_url {
            CallbackUrl::Required(name) => Some(required(&members, name)?),
            CallbackUrl::Optional(name) => optional(&members, name),
            CallbackUrl::None => None,
        };
        let mut echo = read.echo;
        if let (Some(name), Some(url)) = (operation.callback_url.name(), &callback_url) {
            echo.insert(name.to_owned(), url.as_str().into());
        }
        Self::build(operation, Route::Direct, read.input, echo, callback_url)
    }

    /// Parses a submit of `jobs/createTask`. The callback URL is optional (`PROTOCOL.md 5.1`).
    pub(crate) fn read_jobs(profile: Profile, body: &[u8]) -> Result<Self, Refusal> {
        let members = object(body)?;
        let model = required(&members, "model")?;
        let Some(operation) = Operation::of_model(&model) else {
            let reason =
                format!("The model is not supported: it must be {JOBS_MODEL_PREFIX}OPERATION.");
            return Err(Refusal::Invalid(reason));
        };
        let Some(Value::Object(input)) = members.get("input") else {
            return Err(missing("input"));
        };
        let read = read_members(profile, operation, Route::Jobs, input)?;
        let callback_url = optional(&members, CallbackUrl::NAME);
        let mut echo = Map::new();
        if let Some(url) = &callback_url {
            echo.insert(CallbackUrl::NAME.to_owned(), url.as_str().into());
        }
        echo.insert("input".to_owned(), Value::Object(read.echo));
        echo.insert("model".to_owned(), model.into());
        Self::build(operation, Route::Jobs, read.input, echo, callback_url)
    }

    fn build(
        operation: &'static Operation,
        route: Route,
        input: Map<String, Value>,
        echo: Map<String, Value>,
        callback_url: Option<String>,
    ) -> Result<Self, Refusal> {
        if Value::Object(echo.clone()).to_string().len() > ECHO_BYTES_MAX {
            return Err(Refusal::TooLong("The request is too long.".to_owned()));
        }
        let first_of = |names: &[&str]| {
            let mut texts = names.iter().filter_map(|name| input.get(*name)?.as_str());
            texts.find(|text| !text.is_empty()).unwrap_or("").to_owned()
        };
        Ok(Self {
            title: first_of(&TITLES),
            label: first_of(&[&TITLES[..], &["audioId", "taskId", "sunoTaskId"]].concat()),
            tags: first_of(&["tags", "style"]),
            lyrics: first_of(&["lyrics", "fullLyrics", "prompt"]),
            model: match first_of(&["model"]) {
                empty if empty.is_empty() => DEFAULT_MODEL.to_owned(),
                model => model,
            },
            operation,
            route,
            callback_url,
            input,
            echo,
        })
    }

    pub(crate) fn product(&self) -> Product {
        self.operation.product
    }

    /// Whether the submit is answered with the result.
    pub(crate) fn is_immediate(&self) -> bool {
        self.route == Route::Direct && self.product().is_immediate()
    }

    /// Returns a text by its name on the direct route, or `""`.
    pub(crate) fn text(&self, name: &str) -> &str {
        self.input
            .get(name)
            .and_then(Value::as_str)
            .unwrap_or_default()
    }

    /// Returns the key that submits for the same track share, if the operation makes its product
    /// once for a track.
    pub(crate) fn once_key(&self) -> Option<String> {
        self.operation.is_once.then(|| {
            let (task_id, audio_id) = (self.text("taskId"), self.text("audioId"));
            format!("{}\n{task_id}\n{audio_id}", self.operation.path)
        })
    }

    /// Returns the engine of the model. The engine names are observed; which model uses which is
    /// assumed (`PROTOCOL.md 2.21`).
    pub(crate) fn engine(&self) -> &'static str {
        match self.model.as_str() {
            model if model.starts_with("V4") => "chirp-v4-5",
            model if model.starts_with("V6") => "chirp-fenix",
            _ => "chirp-crow",
        }
    }
}

/// The known members of a submit.
struct ReadMembers {
    /// By their names on the direct route.
    input: Map<String, Value>,
    /// By the names that were sent.
    echo: Map<String, Value>,
}

/// Checks the members in the order of the table.
fn read_members(
    profile: Profile,
    operation: &Operation,
    route: Route,
    members: &Map<String, Value>,
) -> Result<ReadMembers, Refusal> {
    let mut read = ReadMembers {
        input: Map::new(),
        echo: Map::new(),
    };
    for member in operation.members {
        let value = member.read(profile, route, members)?;
        keep(&mut read, member, route, value);
    }
    (operation.rule)(&Input {
        profile,
        route,
        members: &read.input,
    })?;
    Ok(read)
}

fn keep(read: &mut ReadMembers, member: &Member, route: Route, value: Option<Value>) {
    if let Some(value) = value {
        let name = member.name_on(route).into_owned();
        read.echo.insert(name, value.clone());
        read.input.insert(member.name.to_owned(), value);
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

fn optional(members: &Map<String, Value>, name: &str) -> Option<String> {
    let text = members.get(name)?.as_str()?;
    (!text.trim().is_empty()).then(|| text.to_owned())
}

/// Returns a member that must be a string and not blank.
fn required(members: &Map<String, Value>, name: &str) -> Result<String, Refusal> {
    optional(members, name).ok_or_else(|| missing(name))
}
