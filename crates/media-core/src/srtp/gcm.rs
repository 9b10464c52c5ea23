//! AES in Galois/counter mode (RFC 7714).

use aes_gcm::aead::consts::{U12, U16};
use aes_gcm::aead::{AeadCore, AeadInOut, KeyInit, KeySizeUser};
use zeroize::Zeroizing;

use super::error::{KeyError, SrtpError};
use super::layout::{RtpLayout, RTCP_CLEAR_LEN};
use super::transform::{nonce, Transform, ENCRYPTED, WORD_LEN};

/// Octets of the tag (RFC 7714 §12).
const TAG_LEN: usize = 16;

/// The suites whose cipher makes the tag.
pub(super) struct Gcm<A> {
    aead: A,
    salt: Zeroizing<[u8; 12]>,
}

impl<A> Gcm<A>
where
    A: AeadInOut + AeadCore<NonceSize = U12, TagSize = U16> + KeyInit,
{
    /// With the first twelve octets of `salt`.
    pub(super) fn new(key: &[u8], salt: &[u8; 14]) -> Result<Self, KeyError> {
        let length = |_| KeyError::Length { expected: <A as KeySizeUser>::key_size(), given: key.len() };
        let mut twelve = Zeroizing::new([0; 12]);
        twelve.copy_from_slice(&salt[..12]);
        Ok(Self { aead: A::new_from_slice(key).map_err(length)?, salt: twelve })
    }

    fn encrypt(&self, ssrc: u32, index: u64, clear: &[u8], octets: &mut [u8]) -> Result<[u8; TAG_LEN], SrtpError> {
        let nonce = nonce(&self.salt, ssrc, index).into();
        let tag = self.aead.encrypt_inout_detached(&nonce, clear, octets.into()).map_err(|_| SrtpError::TooLong)?;
        Ok(tag.into())
    }

    /// Leaves the octets as they are if the tag is wrong.
    fn decrypt(
        &self,
        ssrc: u32,
        index: u64,
        clear: &[u8],
        octets: &mut [u8],
        tag: [u8; TAG_LEN],
    ) -> Result<(), SrtpError> {
        let nonce = nonce(&self.salt, ssrc, index).into();
        let verified = self.aead.decrypt_inout_detached(&nonce, clear, octets.into(), &tag.into());
        verified.map_err(|_| SrtpError::Authentication)
    }
}

/// RFC 7714 §9.2: what of an encrypted SRTCP packet is authenticated but not encrypted.
fn clear_part(packet: &[u8], word: u32) -> [u8; RTCP_CLEAR_LEN + WORD_LEN] {
    let mut clear = [0; RTCP_CLEAR_LEN + WORD_LEN];
    clear[..RTCP_CLEAR_LEN].copy_from_slice(&packet[..RTCP_CLEAR_LEN]);
    clear[RTCP_CLEAR_LEN..].copy_from_slice(&word.to_be_bytes());
    clear
}

