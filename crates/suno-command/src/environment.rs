//! Secrets come from environment variables that are named, never from arguments: arguments can be
//! read by every user of the machine.

use std::env;

use anyhow::anyhow;

use crate::failure::Failure;

/// The variable with the API key.
pub(crate) const API_KEY: &str = "SUNO_API_KEY";
/// The variable with the base URL.
pub(crate) const BASE_URL: &str = "SUNO_BASE_URL";
/// The variable that `suno emulate` prints the webhook key as.
pub(crate) const WEBHOOK_KEY: &str = "SUNO_WEBHOOK_KEY";

/// The value of a variable that must be set.
pub(crate) fn required(name: &str) -> Result<String, Failure> {
    optional(name)?.ok_or_else(|| {
        Failure::usage(anyhow!(
            "the environment variable {name} is not set, or blank; set it and try again"
        ))
    })
}

/// The value of a variable that must be set, whose name was given with an option. The name is not
/// told: somebody may have given the secret itself.
pub(crate) fn named_by(option: &str, name: &str) -> Result<String, Failure> {
    let what = match optional(name) {
        Ok(Some(value)) => return Ok(value),
        Ok(None) => "is not set, or blank",
        Err(_) => "is not UTF-8",
    };
    Err(Failure::usage(anyhow!(
        "the environment variable that {option} names {what}; {option} takes the name of a \
         variable, never the secret itself"
    )))
}

/// The value of a variable; `None` if it is not set or blank.
pub(crate) fn optional(name: &str) -> Result<Option<String>, Failure> {
    match env::var(name) {
        Ok(value) => Ok(Some(value).filter(|value| !value.trim().is_empty())),
        Err(env::VarError::NotPresent) => Ok(None),
        // The error would show the value.
        Err(env::VarError::NotUnicode(_)) => Err(Failure::usage(anyhow!(
            "the environment variable {name} is not UTF-8"
        ))),
    }
}
