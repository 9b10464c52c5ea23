//! What the registry reports.

use std::net::SocketAddr;
use std::sync::Arc;

use crate::dtmf::Digit;

/// Something that happened in a session; field by field the event of the same name in the media protocol.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Event {
    FirstPacket { session: Arc<str>, endpoint: Arc<str>, at_ns: u64 },
    Latched { session: Arc<str>, endpoint: Arc<str>, remote: SocketAddr },
    SilenceTimeout { session: Arc<str>, endpoint: Arc<str>, silent_ms: u64 },
    Dtmf { session: Arc<str>, endpoint: Arc<str>, digit: Digit },
    SsrcChanged { session: Arc<str>, endpoint: Arc<str>, old: u32, new: u32 },
    Unauthenticated { session: Arc<str>, endpoint: Arc<str> },
    Unreachable { session: Arc<str>, name: Arc<str> },
    ForkStarted { session: Arc<str>, fork: Arc<str>, at_ns: u64 },
    PlayerEnded { session: Arc<str>, player: Arc<str>, completed: bool },
}
