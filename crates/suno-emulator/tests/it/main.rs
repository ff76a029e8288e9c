//! What the emulator does on the wire.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "a test that cannot go on should stop"
)]

mod catalogue;
mod receiver;
mod shape;
mod wire;

mod admin;
mod browser;
mod documented;
mod documents;
mod exchanges;
mod faults;
mod fixtures;
mod guarding;
mod jobs;
mod load;
mod media;
mod members;
mod observing;
mod openapi;
mod operations;
mod outside;
mod polling;
mod posting;
mod products;
mod receiving;
mod scenarios;
mod scripts;
mod seeded;
mod signing;
mod starting;
mod submitting;
#[cfg(feature = "tls")]
mod tls;
mod truth;
mod uploads;
mod voices;
