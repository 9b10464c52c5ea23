//! AES in counter mode with HMAC-SHA1 (RFC 3711 §4.1.1, §4.2.1; RFC 6188).

use aes::cipher::consts::U16;
use aes::cipher::{BlockCipherEncrypt, BlockSizeUser, InnerIvInit, KeyInit, StreamCipher, StreamCipherCoreWrapper};
use ctr::flavors::Ctr32BE;
use ctr::CtrCore;
use hmac::{Hmac, Mac};
use sha1::Sha1;
use zeroize::Zeroizing;

use super::error::{KeyError, SrtpError};
use super::layout::{RtpLayout, RTCP_CLEAR_LEN};
use super::transform::{nonce, Transform, ENCRYPTED, WORD_LEN};

/// Octets of the session key for authentication (RFC 4568 §6.2).
pub(super) const AUTHENTICATION_KEY_LEN: usize = 20;

/// Octets of an untruncated tag.
const DIGEST_LEN: usize = 20;

/// The suites with a cipher and a tag of its own.
pub(super) struct CounterMode<C> {
    cipher: C,
    /// Has taken in the key; cloned for each packet, which spares two rounds of the hash.
    mac: Hmac<Sha1>,
    salt: Zeroizing<[u8; 14]>,
    tag_len: usize,
}

impl<C> CounterMode<C>
where
    C: BlockCipherEncrypt + BlockSizeUser<BlockSize = U16> + KeyInit,
{
    pub(super) fn new(
        key: &[u8],
        authentication: &[u8; AUTHENTICATION_KEY_LEN],
        salt: &[u8; 14],
        tag_len: usize,
    ) -> Result<Self, KeyError> {
        let length = |_| KeyError::Length { expected: C::key_size(), given: key.len() };
        Ok(Self {
            cipher: C::new_from_slice(key).map_err(length)?,
            mac: <Hmac<Sha1> as KeyInit>::new_from_slice(authentication).map_err(length)?,
            salt: Zeroizing::new(*salt),
            tag_len,
        })
    }

    /// Lays the keystream over octets: encrypts, or decrypts.
    fn apply(&self, octets: &mut [u8], ssrc: u32, index: u64) {
        // RFC 3711 §4.1.1: the counter fills the last sixteen bits, which MAX_PACKET does not let overflow
        let mut block = [0; 16];
        block[..14].copy_from_slice(&nonce(&self.salt, ssrc, index));
        let core = CtrCore::<&C, Ctr32BE>::inner_iv_init(&self.cipher, &block.into());
        StreamCipherCoreWrapper::from_core(core).apply_keystream(octets);
    }

    fn mac_of(&self, octets: &[u8], roc: &[u8]) -> Hmac<Sha1> {
        let mut mac = self.mac.clone();
        mac.update(octets);
        mac.update(roc);
        mac
    }

    /// Appends MKI and tag at `at`; the new length.
    fn finish(&self, buffer: &mut [u8], at: usize, mac: Hmac<Sha1>, mki: &[u8]) -> usize {
        let tag_at = at + mki.len();
        let end = tag_at + self.tag_len;
        buffer[at..tag_at].copy_from_slice(mki);
        let digest: [u8; DIGEST_LEN] = mac.finalize().into_bytes().into();
        buffer[tag_at..end].copy_from_slice(&digest[..self.tag_len]);
        end
    }

    /// Compares, in constant time, the tag at the packet's end with the one that it should have.
    fn verify(&self, packet: &[u8], mac: Hmac<Sha1>) -> Result<(), SrtpError> {
        let tag = &packet[packet.len() - self.tag_len..];
        mac.verify_truncated_left(tag).map_err(|_| SrtpError::Authentication)
    }
}

/// RFC 3711 §4.2: the tag of RTP is over the packet and the rollover counter.
fn roc(index: u64) -> [u8; 4] {
    ((index >> 16) as u32).to_be_bytes()
}