impl<A> Transform for Gcm<A>
where
    A: AeadInOut + AeadCore<NonceSize = U12, TagSize = U16> + KeyInit + Send,
{
    fn seal_rtp(
        &self,
        buffer: &mut [u8],
        len: usize,
        layout: &RtpLayout,
        index: u64,
        mki: &[u8],
    ) -> Result<usize, SrtpError> {
        let (packet, trailer) = buffer.split_at_mut(len);
        let (header, payload) = packet.split_at_mut(layout.header_len);
        let tag = self.encrypt(layout.ssrc, index, header, payload)?;
        // RFC 7714 §8.2: the tag ends the ciphertext, the MKI follows
        trailer[..TAG_LEN].copy_from_slice(&tag);
        trailer[TAG_LEN..TAG_LEN + mki.len()].copy_from_slice(mki);
        Ok(len + TAG_LEN + mki.len())
    }

    fn open_rtp(&self, packet: &mut [u8], layout: &RtpLayout, index: u64, mki_len: usize) -> Result<usize, SrtpError> {
        let len = packet.len() - mki_len - TAG_LEN;
        let tag = tag_at(packet, len)?;
        let (header, payload) = packet[..len].split_at_mut(layout.header_len);
        self.decrypt(layout.ssrc, index, header, payload, tag)?;
        Ok(len)
    }

    fn seal_rtcp(&self, buffer: &mut [u8], len: usize, ssrc: u32, word: u32, mki: &[u8]) -> Result<usize, SrtpError> {
        let index = u64::from(word & !ENCRYPTED);
        let tag = if word & ENCRYPTED != 0 {
            let clear = clear_part(buffer, word);
            self.encrypt(ssrc, index, &clear, &mut buffer[RTCP_CLEAR_LEN..len])?
        } else {
            // RFC 7714 §9.3: packet and index word in one piece are the associated data
            buffer[len..len + WORD_LEN].copy_from_slice(&word.to_be_bytes());
            self.encrypt(ssrc, index, &buffer[..len + WORD_LEN], &mut [])?
        };
        let word_at = len + TAG_LEN;
        let mki_at = word_at + WORD_LEN;
        buffer[len..word_at].copy_from_slice(&tag);
        buffer[word_at..mki_at].copy_from_slice(&word.to_be_bytes());
        buffer[mki_at..mki_at + mki.len()].copy_from_slice(mki);
        Ok(mki_at + mki.len())
    }

    fn open_rtcp(&self, packet: &mut [u8], ssrc: u32, word: u32, mki_len: usize) -> Result<usize, SrtpError> {
        let index = u64::from(word & !ENCRYPTED);
        let len = packet.len() - mki_len - WORD_LEN - TAG_LEN;
        let tag = tag_at(packet, len)?;
        if word & ENCRYPTED != 0 {
            let clear = clear_part(packet, word);
            self.decrypt(ssrc, index, &clear, &mut packet[RTCP_CLEAR_LEN..len], tag)?;
            return Ok(len);
        }
        // as above; the tag is put back over the index word
        packet[len..len + WORD_LEN].copy_from_slice(&word.to_be_bytes());
        let verified = self.decrypt(ssrc, index, &packet[..len + WORD_LEN], &mut [], tag);
        packet[len..len + TAG_LEN].copy_from_slice(&tag);
        verified.map(|()| len)
    }

    fn rtcp_tail_len(&self) -> usize {
        0
    }
}

