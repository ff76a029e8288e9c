//! Tests of what other tests rely on.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod postgres;
