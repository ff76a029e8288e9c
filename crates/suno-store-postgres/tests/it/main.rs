//! The store on a server: `SUNO_TEST_POSTGRES_URL` says which one.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod contract;
mod measuring;
mod server;
mod settling_in;