fn tag_at(packet: &[u8], at: usize) -> Result<[u8; TAG_LEN], SrtpError> {
    packet.get(at..).and_then(|rest| rest.first_chunk()).copied().ok_or(SrtpError::TooShort)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::srtp::transform::tests::octets;
    use aes_gcm::{Aes128Gcm, Aes256Gcm};

    const KEY: &str = "000102030405060708090a0b0c0d0e0f 101112131415161718191a1b1c1d1e1f";
    const SALT: [u8; 14] = *b"Quid pro quo\0\0";

    fn gcm_128() -> Gcm<Aes128Gcm> {
        Gcm::new(&octets(KEY)[..16], &SALT).expect("a good key")
    }

    fn gcm_256() -> Gcm<Aes256Gcm> {
        Gcm::new(&octets(KEY), &SALT).expect("a good key")
    }

    /// RFC 7714 §16: "Gallia est omnis divisa in partes tres" from the SSRC 5501a0b2.
    fn rtp() -> Vec<u8> {
        octets("8040f17b 8041f8d3 5501a0b2 47616c6c 69612065 7374206f 6d6e6973 20646976 69736120 696e2070 61727465 73207472 6573")
    }

    /// RFC 7714 §17.1.
    fn rtcp() -> Vec<u8> {
        octets("81c8000d 4d617273 4e545031 4e545032 52545020 0000042a 0000e930 4c756e61 deadbeef deadbeef deadbeef deadbeef deadbeef")
    }

    const RTCP_SSRC: u32 = 0x4d61_7273;
    const RTCP_INDEX: u32 = 0x5d4;

    fn check_rtp(transform: &dyn Transform, header_len: usize, sealed: &str) {
        let layout = RtpLayout { header_len, ..RtpLayout::parse(&rtp()).expect("a good packet") };
        let mut buffer = rtp();
        let len = buffer.len();
        buffer.resize(len + TAG_LEN, 0);
        assert_eq!(transform.seal_rtp(&mut buffer, len, &layout, 0xf17b, &[]), Ok(len + TAG_LEN));
        assert_eq!(buffer, octets(sealed));
        assert_eq!(transform.open_rtp(&mut buffer, &layout, 0xf17b, 0), Ok(len));
        assert_eq!(buffer[..len], rtp());
    }

    fn check_rtcp(transform: &dyn Transform, word: u32, sealed: &str) {
        let mut buffer = rtcp();
        let len = buffer.len();
        buffer.resize(len + TAG_LEN + WORD_LEN, 0);
        assert_eq!(transform.seal_rtcp(&mut buffer, len, RTCP_SSRC, word, &[]), Ok(buffer.len()));
        assert_eq!(buffer, octets(sealed));
        assert_eq!(transform.open_rtcp(&mut buffer, RTCP_SSRC, word, 0), Ok(len));
        assert_eq!(buffer[..len], rtcp());
    }

    #[test]
    fn rfc_7714_section_16_1_encryption_and_decryption() {
        let sealed = "8040f17b 8041f8d3 5501a0b2 f24de3a3 fb34de6c acba861c 9d7e4bca be633bd5 0d294e6f 42a5f47a 51c7d19b 36de3adf
            8833899d 7f27beb1 6a9152cf 765ee439 0cce";
        check_rtp(&gcm_128(), 12, sealed);
    }

    #[test]
    fn rfc_7714_section_16_1_tagging_and_verification() {
        let sealed = "8040f17b 8041f8d3 5501a0b2 47616c6c 69612065 7374206f 6d6e6973 20646976 69736120 696e2070 61727465 73207472
            65732249 3f82d2bc e397e9d7 9e3b19aa 4216";
        // all of the packet is associated data, as if it were header
        check_rtp(&gcm_128(), 50, sealed);
    }

    #[test]
    fn rfc_7714_section_16_2_encryption_and_decryption() {
        let sealed = "8040f17b 8041f8d3 5501a0b2 32b1de78 a822fe12 ef9f78fa 332e33aa b1801238 9a58e2f3 b50b2a02 76ffae0f 1ba63799
            b87b7aa3 db36dfff d6b0f9bb 7878d7a7 6c13";
        check_rtp(&gcm_256(), 12, sealed);
    }

    #[test]
    fn rfc_7714_section_16_2_tagging_and_verification() {
        let sealed = "8040f17b 8041f8d3 5501a0b2 47616c6c 69612065 7374206f 6d6e6973 20646976 69736120 696e2070 61727465 73207472
            6573a866 d5910f88 7463067c eefec452 15d4";
        check_rtp(&gcm_256(), 50, sealed);
    }

    #[test]
    fn rfc_7714_section_17_1_encryption_and_tagging() {
        let sealed = "81c8000d 4d617273 63e94885 dcdab67c a727d766 2f6b7e99 7ff5c0f7 6c06f32d c676a5f1 730d6fda 4ce09b46 86303ded
            0bb9275b c84aa458 96cf4d2f c5abf872 45d9eade 800005d4";
        check_rtcp(&gcm_128(), ENCRYPTED | RTCP_INDEX, sealed);
    }

    #[test]
    fn rfc_7714_section_17_2_verification_and_decryption() {
        let sealed = "81c8000d 4d617273 d50ae4d1 f5ce5d30 4ba297e4 7d470c28 2c3ece5d bffe0a50 a2eaa5c1 110555be 8415f658 c61de047
            6f1b6fad 1d1eb30c 4446839f 57ff6f6c b26ac3be 800005d4";
        check_rtcp(&gcm_256(), ENCRYPTED | RTCP_INDEX, sealed);
    }

    #[test]
    fn rfc_7714_section_17_3_tagging_only() {
        let sealed = "81c8000d 4d617273 4e545031 4e545032 52545020 0000042a 0000e930 4c756e61 deadbeef deadbeef deadbeef deadbeef
            deadbeef 841dd968 3dd78ec9 2ae58790 125f62b3 000005d4";
        check_rtcp(&gcm_128(), RTCP_INDEX, sealed);
    }

    #[test]
    fn rfc_7714_section_17_4_tag_verification() {
        let sealed = "81c8000d 4d617273 4e545031 4e545032 52545020 0000042a 0000e930 4c756e61 deadbeef deadbeef deadbeef deadbeef
            deadbeef 91db4afb feee5a97 8fab4393 ed2615fe 000005d4";
        check_rtcp(&gcm_256(), RTCP_INDEX, sealed);
    }
}
