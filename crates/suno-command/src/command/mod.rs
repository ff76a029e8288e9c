//! One file for each command: its arguments, its help, and the library calls it makes.

pub(crate) mod conformance;
pub(crate) mod credits;
pub(crate) mod demo;
pub(crate) mod emulate;
pub(crate) mod inbox;
pub(crate) mod listen;
pub(crate) mod submit;
pub(crate) mod wait;
