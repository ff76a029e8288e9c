//! The macro that makes a request and its builder from the table of its fields.

/// Declares a request, its builder, and the fields of its operation.
///
/// Each row is a field: its help, its setter (with its name in parentheses, if that is a keyword of
/// Rust), the member of the direct route, whether it is required, and its kind.
macro_rules! request {
    (
        $(#[$about:meta])*
        $name:ident, $builder:ident = $operation:ident, $rules:expr;
        $(
            #[doc = $help:literal]
            $setter:ident $(($renamed:literal))? = $member:literal:
                $need:ident $kind:ident $(($($bound:tt)*))?,
        )*
    ) => {
        $(#[$about])*
        #[derive(Clone, PartialEq)]
        pub struct $name(Members);

        impl $name {
            pub(super) const FIELDS: &'static [Field] = &[$({
                const NAME: &str = name!($setter $($renamed)?);
                const KEBAB: [u8; NAME.len()] = kebab(NAME);
                Field {
                    name: NAME,
                    option: match std::str::from_utf8(&KEBAB) {
                        Ok(option) => option,
                        Err(_) => NAME,
                    },
                    member: $member,
                    help: $help,
                    is_required: is_required!($need),
                    kind: kind!($kind $($($bound)*)?),
                }
            },)*];

            pub(super) const RULES: Check = $rules;

            /// Starts a request without any field.
            pub fn builder() -> $builder {
                $builder(Members::new(Operation::$operation))
            }
        }

        impl Sealed for $name {
            fn members(&self) -> &Members {
                &self.0
            }

            fn members_mut(&mut self) -> &mut Members {
                &mut self.0
            }
        }

        impl Request for $name {}

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        #[doc = concat!("The fields of a [`", stringify!($name), "`], in any order. Nothing is checked before")]
        /// [`build`](Self::build).
        #[derive(Clone)]
        #[must_use = "it does nothing before `build`"]
        pub struct $builder(Members);

        impl $builder {
            $(setter! {
                [
                    #[doc = $help]
                    #[doc = ""]
                    #[doc = need!($need)]
                    #[doc = bound!($kind $($($bound)*)?)]
                ]
                $setter name!($setter $($renamed)?); $need $kind $($($bound)*)?
            })*

            /// The URL to which the provider will POST, without user name and password.
            pub fn callback_url(mut self, url: impl OptionalText) -> Self {
                self.0.set_callback_url(url.into_text());
                self
            }

            /// Checks the fields for the direct route.
            ///
            /// # Errors
            ///
            /// [`InvalidField`] for the first field that is missing or out of bounds.
            pub fn build(self) -> Result<$name, InvalidField> {
                self.build_for(Route::Direct)
            }

            /// Checks the fields for a route. By the jobs route, the callback URL can be left out.
            ///
            /// # Errors
            ///
            /// [`InvalidField`] for the first field that is missing or out of bounds.
            pub fn build_for(self, route: Route) -> Result<$name, InvalidField> {
                self.0.check(route).map($name)
            }
        }

        impl fmt::Debug for $builder {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

/// The name of a field in snake_case.
macro_rules! name {
    ($setter:ident $renamed:literal) => {
        $renamed
    };
    ($setter:ident) => {
        stringify!($setter)
    };
}

macro_rules! is_required {
    (required) => {
        true
    };
    (optional) => {
        false
    };
}

macro_rules! need {
    (required) => {
        "Required."
    };
    (optional) => {
        "Optional."
    };
}

macro_rules! kind {
    (text $max:literal) => {
        FieldKind::Text { chars_max: $max }
    };
    (id) => {
        FieldKind::Id
    };
    (url) => {
        FieldKind::Url
    };
    (urls $min:literal, $max:literal) => {
        FieldKind::Urls {
            min: $min,
            max: $max,
        }
    };
    (model) => {
        FieldKind::Model
    };
    (gender) => {
        FieldKind::Choice { words: &["m", "f"] }
    };
    (choice $words:path) => {
        FieldKind::Choice { words: $words }
    };
    (weight) => {
        FieldKind::Weight
    };
    (integer $type:ident, $min:literal, $max:expr) => {
        FieldKind::Integer {
            min: $min,
            max: $max,
        }
    };
    (seconds $min:literal, $max:expr) => {
        FieldKind::Seconds {
            min: $min,
            max: $max,
        }
    };
    (flag) => {
        FieldKind::Flag
    };
}

/// The bound of a kind, for the documentation of a setter.
macro_rules! bound {
    (text $max:literal) => {
        concat!("1 to ", $max, " characters.")
    };
    (id) => {
        "1 to 128 visible ASCII characters."
    };
    (url) => {
        "An absolute `http` or `https` URL without user name and password."
    };
    (urls $min:literal, $max:literal) => {
        concat!(
            $min,
            " to ",
            $max,
            " absolute `http` or `https` URLs without user name and password."
        )
    };
    (model) => {
        ""
    };
    (gender) => {
        ""
    };
    (choice $words:path) => {
        "The error names the words that are allowed."
    };
    (weight) => {
        "0 to 1 in steps of 0.01; it is never rounded."
    };
    (integer $type:ident, $min:literal, $max:literal) => {
        concat!("A whole number from ", $min, " to ", $max, ".")
    };
    (integer $type:ident, $min:literal, $max:expr) => {
        "A whole number of seconds, at most an hour."
    };
    (seconds $min:literal, $max:literal) => {
        concat!("A number of seconds from ", $min, " to ", $max, ".")
    };
    (seconds $min:literal, $max:expr) => {
        "A number of seconds, at most an hour."
    };
    (flag) => {
        "`false` if it is not set."
    };
}

/// One setter of a builder, with the type that fits its kind.
macro_rules! setter {
    ($about:tt $setter:ident $name:expr; required urls $($bound:tt)*) => {
        setter!(@ $about $setter $name; impl IntoIterator<Item: Into<String>>, |urls| {
            Some(Value::List(urls.into_iter().map(Into::into).collect()))
        });
    };
    ($about:tt $setter:ident $name:expr; optional urls $($bound:tt)*) => {
        setter!($about $setter $name; required urls);
    };
    ($about:tt $setter:ident $name:expr; $need:ident model) => {
        setter!(@ $about $setter $name; impl Into<Option<Model>>, |model| {
            model.into().map(|model: Model| Value::Text(model.as_str().to_owned()))
        });
    };
    ($about:tt $setter:ident $name:expr; $need:ident gender) => {
        setter!(@ $about $setter $name; impl Into<Option<VocalGender>>, |gender| {
            gender.into().map(|gender: VocalGender| Value::Text(gender.as_str().to_owned()))
        });
    };
    ($about:tt $setter:ident $name:expr; $need:ident weight) => {
        setter!(@ $about $setter $name; impl Into<Option<f64>>, |weight| {
            weight.into().map(Value::Number)
        });
    };
    ($about:tt $setter:ident $name:expr; $need:ident seconds $($bound:tt)*) => {
        setter!($about $setter $name; $need weight);
    };
    ($about:tt $setter:ident $name:expr; $need:ident integer $type:ident, $($bound:tt)*) => {
        setter!(@ $about $setter $name; impl Into<Option<$type>>, |number| {
            number.into().map(|number: $type| Value::Integer(number.into()))
        });
    };
    ($about:tt $setter:ident $name:expr; $need:ident flag) => {
        setter!(@ $about $setter $name; impl Into<Option<bool>>, |flag| {
            flag.into().map(Value::Flag)
        });
    };
    // Text of some form.
    ($about:tt $setter:ident $name:expr; required $kind:ident $($bound:tt)*) => {
        setter!(@ $about $setter $name; impl Into<String>, |text| Some(Value::Text(text.into())));
    };
    ($about:tt $setter:ident $name:expr; optional $kind:ident $($bound:tt)*) => {
        setter!(@ $about $setter $name; impl OptionalText, |text| {
            text.into_text().map(Value::Text)
        });
    };
    (@ [$($about:tt)*] $setter:ident $name:expr; $type:ty, |$value:ident| $to_value:expr) => {
        $($about)*
        pub fn $setter(mut self, $value: $type) -> Self {
            self.0.set($name, $to_value);
            self
        }
    };
}
