//! Explains why a signature is refused, for the person who looks for the mistake. A receiver must not
//! use it: it tries what a receiver must never accept.

mod mistake;

use std::time::Duration;

use base64::Engine;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use base64::prelude::BASE64_STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use super::{MAC_BYTES, SIGNATURE_HEADER, SentTimestamp, TIMESTAMP_HEADER, WebhookKey};
use crate::Peek;
pub use mistake::Mistake;

/// A signed callback, as far as it is known.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct Evidence<'a> {
    /// The values of the header [`TIMESTAMP_HEADER`].
    pub timestamps: &'a [&'a [u8]],
    /// The values of the header [`SIGNATURE_HEADER`].
    pub signatures: &'a [&'a [u8]],
    /// The task for which the callback is said to be.
    pub task_id: Option<&'a str>,
    /// The body, which names a task as well.
    pub body: Option<&'a [u8]>,
}

impl<'a> Evidence<'a> {
    /// Creates the evidence of a callback whose task and body are not known.
    #[must_use]
    pub const fn new(timestamps: &'a [&'a [u8]], signatures: &'a [&'a [u8]]) -> Self {
        Self {
            timestamps,
            signatures,
            task_id: None,
            body: None,
        }
    }

    /// Sets the task for which the callback is said to be.
    #[must_use]
    pub const fn with_task_id(mut self, task_id: &'a str) -> Self {
        self.task_id = Some(task_id);
        self
    }

    /// Sets the body.
    #[must_use]
    pub const fn with_body(mut self, body: &'a [u8]) -> Self {
        self.body = Some(body);
        self
    }
}

/// The result of an examination.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Diagnosis {
    /// The place of the key that produced the signature; `None` if there is none. With another mistake,
    /// such as an old timestamp, the callback is refused nevertheless.
    pub key: Option<usize>,
    /// Everything that is wrong. The callback is accepted if this is empty.
    pub mistakes: Vec<Mistake>,
}

impl Diagnosis {
    /// Whether a receiver with these keys accepts the callback.
    #[must_use]
    pub fn is_valid(&self) -> bool {
        self.key.is_some() && self.mistakes.is_empty()
    }
}

/// Examines a signed callback, and finds all mistakes at once. `keys` are the texts from the provider's
/// settings page, `now` is in Unix seconds, and `window` is the maximum difference between the timestamp
/// and `now`.
///
/// ```
/// use std::time::Duration;
/// use suno_types::signature::{Evidence, diagnose};
///
/// let evidence = Evidence::new(&[b"1735689600"], &[b"bm90IGEgc2lnbmF0dXJl"]).with_task_id("5c79be8e");
/// let diagnosis = diagnose(&["whk_demo_key"], &evidence, 1_735_690_000, Duration::from_secs(300));
/// let words: Vec<&str> = diagnosis.mistakes.iter().map(|mistake| mistake.as_str()).collect();
/// assert_eq!(words, ["too_old", "signature_form"]);
/// ```
#[must_use]
pub fn diagnose(keys: &[&str], evidence: &Evidence<'_>, now: u64, window: Duration) -> Diagnosis {
    let mut mistakes = Vec::new();
    let timestamp = single(evidence.timestamps, TIMESTAMP_HEADER, &mut mistakes);
    let signature = single(evidence.signatures, SIGNATURE_HEADER, &mut mistakes);
    let task_id = task(evidence, &mut mistakes);
    if keys.iter().any(|key| is_blank(key)) {
        mistakes.push(Mistake::BlankKey);
    }
    if let Some(timestamp) = timestamp {
        mistakes.extend(time(timestamp, now, window));
    }
    let mac = signature.and_then(|signature| read(signature, &mut mistakes));
    let (Some(timestamp), Some(mac), Some(task_id)) = (timestamp, mac, task_id) else {
        return Diagnosis {
            key: None,
            mistakes,
        };
    };
    let usable = |key: &&str| !is_blank(key);
    let fits = |key: &&str| {
        WebhookKey::new(key)
            .mac(&task_id, timestamp)
            .verify_slice(&mac)
            .is_ok()
    };
    let key = keys.iter().position(|key| usable(key) && fits(key));
    if key.is_none() {
        let keys = keys.iter().copied().filter(|key| usable(key));
        let guess = guess(keys, &task_id, timestamp, evidence.body, &mac);
        mistakes.push(guess.unwrap_or(Mistake::NoKeyFits));
    }
    Diagnosis { key, mistakes }
}

