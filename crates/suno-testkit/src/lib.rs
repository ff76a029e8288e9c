//! Code that is shared by the tests and tools of this workspace.
//!
//! Only integration tests (`tests/`) and tools may use it. In the unit tests of a crate that this
//! one depends on, that crate would exist twice, with incompatible types.

pub mod browser;
pub mod callback;
pub mod clock;
pub mod http;
pub mod late;
pub mod postgres;
pub mod process;
pub mod receiver;
pub mod wrapper;
