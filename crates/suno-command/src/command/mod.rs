//! One file for each command: its arguments, its help and what it calls.

pub(crate) mod add_instrumental;
pub(crate) mod conformance;
pub(crate) mod credits;
pub(crate) mod demo;
pub(crate) mod emulate;
pub(crate) mod listen;
pub(crate) mod wait;
