//! Receiving, dispatching, storing and serving.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod asked;
mod confirming;
mod dispatching;
mod examples;
mod handlers;
mod inbox;
// mod ledgers;
mod mounting;
mod outages;
mod receiving;
mod reconciling;
mod retention;
mod scene;
mod secrecy;
mod serving;
mod slow_senders;
// mod stores;
mod submitting;
mod tls;
mod wire;
mod wrapper;
