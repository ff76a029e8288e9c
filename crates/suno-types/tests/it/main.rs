//! What the provider sends, understood.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod bodies;
mod callback;
mod corpus;
mod fixtures;
mod laws;
mod loss;
mod noise;
mod progress;
mod roundtrip;
mod signature;
mod signing;
