//! The file names of tracks and of other outputs. Title, id, URL and content type come from outside, so the name is
//! built to be visible and to stay in its folder.

use std::hash::{DefaultHasher, Hash, Hasher};

use suno_types::Track;
use url::Url;

/// The maximum number of bytes of the title in the name; a file system allows 255 in all.
const SLUG_BYTES_MAX: usize = 80;

/// The number of characters of the id in the name.
const ID_CHARS: usize = 8;

/// The extensions of audio and video that are taken from a URL.
const EXTENSIONS: [&str; 9] = [
    "aac", "flac", "m4a", "mp3", "mp4", "ogg", "opus", "wav", "webm",
];

/// The extensions of images.
const IMAGE_EXTENSIONS: [&str; 4] = ["jpeg", "jpg", "png", "webp"];

/// What a file can be, which decides what is rejected and what its extension can be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Media {
    /// The audio of a track.
    Track,
    /// Audio, video, or an image.
    Any,
}

impl Media {
    /// Every extension that a file of this sort can get.
    pub(crate) fn extensions(self) -> impl Iterator<Item = &'static str> {
        let others = [&IMAGE_EXTENSIONS[..], &["bin"]].into_iter().flatten();
        let others = others.filter(move |_| self == Self::Any);
        EXTENSIONS.iter().chain(others).copied()
    }
}

/// The name of an output that is not a track, without its extension: `vocals`.
pub(crate) fn stem_of(name: &str, url: &Url) -> String {
    let slug = slug(name);
    // Windows reserves these names for devices, with any extension.
    let device = |slug: &str| match slug.len() {
        3 => matches!(slug, "aux" | "con" | "nul" | "prn"),
        4 => slug.starts_with("com") || slug.starts_with("lpt"),
        _ => false,
    };
    match slug.as_str() {
        "" => format!("file-{}", digest(url)),
        slug if device(slug) => format!("file-{slug}"),
        _ => slug,
    }
}

/// The name without its extension: `2-harbour-lights-d6caddf3`. It starts with the number, so that
/// it is neither a hidden file nor a reserved name.
pub(crate) fn stem(track: &Track, url: &Url) -> String {
    let number = track.position.saturating_add(1);
    let slug = slug(track.title.as_deref().unwrap_or_default());
    let id = match &track.id {
        Some(id) => short_id(id.as_str()),
        None => String::new(),
    };
    // Without an id, the URL distinguishes tracks of the same title.
    let id = if id.is_empty() { digest(url) } else { id };
    match slug.is_empty() {
        true => format!("{number}-{id}"),
        false => format!("{number}-{slug}-{id}"),
    }
}

/// Letters and digits of any script, in lower case. Each run of other characters becomes a dash.
fn slug(title: &str) -> String {
    let mut slug = String::new();
    for c in title.chars().flat_map(char::to_lowercase) {
        let c = if c.is_alphanumeric() { c } else { '-' };
        if slug.len() + c.len_utf8() > SLUG_BYTES_MAX {
            break;
        }
        if c != '-' || !(slug.is_empty() || slug.ends_with('-')) {
            slug.push(c);
        }
    }
    slug.trim_end_matches('-').to_owned()
}

fn short_id(id: &str) -> String {
    id.chars()
        .filter(char::is_ascii_alphanumeric)
        .take(ID_CHARS)
        .collect()
}

/// A hash of the URL without its query, which differs each time the URL is signed.
fn digest(url: &Url) -> String {
    let mut hasher = DefaultHasher::new();
    (url.host_str(), url.path()).hash(&mut hasher);
    format!("{:08x}", hasher.finish() >> 32)
}

