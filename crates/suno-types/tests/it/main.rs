//! What the provider sends, understood.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod bodies;
mod callback;
mod corpus;
mod fixtures;
mod hostile;
mod laws;
mod loss;
mod noise;
mod peek;
mod products;
mod progress;
mod provider;
mod requests;
mod roundtrip;
mod signature;
mod signing;
