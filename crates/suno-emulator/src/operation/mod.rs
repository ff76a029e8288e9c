//! The operations of the provider: one row for each, in a [`table`].
//!
//! A row says what an operation is called on both routes, which members its submit has, what it
//! makes, and what it costs. Everything that serves, checks or describes an operation reads its row.

mod member;
mod product;
mod rule;
mod table;

pub(crate) use member::{Member, missing};
pub(crate) use product::Product;
pub(crate) use rule::Input;
pub(crate) use table::OPERATIONS;

use serde_json::{Map, Value, json};

use crate::profile::Refusal;

/// The route of a submit: the provider has two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Route {
    /// A path for each operation (`PROTOCOL.md 1`).
    Direct,
    /// `jobs/createTask` for all operations (`PROTOCOL.md 5`), kie.ai only.
    Jobs,
}

/// The path of submits on the jobs route, and the path of their polls.
pub(crate) const JOBS_SUBMIT_PATH: &str = "/api/v1/jobs/createTask";
pub(crate) const JOBS_RECORD_PATH: &str = "/api/v1/jobs/recordInfo";
/// The prefix of the outer `model` on the jobs route.
pub(crate) const JOBS_MODEL_PREFIX: &str = "ai-music-api/";

/// The members that an example shows although they are optional: rules may need them.
const EXAMPLE_MEMBERS: [&str; 3] = ["audioId", "prompt", "taskId"];

/// An operation.
#[derive(Debug)]
pub(crate) struct Operation {
    /// The path on the direct route.
    pub(crate) path: &'static str,
    /// The outer `model` on the jobs route, after [`JOBS_MODEL_PREFIX`].
    pub(crate) model: &'static str,
    pub(crate) product: Product,
    /// `operationType` in the record of a song; empty for other products.
    pub(crate) operation_type: &'static str,
    pub(crate) callback_url: CallbackUrl,
    /// The price in hundredths of a credit.
    pub(crate) price: u64,
    pub(crate) members: &'static [Member],
    /// A check of members that depend on each other.
    pub(crate) rule: fn(&Input<'_>) -> Result<(), Refusal>,
    /// Whether a second submit for the same track is refused with the id of the first task.
    pub(crate) is_once: bool,
}

/// The member with the callback URL on the direct route. On the jobs route it is always
/// `callBackUrl`, and optional.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CallbackUrl {
    Required(&'static str),
    Optional(&'static str),
    /// The operation is answered at once.
    None,
}

impl CallbackUrl {
    /// The usual spelling.
    pub(crate) const NAME: &'static str = "callBackUrl";

    pub(crate) fn name(self) -> Option<&'static str> {
        match self {
            Self::Required(name) | Self::Optional(name) => Some(name),
            Self::None => None,
        }
    }
}

impl Operation {
    /// Returns the operation of a path on the direct route.
    pub(crate) fn at(path: &str) -> Option<&'static Self> {
        OPERATIONS.iter().find(|operation| operation.path == path)
    }

    /// Returns the operation of an outer `model` on the jobs route.
    pub(crate) fn of_model(model: &str) -> Option<&'static Self> {
        let name = model.strip_prefix(JOBS_MODEL_PREFIX)?;
        OPERATIONS.iter().find(|operation| operation.model == name)
    }

    /// Returns the body of a submit that is accepted.
    pub(crate) fn example(&self, route: Route) -> Value {
        let is_shown =
            |member: &&Member| member.is_required(route) || EXAMPLE_MEMBERS.contains(&member.name);
        let shown = self.members.iter().filter(is_shown);
        let members: Map<String, Value> = shown
            .map(|member| (member.name_on(route).into_owned(), member.example()))
            .collect();
        let callback_url = "https://app.example.com/suno/callback";
        match route {
            Route::Jobs => json!({
                "callBackUrl": callback_url,
                "input": members,
                "model": self.jobs_model(),
            }),
            Route::Direct => {
                let mut body = Value::Object(members);
                if let Some(name) = self.callback_url.name() {
                    body[name] = callback_url.into();
                }
                body
            }
        }
    }

    /// Returns the outer `model` on the jobs route.
    pub(crate) fn jobs_model(&self) -> String {
        format!("{JOBS_MODEL_PREFIX}{}", self.model)
    }
}
