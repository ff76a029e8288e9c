//! The conformance command: what it finds, in this workspace and in receivers elsewhere.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod endtoend;
mod live;
mod local;
mod protocol;
mod scene;
mod schema;