fn is_blank(key: &str) -> bool {
    WebhookKey::new(key).is_empty
}

/// Returns the value of a header that must occur once; the same value may be repeated.
fn single<'a>(
    values: &[&'a [u8]],
    name: &'static str,
    mistakes: &mut Vec<Mistake>,
) -> Option<&'a [u8]> {
    let first = values.first();
    if first.is_none() {
        mistakes.push(Mistake::Missing(name));
    } else if values.iter().any(|value| Some(value) != first) {
        mistakes.push(Mistake::Ambiguous(name));
        return None;
    }
    first.copied()
}

/// Returns the task that a receiver takes: the one in the body, if there is a body.
fn task(evidence: &Evidence<'_>, mistakes: &mut Vec<Mistake>) -> Option<String> {
    let Some(body) = evidence.body else {
        if evidence.task_id.is_none() {
            mistakes.push(Mistake::NoTask);
        }
        return evidence.task_id.map(str::to_owned);
    };
    let Ok(peek) = Peek::callback(body) else {
        mistakes.push(Mistake::BodyWithoutTask);
        return evidence.task_id.map(str::to_owned);
    };
    if evidence.task_id.is_some_and(|given| given != peek.task_id) {
        mistakes.push(Mistake::OtherTask);
    }
    Some(peek.task_id.into_owned())
}

fn time(sent: &[u8], now: u64, window: Duration) -> Option<Mistake> {
    /// A number of seconds in the year 5138, and of milliseconds in 1973.
    const MILLISECONDS_MIN: u64 = 100_000_000_000;
    let Ok(timestamp) = SentTimestamp::parse(sent) else {
        return Some(Mistake::TimestampForm);
    };
    if timestamp.seconds >= MILLISECONDS_MIN {
        return Some(Mistake::TimestampInMilliseconds);
    }
    let by = now
        .abs_diff(timestamp.seconds)
        .checked_sub(window.as_secs());
    let by = Duration::from_secs(by.filter(|seconds| *seconds > 0)?);
    Some(match timestamp.seconds < now {
        true => Mistake::TooOld(by),
        false => Mistake::TooNew(by),
    })
}

/// Returns the bytes of a signature, also if they are written differently.
fn read(sent: &[u8], mistakes: &mut Vec<Mistake>) -> Option<[u8; MAC_BYTES]> {
    let exact = |bytes: Vec<u8>| <[u8; MAC_BYTES]>::try_from(bytes).ok();
    if let Some(mac) = BASE64_STANDARD.decode(sent).ok().and_then(exact) {
        return Some(mac);
    }
    let (text, mut form) = bare(sent);
    let read = match BASE64_STANDARD.decode(text).ok().and_then(exact) {
        Some(mac) => Some(mac),
        None => match hexadecimal(text).and_then(exact) {
            Some(mac) => {
                form = "in hexadecimal";
                Some(mac)
            }
            None => {
                form = "in the URL-safe alphabet, or without padding";
                lenient(text).and_then(exact)
            }
        },
    };
    mistakes.push(match read {
        Some(_) => Mistake::SignatureWritten(form),
        None => Mistake::SignatureForm,
    });
    read
}

