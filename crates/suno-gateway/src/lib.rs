//! Hand the events of the Suno API to services in any language.

#![cfg_attr(docsrs, feature(doc_cfg))]

pub mod attempt;
pub mod body;
pub mod breaker;
pub mod content;
pub mod destination;
pub mod signing;
