//! What can be wrong with keys and with packets.

use std::fmt;

/// Why keys cannot be used. The caller is at fault, or whoever gave it the keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyError {
    /// No suite has this name.
    UnknownSuite,
    /// Key and salt together are not as long as the suite says.
    Length {
        /// Octets that the suite takes.
        expected: usize,
        /// Octets that were given.
        given: usize,
    },
    /// A master key identifier is longer than [`MAX_MKI`](super::MAX_MKI).
    MkiLength,
    /// A lifetime is zero, or more than [`MAX_LIFETIME`](super::MAX_LIFETIME).
    Lifetime,
    /// The key is in use with another suite: its keystream would be used twice.
    Reused,
}

impl fmt::Display for KeyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownSuite => f.write_str("unknown crypto suite"),
            Self::Length { expected, given } => write!(f, "key and salt take {expected} octets, not {given}"),
            Self::MkiLength => write!(f, "master key identifier of more than {} octets", super::MAX_MKI),
            Self::Lifetime => write!(f, "key lifetime outside 1 to {}", super::MAX_LIFETIME),
            Self::Reused => f.write_str("key already in use with another suite"),
        }
    }
}

impl std::error::Error for KeyError {}

/// Why a packet was not protected, or not accepted. It is dropped; the session goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SrtpError {
    /// The direction has no keys yet.
    NoKeys,
    /// Shorter than its header and its trailer.
    TooShort,
    /// Longer than a datagram, or more than the buffer has room for.
    TooLong,
    /// Not version 2.
    Version,
    /// The tag is not of this packet and this key: forged, damaged, or sent with another key.
    Authentication,
    /// This index has been received, or sent, before.
    Replayed,
    /// Too far behind the newest packet to tell whether it is new.
    Stale,
    /// The key has protected as many packets as it may; new keys must be set.
    KeyExpired,
    /// More sources have been sent than the session keeps apart; new keys must be set.
    TooManySources,
}

impl fmt::Display for SrtpError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoKeys => "no keys",
            Self::TooShort => "too short",
            Self::TooLong => "too long",
            Self::Version => "not version 2",
            Self::Authentication => "authentication failure",
            Self::Replayed => "replayed",
            Self::Stale => "stale",
            Self::KeyExpired => "key expired",
            Self::TooManySources => "too many sources",
        })
    }
}

impl std::error::Error for SrtpError {}
