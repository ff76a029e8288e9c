//! One file for each command: its arguments, its help, and the library calls it makes.

pub(crate) mod check_config;
pub(crate) mod completions;
pub(crate) mod conformance;
pub(crate) mod credits;
pub(crate) mod demo;
pub(crate) mod doctor;
pub(crate) mod emulate;
pub(crate) mod health;
pub(crate) mod inbox;
pub(crate) mod listen;
pub(crate) mod man;
pub(crate) mod signing_key;
pub(crate) mod submit;
pub(crate) mod trigger;
pub(crate) mod verify;
pub(crate) mod wait;
