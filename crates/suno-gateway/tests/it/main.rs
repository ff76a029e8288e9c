//! What is sent is checked against its schema, against the packages that consumers use, and over
//! real sockets and processes.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

#[cfg(feature = "admin")]
mod admin;
mod bodies;
#[cfg(feature = "forward")]
mod consumer;
#[cfg(all(unix, feature = "exec"))]
mod exec;
#[cfg(any(feature = "exec", feature = "forward"))]
mod fan_out;
#[cfg(feature = "forward")]
mod forward;
#[cfg(feature = "admin")]
mod metrics;
mod packages;
mod scene;
