//! A schema of one test on a server that others use too.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::Result;

use super::sql;

static NEXT: AtomicU32 = AtomicU32::new(0);

/// The name of a schema that nothing else uses. Dropping it drops the schema, if it exists then.
#[derive(Debug)]
pub struct TestSchema {
    url: String,
    name: String,
}

impl TestSchema {
    /// Chooses a name. The schema itself is not made.
    #[must_use]
    pub fn new(url: &str) -> Self {
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        // Other machines may use the same server.
        let random = RandomState::new().build_hasher().finish();
        Self {
            url: url.to_owned(),
            name: format!("suno_test_{random:x}_{number}"),
        }
    }

    /// Returns the name, which needs no quotes in SQL.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the URL of its server.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Runs SQL in which `{schema}` stands for the name, as [`sql`](super::sql()) does.
    ///
    /// # Errors
    ///
    /// Returns an error with the server's message if it fails.
    pub fn sql(&self, text: &str) -> Result<String> {
        sql(&self.url, &text.replace("{schema}", &self.name))
    }
}

impl Drop for TestSchema {
    fn drop(&mut self) {
        // The test may have stopped the server. A transaction that is still open must not delay the
        // test for ever.
        let _ = self.sql("SET lock_timeout = '10s'; DROP SCHEMA IF EXISTS {schema} CASCADE");
    }
}
