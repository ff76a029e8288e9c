//! Playable audio and cover images, synthesised from the ids of their tracks.

pub(crate) mod png;
pub(crate) mod range;
pub(crate) mod wav;
