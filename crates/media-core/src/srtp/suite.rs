//! The crypto suites and their lengths.

/// A suite that an `a=crypto` line can name (RFC 4568 §6.2, RFC 6188 §4, RFC 7714 §14.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CryptoSuite {
    /// AES-128 in counter mode, tag of 80 bits.
    AesCm128HmacSha1_80,
    /// AES-128 in counter mode, RTP tag of 32 bits.
    AesCm128HmacSha1_32,
    /// AES-256 in counter mode, tag of 80 bits.
    Aes256CmHmacSha1_80,
    /// AES-256 in counter mode, RTP tag of 32 bits.
    Aes256CmHmacSha1_32,
    /// AES-128 in Galois/counter mode.
    AeadAes128Gcm,
    /// AES-256 in Galois/counter mode.
    AeadAes256Gcm,
}

impl CryptoSuite {
    /// Every suite.
    pub const ALL: [Self; 6] = [
        Self::AesCm128HmacSha1_80,
        Self::AesCm128HmacSha1_32,
        Self::Aes256CmHmacSha1_80,
        Self::Aes256CmHmacSha1_32,
        Self::AeadAes128Gcm,
        Self::AeadAes256Gcm,
    ];

    /// The suite of a name; the grammar's literals know no case (RFC 4568 §9.1).
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|suite| suite.name().eq_ignore_ascii_case(name))
    }

    /// The registered name.
    pub fn name(self) -> &'static str {
        match self {
            Self::AesCm128HmacSha1_80 => "AES_CM_128_HMAC_SHA1_80",
            Self::AesCm128HmacSha1_32 => "AES_CM_128_HMAC_SHA1_32",
            Self::Aes256CmHmacSha1_80 => "AES_256_CM_HMAC_SHA1_80",
            Self::Aes256CmHmacSha1_32 => "AES_256_CM_HMAC_SHA1_32",
            Self::AeadAes128Gcm => "AEAD_AES_128_GCM",
            Self::AeadAes256Gcm => "AEAD_AES_256_GCM",
        }
    }

    /// Octets of the master key, and of the session key for encryption.
    pub fn key_len(self) -> usize {
        match self {
            Self::AesCm128HmacSha1_80 | Self::AesCm128HmacSha1_32 | Self::AeadAes128Gcm => 16,
            Self::Aes256CmHmacSha1_80 | Self::Aes256CmHmacSha1_32 | Self::AeadAes256Gcm => 32,
        }
    }

    /// Octets of the master salt, and of the session salt.
    pub fn salt_len(self) -> usize {
        match self {
            // RFC 7714 §12: 96 bits
            Self::AeadAes128Gcm | Self::AeadAes256Gcm => 12,
            _ => 14,
        }
    }

    /// Octets of the tag of an SRTP packet.
    pub fn rtp_tag_len(self) -> usize {
        match self {
            Self::AesCm128HmacSha1_32 | Self::Aes256CmHmacSha1_32 => 4,
            _ => self.rtcp_tag_len(),
        }
    }

    /// Octets of the tag of an SRTCP packet.
    pub fn rtcp_tag_len(self) -> usize {
        match self {
            // RFC 7714 §12: 128 bits
            Self::AeadAes128Gcm | Self::AeadAes256Gcm => 16,
            // RFC 4568 §6.2.2: the short tag is of RTP alone
            _ => 10,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_finds_its_suite_in_any_case() {
        for suite in CryptoSuite::ALL {
            assert_eq!(CryptoSuite::from_name(suite.name()), Some(suite));
            assert_eq!(CryptoSuite::from_name(&suite.name().to_lowercase()), Some(suite));
        }
        assert_eq!(CryptoSuite::from_name("F8_128_HMAC_SHA1_80"), None);
        assert_eq!(CryptoSuite::from_name(""), None);
    }

    #[test]
    fn lengths_are_those_of_the_registry() {
        let lengths = CryptoSuite::ALL
            .map(|suite| (suite.key_len() + suite.salt_len(), suite.rtp_tag_len(), suite.rtcp_tag_len()));
        assert_eq!(lengths, [(30, 10, 10), (30, 4, 10), (46, 10, 10), (46, 4, 10), (28, 16, 16), (44, 16, 16)]);
    }
}
