//! Hand the events of the Suno API to services in any language.

#![cfg_attr(docsrs, feature(doc_cfg))]

pub mod attempt;
pub mod body;
pub mod breaker;
pub mod content;
#[cfg(any(feature = "exec", feature = "forward"))]
mod course;
pub mod destination;
#[cfg(all(unix, feature = "exec"))]
pub mod exec;
#[cfg(feature = "forward")]
pub mod forward;
#[cfg(any(feature = "exec", feature = "forward"))]
mod gate;
mod observe;
#[cfg(any(feature = "exec", feature = "forward"))]
mod redact;
pub mod signing;

#[cfg(any(feature = "exec", feature = "forward"))]
pub use course::{Delivered, Next};
pub use observe::Observer;
