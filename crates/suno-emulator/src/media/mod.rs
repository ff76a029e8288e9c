//! Audio and cover images that really play and show, synthesised from the ids of their tracks.

pub(crate) mod png;
pub(crate) mod range;
pub(crate) mod wav;
