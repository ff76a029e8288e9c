//! Deterministic simulation.

mod check;
mod clock;
mod coverage;
mod dice;
pub mod draw;
mod handler;
mod history;
mod mutant;
mod node;
pub mod plan;
mod provider;
mod run;
mod store;
mod world;

pub use history::{Row, Violation};
pub use mutant::Mutant;
pub use run::{run, trace};
pub use world::Outcome;
