//! The documents, and the tools that measure and break things.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod endtoend;
mod protocol;
