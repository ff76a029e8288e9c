//! Faults: of the callbacks of a task, and of the requests about it.

pub(crate) mod delivery;
pub(crate) mod exchange;
