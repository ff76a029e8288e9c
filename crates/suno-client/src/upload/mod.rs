//! Uploading a file to the provider's file service, which gives it a URL. It costs nothing, so a
//! failed upload is repeated.

mod form;
mod name;

use std::fmt;
use std::io;
use std::path::Path;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Method, Request};
use http_body_util::{BodyExt, Full};
use serde_json::{Value, json};
use suno_types::Json;
use tokio::fs::File;
use tokio::io::AsyncReadExt;
use url::Url;

use self::form::Form;
use self::name::FileName;
use crate::answer::{self, Effect};
use crate::transport::{RawResponse, UploadBody};
use crate::{Client, ClientError, ErrorKind};

/// The forms of uploads (`PROTOCOL.md 1.56`).
const BASE64: &str = "/api/file-base64-upload";
const STREAM: &str = "/api/file-stream-upload";
const FROM_URL: &str = "/api/file-url-upload";

/// The folder of the file service. Files in it have unique names.
const FOLDER: &str = "suno-client";

/// A file that the provider's file service keeps for a day or more (`PROTOCOL.md 1.57`).
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct UploadedFile {
    /// The URL of the file, for fields such as `upload_url`. Anyone who has it can read the file.
    pub url: String,
    /// The size of the file, as the service counted it.
    pub bytes: Option<u64>,
    /// The content type that the service recognised.
    pub content_type: Option<String>,
}

/// Without the URL, which gives access to the file.
impl fmt::Debug for UploadedFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UploadedFile")
            .field("bytes", &self.bytes)
            .field("content_type", &self.content_type)
            .finish_non_exhaustive()
    }
}

impl Client {
    /// The maximum size of a file that is uploaded: 100 MiB (`PROTOCOL.md 1.57`).
    pub const UPLOAD_BYTES_MAX: u64 = 100 * 1024 * 1024;
    /// The maximum size of a file that is sent as base64, in one piece: 1 MiB. A larger file is read
    /// while it is sent.
    pub const UPLOAD_BASE64_BYTES_MAX: u64 = 1024 * 1024;

    /// Uploads a local file to the provider's file service, and returns its URL. Uploads cost
    /// nothing, and the service deletes the file after some days.
    ///
    /// The file gets a random name that keeps its ending. At most
    /// [`UPLOAD_BYTES_MAX`](Self::UPLOAD_BYTES_MAX) are accepted. A failed upload is repeated as
    /// [`Retry`](crate::Retry) allows; each attempt may last [`Timeouts::upload`].
    ///
    /// [`Timeouts::upload`]: crate::Timeouts::upload
    ///
    /// ```no_run
    /// # async fn example(client: suno_client::Client) -> Result<(), Box<dyn std::error::Error>> {
    /// use suno_client::suno_types::AddInstrumental;
    ///
    /// let file = client.upload("hum.mp3").await?;
    /// let request = AddInstrumental::builder().upload_url(file.url).title("Harbour lights");
    /// # let _ = request;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`ClientError`] of the kind [`File`](ErrorKind::File) if the file cannot be read,
    /// [`BadFile`](ErrorKind::BadFile) if it is empty, [`TooLarge`](ErrorKind::TooLarge) if it is
    /// larger than allowed, or of another kind if the service could not be reached or refused it.
    pub async fn upload(&self, path: impl AsRef<Path>) -> Result<UploadedFile, ClientError> {
        let path = path.as_ref();
        let name = FileName::of(&path.file_name().unwrap_or_default().to_string_lossy());
        let (file, bytes) = open(path).await?;
        check_size(bytes)?;
        if bytes <= Self::UPLOAD_BASE64_BYTES_MAX {
            // One byte more than is sent, so that a file that grows meanwhile is noticed.
            let mut whole = Vec::new();
            let mut some = file.take(Self::UPLOAD_BASE64_BYTES_MAX + 1);
            some.read_to_end(&mut whole).await.map_err(unreadable)?;
            check_size(whole.len() as u64)?;
            if whole.len() as u64 <= Self::UPLOAD_BASE64_BYTES_MAX {
                return self.upload_base64(&name, &whole).await;
            }
        }
        self.repeat(async || {
            let (file, bytes) = open(path).await?;
            check_size(bytes)?;
            let form = Form::new(&name);
            let kind = form.content_type();
            self.upload_once(STREAM, kind, form.with_file(file, bytes))
                .await
        })
        .await
    }

