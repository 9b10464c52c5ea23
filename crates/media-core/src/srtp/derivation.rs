//! Session keys from master keys (RFC 3711 §4.3).

use aes::cipher::consts::U16;
use aes::cipher::{BlockCipherEncrypt, BlockSizeUser, KeyInit};
use aes::{Aes128Enc, Aes256Enc};
use zeroize::Zeroize;

use super::error::KeyError;

/// What a session key is for (RFC 3711 §4.3.1, §4.3.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Label {
    RtpEncryption = 0,
    RtpAuthentication = 1,
    RtpSalt = 2,
    RtcpEncryption = 3,
    RtcpAuthentication = 4,
    RtcpSalt = 5,
}

/// Fills `out` with the session key that a label stands for; the key derivation rate is zero.
///
/// The pseudo-random function is AES in counter mode with the master key: of 128 bits (RFC 3711 §4.3.3), or of 256
/// (RFC 6188 §3). The GCM suites take the same functions (RFC 7714 §11).
pub(super) fn derive(key: &[u8], salt: &[u8], label: Label, out: &mut [u8]) -> Result<(), KeyError> {
    match key.len() {
        16 => derive_with::<Aes128Enc>(key, salt, label, out),
        _ => derive_with::<Aes256Enc>(key, salt, label, out),
    }
}

fn derive_with<C>(key: &[u8], salt: &[u8], label: Label, out: &mut [u8]) -> Result<(), KeyError>
where
    C: KeyInit + BlockCipherEncrypt + BlockSizeUser<BlockSize = U16>,
{
    let cipher = C::new_from_slice(key).map_err(|_| KeyError::Length { expected: C::key_size(), given: key.len() })?;
    // RFC 3711 §4.3.1: label and index, which is zero, are aligned with the right end of a salt of 14 octets. Those of
    // 12 octets are filled up on the right, as every implementation does; RFC 7714 does not say.
    let mut input = [0u8; 16];
    input[..salt.len()].copy_from_slice(salt);
    input[7] ^= label as u8;
    for (counter, part) in (0u16..).zip(out.chunks_mut(16)) {
        input[14..].copy_from_slice(&counter.to_be_bytes());
        let mut block = input.into();
        cipher.encrypt_block(&mut block);
        part.copy_from_slice(&block[..part.len()]);
        block.zeroize();
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::srtp::transform::tests::octets;

    fn derived(key: &str, salt: &str, label: Label, len: usize) -> Vec<u8> {
        let mut out = vec![0; len];
        derive(&octets(key), &octets(salt), label, &mut out).expect("a good key");
        out
    }

    #[test]
    fn rfc_3711_appendix_b_3() {
        let derived =
            |label, len| derived("E1F97A0D3E018BE0D64FA32C06DE4139", "0EC675AD498AFEEBB6960B3AABE6", label, len);
        assert_eq!(derived(Label::RtpEncryption, 16), octets("C61E7A93744F39EE10734AFE3FF7A087"));
        assert_eq!(derived(Label::RtpSalt, 14), octets("30CBBC08863D8C85D49DB34A9AE1"));
        let authentication = octets(
            "CEBE321F6FF7716B6FD4AB49AF256A15 6D38BAA48F0A0ACF3C34E2359E6CDBCE E049646C43D9327AD175578EF7227098
             6371C10C9A369AC2F94A8C5FBCDDDC25 6D6E919A48B610EF17C2041E47403576 6B68642C59BBFC2F34DB60DBDFB2",
        );
        assert_eq!(authentication.len(), 94);
        assert_eq!(derived(Label::RtpAuthentication, 94), authentication);
    }

    #[test]
    fn rfc_6188_section_7_2() {
        let derived = |label, len| {
            derived(
                "f0f04914b513f2763a1b1fa130f10e29 98f6f6e43e4309d1e622a0e332b9f1b6",
                "3b04803de51ee7c96423ab5b78d2",
                label,
                len,
            )
        };
        let encryption = octets("5ba1064e30ec51613cad926c5a28ef73 1ec7fb397f70a960653caf06554cd8c4");
        assert_eq!(derived(Label::RtpEncryption, 32), encryption);
        assert_eq!(derived(Label::RtpSalt, 14), octets("fa31791685ca444a9e07c6c64e93"));
        let authentication = octets("fd9c32d39ed5fbb5a9dc96b30818454d1313dc05");
        assert_eq!(derived(Label::RtpAuthentication, 20), authentication);
    }

    #[test]
    fn every_label_gives_another_key() {
        let labels = [
            Label::RtpEncryption,
            Label::RtpAuthentication,
            Label::RtpSalt,
            Label::RtcpEncryption,
            Label::RtcpAuthentication,
            Label::RtcpSalt,
        ];
        let keys: std::collections::HashSet<_> = labels.map(|label| derived(&"00".repeat(16), "", label, 16)).into();
        assert_eq!(keys.len(), labels.len());
    }

    #[test]
    fn a_key_of_no_cipher_is_refused() {
        let error = derive(&[0; 24], &[0; 14], Label::RtpSalt, &mut [0; 14]);
        assert_eq!(error, Err(KeyError::Length { expected: 32, given: 24 }));
    }
}
