//! Checks of this workspace. Nothing here is needed to use the crates.

pub mod conformance;
pub mod features;
pub mod layers;
pub mod simulate;

/// The examples of the README compile.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct Readme;
