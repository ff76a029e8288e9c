//! What cases of several kinds are made of: bytes, keys, headers.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde::de::Error;
use serde::{Deserialize, Deserializer};

/// Bytes as they go over the wire.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Body(pub(super) Vec<u8>);

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
pub(super) struct Key {
    pub(super) text: String,
}

/// Name and value of each header, in order.
pub(super) type Headers = Vec<(String, String)>;