/// Removes what libraries of other providers put around a signature.
fn bare(sent: &[u8]) -> (&[u8], &'static str) {
    let text = sent.trim_ascii();
    for (prefix, form) in [
        (b"sha256=".as_slice(), "after the prefix 'sha256='"),
        (b"v1,".as_slice(), "after the prefix 'v1,'"),
        (b"v1=".as_slice(), "after the prefix 'v1='"),
    ] {
        if let Some(rest) = text.strip_prefix(prefix) {
            return (rest, form);
        }
    }
    let quoted = text
        .strip_prefix(b"\"")
        .and_then(|text| text.strip_suffix(b"\""));
    match quoted {
        Some(text) => (text, "in quotes"),
        None => (text, "surrounded by white space"),
    }
}

fn hexadecimal(text: &[u8]) -> Option<Vec<u8>> {
    let digit = |byte: u8| {
        char::from(byte)
            .to_digit(16)
            .and_then(|digit| u8::try_from(digit).ok())
    };
    let (pairs, rest) = text.as_chunks::<2>();
    if !rest.is_empty() {
        return None;
    }
    let bytes = pairs
        .iter()
        .map(|[high, low]| Some(digit(*high)? << 4 | digit(*low)?));
    bytes.collect()
}

/// Reads base64 in either alphabet, with or without padding.
fn lenient(text: &[u8]) -> Option<Vec<u8>> {
    let config =
        GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
    let standard = GeneralPurpose::new(&alphabet::STANDARD, config).decode(text);
    let url_safe = || GeneralPurpose::new(&alphabet::URL_SAFE, config).decode(text);
    standard.or_else(|_| url_safe()).ok()
}

/// Looks for the likely mistake of a signer or of a configuration.
fn guess<'a>(
    keys: impl Iterator<Item = &'a str>,
    task_id: &str,
    timestamp: &[u8],
    body: Option<&[u8]>,
    mac: &[u8; MAC_BYTES],
) -> Option<Mistake> {
    let task_id = task_id.as_bytes();
    let usual = [task_id, b".", timestamp].concat();
    let with_body = |before: &[&[u8]]| body.map(|body| [&before.concat(), body].concat());
    let texts = [
        (
            "the timestamp, a dot and the task id",
            Some([timestamp, b".", task_id].concat()),
        ),
        (
            "the task id and the timestamp without a dot",
            Some([task_id, timestamp].concat()),
        ),
        (
            "the timestamp and the task id without a dot",
            Some([timestamp, task_id].concat()),
        ),
        ("the task id alone", Some(task_id.to_owned())),
        ("the body alone", with_body(&[])),
        (
            "the timestamp, a dot and the body",
            with_body(&[timestamp, b"."]),
        ),
        (
            "the task id, a dot, the timestamp, a dot and the body",
            with_body(&[&usual, b"."]),
        ),
    ];
    for key in keys {
        let trimmed = key.trim_ascii();
        let fits = |key: &[u8], text: &[u8]| {
            Hmac::<Sha256>::new_from_slice(key).is_ok_and(|mut code| {
                code.update(text);
                code.verify_slice(mac).is_ok()
            })
        };
        for (name, text) in &texts {
            if text
                .as_ref()
                .is_some_and(|text| fits(trimmed.as_bytes(), text))
            {
                return Some(Mistake::OtherText(name));
            }
        }
        let unquoted = trimmed.trim_matches(['"', '\'']);
        let forms = [
            (
                "the key with the white space around it",
                Some(key.as_bytes().to_owned()),
            ),
            (
                "the key and a line break",
                Some(format!("{trimmed}\n").into_bytes()),
            ),
            (
                "the key without the quotes around it",
                Some(unquoted.as_bytes().to_owned()),
            ),
            (
                "the key after decoding it from base64",
                lenient(trimmed.as_bytes()),
            ),
            (
                "the key after decoding it from hexadecimal",
                hexadecimal(trimmed.as_bytes()),
            ),
        ];
        for (name, form) in forms {
            if form.is_some_and(|form| fits(&form, &usual)) {
                return Some(Mistake::OtherKeyForm(name));
            }
        }
    }
    None
}

#[cfg(test)]
mod tests;
