//! Uploads of files. The provider serves these paths at another host, with the same keys.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{Request, StatusCode};
use serde_json::{Map, Value, json};
use url::Url;

use super::answer::Answer;
use super::multipart;
use crate::media::wav;
use crate::operation::missing;
use crate::profile::Refusal;
use crate::provider::NewUpload;
use crate::runner::Runner;
use crate::seed;

/// The maximum size of the body of an upload.
pub(super) const BODY_BYTES_MAX: usize = 32 * 1024 * 1024;
/// The duration of the audio in place of a file behind a URL, in hundredths of a second.
const PLACEHOLDER_CS: u32 = 200;

/// The form of an upload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum UploadForm {
    Base64,
    /// `multipart/form-data`.
    Stream,
    Url,
}

impl UploadForm {
    pub(super) fn at(path: &str) -> Option<Self> {
        match path {
            "/api/file-base64-upload" => Some(Self::Base64),
            "/api/file-stream-upload" => Some(Self::Stream),
            "/api/file-url-upload" => Some(Self::Url),
            _ => None,
        }
    }
}

/// Answers an upload with the URL at which the emulator serves the file.
pub(super) fn answer(runner: &Runner, form: UploadForm, request: &Request<Bytes>) -> Answer {
    let read = match form {
        UploadForm::Base64 => read_base64(request.body()),
        UploadForm::Stream => read_stream(request),
        UploadForm::Url => read_url(request.body()),
    };
    let now = runner.clock.now();
    let mut provider = runner.provider();
    let body = match read {
        Ok(upload) => json!({
            "success": true,
            "code": 200,
            "msg": "File uploaded successfully",
            "data": provider.upload(now, upload),
        }),
        Err(refusal) => {
            let profile = provider.profile();
            let (code, message) = (profile.code(&refusal), profile.message(&refusal));
            json!({ "success": false, "code": code, "msg": message, "data": null })
        }
    };
    Answer::json(StatusCode::OK, &body)
}

/// Reads base64, with or without the head of a `data:` URL.
fn read_base64(body: &[u8]) -> Result<NewUpload, Refusal> {
    let members = object(body)?;
    let data = text(&members, "base64Data")?;
    let encoded = match data.strip_prefix("data:") {
        Some(rest) => rest.split_once(',').map_or("", |(_, encoded)| encoded),
        None => data,
    };
    let bytes = STANDARD
        .decode(encoded.trim())
        .map_err(|_| Refusal::Invalid("base64Data is not base64.".to_owned()))?;
    Ok(NewUpload {
        folder: text(&members, "uploadPath")?.to_owned(),
        name: optional(&members, "fileName").map(str::to_owned),
        bytes: bytes.into(),
    })
}

fn read_stream(request: &Request<Bytes>) -> Result<NewUpload, Refusal> {
    let content_type = request.headers().get(CONTENT_TYPE);
    let content_type = content_type.and_then(|value| value.to_str().ok());
    let parts = content_type
        .and_then(multipart::boundary)
        .or_else(|| multipart::boundary_in(request.body()))
        .and_then(|boundary| multipart::parts(request.body(), &boundary))
        .ok_or_else(|| Refusal::Invalid("The body must be multipart/form-data.".to_owned()))?;
    let field = |name: &str| parts.iter().find(|part| part.name == name);
    let word = |name: &str| {
        let text = std::str::from_utf8(&field(name)?.bytes).ok()?.trim();
        (!text.is_empty()).then(|| text.to_owned())
    };
    let file = field("file").ok_or_else(|| missing("file"))?;
    Ok(NewUpload {
        folder: word("uploadPath").ok_or_else(|| missing("uploadPath"))?,
        name: word("fileName").or_else(|| file.file_name.clone()),
        bytes: file.bytes.clone(),
    })
}

/// Reads a URL. The emulator does not fetch it: a short piece of music takes the place of the file.
fn read_url(body: &[u8]) -> Result<NewUpload, Refusal> {
    let members = object(body)?;
    let url = text(&members, "fileUrl")?;
    let is_web = Url::parse(url).is_ok_and(|url| ["http", "https"].contains(&url.scheme()));
    if !is_web {
        return Err(Refusal::Invalid("fileUrl is not a URL.".to_owned()));
    }
    let name = optional(&members, "fileName").map(|name| {
        let stem = name.rsplit_once('.').map_or(name, |(stem, _)| stem);
        format!("{stem}.wav")
    });
    Ok(NewUpload {
        folder: text(&members, "uploadPath")?.to_owned(),
        name: Some(name.unwrap_or_else(|| "fetched.wav".to_owned())),
        bytes: wav::file(seed::of_text(url), PLACEHOLDER_CS),
    })
}

fn object(body: &[u8]) -> Result<Map<String, Value>, Refusal> {
    serde_json::from_slice(body)
        .map_err(|_| Refusal::Invalid("The request body must be an object.".to_owned()))
}

fn optional<'a>(members: &'a Map<String, Value>, name: &str) -> Option<&'a str> {
    let text = members.get(name)?.as_str()?;
    (!text.trim().is_empty()).then_some(text)
}

fn text<'a>(members: &'a Map<String, Value>, name: &str) -> Result<&'a str, Refusal> {
    optional(members, name).ok_or_else(|| missing(name))
}
