//! The HTTP server of the emulator: the provider's API, media files, and `/_emulator/`.

mod admin;
mod answer;
mod api;
mod body;
mod files;
mod media;
mod multipart;
mod query;
mod route;
mod server;
mod upload;

pub(crate) use admin::Guard;
pub(crate) use route::Router;
pub(crate) use server::serve;
