//! What the documents promise of each other and of the cases.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod protocol;
