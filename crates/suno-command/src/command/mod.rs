//! One file for each command: its arguments, its help, and the library calls it makes.

pub(crate) mod add_instrumental;
pub(crate) mod conformance;
pub(crate) mod credits;
pub(crate) mod demo;
pub(crate) mod emulate;
pub(crate) mod listen;
pub(crate) mod wait;
