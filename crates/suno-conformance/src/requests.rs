//! Runs the cases of `requests/`: the fields of a submit, to its body or to the field that is out
//! of bounds.

use serde::Deserialize;
use serde_json::{Map, Value, json};
use suno_types::{DynamicRequest, InvalidField, Operation, Request, RequestBuilder, Route};

use crate::compare::differences;
use crate::parts::Parts;

pub(crate) type Case = Parts<Input, Expect>;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Input {
    #[expect(dead_code, reason = "read to reject unknown words")]
    provider: Provider,
    #[serde(default)]
    operation: OperationWord,
    #[serde(default)]
    route: RouteWord,
    fields: Fields,
}

/// The route by which a request is sent.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum RouteWord {
    #[default]
    Direct,
    Jobs,
}

impl From<RouteWord> for Route {
    fn from(route: RouteWord) -> Self {
        match route {
            RouteWord::Direct => Self::Direct,
            RouteWord::Jobs => Self::Jobs,
        }
    }
}

/// The word for an operation; `add-instrumental` if a case has none.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct OperationWord(Operation);

impl Default for OperationWord {
    fn default() -> Self {
        Self(Operation::AddInstrumental)
    }
}

impl TryFrom<String> for OperationWord {
    type Error = suno_types::InvalidOperation;

    fn try_from(word: String) -> Result<Self, Self::Error> {
        word.parse().map(Self)
    }
}

/// The provider.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Provider {
    Kie,
    SunoApi,
}

impl From<Provider> for suno_types::Provider {
    fn from(provider: Provider) -> Self {
        match provider {
            Provider::Kie => Self::Kie,
            Provider::SunoApi => Self::SunoApi,
        }
    }
}

/// The fields of a request, by their names in snake_case.
#[derive(Debug, Deserialize)]
#[serde(transparent)]
pub(crate) struct Fields(Map<String, Value>);

#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(crate) enum Expect {
    Body(ExpectBody),
    Invalid(ExpectInvalid),
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ExpectBody {
    body_json: Value,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ExpectInvalid {
    invalid: Invalid,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Invalid {
    field: String,
    bound: String,
}

impl Fields {
    /// Builds the request that a user of the crate would build from these fields.
    pub(crate) fn request(
        &self,
        OperationWord(operation): OperationWord,
        route: Route,
    ) -> Result<DynamicRequest, InvalidField> {
        let texts = self.0.iter().flat_map(|(name, value)| {
            let values = match value {
                Value::Array(values) => values.iter().map(text).collect(),
                value => vec![text(value)],
            };
            values.into_iter().map(move |text| (name, text))
        });
        RequestBuilder::from_fields(operation, texts)?.build_for(route)
    }
}

/// A value as text: a text as it is, and anything else as JSON.
fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        value => value.to_string(),
    }
}

impl Case {
    /// Returns the differences from what was expected.
    pub(crate) fn run(&self) -> Vec<String> {
        let expected = match &self.expect {
            Expect::Body(ExpectBody { body_json }) => json!({"body_json": body_json}),
            Expect::Invalid(ExpectInvalid { invalid }) => {
                json!({"invalid": {"field": invalid.field, "bound": invalid.bound}})
            }
        };
        let route = self.input.route.into();
        let request = self.input.fields.request(self.input.operation, route);
        let got = match request.and_then(|request| request.encode(route)) {
            Ok(body) => match serde_json::from_slice::<Value>(&body) {
                Ok(body) => json!({"body_json": body}),
                Err(err) => return vec![format!("the encoded body is not valid JSON: {err}")],
            },
            Err(err) => json!({"invalid": {"field": err.field(), "bound": err.bound()}}),
        };
        differences(&expected, &got)
    }
}
