//! What the tests and tools of this workspace share.
//!
//! Only integration tests (`tests/`) and tools may use it. In the unit tests of a crate that this one
//! depends on, that crate would be there twice, with types that do not fit each other.

pub mod callback;
pub mod clock;
pub mod http;
pub mod process;
pub mod receiver;
pub mod wrapper;
