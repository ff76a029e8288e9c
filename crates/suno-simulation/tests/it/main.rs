//! Simulations in the tests: few of them; `cargo xtask simulate` runs more.

mod mutants;
mod worlds;
