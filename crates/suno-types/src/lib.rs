//! Payloads, status codes and the webhook signature of the Suno API.
//!
//! This crate turns bytes into values and values into bytes. It does no I/O, reads no clock and
//! knows no async runtime: time and keys are arguments.
//!
//! The provider's codes, stages, statuses, models and members are open sets. Unknown ones are kept
//! as they were sent and written back on encoding, and so is a known member of another type. A body
//! that names no single task or has no code is a [`DecodeError`], which has the path of the problem
//! and never the value.
//!
//! One URL receives the callbacks of all endpoints: [`Callback::product`] says what the task makes,
//! and [`Callback::output`] has it.
//!
//! ```
//! use suno_types::{Callback, Stage};
//!
//! let body = br#"{"code":200,"msg":"ok","data":{"callbackType":"complete",
//!     "task_id":"5c79000000000000000000000000be8e",
//!     "data":[{"id":"t1","audio_url":"https://media.example.com/t1.mp3","duration":198.44}]}}"#;
//! let callback = Callback::decode(body)?;
//! assert_eq!(callback.stage(), Stage::Complete);
//! assert!(callback.tracks[0].is_ready());
//! # Ok::<(), suno_types::DecodeError>(())
//! ```
//!
//! Numbers such as `PROTOCOL.md 2.4` in this documentation refer to statements in
//! `docs/PROTOCOL.md`, which also gives the evidence for each fact about the provider.
//!
//! # Features
//!
//! * `signature`: sign and verify `X-Webhook-Signature`.

#![cfg_attr(docsrs, feature(doc_cfg))]

mod callback;
mod code;
mod envelope;
mod error;
mod extra;
mod id;
mod midi;
mod output;
mod peek;
mod product;
mod progress;
mod provider;
mod record;
mod request;
#[cfg(feature = "signature")]
pub mod signature;
mod stage;
mod track;
mod verdict;
mod wire;
mod word;

pub use callback::Callback;
pub use code::{Code, Meaning, Place};
pub use envelope::{Credits, Envelope, Json, Payload, SubmittedTask};
pub use error::{DecodeError, DecodeErrorKind};
pub use extra::Extra;
pub use id::{InvalidId, TaskId, TrackId};
pub use midi::{Instrument, Midi, Note};
pub use output::{Lyrics, MediaFile, Output, OutputFile, Stem, Stems, Voice};
pub use peek::Peek;
pub use product::{InvalidTaskKind, Product, Route, TaskKind};
pub use progress::{Failure, TaskProgress};
pub use provider::Provider;
pub use record::{Outcome, TaskRecord, TaskStatus};
pub use request::{
    AddInstrumental, AddInstrumentalBuilder, AddVocals, AddVocalsBuilder, ConvertToWav,
    ConvertToWavBuilder, CreateVideo, CreateVideoBuilder, DynamicRequest, ExtendSong,
    ExtendSongBuilder, Field, FieldKind, GenerateCover, GenerateCoverBuilder, GenerateLyrics,
    GenerateLyricsBuilder, GenerateMidi, GenerateMidiBuilder, GenerateSong, GenerateSongBuilder,
    GenerateSound, GenerateSoundBuilder, GenerateVoice, GenerateVoiceBuilder, InvalidField,
    InvalidOperation, Mashup, MashupBuilder, Model, Operation, OptionalText, RecoverSongs,
    RecoverSongsBuilder, RegenerateVoice, RegenerateVoiceBuilder, ReplaceSection,
    ReplaceSectionBuilder, Request, RequestBuilder, SeparateStems, SeparateStemsBuilder,
    UploadCover, UploadCoverBuilder, UploadExtend, UploadExtendBuilder, ValidateVoice,
    ValidateVoiceBuilder, VocalGender,
};
pub use stage::{CallbackType, Stage};
pub use track::{CreatedAt, Track, TrackRef};
pub use wire::CallbackRef;

/// The crate of [`CreatedAt::timestamp`]'s return type.
pub use jiff;
