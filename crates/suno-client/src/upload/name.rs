//! The name of an uploaded file. A file of the same name would be replaced, so each has its own.

/// The maximum number of bytes that are kept of the local name.
const STEM_BYTES_MAX: usize = 60;

/// The content types of the endings that a file can have.
const CONTENT_TYPES: [(&str, &str); 14] = [
    ("aac", "audio/aac"),
    ("flac", "audio/flac"),
    ("jpeg", "image/jpeg"),
    ("jpg", "image/jpeg"),
    ("m4a", "audio/mp4"),
    ("mov", "video/quicktime"),
    ("mp3", "audio/mpeg"),
    ("mp4", "video/mp4"),
    ("ogg", "audio/ogg"),
    ("opus", "audio/opus"),
    ("png", "image/png"),
    ("wav", "audio/wav"),
    ("webm", "audio/webm"),
    ("webp", "image/webp"),
];

/// A name of letters, digits and dashes, with a random part, and the ending of the local file.
#[derive(Debug)]
pub(super) struct FileName {
    name: String,
    content_type: &'static str,
}

impl FileName {
    /// Makes a name from that of a local file, or from the last segment of a URL.
    pub(super) fn of(local: &str) -> Self {
        let (stem, ending) = local.rsplit_once('.').unwrap_or((local, ""));
        let ending = ending.to_ascii_lowercase();
        let found = CONTENT_TYPES.iter().find(|(known, _)| *known == ending);
        let (ending, content_type) = found
            .copied()
            .unwrap_or(("bin", "application/octet-stream"));
        let plain = |c: char| if c.is_ascii_alphanumeric() { c } else { '-' };
        let stem: String = stem.chars().take(STEM_BYTES_MAX).map(plain).collect();
        let random = fastrand::u64(..);
        let name = format!("{random:016x}-{}.{ending}", stem.trim_matches('-'));
        Self { name, content_type }
    }

    pub(super) fn as_str(&self) -> &str {
        &self.name
    }

    pub(super) fn content_type(&self) -> &'static str {
        self.content_type
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_keeps_its_ending_and_nothing_that_could_break_a_header() {
        for (local, ending) in [
            ("hum.mp3", "-hum.mp3"),
            ("My Song (1).WAV", "-My-Song--1.wav"),
            ("a\"; x=\"\r\n.m4a", "-a---x.m4a"),
            ("größe.flac", "-gr--e.flac"),
            ("noending", "-noending.bin"),
            ("", "-.bin"),
        ] {
            let name = FileName::of(local);
            assert!(name.as_str().ends_with(ending), "{}", name.as_str());
            let safe = |byte: u8| byte.is_ascii_alphanumeric() || b"-.".contains(&byte);
            assert!(name.as_str().bytes().all(safe), "{}", name.as_str());
        }
    }

    #[test]
    fn two_files_of_one_name_do_not_replace_each_other() {
        assert_ne!(FileName::of("hum.mp3").name, FileName::of("hum.mp3").name);
    }
}