/// The extension from the content type, or else from the URL, or else the usual one: `mp3` for
/// tracks, `bin` for outputs that can be anything.
pub(crate) fn extension(media: Media, content_type: Option<&str>, url: &Url) -> &'static str {
    let essence = content_type.map(|text| text.split(';').next().unwrap_or_default());
    let essence = essence.unwrap_or_default().trim().to_ascii_lowercase();
    match essence.as_str() {
        "audio/mpeg" | "audio/mp3" | "audio/mpeg3" | "audio/x-mpeg" => "mp3",
        "audio/wav" | "audio/wave" | "audio/x-wav" | "audio/vnd.wave" => "wav",
        "audio/flac" | "audio/x-flac" => "flac",
        "audio/mp4" | "audio/m4a" | "audio/x-m4a" => "m4a",
        "audio/aac" => "aac",
        "audio/ogg" => "ogg",
        "audio/opus" => "opus",
        "audio/webm" => "webm",
        "video/mp4" => "mp4",
        "image/jpeg" => "jpg",
        "image/png" => "png",
        "image/webp" => "webp",
        _ => from_path(media, url.path()).unwrap_or(match media {
            Media::Track => "mp3",
            Media::Any => "bin",
        }),
    }
}

fn from_path(media: Media, path: &str) -> Option<&'static str> {
    let (_, ending) = path.rsplit('/').next()?.rsplit_once('.')?;
    let mut known = media.extensions();
    known.find(|known| known.eq_ignore_ascii_case(ending))
}

/// Returns whether a content type is never that of a file like this, such as that of a page or of an
/// error in JSON.
pub(crate) fn is_surely_not(media: Media, content_type: Option<&str>) -> bool {
    let essence = content_type.map(|text| text.split(';').next().unwrap_or_default());
    let essence = essence.unwrap_or_default().trim().to_ascii_lowercase();
    essence.starts_with("text/")
        || (media == Media::Track && essence.starts_with("image/"))
        || essence == "image/svg+xml"
        || essence.ends_with("/json")
        || essence.ends_with("/xml")
        || essence.ends_with("+json")
        || essence.ends_with("+xml")
}

/// Returns whether these are the first bytes of a page or of a message in JSON, whatever their
/// content type.
pub(crate) fn begins_like_text(bytes: &[u8]) -> bool {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    matches!(bytes.trim_ascii_start().first(), Some(b'<' | b'{'))
}

#[cfg(test)]
mod tests {
    use suno_types::TrackId;

    use super::*;

    fn track(position: usize, title: &str, id: Option<&str>) -> Track {
        let mut track = Track::new(position);
        track.title = Some(title.to_owned());
        track.id = id.map(|id| TrackId::new(id).expect("an id"));
        track
    }

    fn url(text: &str) -> Url {
        Url::parse(text).expect("a URL")
    }

    fn name(title: &str, id: &str) -> String {
        stem(
            &track(1, title, Some(id)),
            &url("https://media.example.com/a.mp3"),
        )
    }

    #[test]
    fn a_name_has_the_place_the_title_and_the_id() {
        let name = name("Harbour  Lights!", "d6caddf3-dd2a-431e-a6cd-615c283fae34");
        assert_eq!(name, "2-harbour-lights-d6caddf3");
    }

    #[test]
    fn a_name_cannot_leave_its_folder_or_be_hidden() {
        for title in [
            "../../etc/passwd",
            "..",
            ".hidden",
            "/root",
            "C:\\Windows\\x",
            "a\0b",
            "CON",
            "\u{202e}gnp.exe",
            "a/b",
            "~",
            "-rf",
            "",
        ] {
            for id in ["../../x", "....", "d6caddf3", "//", "-"] {
                let name = name(title, id);
                let safe = |c: char| c.is_alphanumeric() || c == '-';
                assert!(name.starts_with("2-"), "{name}");
                assert!(name.chars().all(safe), "{name}");
                assert!(!name.ends_with('-'), "{name}");
            }
        }
    }

    #[test]
    fn long_titles_are_cut_between_characters() {
        let name = name(&"ü".repeat(500), "d6caddf3");
        assert_eq!(name, format!("2-{}-d6caddf3", "ü".repeat(40)));
    }

