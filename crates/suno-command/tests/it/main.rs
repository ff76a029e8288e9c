//! The command as a user calls it: real processes, real sockets.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod acknowledging;
mod bad_input;
mod configuring;
mod conformance;
mod consumer;
mod consumers;
mod demo;
mod destinations;
mod emulating;
mod examining;
mod forwarding;
mod inbox;
mod lines;
mod listening;
mod logging;
mod manual;
mod operating;
mod page;
#[cfg(feature = "postgres")]
mod postgres;
mod process;
mod products;
mod provider;
mod saying;
mod schema;
mod stopping;
mod submitting;
mod triggering;
mod verifying;
mod watching;
