//! The media engine's sockets, threads, files and control protocol (docs/topics/media-protocol.md).
//!
//! One thread speaks the protocol, one writes recordings, and workers move packets: a session lives wholly on one
//! worker, so packets are never handed from thread to thread. What a packet means is decided in `media-core`.

mod command;
mod control;
mod descriptors;
mod engine;
mod files;
mod kernel;
mod log;
mod options;
mod ports;
mod random;
mod signals;
mod sys;
mod worker;
mod writer;

pub use control::check_request;
pub use engine::{run, Engine};
pub use options::{EngineOptions, Interface, KernelMode, TlsOptions};

/// The engine's version, that of the workspace.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");
/// The version of the media protocol.
pub const PROTOCOL: u64 = 1;
