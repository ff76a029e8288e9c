//! What is derived from the members of `data` of a callback or a record, in every shape but the usual
//! one. The members stay as they were sent, and deriving again gives the same: so encoding knows what
//! they already say.

use serde_json::value::RawValue;

use super::members::{self, Members, object_text, open_text};
use super::object::UnknownLeft;
use super::outputs::{Finding, Reader, has_stems, named};
use super::track::Spelled;
use crate::output::Reading;
use crate::record::{FAIL_CODES, is_failure};
use crate::{DecodeError, Extra, Product, Stage, Track};

/// The place in which tracks were found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Place {
    #[default]
    None,
    /// In the array `data`.
    Data,
    /// In the array `response.sunoData`.
    Response,
    Elsewhere,
}

/// The values that the members have.
#[derive(Debug, Default)]
pub(super) struct Derived {
    pub(super) tracks: Vec<Track>,
    pub(super) place: Place,
    pub(super) spelled: Spelled,
    pub(super) reading: Reading,
    /// The text of a failure.
    pub(super) error: Option<String>,
    /// The code of a failure, unless it says that there is none.
    pub(super) fail_code: Option<String>,
}

const ERRORS: [&str; 3] = ["error", "failMsg", "errorMessage"];
/// The words of a voice's steps, which no other product has.
const VOICE_STEPS: [&str; 4] = [
    "wait_processing",
    "processing_validate",
    "processing_validate_fail",
    "wait_validating",
];

impl Derived {
    /// Derives what the members of the object `data` say.
    pub(super) fn of_members(
        data: &Members<'_>,
        left: &mut UnknownLeft,
    ) -> Result<Self, DecodeError> {
        let texts = ["response", "resultJson"].map(|name| data.get(name).and_then(object_text));
        let response = open_text(texts[0].as_deref(), "response")?;
        let result = open_text(texts[1].as_deref(), "resultJson")?;
        let object = result
            .as_ref()
            .and_then(|result| result.get("resultObject"));
        let object_json = object.and_then(object_text);
        let object = open_text(object_json.as_deref(), "resultJson.resultObject")?;

        let inner = [&response, &result, &object];
        let word = word(data);
        let hint = hint(data, &inner, word.as_deref());
        let mut derived = Self {
            error: data.filled(&ERRORS),
            fail_code: data.first(&FAIL_CODES, fail_code),
            ..Self::default()
        };
        let mut reader = Reader {
            hint: hint.clone(),
            left,
        };
        let paths = ["response", "resultJson", "resultJson.resultObject"];
        let places = [Place::Response, Place::Elsewhere, Place::Elsewhere];
        let mut found = reader.result(data, "", true)?;
        derived.place = Place::Data;
        for ((members, path), place) in inner.into_iter().zip(paths).zip(places) {
            if let (None, Some(members)) = (&found, members) {
                found = reader.result(members, path, false)?;
                derived.place = place;
            }
        }
        for name in ["response", "resultJson"] {
            if let (None, Some(raw)) = (&found, data.get(name)) {
                found = reader.listed(raw, name)?;
                derived.place = Place::Elsewhere;
            }
        }
        derived.take(found);
        derived.reading.hint = hint;
        derived.reading.word = word;
        Ok(derived)
    }

    /// Derives what an array in the place of `data` says: the tracks of a recovery.
    pub(super) fn of_list(
        list: &RawValue,
        path: &str,
        left: &mut UnknownLeft,
    ) -> Result<Self, DecodeError> {
        let mut derived = Self::default();
        derived.reading.hint = Some(Product::RECOVERY);
        let mut reader = Reader {
            hint: derived.reading.hint.clone(),
            left,
        };
        let found = reader.list(list, path)?;
        derived.place = Place::Elsewhere;
        derived.take(found);
        Ok(derived)
    }

    fn take(&mut self, found: Option<Finding>) {
        match found {
            Some(Finding::Tracks(tracks, spelled)) => {
                self.tracks = tracks;
                self.spelled = spelled;
            }
            Some(Finding::Other(found)) => self.reading.found = found,
            None => self.place = Place::None,
        }
    }

    /// Takes out the member that the tracks were derived from, if encoding them writes it back so that
    /// they are read again: a body that names lyrics takes for a track only what has an id or a URL,
    /// and tracks that another member has as well are not written.
    pub(super) fn take_written(&self, data: &mut Members<'_>, name: &str) {
        let is_certain = |track: &Track| track.id.is_some() || track.audio_url.is_some();
        let names_lyrics = self.reading.hint == Some(Product::LYRICS);
        if self.tracks.is_empty() || (names_lyrics && !self.tracks.iter().any(is_certain)) {
            return;
        }
        let mut rest = data.clone();
        rest.remove(name);
        let said = Self::of_members(&rest, &mut UnknownLeft::new()).unwrap_or_default();
        if said.tracks != self.tracks {
            *data = rest;
        }
    }