    /// Uploads bytes as a file to the provider's file service, as [`upload`](Self::upload) does. The
    /// extension of `name`, such as `mp3` in `hum.mp3`, decides their content type.
    ///
    /// # Errors
    ///
    /// [`ClientError`] for the reasons of [`upload`](Self::upload).
    pub async fn upload_bytes(
        &self,
        name: &str,
        bytes: impl Into<Bytes>,
    ) -> Result<UploadedFile, ClientError> {
        let (name, bytes) = (FileName::of(name), bytes.into());
        let length = bytes.len() as u64;
        check_size(length)?;
        if length <= Self::UPLOAD_BASE64_BYTES_MAX {
            return self.upload_base64(&name, &bytes).await;
        }
        self.repeat(async || {
            let form = Form::new(&name);
            let kind = form.content_type();
            self.upload_once(STREAM, kind, form.with_bytes(bytes.clone()))
                .await
        })
        .await
    }

    /// Lets the provider's file service fetch a file from a URL that anyone can reach. It has 30 s
    /// for that (`PROTOCOL.md 1.57`).
    ///
    /// # Errors
    ///
    /// [`ClientError`] of the kind [`InvalidRequest`](ErrorKind::InvalidRequest) unless `url` is an
    /// `http` or `https` URL, or of another kind if the service could not be reached or refused it.
    pub async fn upload_from_url(&self, url: &str) -> Result<UploadedFile, ClientError> {
        let what = "the URL of a file to upload must be an absolute http or https URL";
        let invalid = || ClientError::new(ErrorKind::InvalidRequest, what);
        let parsed = Url::parse(url).map_err(|_| invalid())?;
        if !matches!(parsed.scheme(), "http" | "https") {
            return Err(invalid());
        }
        let name = FileName::of(parsed.path().rsplit('/').next().unwrap_or_default());
        let fields = json!({
            "fileName": name.as_str(), "fileUrl": parsed.as_str(), "uploadPath": FOLDER,
        });
        self.upload_json(FROM_URL, &fields).await
    }

    async fn upload_base64(
        &self,
        name: &FileName,
        bytes: &[u8],
    ) -> Result<UploadedFile, ClientError> {
        let data = BASE64_STANDARD.encode(bytes);
        let data = format!("data:{};base64,{data}", name.content_type());
        let fields = json!({
            "base64Data": data, "fileName": name.as_str(), "uploadPath": FOLDER,
        });
        self.upload_json(BASE64, &fields).await
    }

    async fn upload_json(&self, path: &str, fields: &Value) -> Result<UploadedFile, ClientError> {
        let body = Bytes::from(fields.to_string());
        let json = HeaderValue::from_static("application/json");
        self.repeat(async || {
            let body = Full::new(body.clone()).map_err(|never| match never {});
            self.upload_once(path, json.clone(), body.boxed_unsync())
                .await
        })
        .await
    }

    async fn upload_once(
        &self,
        path: &str,
        content_type: HeaderValue,
        body: UploadBody,
    ) -> Result<UploadedFile, ClientError> {
        let uri = self.shared.endpoints.upload(path)?;
        let mut request: Request<UploadBody> = self.request_of(Method::POST, uri, body);
        request.headers_mut().insert(CONTENT_TYPE, content_type);
        let answer = self.shared.transport().upload(request).await;
        let answer = answer.map_err(|fault| fault.into_error(false))?;
        let data = answer::read::<Json>(&self.shared, Effect::Reads, &answer)?;
        data.and_then(|data| uploaded(&data))
            .ok_or_else(|| without_url(&answer))
    }
}

/// Reads the answer to an upload; `None` if it has no URL.
fn uploaded(data: &Json) -> Option<UploadedFile> {
    let data: Value = serde_json::from_str(data.as_str()).ok()?;
    let text = |name: &str| data[name].as_str().filter(|text| !text.is_empty());
    Some(UploadedFile {
        url: text("downloadUrl").or(text("fileUrl"))?.to_owned(),
        bytes: data["fileSize"].as_u64(),
        content_type: text("mimeType").map(str::to_owned),
    })
}

fn without_url(answer: &RawResponse) -> ClientError {
    let what = "the answer says success but has no URL of the file";
    answer::without_data(Effect::Reads, answer, what)
}

async fn open(path: &Path) -> Result<(File, u64), ClientError> {
    let file = File::open(path).await.map_err(unreadable)?;
    let about = file.metadata().await.map_err(unreadable)?;
    match about.is_file() {
        true => Ok((file, about.len())),
        false => Err(ClientError::new(ErrorKind::File, "this is not a file")),
    }
}

fn unreadable(err: io::Error) -> ClientError {
    ClientError::new(ErrorKind::File, "the file cannot be read").with_cause(err)
}

fn check_size(bytes: u64) -> Result<(), ClientError> {
    match bytes {
        0 => Err(ClientError::new(ErrorKind::BadFile, "the file is empty")),
        1..=Client::UPLOAD_BYTES_MAX => Ok(()),
        _ => Err(ClientError::new(
            ErrorKind::TooLarge,
            "the file is larger than the 100 MiB that can be uploaded",
        )),
    }
}
