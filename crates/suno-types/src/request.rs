//! The request for an instrumental, which is checked when it is built.

use std::fmt;
use std::net::Ipv6Addr;

use serde::{Serialize, Serializer};

use crate::word::open_word;

/// The error for a field that the provider would refuse, found before any byte is sent.
///
/// `Display` shows the field as it is spelled on the wire, and its bound.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field} must be {bound}")]
pub struct InvalidField {
    field: &'static str,
    bound: &'static str,
}

impl InvalidField {
    /// The field as it is spelled on the wire.
    #[must_use]
    pub fn field(&self) -> &'static str {
        self.field
    }

    /// The bound that the field must keep.
    #[must_use]
    pub fn bound(&self) -> &'static str {
        self.bound
    }
}

open_word! {
    /// The name of a model. The provider adds several a year.
    ///
    /// ```
    /// use suno_types::Model;
    ///
    /// assert_eq!(Model::from("V5"), Model::V5);
    /// assert_eq!(Model::from("V9_WILD").as_str(), "V9_WILD");
    /// ```
    Model {
        /// `V4_5PLUS`
        V4_5PLUS = "V4_5PLUS",
        /// `V4_5ALL`
        V4_5ALL = "V4_5ALL",
        /// `V5`
        V5 = "V5",
        /// `V5_5`
        V5_5 = "V5_5",
        /// `V6`
        V6 = "V6",
        /// `V6_MINI`
        V6_MINI = "V6_MINI",
        /// `V6_WILD`
        V6_WILD = "V6_WILD",
    }
}

/// The voice of sung parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[non_exhaustive]
pub enum VocalGender {
    /// `m`
    #[serde(rename = "m")]
    Male,
    /// `f`
    #[serde(rename = "f")]
    Female,
}

/// A valid request to generate an instrumental for uploaded audio (`PROTOCOL.md 1.2` to `1.12`),
/// within the bounds of `PROTOCOL.md 7.40`.
///
/// ```
/// use suno_types::{AddInstrumental, Model};
///
/// let request = AddInstrumental::builder()
///     .upload_url("https://media.example.com/voice.mp3")
///     .title("Harbour lights")
///     .tags("warm, acoustic")
///     .negative_tags("heavy drums")
///     .callback_url("https://app.example.com/suno/callback")
///     .model(Model::V5)
///     .style_weight(0.65)
///     .build()?;
/// # let _ = request;
///
/// let err = AddInstrumental::builder().title("Harbour lights").build().unwrap_err();
/// assert_eq!(err.field(), "uploadUrl");
/// # Ok::<(), suno_types::InvalidField>(())
/// ```
#[derive(Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AddInstrumental {
    upload_url: String,
    title: String,
    tags: String,
    negative_tags: String,
    call_back_url: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    model: Option<Model>,
    #[serde(skip_serializing_if = "Option::is_none")]
    vocal_gender: Option<VocalGender>,
    #[serde(skip_serializing_if = "Option::is_none")]
    style_weight: Option<Weight>,
    #[serde(skip_serializing_if = "Option::is_none")]
    weirdness_constraint: Option<Weight>,
    #[serde(skip_serializing_if = "Option::is_none")]
    audio_weight: Option<Weight>,
    #[serde(skip_serializing_if = "Option::is_none")]
    lyrics: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    variety: Option<u8>,
}

impl AddInstrumental {
    /// The maximum number of characters in a title.
    pub const TITLE_CHARS_MAX: usize = 100;
    /// The maximum number of characters in tags and in negative tags.
    pub const TAGS_CHARS_MAX: usize = 1_000;
    /// The maximum number of characters in lyrics.
    pub const LYRICS_CHARS_MAX: usize = 5_000;
    /// The highest variety.
    pub const VARIETY_MAX: u8 = 4;

    /// Starts a request without any field.
    pub fn builder() -> AddInstrumentalBuilder {
        AddInstrumentalBuilder::default()
    }

    /// The URL to which the provider will POST.
    #[must_use]
    pub fn callback_url(&self) -> &str {
        &self.call_back_url
    }

    /// Replaces the URL to which the provider will POST.
    ///
    /// # Errors
    ///
    /// [`InvalidField`] unless it is an absolute `http` or `https` URL without user name and
    /// password.
    pub fn with_callback_url(mut self, url: impl Into<String>) -> Result<Self, InvalidField> {
        self.call_back_url = web_url("callBackUrl", url.into())?;
        Ok(self)
    }
}

