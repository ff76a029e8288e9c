//! Playable audio and cover images, synthesised from the ids of their tracks, and placeholders for
//! videos.

pub(crate) mod mp4;
pub(crate) mod png;
pub(crate) mod range;
pub(crate) mod wav;
