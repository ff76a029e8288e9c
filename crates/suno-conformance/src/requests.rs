//! Runs the cases of `requests/`: the fields of a submit, to its body or to the field that is out
//! of bounds.

use serde::Deserialize;
use serde_json::{Value, json};
use suno_types::{AddInstrumental, InvalidField, Model, VocalGender};

use crate::compare::differences;
use crate::parts::Parts;

pub(crate) type Case = Parts<Input, Expect>;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Input {
    #[expect(dead_code, reason = "read to reject unknown words")]
    provider: Provider,
    fields: Fields,
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

/// The fields of a submit.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Fields {
    upload_url: String,
    title: String,
    tags: String,
    negative_tags: String,
    callback_url: String,
    model: Option<String>,
    vocal_gender: Option<Gender>,
    style_weight: Option<f64>,
    weirdness_constraint: Option<f64>,
    audio_weight: Option<f64>,
    lyrics: Option<String>,
    variety: Option<u8>,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Gender {
    M,
    F,
}

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
    pub(crate) fn request(&self) -> Result<AddInstrumental, InvalidField> {
        let gender = self.vocal_gender.map(|gender| match gender {
            Gender::M => VocalGender::Male,
            Gender::F => VocalGender::Female,
        });
        AddInstrumental::builder()
            .upload_url(&*self.upload_url)
            .title(&*self.title)
            .tags(&*self.tags)
            .negative_tags(&*self.negative_tags)
            .callback_url(&*self.callback_url)
            .model(self.model.clone().map(Model::from))
            .vocal_gender(gender)
            .style_weight(self.style_weight)
            .weirdness_constraint(self.weirdness_constraint)
            .audio_weight(self.audio_weight)
            .lyrics(self.lyrics.clone())
            .variety(self.variety)
            .build()
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
        let got = match self.input.fields.request() {
            Ok(request) => match serde_json::from_slice::<Value>(&request.encode()) {
                Ok(body) => json!({"body_json": body}),
                Err(err) => return vec![format!("the encoded body is not valid JSON: {err}")],
            },
            Err(err) => json!({"invalid": {"field": err.field(), "bound": err.bound()}}),
        };
        differences(&expected, &got)
    }
}