/// The fields of an [`AddInstrumental`], in any order. Nothing is checked before
/// [`build`](Self::build).
#[derive(Clone, Default)]
#[must_use = "it does nothing before `build`"]
pub struct AddInstrumentalBuilder {
    upload_url: String,
    title: String,
    tags: String,
    negative_tags: String,
    callback_url: String,
    model: Option<Model>,
    vocal_gender: Option<VocalGender>,
    style_weight: Option<f64>,
    weirdness_constraint: Option<f64>,
    audio_weight: Option<f64>,
    lyrics: Option<String>,
    variety: Option<u8>,
}

impl AddInstrumentalBuilder {
    /// The URL of the audio to accompany. Required.
    pub fn upload_url(mut self, url: impl Into<String>) -> Self {
        self.upload_url = url.into();
        self
    }

    /// The title: 1 to 100 characters. Required.
    pub fn title(mut self, title: impl Into<String>) -> Self {
        self.title = title.into();
        self
    }

    /// The styles to use: 1 to 1,000 characters. Required.
    pub fn tags(mut self, tags: impl Into<String>) -> Self {
        self.tags = tags.into();
        self
    }

    /// The styles to avoid: 1 to 1,000 characters. Required.
    pub fn negative_tags(mut self, tags: impl Into<String>) -> Self {
        self.negative_tags = tags.into();
        self
    }

    /// The URL to which the provider will POST. Required.
    pub fn callback_url(mut self, url: impl Into<String>) -> Self {
        self.callback_url = url.into();
        self
    }

    /// The model. The provider chooses if it is not set.
    pub fn model(mut self, model: impl Into<Option<Model>>) -> Self {
        self.model = model.into();
        self
    }

    /// The voice of sung parts.
    pub fn vocal_gender(mut self, gender: impl Into<Option<VocalGender>>) -> Self {
        self.vocal_gender = gender.into();
        self
    }

    /// How closely the styles are followed: 0 to 1 in steps of 0.01. It is never rounded.
    pub fn style_weight(mut self, weight: impl Into<Option<f64>>) -> Self {
        self.style_weight = weight.into();
        self
    }

    /// How unusual the result may be: 0 to 1 in steps of 0.01. It is never rounded.
    pub fn weirdness_constraint(mut self, weight: impl Into<Option<f64>>) -> Self {
        self.weirdness_constraint = weight.into();
        self
    }

    /// How closely the uploaded audio is followed: 0 to 1 in steps of 0.01. It is never rounded.
    pub fn audio_weight(mut self, weight: impl Into<Option<f64>>) -> Self {
        self.audio_weight = weight.into();
        self
    }

    /// The lyrics: 1 to 5,000 characters. Used by sunoapi.org; kie.ai ignores them.
    pub fn lyrics(mut self, lyrics: impl Into<Option<String>>) -> Self {
        self.lyrics = lyrics.into();
        self
    }

    /// How much the tracks of a task differ: 0 to 4. Used by sunoapi.org; kie.ai ignores it.
    pub fn variety(mut self, variety: impl Into<Option<u8>>) -> Self {
        self.variety = variety.into();
        self
    }

    /// Checks the fields.
    ///
    /// # Errors
    ///
    /// [`InvalidField`] for the first field that is missing or out of bounds. Both URLs must be
    /// absolute `http` or `https` URLs without user name and password.
    pub fn build(self) -> Result<AddInstrumental, InvalidField> {
        let lyrics = self.lyrics.map(|lyrics| {
            text(
                "lyrics",
                "1 to 5000 characters long",
                AddInstrumental::LYRICS_CHARS_MAX,
                lyrics,
            )
        });
        Ok(AddInstrumental {
            upload_url: web_url("uploadUrl", self.upload_url)?,
            title: text(
                "title",
                "1 to 100 characters long",
                AddInstrumental::TITLE_CHARS_MAX,
                self.title,
            )?,
            tags: tags("tags", self.tags)?,
            negative_tags: tags("negativeTags", self.negative_tags)?,
            call_back_url: web_url("callBackUrl", self.callback_url)?,
            model: self.model,
            vocal_gender: self.vocal_gender,
            style_weight: weight("styleWeight", self.style_weight)?,
            weirdness_constraint: weight("weirdnessConstraint", self.weirdness_constraint)?,
            audio_weight: weight("audioWeight", self.audio_weight)?,
            lyrics: lyrics.transpose()?,
            variety: self.variety.map(variety).transpose()?,
        })
    }
}

/// Without the URLs, which can contain a token.
impl fmt::Debug for AddInstrumental {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AddInstrumental")
            .field("title", &self.title)
            .field("tags", &self.tags)
            .field("negative_tags", &self.negative_tags)
            .field("model", &self.model)
            .finish_non_exhaustive()
    }
}

