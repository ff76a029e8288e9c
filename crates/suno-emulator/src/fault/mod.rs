//! What goes wrong: with the callbacks of a task, and with the requests about it.

pub(crate) mod delivery;
pub(crate) mod exchange;
