//! What the suites have in common: a packet and its index in, the protected packet out, and back.

use super::error::SrtpError;
use super::layout::RtpLayout;

/// The bit of an SRTCP packet's index word that says that it is encrypted (RFC 3711 §3.4).
pub(super) const ENCRYPTED: u32 = 1 << 31;

/// Octets of the index word.
pub(super) const WORD_LEN: usize = 4;

/// The cipher of one direction's RTP, or of its RTCP. The caller has checked lengths, and whether the index may be used.
pub(super) trait Transform: Send {
    /// Protects the `len` octets of RTP at the front of `buffer`; the new length.
    fn seal_rtp(
        &self,
        buffer: &mut [u8],
        len: usize,
        layout: &RtpLayout,
        index: u64,
        mki: &[u8],
    ) -> Result<usize, SrtpError>;

    /// Verifies and decrypts RTP; the new length. A packet that is refused is left as it was.
    fn open_rtp(&self, packet: &mut [u8], layout: &RtpLayout, index: u64, mki_len: usize) -> Result<usize, SrtpError>;

    /// Protects RTCP; `word` is the index with [`ENCRYPTED`] or without.
    fn seal_rtcp(&self, buffer: &mut [u8], len: usize, ssrc: u32, word: u32, mki: &[u8]) -> Result<usize, SrtpError>;

    /// Verifies and decrypts RTCP whose index word is `word`. A packet that is refused is left as it was.
    fn open_rtcp(&self, packet: &mut [u8], ssrc: u32, word: u32, mki_len: usize) -> Result<usize, SrtpError>;

    /// Octets between the index word of an SRTCP packet and its end, the MKI not counted.
    fn rtcp_tail_len(&self) -> usize;
}

/// The salt with SSRC and index laid over its end: the front of the counter block of AES-CM (RFC 3711 §4.1.1), and the
/// nonce of GCM (RFC 7714 §8.1, §9.1).
pub(super) fn nonce<const N: usize>(salt: &[u8; N], ssrc: u32, index: u64) -> [u8; N] {
    let mut nonce = *salt;
    let over = ssrc.to_be_bytes().into_iter().chain(index.to_be_bytes().into_iter().skip(2));
    for (octet, over) in nonce[N - 10..].iter_mut().zip(over) {
        *octet ^= over;
    }
    nonce
}

#[cfg(test)]
pub(in crate::srtp) mod tests {
    use super::*;

    /// The octets that hexadecimal digits stand for; white space is passed over.
    pub(in crate::srtp) fn octets(digits: &str) -> Vec<u8> {
        let digits: Vec<u8> = digits.chars().filter_map(|digit| digit.to_digit(16)).map(|digit| digit as u8).collect();
        digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect()
    }

    #[test]
    fn nonces_are_those_of_rfc_7714() {
        let salt = *b"Quid pro quo";
        // RFC 7714 §16
        assert_eq!(nonce(&salt, 0x5501_a0b2, 0xf17b)[..], octets("51753c6580c2726f20718414"));
        // RFC 7714 §17
        assert_eq!(nonce(&salt, 0x4d61_7273, 0x5d4)[..], octets("517524055203726f207170bb"));
    }

    #[test]
    fn the_counter_block_holds_the_rollover_counter() {
        // RFC 3711 §4.1.1: SSRC * 2^64, index * 2^16, the last sixteen bits free for the counter
        let block = nonce(&[0; 14], 0x0102_0304, 0x0000_a1a2_a3a4_b1b2);
        assert_eq!(block[..], octets("00000000 01020304 a1a2a3a4b1b2"));
    }
}
