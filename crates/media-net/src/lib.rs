//! The media engine's sockets, threads, files and control protocol.

mod options;

pub use options::{EngineOptions, Interface};

/// The engine's version, that of the workspace.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Runs an engine until SIGTERM or SIGINT.
pub fn run(_options: EngineOptions) -> std::io::Result<()> {
    Err(std::io::Error::from(std::io::ErrorKind::Unsupported))
}
