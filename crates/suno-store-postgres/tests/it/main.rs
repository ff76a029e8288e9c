//! The store on a server: `SUNO_TEST_POSTGRES_URL` says which one.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod cluster;
mod contract;
mod cutting;
mod following;
mod history;
mod many;
mod measuring;
mod outages;
mod pooler;
#[allow(dead_code, reason = "the unit tests use it, too")]
mod proxy;
mod purging;
mod restarting;
mod server;
mod settings;
mod settling_in;
mod standby;
mod starting;
mod tls;
