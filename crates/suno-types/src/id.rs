//! Names that the provider gives: of a task and of a track.

use std::borrow::Borrow;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// How many bytes an id may have.
const ID_BYTES_MAX: usize = 128;

/// Text that cannot be an id: empty, longer than 128 bytes, or with characters other than visible
/// ASCII (`PROTOCOL.md 7.10`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an id is 1 to 128 visible ASCII characters")]
#[non_exhaustive]
pub struct InvalidId;

pub(crate) fn check_id(text: &str) -> Result<(), InvalidId> {
    let visible = text.bytes().all(|byte| byte.is_ascii_graphic());
    if visible && !text.is_empty() && text.len() <= ID_BYTES_MAX {
        Ok(())
    } else {
        Err(InvalidId)
    }
}

macro_rules! id {
    ($(#[$meta:meta])* $name:ident) => {
        $(#[$meta])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(Box<str>);

        impl $name {
            /// The id, if `text` can be one.
            ///
            /// # Errors
            ///
            /// [`InvalidId`] unless `text` is 1 to 128 visible ASCII characters.
            pub fn new(text: impl Into<Box<str>>) -> Result<Self, InvalidId> {
                let text = text.into();
                check_id(&text)?;
                Ok(Self(text))
            }

            /// An id that [`check_id`] found to be one.
            pub(crate) fn checked(text: impl Into<Box<str>>) -> Self {
                Self(text.into())
            }

            /// The id as the provider writes it.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;

            fn from_str(text: &str) -> Result<Self, InvalidId> {
                Self::new(text)
            }
        }

        impl TryFrom<String> for $name {
            type Error = InvalidId;

            fn try_from(text: String) -> Result<Self, InvalidId> {
                Self::new(text)
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> Self {
                id.0.into()
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }
    };
}

id! {
    /// The provider's name of one generation job, usually 32 lower-case hexadecimal digits.
    TaskId
}

id! {
    /// The provider's name of one track of a task, usually a UUID.
    TrackId
}
