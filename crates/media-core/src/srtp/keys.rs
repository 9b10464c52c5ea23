//! Master keys, as an `a=crypto` line brings them.

use std::fmt;

use zeroize::Zeroizing;

use super::error::KeyError;
use super::suite::CryptoSuite;

/// Octets of the longest master key identifier (RFC 4568 §6.1).
pub const MAX_MKI: usize = 128;

/// Packets that one key may protect at most (RFC 3711 §9.2).
pub const MAX_LIFETIME: u64 = 1 << 48;

/// The keys of one direction; zeroed when dropped.
#[derive(Clone, PartialEq, Eq)]
pub struct SrtpKeys {
    suite: CryptoSuite,
    master: Zeroizing<Box<[u8]>>,
    mki: Box<[u8]>,
    lifetime: u64,
    encrypts_rtcp: bool,
}

impl SrtpKeys {
    /// Keys of a suite from the octets of master key and master salt, one after the other (RFC 4568 §6.1).
    pub fn new(suite: CryptoSuite, key_and_salt: &[u8]) -> Result<Self, KeyError> {
        let expected = suite.key_len() + suite.salt_len();
        if key_and_salt.len() != expected {
            return Err(KeyError::Length { expected, given: key_and_salt.len() });
        }
        Ok(Self {
            suite,
            master: Zeroizing::new(key_and_salt.into()),
            mki: Box::default(),
            lifetime: MAX_LIFETIME,
            encrypts_rtcp: true,
        })
    }

    /// Keys of the suite that has a name.
    pub fn named(suite: &str, key_and_salt: &[u8]) -> Result<Self, KeyError> {
        Self::new(CryptoSuite::from_name(suite).ok_or(KeyError::UnknownSuite)?, key_and_salt)
    }

    /// With a master key identifier: a sender writes it into every packet; a receiver expects one of this length and
    /// takes no notice of its value, since the tag tells whether the key is the right one. Empty: none.
    pub fn with_mki(mut self, mki: &[u8]) -> Result<Self, KeyError> {
        if mki.len() > MAX_MKI {
            return Err(KeyError::MkiLength);
        }
        self.mki = mki.into();
        Ok(self)
    }

    /// With a limit of packets that a sender protects: so many RTP packets and so many RTCP packets (RFC 4568 §6.1).
    pub fn with_lifetime(mut self, packets: u64) -> Result<Self, KeyError> {
        if packets == 0 || packets > MAX_LIFETIME {
            return Err(KeyError::Lifetime);
        }
        self.lifetime = packets;
        Ok(self)
    }

    /// With RTCP that a sender signs but leaves readable: UNENCRYPTED_SRTCP (RFC 4568 §6.3.2).
    pub fn with_unencrypted_rtcp(mut self) -> Self {
        self.encrypts_rtcp = false;
        self
    }

    /// The suite.
    pub fn suite(&self) -> CryptoSuite {
        self.suite
    }

    pub(super) fn master_key(&self) -> &[u8] {
        &self.master[..self.suite.key_len()]
    }

    pub(super) fn master_salt(&self) -> &[u8] {
        &self.master[self.suite.key_len()..]
    }

    pub(super) fn mki(&self) -> &[u8] {
        &self.mki
    }

    pub(super) fn lifetime(&self) -> u64 {
        self.lifetime
    }

    pub(super) fn encrypts_rtcp(&self) -> bool {
        self.encrypts_rtcp
    }

    /// Octets that a packet grows by: RTP, RTCP.
    pub(super) fn overheads(&self) -> (usize, usize) {
        (self.suite.rtp_tag_len() + self.mki.len(), self.suite.rtcp_tag_len() + 4 + self.mki.len())
    }

    /// Whether both give the same session keys.
    pub(super) fn is_same_master(&self, other: &Self) -> bool {
        // RFC 3711 §4.3.1: session keys depend on key and salt alone; what the suite adds is how they are used
        self.master_key() == other.master_key() && self.master_salt() == other.master_salt()
    }
}

impl fmt::Debug for SrtpKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SrtpKeys").field("suite", &self.suite).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn key_and_salt_have_the_suites_length() {
        for suite in CryptoSuite::ALL {
            let expected = suite.key_len() + suite.salt_len();
            let octets: Vec<u8> = (0..expected as u8).collect();
            let keys = SrtpKeys::new(suite, &octets).expect("the right length");
            assert_eq!([keys.master_key(), keys.master_salt()].concat(), octets);
            for given in [0, expected - 1, expected + 1] {
                let error = SrtpKeys::new(suite, &vec![0; given]).expect_err("a wrong length");
                assert_eq!(error, KeyError::Length { expected, given });
            }
        }
    }

    #[test]
    fn what_a_line_must_not_say_is_refused() {
        let keys = SrtpKeys::named("AEAD_AES_128_GCM", &[1; 28]).expect("good keys");
        assert_eq!(SrtpKeys::named("NULL", &[]).err(), Some(KeyError::UnknownSuite));
        assert!(keys.clone().with_mki(&[1; MAX_MKI]).is_ok());
        assert_eq!(keys.clone().with_mki(&[1; MAX_MKI + 1]).err(), Some(KeyError::MkiLength));
        assert!(keys.clone().with_lifetime(MAX_LIFETIME).is_ok());
        assert_eq!(keys.clone().with_lifetime(MAX_LIFETIME + 1).err(), Some(KeyError::Lifetime));
        assert_eq!(keys.with_lifetime(0).err(), Some(KeyError::Lifetime));
    }

    #[test]
    fn no_key_is_printed() {
        let keys = SrtpKeys::new(CryptoSuite::AeadAes128Gcm, &[0xab; 28]).expect("good keys");
        assert_eq!(format!("{keys:?}"), "SrtpKeys { suite: AeadAes128Gcm, .. }");
    }
}
