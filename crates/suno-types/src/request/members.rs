//! The values of one request, before and after they are checked.

use std::fmt;

use super::Operation;
use super::field::{Field, FieldKind, InvalidField, Value};
use super::url::is_web_url;
use crate::Route;
use crate::extra::shown;

/// The values of the fields of one operation, and its callback URL.
#[derive(Clone, PartialEq)]
pub struct Members {
    operation: Operation,
    /// One for each field of the operation, in its order.
    values: Vec<Option<Value>>,
    callback_url: Option<String>,
}

impl Members {
    pub(super) fn new(operation: Operation) -> Self {
        Self {
            operation,
            values: vec![None; operation.fields().len()],
            callback_url: None,
        }
    }

    pub(crate) fn operation(&self) -> Operation {
        self.operation
    }

    pub(crate) fn callback_url(&self) -> Option<&str> {
        self.callback_url.as_deref()
    }

    pub(super) fn set_callback_url(&mut self, url: Option<String>) {
        self.callback_url = url;
    }

    /// Sets the field of this name. A name that the operation does not have changes nothing.
    pub(super) fn set(&mut self, name: &str, value: Option<Value>) {
        let place = self
            .operation
            .fields()
            .iter()
            .position(|field| field.name == name);
        if let Some(place) = place {
            self.values[place] = value;
        }
    }

    /// Sets a field from text. A list gets one more entry each time.
    pub(super) fn set_text(&mut self, name: &str, text: &str) -> Result<(), InvalidField> {
        let place = self
            .operation
            .fields()
            .iter()
            .position(|field| field.name == name);
        let unknown = || InvalidField::new(shown(name).to_owned(), "a field of this operation");
        let place = place.ok_or_else(unknown)?;
        let field = &self.operation.fields()[place];
        let value = field.kind.parse(text).ok_or_else(|| field.invalid())?;
        match (&mut self.values[place], value) {
            (Some(Value::List(list)), Value::List(more)) => list.extend(more),
            (slot, value) => *slot = Some(value),
        }
        Ok(())
    }

    /// The fields with their values, in the order of the operation.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&'static Field, Option<&Value>)> {
        let fields = self.operation.fields().iter();
        fields.zip(self.values.iter().map(Option::as_ref))
    }

    fn value(&self, name: &str) -> Option<&Value> {
        let found = self.iter().find(|(field, _)| field.name == name);
        found.and_then(|(_, value)| value)
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.value(name).is_some()
    }

    pub(super) fn text(&self, name: &str) -> Option<&str> {
        match self.value(name)? {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    pub(super) fn number(&self, name: &str) -> Option<f64> {
        match *self.value(name)? {
            Value::Number(number) => Some(number),
            Value::Integer(number) => Some(f64::from(number)),
            _ => None,
        }
    }

    /// Returns whether a flag is set.
    pub(super) fn flag(&self, name: &str) -> bool {
        matches!(self.value(name), Some(Value::Flag(true)))
    }

    /// The error for a field of this operation that keeps its own bound but breaks another rule.
    pub(super) fn invalid(&self, name: &str, bound: &'static str) -> InvalidField {
        let field = self
            .operation
            .fields()
            .iter()
            .find(|field| field.name == name);
        InvalidField::new(field.map_or("", |field| field.member), bound)
    }

    /// Checks that an optional field is set. `bound` says when it must be.
    pub(super) fn needs(&self, name: &str, bound: &'static str) -> Result<(), InvalidField> {
        match self.has(name) {
            true => Ok(()),
            false => Err(self.invalid(name, bound)),
        }
    }

    /// Checks every field, then the callback URL, then the rules between fields.
    pub(super) fn check(self, route: Route) -> Result<Self, InvalidField> {
        for (field, value) in self.iter() {
            let is_fine = match value {
                Some(value) => field.kind.allows(value),
                None => !field.is_required || field.kind == FieldKind::Flag,
            };
            if !is_fine {
                return Err(field.invalid());
            }
        }
        match &self.callback_url {
            Some(url) => self.check_callback_url(url)?,
            None => self.check_route(route)?,
        }
        self.operation.rules()(&self)?;
        Ok(self)
    }

    /// Checks that the callback URL is there if the route needs it.
    pub(crate) fn check_route(&self, route: Route) -> Result<(), InvalidField> {
        match self.callback_url.is_none() && self.operation.needs_callback_url(route) {
            true => Err(self.invalid_callback_url()),
            false => Ok(()),
        }
    }

    pub(super) fn replace_callback_url(&mut self, url: String) -> Result<(), InvalidField> {
        self.check_callback_url(&url)?;
        self.callback_url = Some(url);
        Ok(())
    }

    fn check_callback_url(&self, url: &str) -> Result<(), InvalidField> {
        match is_web_url(url) {
            true => Ok(()),
            false => Err(self.invalid_callback_url()),
        }
    }

    fn invalid_callback_url(&self) -> InvalidField {
        InvalidField::new(self.operation.callback_member(), FieldKind::Url.bound())
    }
}

/// Without URLs, which can contain a token, and without prose.
impl fmt::Debug for Members {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct(self.operation.as_str());
        for (field, value) in self.iter() {
            if let Some(value) = value.filter(|_| field.kind.is_plain()) {
                shown.field(field.name, value);
            }
        }
        shown.finish_non_exhaustive()
    }
}
