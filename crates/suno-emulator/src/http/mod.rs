//! The HTTP server of the emulator: the API of the provider, its media, and `/_emulator/`.

pub(crate) mod admin;
mod answer;
mod api;
mod body;
mod media;
pub(crate) mod server;
