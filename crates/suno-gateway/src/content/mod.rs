//! The content of callbacks and records as JSON for programs.
//!
//! The values here implement `Serialize` and nothing else. They are the one place that decides the
//! names and the shape of what is forwarded and printed: unknown values are `null`, an empty URL is
//! `null`, members that this version does not know are kept under `data` and `extra`.
//!
//! Every JSON parser can read the result without loss: no integer is beyond what a double holds
//! ([`INTEGER_MAX`]), and no text has half a surrogate pair. No callback URL is in it, because it
//! can contain a token.
//!
//! ```
//! use suno_gateway::content::CallbackContent;
//! use suno_types::Callback;
//!
//! let body = br#"{"code":200,"msg":"ok","data":{"callbackType":"complete","task_id":"5c79be8e",
//!     "data":[{"id":"a","audio_url":""}],"seed":9007199254740993}}"#;
//! let callback = Callback::decode(body)?;
//! let json = serde_json::to_value(CallbackContent::from(&callback))?;
//! assert_eq!(json["tracks"][0]["audio_url"], serde_json::Value::Null);
//! assert_eq!(json["data"]["seed"], "9007199254740993");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod json;
mod members;
mod output;
mod track;

use serde::{Serialize, Serializer};
use suno_callback::VerifiedBy;
use suno_types::{Callback, Code, Product};

pub use json::INTEGER_MAX;
pub use members::{MembersContent, request_without_callback_urls, without_callback_urls};
pub use output::OutputContent;
pub use track::TrackContent;

/// The content of a callback.
#[derive(Debug, Serialize)]
pub struct CallbackContent<'a> {
    product: Product,
    #[serde(serialize_with = "code")]
    code: Code,
    msg: &'a str,
    error: Option<&'a str>,
    fail_code: Option<&'a str>,
    tracks: Vec<TrackContent<'a>>,
    output: Option<OutputContent<'a>>,
    data: MembersContent<'a>,
    extra: MembersContent<'a>,
}

impl<'a> From<&'a Callback> for CallbackContent<'a> {
    fn from(callback: &'a Callback) -> Self {
        Self {
            product: callback.product(),
            code: callback.code,
            msg: &callback.msg,
            error: callback.error.as_deref(),
            fail_code: callback.fail_code.as_deref(),
            tracks: TrackContent::all(&callback.tracks),
            output: OutputContent::of(callback.output()),
            data: MembersContent(&callback.data_extra),
            extra: MembersContent(&callback.extra),
        }
    }
}

/// Serialises a code as a number, or as text if it is beyond [`INTEGER_MAX`].
pub(crate) fn code<S: Serializer>(code: &Code, serializer: S) -> Result<S::Ok, S::Error> {
    match code.0.unsigned_abs() {
        0..=INTEGER_MAX => serializer.serialize_i64(code.0),
        _ => serializer.collect_str(&code.0),
    }
}

/// The methods by which a sender was verified, as words.
#[must_use]
pub fn verified_by(by: VerifiedBy) -> Vec<&'static str> {
    by.words().collect()
}
