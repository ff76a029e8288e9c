//! Conformance cases for receivers and clients of the Suno API, and their runner.
//!
//! A case is a JSON file: an input and the expected result. The cases of `receiver/` can be sent
//! over HTTP to a receiver in any language, see [`Target`]; all cases can be run in this process
//! against the crates of this workspace. `fixtures/README.md` describes the format of the files.
//!
//! No case passes without running: a file that cannot be read or run fails, and a case that cannot
//! run against a target is reported by name.
//!
//! The commands `suno conformance` and `cargo xtask conformance` are thin wrappers of [`run`].

#![cfg_attr(docsrs, feature(doc_cfg))]

mod case;
#[cfg(feature = "cli")]
mod cli;
mod client;
mod codes;
mod compare;
mod connect;
mod decode;
mod doctor;
mod error;
mod expectations;
mod fixtures;
mod kept;
mod live;
mod normal;
mod outcome;
mod output;
mod parts;
mod receiver;
mod report;
mod requests;
mod run;
mod select;
mod verify;

pub use case::{Case, Level};
#[cfg(feature = "cli")]
pub use cli::Arguments;
pub use doctor::{Doctor, Finding, Severity, fetch_status};
pub use error::ConformanceError;
pub use fixtures::{Fixtures, Loaded};
pub use live::{Events, Target};
pub use outcome::Verdict;
pub use report::Format;
pub use run::{Options, run};
pub use select::Pattern;
