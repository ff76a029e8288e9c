//! The trials find nothing wrong, and would.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod endtoend;
mod operations;
