//! Deterministic simulation: receivers, dispatchers and reconcilers on one store, while clocks are
//! set, processes die or are suspended, and the store, the provider and the handlers fail. The
//! history is checked against the promises of the workspace.
//!
//! A plan is drawn from a seed, and determines everything that happens in a run. A run takes place
//! in one thread, in simulated time: hours pass in milliseconds, and the same plan always has the
//! same history. It ends at the first broken promise.
//!
//! A run over PostgreSQL uses a real server: an operation takes no simulated time, and connections are
//! ended at real moments, so two runs of one plan may differ.
//!
//! `cargo xtask simulate` executes many runs. A plan that breaks a promise is shrunk to a small
//! one, which is stored in `plans/` and run first from then on.
//!
//! # What is checked
//!
//! | row | promise |
//! | --- | --- |
//! | S1 | a callback that is answered with 200 is stored |
//! | S2 | one key is one event until it is old; an event that is not old is not forgotten |
//! | S3 | at most one handler takes steps for a task, in all processes together |
//! | S4 | only the latest claim extends and settles |
//! | S5 | a repeated request gets the same claims, and attempts and lapses are counted once |
//! | S6 | no earlier stage is handled after a later one, unless a person requests it |
//! | S7 | each delivery is accounted for, and counts agree with lists |
//! | S8 | an event is a dead letter only if a handler gave it up, after the time for retries, or after claims that lapsed while nothing else was claimed; and a handler was notified |
//! | S9 | an unconfirmed event makes no other stage late |
//! | S10 | a revision is handled only with more tracks than were handled before it and, if the provider's record confirms events, never with more than the task has |
//! | S11 | a second track that is reported after the first is handled, unless its event is a dead letter or superseded |
//! | E1 | every event ends, a bounded time after the last fault |
//! | E2 | every expected task is handled to its end, or a handler is notified that it is given up |
//! | E3 | a ready event is claimed within a second while a healthy process has a free slot |
//! | E4 | the event that became ready first is claimed first |
//! | E5 | no wait, pause or age exceeds its bound, whatever a clock or a header says |
//! | E7 | nothing is logged at ERROR while there is no fault |
//!
//! Clocks are set, and measured durations must not change (`docs/ARCHITECTURE.md`, "Time"). No
//! clock is set in runs over SQLite or PostgreSQL in which processes start later.

mod check;
mod clock;
mod command;
mod course;
mod draw;
mod handler;
mod history;
mod ids;
mod plan;
mod provider;
mod run;
mod server;
mod services;
mod store;
mod world;

pub use command::simulate;
