//! Reads secrets from named environment variables, never from arguments: every user of the
//! machine can read the arguments.

use std::env;
use std::fs::File;
use std::io::Read;
use std::path::Path;

use anyhow::anyhow;

use crate::failure::Failure;

/// The variable with the API key.
pub(crate) const API_KEY: &str = "SUNO_API_KEY";
/// The variable with the base URL.
pub(crate) const BASE_URL: &str = "SUNO_BASE_URL";
/// The variable under which `suno emulate` prints the webhook key.
pub(crate) const WEBHOOK_KEY: &str = "SUNO_WEBHOOK_KEY";

/// The variable with the format of log lines.
pub(crate) const LOG_FORMAT: &str = "SUNO_LOG_FORMAT";
/// The variable with the URL that `suno health` asks.
pub(crate) const HEALTH_URL: &str = "SUNO_HEALTH_URL";
/// The suffix of the variable that names a file with the value of a variable.
const FILE_SUFFIX: &str = "_FILE";
/// The maximum size of such a file, in bytes.
const FILE_BYTES_MAX: u64 = 64 << 10;

/// Reads a variable that must be set.
pub(crate) fn required(name: &str) -> Result<String, Failure> {
    optional(name)?.ok_or_else(|| {
        Failure::usage(anyhow!(
            "the environment variable {name} is not set or is blank; set it and try again"
        ))
    })
}

/// Reads a variable that must be set and whose name was given with an option. The error contains the
/// name only if it cannot be a secret that was given in its place.
pub(crate) fn named_by(option: &str, name: &str) -> Result<String, Failure> {
    let what = match value(name) {
        Ok(Some(value)) => return Ok(value),
        Ok(None) => "is not set or is blank",
        Err(problem) => problem.as_str(),
    };
    Err(Failure::usage(match is_surely_a_name(name) {
        true => anyhow!("the environment variable {name}, which {option} names, {what}"),
        false => anyhow!(
            "the environment variable named by {option} {what}; {option} takes the name of a \
             variable, not the secret itself"
        ),
    }))
}

/// Whether a text is the name of a variable and not a secret: words of capital letters, joined by `_`.
/// Secrets are drawn from letters of both cases, or contain digits.
fn is_surely_a_name(text: &str) -> bool {
    let is_word = |word: &str| {
        let letters = word.bytes().all(|byte| byte.is_ascii_uppercase());
        (1..=16).contains(&word.len()) && letters
    };
    text.contains('_') && text.split('_').all(is_word)
}

/// Reads a variable; returns `None` if it is not set or blank.
pub(crate) fn optional(name: &str) -> Result<Option<String>, Failure> {
    value(name).map_err(|problem| {
        Failure::usage(anyhow!(
            "the environment variable {name} {}",
            problem.as_str()
        ))
    })
}

/// The reason why a variable cannot be read. The original error would contain the value or the path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Problem {
    NotUnicode,
    File,
}

impl Problem {
    fn as_str(self) -> &'static str {
        match self {
            Self::NotUnicode => "is not valid UTF-8",
            Self::File => {
                "is not set, and the file named by the variable with _FILE after its name cannot be \
                 read as text"
            }
        }
    }
}

/// Reads a variable. If it is not set or blank, reads the file that the variable with `_FILE` after its
/// name names, as container images do: secrets are mounted as files, and variables show up in the
/// descriptions of containers.
fn value(name: &str) -> Result<Option<String>, Problem> {
    match env::var(name) {
        Ok(value) if !value.trim().is_empty() => return Ok(Some(value)),
        Ok(_) | Err(env::VarError::NotPresent) => {}
        Err(env::VarError::NotUnicode(_)) => return Err(Problem::NotUnicode),
    }
    match env::var_os(format!("{name}{FILE_SUFFIX}")) {
        Some(path) if !path.is_empty() => read(Path::new(&path)),
        _ => Ok(None),
    }
}

/// Reads a secret from a file, without the line break at its end; `None` if it is blank.
fn read(path: &Path) -> Result<Option<String>, Problem> {
    let mut text = String::new();
    let file = File::open(path).map_err(|_| Problem::File)?;
    // One byte more shows that the file is too large.
    let mut file = file.take(FILE_BYTES_MAX + 1);
    file.read_to_string(&mut text).map_err(|_| Problem::File)?;
    if text.len() as u64 > FILE_BYTES_MAX {
        return Err(Problem::File);
    }
    let text = text.trim_end_matches(['\r', '\n']);
    Ok(Some(text.to_owned()).filter(|text| !text.trim().is_empty()))
}

/// Returns the width of the terminal that the caller asks for.
pub(crate) fn columns() -> Option<usize> {
    env::var("COLUMNS").ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_cannot_be_a_secret_is_shown_as_a_name() {
        for name in ["SUNO_WEBHOOK_KEY", "A_B"] {
            assert!(is_surely_a_name(name), "{name}");
        }
        for text in [
            "",
            "_",
            "KEY",
            "whk_demo",
            "WHK_0F3A",
            "SUNO__KEY",
            "WHK_ABCDEFGHIJKLMNOPQ",
        ] {
            assert!(!is_surely_a_name(text), "{text}");
        }
    }

    #[test]
    fn a_secret_in_a_file_is_read_without_its_line_break_and_within_a_bound() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        for (text, expected) in [
            ("whk-a\n", Ok(Some("whk-a".to_owned()))),
            ("whk b", Ok(Some("whk b".to_owned()))),
            (" \r\n", Ok(None)),
            (&"x".repeat(64 * 1_024 + 1), Err(Problem::File)),
        ] {
            std::fs::write(&path, text).unwrap();
            assert_eq!(read(&path), expected);
        }
        std::fs::write(&path, b"\xff").unwrap();
        assert_eq!(read(&path), Err(Problem::File));
        assert_eq!(read(&folder.path().join("none")), Err(Problem::File));
    }
}
