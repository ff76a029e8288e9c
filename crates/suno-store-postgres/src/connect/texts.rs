//! The texts of statements with the name of the schema in them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// What stands for the schema in a statement.
const PLACEHOLDER: &str = "{schema}";

/// Replaces `{schema}` in statements, once for each text.
#[derive(Debug)]
pub(crate) struct Texts {
    schema: String,
    known: Mutex<HashMap<(usize, usize), Arc<str>>>,
}

impl Texts {
    pub(crate) fn new(schema: &str) -> Self {
        Self {
            schema: quoted(schema),
            known: Mutex::default(),
        }
    }

    /// Returns the text of a statement of this program.
    pub(crate) fn text(&self, sql: &'static str) -> Arc<str> {
        let key = (sql.as_ptr() as usize, sql.len());
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let text = known.entry(key).or_insert_with(|| self.replace(sql).into());
        Arc::clone(text)
    }

    /// Returns a text with the schema in it.
    pub(crate) fn replace(&self, sql: &str) -> String {
        sql.replace(PLACEHOLDER, &self.schema)
    }
}

/// Returns an identifier in quotes.
pub(crate) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}
