//! The provider's words. They are open sets, whose values are kept as they were sent.

/// Declares a type for one open set of words, with a constant for each known word.
macro_rules! open_word {
    (
        $(#[$meta:meta])*
        $name:ident {
            $($(#[$about:meta])* $constant:ident = $word:literal,)*
        }
    ) => {
        $(#[$meta])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash, serde::Serialize)]
        #[serde(transparent)]
        pub struct $name(std::borrow::Cow<'static, str>);

        impl $name {
            $($(#[$about])* pub const $constant: Self = Self(std::borrow::Cow::Borrowed($word));)*

            /// The word exactly as the provider spells it.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl From<&str> for $name {
            fn from(word: &str) -> Self {
                Self(word.to_owned().into())
            }
        }

        impl From<String> for $name {
            fn from(word: String) -> Self {
                Self(word.into())
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

pub(crate) use open_word;
