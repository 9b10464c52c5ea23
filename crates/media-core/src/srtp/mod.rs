//! SRTP and SRTCP (RFC 3711) with the suites of SDES (RFC 4568, RFC 6188, RFC 7714).
//!
//! An [`SrtpSession`] belongs to one endpoint or fork. It is given the keys of either direction as [`SrtpKeys`], which
//! hold what an `a=crypto` line says, and then takes one call per packet, in the buffer that the packet is in. It knows
//! no clock, draws no keys, and allocates only when keys are set and when a source is first heard.
//!
//! What a caller must see to:
//! * A packet is protected once. An index that has been sent is refused ([`SrtpError::Replayed`]), since two packets
//!   under one index give both away.
//! * A stream that is protected never jumps by 2^15 or more in its sequence numbers, nor back by more than
//!   [`WINDOW`]: the receiver could not tell the index (RFC 3711 §3.3.1). A source that does jump is renumbered before.
//! * A stream's first sequence number is below 2^15 (RFC 4568 §6.4).
//! * A key that has been replaced is never set again (RFC 3711 §9.2).

mod counter_mode;
mod derivation;
mod error;
mod gcm;
mod index;
mod keys;
mod layout;
mod receiver;
mod sender;
mod session;
mod session_keys;
mod suite;
mod transform;

#[cfg(test)]
mod tests;

pub use error::{KeyError, SrtpError};
pub use index::WINDOW;
pub use keys::{SrtpKeys, MAX_LIFETIME, MAX_MKI};
pub use layout::MAX_PACKET;
pub use receiver::MAX_RECEIVED_SOURCES;
pub use sender::{MAX_RTCP_PACKETS, MAX_SENT_SOURCES};
pub use session::{Rollover, SrtpSession};
pub use suite::CryptoSuite;
