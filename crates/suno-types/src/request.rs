//! The request for an instrumental: it can only be built valid.

use std::borrow::Cow;
use std::fmt;

use serde::{Serialize, Serializer};
use url::Url;

/// A field of a request that the provider would refuse, found before any byte is sent.
///
/// `Display` names the field as it is spelled on the wire, and the bound.
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

    /// What the field must be.
    #[must_use]
    pub fn bound(&self) -> &'static str {
        self.bound
    }
}

/// The name of a model: an open set that changes several times a year.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
#[serde(transparent)]
pub struct Model(Cow<'static, str>);

impl Model {
    /// `V4_5PLUS`
    pub const V4_5PLUS: Self = Self(Cow::Borrowed("V4_5PLUS"));
    /// `V4_5ALL`
    pub const V4_5ALL: Self = Self(Cow::Borrowed("V4_5ALL"));
    /// `V5`
    pub const V5: Self = Self(Cow::Borrowed("V5"));
    /// `V5_5`
    pub const V5_5: Self = Self(Cow::Borrowed("V5_5"));
    /// `V6`
    pub const V6: Self = Self(Cow::Borrowed("V6"));
    /// `V6_MINI`
    pub const V6_MINI: Self = Self(Cow::Borrowed("V6_MINI"));
    /// `V6_WILD`
    pub const V6_WILD: Self = Self(Cow::Borrowed("V6_WILD"));

    /// The name as it goes over the wire.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<String> for Model {
    fn from(name: String) -> Self {
        Self(Cow::Owned(name))
    }
}

impl fmt::Display for Model {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
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

/// A request to generate an instrumental for uploaded audio (`PROTOCOL.md 1.2` to `1.12`), within
/// the bounds of `PROTOCOL.md 7.40`.
///
/// ```
/// use suno_types::{AddInstrumental, Model};
///
/// let request = AddInstrumental::new(
///     "https://media.example.com/voice.mp3",
///     "Harbour lights",
///     "warm, acoustic",
///     "heavy drums",
///     "https://app.example.com/suno/callback",
/// )?
/// .with_model(Model::V5)
/// .with_style_weight(0.65)?;
/// # let _ = request;
///
/// let err = AddInstrumental::new("", "t", "t", "t", "https://app.example.com/").unwrap_err();
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
    /// How many characters a title may have.
    pub const TITLE_CHARS_MAX: usize = 100;
    /// How many characters tags and negative tags may have, each.
    pub const TAGS_CHARS_MAX: usize = 1_000;
    /// How many characters lyrics may have.
    pub const LYRICS_CHARS_MAX: usize = 5_000;
    /// The highest variety.
    pub const VARIETY_MAX: u8 = 4;

    /// A request with the fields that the provider requires.
    ///
    /// # Errors
    ///
    /// [`InvalidField`] unless both URLs are absolute `http` or `https` URLs without user name and
    /// password, and the texts are within their bounds and not empty.
    pub fn new(
        upload_url: impl Into<String>,
        title: impl Into<String>,
        tags: impl Into<String>,
        negative_tags: impl Into<String>,
        callback_url: impl Into<String>,
    ) -> Result<Self, InvalidField> {
        Ok(Self {
            upload_url: web_url("uploadUrl", upload_url.into())?,
            title: text(
                "title",
                "1 to 100 characters long",
                Self::TITLE_CHARS_MAX,
                title.into(),
            )?,
            tags: text(
                "tags",
                "1 to 1000 characters long",
                Self::TAGS_CHARS_MAX,
                tags.into(),
            )?,
            negative_tags: text(
                "negativeTags",
                "1 to 1000 characters long",
                Self::TAGS_CHARS_MAX,
                negative_tags.into(),
            )?,
            call_back_url: web_url("callBackUrl", callback_url.into())?,
            model: None,
            vocal_gender: None,
            style_weight: None,
            weirdness_constraint: None,
            audio_weight: None,
            lyrics: None,
            variety: None,
        })
    }

    /// The model; without it the provider chooses.
    #[must_use]
    pub fn with_model(mut self, model: Model) -> Self {
        self.model = Some(model);
        self
    }

    /// The voice of sung parts.
    #[must_use]
    pub fn with_vocal_gender(mut self, gender: VocalGender) -> Self {
        self.vocal_gender = Some(gender);
        self
    }

    /// How closely the styles are followed: 0 to 1 in steps of 0.01.
    ///
    /// # Errors
    ///
    /// [`InvalidField`] if the weight is out of bounds or between two steps. It is never rounded.
    pub fn with_style_weight(mut self, weight: f64) -> Result<Self, InvalidField> {
        self.style_weight = Some(Weight::new("styleWeight", weight)?);
        Ok(self)
    }

    /// How unusual the result may be: 0 to 1 in steps of 0.01.
    ///
    /// # Errors
    ///
    /// As [`with_style_weight`](Self::with_style_weight).
    pub fn with_weirdness(mut self, weight: f64) -> Result<Self, InvalidField> {
        self.weirdness_constraint = Some(Weight::new("weirdnessConstraint", weight)?);
        Ok(self)
    }

    /// How closely the uploaded audio is followed: 0 to 1 in steps of 0.01.
    ///
    /// # Errors
    ///
    /// As [`with_style_weight`](Self::with_style_weight).
    pub fn with_audio_weight(mut self, weight: f64) -> Result<Self, InvalidField> {
        self.audio_weight = Some(Weight::new("audioWeight", weight)?);
        Ok(self)
    }

    /// Lyrics; sunoapi.org only, kie.ai ignores them.
    ///
    /// # Errors
    ///
    /// [`InvalidField`] if they are empty or longer than 5,000 characters.
    pub fn with_lyrics(mut self, lyrics: impl Into<String>) -> Result<Self, InvalidField> {
        let bound = "1 to 5000 characters long";
        self.lyrics = Some(text(
            "lyrics",
            bound,
            Self::LYRICS_CHARS_MAX,
            lyrics.into(),
        )?);
        Ok(self)
    }

    /// How much the tracks of a task differ, 0 to 4; sunoapi.org only, kie.ai ignores it.
    ///
    /// # Errors
    ///
    /// [`InvalidField`] if it is greater than 4.
    pub fn with_variety(mut self, variety: u8) -> Result<Self, InvalidField> {
        if variety > Self::VARIETY_MAX {
            return Err(InvalidField {
                field: "variety",
                bound: "a whole number from 0 to 4",
            });
        }
        self.variety = Some(variety);
        Ok(self)
    }

    /// Where the provider will POST.
    #[must_use]
    pub fn callback_url(&self) -> &str {
        &self.call_back_url
    }

    /// The same request with another place where the provider will POST.
    ///
    /// # Errors
    ///
    /// [`InvalidField`] unless it is an absolute `http` or `https` URL without user name and
    /// password.
    pub fn with_callback_url(mut self, url: impl Into<String>) -> Result<Self, InvalidField> {
        self.call_back_url = web_url("callBackUrl", url.into())?;
        Ok(self)
    }

    /// The body of the request.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        crate::wire::write(self)
    }
}

/// Without the URLs, which can hold a token.
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

fn web_url(field: &'static str, url: String) -> Result<String, InvalidField> {
    let valid = Url::parse(&url).is_ok_and(|url| {
        matches!(url.scheme(), "http" | "https")
            && url.username().is_empty()
            && url.password().is_none()
    });
    // The parser forgives white space that the provider may not.
    if valid && !url.contains(|c: char| c.is_whitespace() || c.is_control()) {
        return Ok(url);
    }
    Err(InvalidField {
        field,
        bound: "an absolute http or https URL without user name and password",
    })
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

/// Hundredths.
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
