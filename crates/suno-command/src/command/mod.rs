//! One file for each command: its arguments, its help, and the library calls it makes.

pub(crate) mod check_config;
pub(crate) mod conformance;
pub(crate) mod credits;
pub(crate) mod demo;
pub(crate) mod emulate;
pub(crate) mod listen;
pub(crate) mod signing_key;
pub(crate) mod submit;
pub(crate) mod wait;
