//! Requests whose operation and fields are known at run time only, such as those of a command.

use std::fmt;

use super::members::Members;
use super::sealed::Sealed;
use super::{InvalidField, Operation, OptionalText, Request};
use crate::Route;

/// A valid request for any operation.
///
/// ```
/// use suno_types::{Operation, Request, RequestBuilder, Route};
///
/// let request = RequestBuilder::new(Operation::Mashup)
///     .set("upload_url_list", "https://files.example.com/one.mp3")?
///     .set("upload_url_list", "https://files.example.com/two.mp3")?
///     .set("model", "V6")?
///     .set("prompt", "a harbour at night")?
///     .build_for(Route::Jobs)?;
/// assert_eq!(request.callback_url(), None);
/// # Ok::<(), suno_types::InvalidField>(())
/// ```
#[derive(Clone, PartialEq)]
pub struct DynamicRequest(Members);

impl Sealed for DynamicRequest {
    fn members(&self) -> &Members {
        &self.0
    }

    fn members_mut(&mut self) -> &mut Members {
        &mut self.0
    }
}

impl Request for DynamicRequest {}

impl fmt::Debug for DynamicRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The fields of a [`DynamicRequest`] as text, in any order.
///
/// Only the form of a value is checked when it is set, such as that of a number. The bounds and the
/// rules between fields are checked by [`build`](Self::build).
#[derive(Clone)]
#[must_use = "it does nothing before `build`"]
pub struct RequestBuilder(Members);

impl RequestBuilder {
    /// Starts a request without any field.
    pub fn new(operation: Operation) -> Self {
        Self(Members::new(operation))
    }

    /// Starts a request with fields, as [`set`](Self::set) sets them.
    ///
    /// # Errors
    ///
    /// [`InvalidField`] for the first name that the operation does not have, or value that does not
    /// have the form of its field.
    pub fn from_fields<N, T>(
        operation: Operation,
        fields: impl IntoIterator<Item = (N, T)>,
    ) -> Result<Self, InvalidField>
    where
        N: AsRef<str>,
        T: AsRef<str>,
    {
        let mut builder = Self::new(operation);
        for (name, text) in fields {
            builder = builder.set(name.as_ref(), text.as_ref())?;
        }
        Ok(builder)
    }

    /// Sets the field of this [name](crate::Field::name), or the callback URL as `callback_url`.
    /// Flags are `true` or `false`. A field of several URLs is set once for each.
    ///
    /// # Errors
    ///
    /// [`InvalidField`] if the operation has no such field, or the text does not have its form.
    pub fn set(mut self, name: &str, text: &str) -> Result<Self, InvalidField> {
        match name {
            "callback_url" => self.0.set_callback_url(Some(text.to_owned())),
            name => self.0.set_text(name, text)?,
        }
        Ok(self)
    }

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
    pub fn build(self) -> Result<DynamicRequest, InvalidField> {
        self.build_for(Route::Direct)
    }

    /// Checks the fields for a route. By the jobs route, the callback URL can be left out.
    ///
    /// # Errors
    ///
    /// [`InvalidField`] for the first field that is missing or out of bounds.
    pub fn build_for(self, route: Route) -> Result<DynamicRequest, InvalidField> {
        self.0.check(route).map(DynamicRequest)
    }
}

impl fmt::Debug for RequestBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