/// Without the URLs, which can contain a token.
impl fmt::Debug for AddInstrumentalBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AddInstrumentalBuilder")
            .field("title", &self.title)
            .field("tags", &self.tags)
            .field("negative_tags", &self.negative_tags)
            .field("model", &self.model)
            .finish_non_exhaustive()
    }
}

fn web_url(field: &'static str, url: String) -> Result<String, InvalidField> {
    match is_web_url(&url) {
        true => Ok(url),
        false => Err(InvalidField {
            field,
            bound: "an absolute http or https URL without user name and password",
        }),
    }
}

/// Returns whether a text is an `http` or `https` URL with a host. It is stricter than a browser,
/// which repairs white space and backslashes, because the provider may not.
fn is_web_url(url: &str) -> bool {
    let is_odd = |c: char| c.is_whitespace() || c.is_control() || c == '\\';
    let Some((scheme, rest)) = url.split_once("://").filter(|_| !url.contains(is_odd)) else {
        return false;
    };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let is_web = ["http", "https"]
        .iter()
        .any(|web| scheme.eq_ignore_ascii_case(web));
    is_web && is_host_and_port(authority)
}

/// Returns whether a text is a host with an optional port and without a user name.
fn is_host_and_port(authority: &str) -> bool {
    let (host, port) = match authority.strip_prefix('[') {
        Some(rest) => match rest.split_once(']') {
            Some((address, port)) if address.parse::<Ipv6Addr>().is_ok() => (address, port),
            _ => return false,
        },
        None => authority.split_at(authority.find(':').unwrap_or(authority.len())),
    };
    let is_port = match port.strip_prefix(':') {
        Some(port) => port.bytes().all(|c| c.is_ascii_digit()) && port.parse::<u16>().is_ok(),
        None => port.is_empty(),
    };
    let is_name = |host: &str| !host.contains(['@', '%', '<', '>', '^', '|', '[', ']', ':']);
    let is_address = authority.starts_with('[');
    !host.is_empty() && is_port && (is_address || is_name(host))
}

fn tags(field: &'static str, tags: String) -> Result<String, InvalidField> {
    text(
        field,
        "1 to 1000 characters long",
        AddInstrumental::TAGS_CHARS_MAX,
        tags,
    )
}

fn weight(field: &'static str, weight: Option<f64>) -> Result<Option<Weight>, InvalidField> {
    weight.map(|weight| Weight::new(field, weight)).transpose()
}

fn variety(variety: u8) -> Result<u8, InvalidField> {
    match variety <= AddInstrumental::VARIETY_MAX {
        true => Ok(variety),
        false => Err(InvalidField {
            field: "variety",
            bound: "a whole number from 0 to 4",
        }),
    }
}

fn text(
    field: &'static str,
    bound: &'static str,
    chars_max: usize,
    text: String,
) -> Result<String, InvalidField> {
    if text.trim().is_empty() || text.chars().count() > chars_max {
        return Err(InvalidField { field, bound });
    }
    Ok(text)
}

/// A weight in hundredths.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Weight(u8);

impl Weight {
    fn new(field: &'static str, weight: f64) -> Result<Self, InvalidField> {
        let step = (0..=100_u8).find(|step| f64::from(*step) / 100.0 == weight);
        step.map(Self).ok_or(InvalidField {
            field,
            bound: "between 0 and 1 in steps of 0.01",
        })
    }
}

impl Serialize for Weight {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64(f64::from(self.0) / 100.0)
    }
}

#[cfg(test)]
mod tests {
    use super::is_web_url;

    #[test]
    fn a_url_has_a_web_scheme_a_host_and_no_user() {
        for good in [
            "https://app.example.com/suno/callback",
            "HTTP://localhost:3000",
            "https://127.0.0.1?order=1",
            "https://[::1]:8080/path#part",
            "https://münchen.example/ü",
            "https://media.example.com/a@b:c.mp3",
        ] {
            assert!(is_web_url(good), "{good}");
        }
        for bad in [
            "",
            "app.example.com",
            "/suno/callback",
            "https:/app.example.com",
            "https://",
            "https:///path",
            "https://:80/",
            "ftp://app.example.com/",
            "javascript://app.example.com/",
            "https://user@app.example.com/",
            "https://user:word@app.example.com/",
            "https://app.example.com:port/",
            "https://app.example.com:99999/",
            "https://app.example.com:+80/",
            "https://app.example.com:/",
            "https://[::1/",
            "https://[app.example.com]/",
            "https://[::1]x/",
            "https://app example.com/",
            "https://app.example.com/ ",
            "https://app.example.com/\n",
            "https://app.example.com\\@other.example.com/",
        ] {
            assert!(!is_web_url(bad), "{bad}");
        }
    }
}
