//! Receiving, dispatching, storing and serving.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod dispatching;
mod examples;
mod handlers;
mod mounting;
mod outages;
mod receiving;
mod retention;
mod scene;
mod secrecy;
mod serving;
mod slow_senders;
mod stores;
mod tls;
mod wire;
