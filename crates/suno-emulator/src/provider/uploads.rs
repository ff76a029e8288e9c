//! The files that were uploaded.

use std::collections::VecDeque;

use bytes::Bytes;
use serde_json::{Value, json};

use super::Provider;
use crate::body::date_time;
use crate::clock::Moment;
use crate::seed;

/// The maximum number of files that are kept. The oldest is evicted first.
const FILES_MAX: usize = 256;
/// The maximum total size of the files that are kept.
const FILE_BYTES_MAX: usize = 64 * 1024 * 1024;
/// The maximum length of a file name and of a folder.
const NAME_BYTES_MAX: usize = 255;
/// The number of hexadecimal digits in the id of a file.
const FILE_ID_DIGITS: usize = 24;
/// The content types that are served, by the ending of the file name. None of them can hold a
/// script.
const CONTENT_TYPES: [(&str, &str); 11] = [
    ("wav", "audio/wav"),
    ("mp3", "audio/mpeg"),
    ("m4a", "audio/mp4"),
    ("flac", "audio/flac"),
    ("ogg", "audio/ogg"),
    ("mp4", "video/mp4"),
    ("png", "image/png"),
    ("jpg", "image/jpeg"),
    ("jpeg", "image/jpeg"),
    ("webp", "image/webp"),
    ("gif", "image/gif"),
];

/// A file that is about to be kept.
#[derive(Debug)]
pub(crate) struct NewUpload {
    pub(crate) folder: String,
    /// `None` to generate a name.
    pub(crate) name: Option<String>,
    pub(crate) bytes: Bytes,
}

/// A file that is kept.
#[derive(Clone, Debug)]
pub(crate) struct UploadedFile {
    id: String,
    pub(crate) content_type: &'static str,
    pub(crate) bytes: Bytes,
}

/// The most recent files, oldest first.
#[derive(Debug, Default)]
pub(crate) struct Uploads {
    kept: VecDeque<UploadedFile>,
    bytes: usize,
    count: u64,
}

impl Uploads {
    pub(crate) fn find(&self, id: &str) -> Option<&UploadedFile> {
        self.kept.iter().find(|file| file.id == id)
    }

    /// Keeps a file and evicts the oldest ones. A file larger than all of them together is not kept.
    fn push(&mut self, file: UploadedFile) {
        self.bytes += file.bytes.len();
        self.kept.push_back(file);
        while self.kept.len() > FILES_MAX || self.bytes > FILE_BYTES_MAX {
            let Some(oldest) = self.kept.pop_front() else {
                return;
            };
            self.bytes -= oldest.bytes.len();
        }
    }
}

impl Provider {
    pub(crate) fn uploads(&self) -> &Uploads {
        &self.uploads
    }

    /// Keeps a file and returns `data` of the answer.
    pub(crate) fn upload(&mut self, now: Moment, upload: NewUpload) -> Value {
        self.uploads.count += 1;
        // Tasks count from 1 upwards, files from the other end.
        let mut rng = self.settings.seed.stream(u64::MAX - self.uploads.count);
        let id = seed::hex(&mut rng, FILE_ID_DIGITS);
        let name = upload.name.as_deref().map_or_else(
            || format!("{}.bin", &id[..8]),
            |name| plain(name.rsplit(['/', '\\']).next().unwrap_or(name)),
        );
        let ending = name.rsplit_once('.').map_or("", |(_, ending)| ending);
        let ending = ending.to_ascii_lowercase();
        let mut known = CONTENT_TYPES.iter().filter(|(known, _)| *known == ending);
        let content_type = known.next().map_or("application/octet-stream", |(_, t)| *t);
        let folder = plain(upload.folder.trim_matches('/'));
        let mut url = format!("{}/files/{id}/", self.settings.style.media_base);
        url.extend(url::form_urlencoded::byte_serialize(name.as_bytes()));
        let data = json!({
            "fileName": name,
            "filePath": format!("{folder}/{name}"),
            "downloadUrl": url,
            "fileSize": upload.bytes.len(),
            "mimeType": content_type,
            "uploadedAt": format!("{}.000Z", date_time(now.unix_ms).replace(' ', "T")),
        });
        self.uploads.push(UploadedFile {
            id,
            content_type,
            bytes: upload.bytes,
        });
        data
    }
}

/// Shortens a name and replaces what is not printable.
fn plain(name: &str) -> String {
    let mut plain = String::new();
    for letter in name.chars() {
        if plain.len() + letter.len_utf8() > NAME_BYTES_MAX {
            break;
        }
        plain.push(if letter.is_control() { '_' } else { letter });
    }
    plain
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::{FILE_BYTES_MAX, FILES_MAX, UploadedFile, Uploads};

    fn file(id: usize, bytes: Bytes) -> UploadedFile {
        UploadedFile {
            id: id.to_string(),
            content_type: "audio/wav",
            bytes,
        }
    }

    #[test]
    fn files_are_bounded_in_number_and_in_size() {
        let mut uploads = Uploads::default();
        for id in 0..=FILES_MAX {
            uploads.push(file(id, Bytes::from_static(b"RIFF")));
        }
        assert!(uploads.find("0").is_none() && uploads.find("1").is_some());
        let half = Bytes::from(vec![0; FILE_BYTES_MAX / 2]);
        for id in 1000..1003 {
            uploads.push(file(id, half.clone()));
        }
        assert!(uploads.find("1000").is_none() && uploads.find("1001").is_some());
        assert_eq!(uploads.kept.len(), 2);
    }
}
