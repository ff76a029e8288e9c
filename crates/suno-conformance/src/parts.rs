//! The parts that cases of several kinds share: input and expectation, bytes, keys, headers.

use anyhow::{Context, Result};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde::de::{DeserializeOwned, Error};
use serde::{Deserialize, Deserializer};
use serde_json::Value;

/// The input of a case and the result that it expects.
#[derive(Debug)]
pub(crate) struct Parts<I, E> {
    pub(crate) input: I,
    pub(crate) expect: E,
}

impl<I: DeserializeOwned, E: DeserializeOwned> Parts<I, E> {
    /// Parses both; the error says in which of them something is wrong.
    pub(crate) fn parse(input: Value, expect: Value) -> Result<Self> {
        Ok(Self {
            input: serde_json::from_value(input).context("input")?,
            expect: serde_json::from_value(expect).context("expect")?,
        })
    }
}

/// Bytes as they are sent over the wire.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Body(pub(crate) Vec<u8>);

impl<'de> Deserialize<'de> for Body {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(rename_all = "snake_case")]
        enum Spelled {
            Text(String),
            Base64(String),
        }

        Ok(Self(match Spelled::deserialize(deserializer)? {
            Spelled::Text(text) => text.into_bytes(),
            Spelled::Base64(text) => BASE64_STANDARD.decode(text).map_err(D::Error::custom)?,
        }))
    }
}

/// A webhook key.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Key {
    pub(crate) text: String,
}

/// The name and value of each header, in order.
pub(crate) type Headers = Vec<(String, String)>;
