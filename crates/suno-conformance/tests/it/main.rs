//! The runner: what it finds in this workspace and in receivers elsewhere.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod doctor;
mod embedded;
mod live;
mod local;
mod scene;
mod schema;