    /// Derives from members that were kept. They were derived from once, so that they cannot fail.
    pub(super) fn again(root: &Extra, data: &Extra) -> Self {
        let mut left = UnknownLeft::new();
        let derived = match root.json("data") {
            Some(_) => match Members::from(root).get("data").filter(|raw| is_list(raw)) {
                Some(list) => Self::of_list(list, "data", &mut left),
                None => Ok(Self::default()),
            },
            None if data.is_empty() => Ok(Self::default()),
            None => Self::of_members(&Members::from(data), &mut left),
        };
        derived.unwrap_or_default()
    }

    /// Checks the length of the word for the stage, of a body without `callbackType`.
    pub(super) fn check_word(&self) -> Result<(), ()> {
        match &self.reading.word {
            Some(word) if word.len() > Stage::WORD_BYTES_MAX => Err(()),
            _ => Ok(()),
        }
    }
}

/// Takes the text of a failure out of the member that it belongs to, unless another member has one
/// too: then all of them are kept, and the one of this member is preferred.
pub(super) fn take_error(data: &mut Members<'_>, name: &str) -> Option<String> {
    let mut others = ERRORS.iter().filter(|other| **other != name);
    match others.find_map(|other| data.filled(&[other])) {
        None => data.take_string(name),
        Some(other) => data.filled(&[name]).or(Some(other)),
    }
}

pub(super) fn is_list(raw: &RawValue) -> bool {
    raw.get().starts_with('[')
}

/// The name of the member with the word for the stage, in the order of preference.
pub(super) fn word_name(data: &Members<'_>) -> Option<&'static str> {
    ["state", "status", "successFlag"]
        .into_iter()
        .find(|name| data.first(&[name], |raw| word_in(name, raw)).is_some())
}

fn word(data: &Members<'_>) -> Option<Box<str>> {
    let name = word_name(data)?;
    data.first(&[name], |raw| word_in(name, raw))
}

/// The word in a member. `successFlag` can be a number.
fn word_in(name: &str, raw: &RawValue) -> Option<Box<str>> {
    let is_number = raw.get().starts_with(|c: char| c.is_ascii_digit());
    if name == "successFlag" && is_number {
        return Some(raw.get().into());
    }
    members::text(raw).map(Into::into)
}

/// The text or the digits of an error code, if it says that there is an error.
fn fail_code(raw: &RawValue) -> Option<String> {
    let is_number = raw
        .get()
        .starts_with(|c: char| c == '-' || c.is_ascii_digit());
    let code = if is_number {
        raw.get().to_owned()
    } else {
        members::text(raw)?.into_owned()
    };
    Some(code).filter(|code| is_failure(code))
}

/// The product that the members name, whether or not they have a result.
fn hint(data: &Members<'_>, inner: &[&Option<Members<'_>>], word: Option<&str>) -> Option<Product> {
    let model = data.text(&["model"]);
    let operation = model.as_deref().and_then(|model| model.strip_prefix(JOBS));
    if let Some(operation) = operation {
        return Some(product_of(operation));
    }
    if data.text(&["type"]).as_deref() == Some("LYRICS") || word == Some("GENERATE_LYRICS_FAILED") {
        return Some(Product::LYRICS);
    }
    if let Some(product) = named(data) {
        return Some(product);
    }
    for members in inner.iter().filter_map(|members| members.as_ref()) {
        if let Some(product) = named(members) {
            return Some(product);
        }
        if has_stems(members) {
            return Some(Product::STEMS);
        }
        if members.has("sunoData") {
            return Some(Product::SONG);
        }
    }
    match word {
        Some(word) if VOICE_STEPS.contains(&word) => Some(Product::VOICE),
        Some("GENERATE_WAV_FAILED") => Some(Product::WAV),
        Some("GENERATE_MP4_FAILED") => Some(Product::MP4),
        // Songs have a `status` in capitals; the other products have a `successFlag`.
        Some(word) if word_name(data) == Some("status") => {
            let is_record = word.starts_with(|c: char| c.is_ascii_uppercase());
            is_record.then_some(Product::SONG)
        }
        _ => None,
    }
}

/// The beginning of the names of operations in the jobs dialect (`PROTOCOL.md 5.7`).
const JOBS: &str = "ai-music-api/";

/// The operations of the jobs dialect and what they make, by a part of their names; the first that
/// fits counts.
const OPERATIONS: [(&str, Product); 18] = [
    ("upload-", Product::SONG),
    ("lyrics", Product::LYRICS),
    ("wav", Product::WAV),
    ("video", Product::MP4),
    ("mp4", Product::MP4),
    ("separate", Product::STEMS),
    ("vocal-removal", Product::STEMS),
    ("stem", Product::STEMS),
    ("midi", Product::MIDI),
    ("recover", Product::RECOVERY),
    ("cover", Product::COVER),
    ("voice", Product::VOICE),
    ("phrase", Product::VOICE),
    ("extend", Product::SONG),
    ("add-", Product::SONG),
    ("mashup", Product::SONG),
    ("replace-section", Product::SONG),
    ("sounds", Product::SONG),
];

fn product_of(operation: &str) -> Product {
    if operation == "generate" {
        return Product::SONG;
    }
    let mut operations = OPERATIONS.iter();
    let found = operations.find(|(part, _)| operation.contains(part));
    found.map_or(Product::OTHER, |(_, product)| product.clone())
}
