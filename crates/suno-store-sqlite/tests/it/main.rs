//! The store, alone and behind a receiver that is reached over HTTP.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod contract;
mod files;
mod history;
mod http_receiver;
mod opening;
mod operating;
mod settling_in;
mod two_processes;
