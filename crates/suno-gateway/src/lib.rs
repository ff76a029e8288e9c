//! Hand the events of the Suno API to services in any language.

#![cfg_attr(docsrs, feature(doc_cfg))]

pub mod signing;