impl<C> Transform for CounterMode<C>
where
    C: BlockCipherEncrypt + BlockSizeUser<BlockSize = U16> + KeyInit + Send,
{
    fn seal_rtp(
        &self,
        buffer: &mut [u8],
        len: usize,
        layout: &RtpLayout,
        index: u64,
        mki: &[u8],
    ) -> Result<usize, SrtpError> {
        self.apply(&mut buffer[layout.header_len..len], layout.ssrc, index);
        let mac = self.mac_of(&buffer[..len], &roc(index));
        Ok(self.finish(buffer, len, mac, mki))
    }

    fn open_rtp(&self, packet: &mut [u8], layout: &RtpLayout, index: u64, mki_len: usize) -> Result<usize, SrtpError> {
        let end = packet.len() - self.tag_len - mki_len;
        self.verify(packet, self.mac_of(&packet[..end], &roc(index)))?;
        self.apply(&mut packet[layout.header_len..end], layout.ssrc, index);
        Ok(end)
    }

    fn seal_rtcp(&self, buffer: &mut [u8], len: usize, ssrc: u32, word: u32, mki: &[u8]) -> Result<usize, SrtpError> {
        if word & ENCRYPTED != 0 {
            self.apply(&mut buffer[RTCP_CLEAR_LEN..len], ssrc, u64::from(word & !ENCRYPTED));
        }
        let end = len + WORD_LEN;
        buffer[len..end].copy_from_slice(&word.to_be_bytes());
        let mac = self.mac_of(&buffer[..end], &[]);
        Ok(self.finish(buffer, end, mac, mki))
    }

    fn open_rtcp(&self, packet: &mut [u8], ssrc: u32, word: u32, mki_len: usize) -> Result<usize, SrtpError> {
        let end = packet.len() - self.tag_len - mki_len;
        self.verify(packet, self.mac_of(&packet[..end], &[]))?;
        let len = end - WORD_LEN;
        if word & ENCRYPTED != 0 {
            self.apply(&mut packet[RTCP_CLEAR_LEN..len], ssrc, u64::from(word & !ENCRYPTED));
        }
        Ok(len)
    }

    fn rtcp_tail_len(&self) -> usize {
        self.tag_len
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::srtp::transform::tests::octets;
    use aes::{Aes128Enc, Aes256Enc};

    /// The keystream of a session salt that is given already shifted, its last two octets zero.
    fn keystream<C>(key: &str) -> Vec<u8>
    where
        C: BlockCipherEncrypt + BlockSizeUser<BlockSize = U16> + KeyInit,
    {
        let salt = octets("F0F1F2F3F4F5F6F7F8F9FAFBFCFD").try_into().expect("14 octets");
        let transform = CounterMode::<C>::new(&octets(key), &[0; 20], &salt, 10).expect("a good key");
        let mut stream = vec![0; 1_044_512];
        transform.apply(&mut stream, 0, 0);
        stream
    }

    #[test]
    fn rfc_3711_appendix_b_2() {
        let stream = keystream::<Aes128Enc>("2B7E151628AED2A6ABF7158809CF4F3C");
        let first =
            "E03EAD0935C95E80E166B16DD92B4EB4 D23513162B02D0F72A43A2FE4A5F97AB 41E95B3BB0A2E8DD477901E4FCA894C0";
        let last = "EC8CDF7398607CB0F2D21675EA9EA1E4 362B7C3C6773516318A077D7FC5073AE 6A2CC3787889374FBEB4C81B17BA6C44";
        assert_eq!(stream[..48], octets(first));
        assert_eq!(stream[stream.len() - 48..], octets(last));
    }

    #[test]
    fn rfc_6188_section_7_1() {
        let stream = keystream::<Aes256Enc>("57f82fe3613fd170a85ec93c40b1f092 2ec4cb0dc025b58272147cc438944a98");
        let first =
            "92bdd28a93c3f52511c677d08b5515a4 9da71b2378a854f67050756ded165bac 63c4868b7096d88421b563b8c94c9a31";
        let last = "cea518c90fd91ced9cbb18c078a54711 3dbc4814f4da5f00a08772b63c6a046d 6eb246913062a16891433e97dd01a57f";
        assert_eq!(stream[..48], octets(first));
        assert_eq!(stream[stream.len() - 48..], octets(last));
    }

    #[test]
    fn a_key_of_another_cipher_is_refused() {
        let error = CounterMode::<Aes128Enc>::new(&[0; 32], &[0; 20], &[0; 14], 10).err();
        assert_eq!(error, Some(KeyError::Length { expected: 16, given: 32 }));
    }
}
