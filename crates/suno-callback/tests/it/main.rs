//! Receiving, dispatching, storing and serving.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod addressing;
mod asked;
mod certificates;
mod commits;
mod confirming;
mod dispatching;
mod examples;
mod following;
mod handlers;
mod headers;
mod histories;
mod inbox;
mod leases;
mod ledgers;
mod logs;
mod lost_answers;
mod mounting;
mod observing;
mod outages;
mod pipeline;
mod poison;
mod polling;
mod receiving;
mod reconciling;
mod refusing;
mod retention;
mod retrying;
mod revisions;
mod scene;
mod secrecy;
mod serving;
mod slow_senders;
mod sources;
mod stopping;
mod stores;
mod storing;
mod submitting;
mod tls;
mod transferring;
mod unheard;
mod wire;
mod wrong_store;
mod wrong_store_revisions;
