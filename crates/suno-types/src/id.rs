//! The ids that the provider gives to tasks and tracks.

use std::borrow::Borrow;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The maximum length of an id.
const ID_BYTES_MAX: usize = 128;

/// The error for text that is not an id: it is empty, longer than 128 bytes, or has characters
/// other than visible ASCII (`PROTOCOL.md 7.10`).
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
            /// Checks that `text` is an id.
            ///
            /// # Errors
            ///
            /// [`InvalidId`] unless `text` is 1 to 128 visible ASCII characters.
            pub fn new(text: impl Into<Box<str>>) -> Result<Self, InvalidId> {
                let text = text.into();
                check_id(&text)?;
                Ok(Self(text))
            }

            /// Creates an id from text that [`check_id`] has accepted.
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
    /// The id of one generation job, usually 32 lower-case hexadecimal digits.
    ///
    /// ```
    /// use suno_types::TaskId;
    ///
    /// let task: TaskId = "5c79000000000000000000000000be8e".parse()?;
    /// assert_eq!(task.as_str().len(), 32);
    /// assert!(TaskId::new("two words").is_err());
    /// # Ok::<(), suno_types::InvalidId>(())
    /// ```
    TaskId
}

id! {
    /// The id of one track of a task, usually a UUID.
    ///
    /// ```
    /// use suno_types::TrackId;
    ///
    /// let track = TrackId::new("8551d662-0000-4000-8000-000000000001")?;
    /// assert_eq!(track.to_string(), track.as_str());
    /// # Ok::<(), suno_types::InvalidId>(())
    /// ```
    TrackId
}
