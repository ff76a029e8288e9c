//! Checks of this workspace. Nothing here is needed to use the crates.

pub mod abuse;
mod altered;
pub mod bench;
pub mod crash;
pub mod endtoend;
pub mod footprint;
pub mod instructions;
pub mod layers;
mod release;
pub mod simulate;

/// The examples of the README compile.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct Readme;
