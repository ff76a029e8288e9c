//! The API: each file is a kind of thing, with the routes that show or change it.

pub(super) mod board;
pub(super) mod destinations;
pub(super) mod events;
mod json;
pub(super) mod media;
pub(super) mod openapi;
mod paging;
mod parameters;
pub(super) mod playground;
pub(super) mod quarantine;
pub(super) mod replays;
pub(super) mod stats;
pub(super) mod story;
mod stream;
pub(super) mod tasks;
