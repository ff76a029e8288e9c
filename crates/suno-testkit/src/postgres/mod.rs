//! PostgreSQL for tests: the server that a variable names, and private clusters that can be stopped,
//! killed, filled up and replaced by their standby.
//!
//! A private cluster listens on a Unix socket in its own temporary folder, so it needs no port. It
//! ends, and its folder is removed, when it is dropped.

mod cluster;
mod disk;
mod programs;
mod schema;
mod sql;

use std::io::Write;
use std::sync::Once;

pub use self::cluster::{Cluster, StopMode};
pub use self::disk::SmallDisk;
pub use self::programs::Programs;
pub use self::schema::TestSchema;
pub use self::sql::sql;

/// The variable with the URL of a server on which tests may make schemas.
pub const URL_VARIABLE: &str = "SUNO_TEST_POSTGRES_URL";

/// Returns the URL of a server for tests. Without one, prints a line that the test was skipped.
#[must_use]
pub fn url_or_skip() -> Option<String> {
    let url = std::env::var(URL_VARIABLE).ok();
    let url = url.filter(|url| !url.trim().is_empty());
    if url.is_none() {
        skipped(&format!("{URL_VARIABLE} is not set"));
    }
    url
}

/// Returns the programs of PostgreSQL for private clusters. If they are not installed, prints a line
/// that the test was skipped.
#[must_use]
pub fn programs_or_skip() -> Option<Programs> {
    Programs::find()
        .inspect_err(|err| skipped(&format!("{err:#}")))
        .ok()
}

/// Prints once in a process that tests were skipped, on stderr itself, which the test harness does not
/// capture.
pub fn skipped(why: &str) {
    static SAID: Once = Once::new();
    SAID.call_once(|| {
        let _ = writeln!(std::io::stderr(), "SKIPPED: tests with PostgreSQL: {why}");
    });
}
