//! Reads secrets from named environment variables, never from arguments: every user of the
//! machine can read the arguments.

use std::env;

use anyhow::anyhow;

use crate::failure::Failure;

/// The variable with the API key.
pub(crate) const API_KEY: &str = "SUNO_API_KEY";
/// The variable with the base URL.
pub(crate) const BASE_URL: &str = "SUNO_BASE_URL";
/// The variable under which `suno emulate` prints the webhook key.
pub(crate) const WEBHOOK_KEY: &str = "SUNO_WEBHOOK_KEY";

/// Reads a variable that must be set.
pub(crate) fn required(name: &str) -> Result<String, Failure> {
    optional(name)?.ok_or_else(|| {
        Failure::usage(anyhow!(
            "the environment variable {name} is not set or is blank; set it and try again"
        ))
    })
}

/// Reads a variable that must be set and whose name was given with an option. The error does not
/// contain the name, because the user may have passed the secret itself.
pub(crate) fn named_by(option: &str, name: &str) -> Result<String, Failure> {
    let what = match optional(name) {
        Ok(Some(value)) => return Ok(value),
        Ok(None) => "is not set or is blank",
        Err(_) => "is not valid UTF-8",
    };
    Err(Failure::usage(anyhow!(
        "the environment variable named by {option} {what}; {option} takes the name of a \
         variable, not the secret itself"
    )))
}

/// Reads a variable; returns `None` if it is not set or blank.
pub(crate) fn optional(name: &str) -> Result<Option<String>, Failure> {
    match env::var(name) {
        Ok(value) => Ok(Some(value).filter(|value| !value.trim().is_empty())),
        Err(env::VarError::NotPresent) => Ok(None),
        // The original error would contain the value.
        Err(env::VarError::NotUnicode(_)) => Err(Failure::usage(anyhow!(
            "the environment variable {name} is not valid UTF-8"
        ))),
    }
}

/// Returns the width of the terminal that the caller asks for.
pub(crate) fn columns() -> Option<usize> {
    env::var("COLUMNS").ok()?.parse().ok()
}