    #[test]
    fn tracks_without_an_id_are_told_apart_by_the_path_alone() {
        let nameless = track(0, "a", None);
        let one = stem(&nameless, &url("https://m.example.com/1.mp3?sig=a"));
        let again = stem(&nameless, &url("https://m.example.com/1.mp3?sig=b"));
        let other = stem(&nameless, &url("https://m.example.com/2.mp3?sig=a"));
        assert_eq!(one, again);
        assert_ne!(one, other);
    }

    #[test]
    fn the_content_type_decides_the_ending_before_the_url() {
        let wav = url("https://m.example.com/a.WAV?x=.flac");
        let extension = |content_type, url: &Url| extension(Media::Track, content_type, url);
        assert_eq!(extension(Some("audio/mpeg; q=1"), &wav), "mp3");
        assert_eq!(extension(Some("Audio/MP4"), &wav), "m4a");
        assert_eq!(extension(Some("application/octet-stream"), &wav), "wav");
        assert_eq!(extension(None, &wav), "wav");
        assert_eq!(extension(None, &url("https://m.example.com/a.sh")), "mp3");
        assert_eq!(extension(None, &url("https://m.example.com/a.png")), "mp3");
        assert_eq!(extension(None, &url("https://m.example.com/")), "mp3");
    }

    #[test]
    fn an_output_that_is_no_track_can_be_an_image_and_is_never_called_mp3_by_guess() {
        let extension = |content_type, path: &str| {
            let url = url(&format!("https://m.example.com/{path}"));
            extension(Media::Any, content_type, &url)
        };
        assert_eq!(extension(Some("image/png"), "a"), "png");
        assert_eq!(extension(Some("image/jpeg"), "a.png"), "jpg");
        assert_eq!(extension(Some("video/mp4"), "a"), "mp4");
        assert_eq!(extension(None, "a.PNG?x=1"), "png");
        assert_eq!(extension(Some("binary/octet-stream"), "vocals.wav"), "wav");
        assert_eq!(extension(None, "a.exe"), "bin");
    }

    #[test]
    fn the_name_of_an_output_stays_in_its_folder_and_is_no_device() {
        let url = url("https://media.example.com/a.wav?sig=1");
        assert_eq!(stem_of("Backing vocals", &url), "backing-vocals");
        assert_eq!(stem_of("../../etc/passwd", &url), "etc-passwd");
        assert_eq!(stem_of("NUL", &url), "file-nul");
        assert_eq!(stem_of("com1", &url), "file-com1");
        assert!(stem_of("..", &url).starts_with("file-"));
    }

    #[test]
    fn pages_and_json_are_known_by_their_first_bytes() {
        for text in [
            "<!doctype html>",
            "\u{feff}\n <html>",
            "{\"error\":1}",
            " {",
        ] {
            assert!(begins_like_text(text.as_bytes()), "{text}");
        }
        for audio in [
            &b"ID3\x04"[..],
            b"\xff\xfb\x90",
            b"RIFF",
            b"fLaC",
            b"OggS",
            b"\0\0\0 ftyp",
            b"",
        ] {
            assert!(!begins_like_text(audio), "{audio:?}");
        }
    }

    #[test]
    fn pages_and_json_are_not_audio() {
        for text in [
            "text/html; charset=utf-8",
            "application/json",
            "application/xml",
            "image/png",
        ] {
            assert!(is_surely_not(Media::Track, Some(text)), "{text}");
            let is_image = text.starts_with("image/");
            assert_ne!(is_surely_not(Media::Any, Some(text)), is_image, "{text}");
        }
        for text in [
            Some("audio/mpeg"),
            Some("binary/octet-stream"),
            Some("video/mp4"),
            None,
        ] {
            assert!(!is_surely_not(Media::Track, text), "{text:?}");
        }
    }
}
