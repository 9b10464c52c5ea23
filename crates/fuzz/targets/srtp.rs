//! SRTP and SRTCP: whatever comes between packets of a peer that has the key, nothing else is taken, and nothing twice.
#![no_main]

use std::collections::HashSet;

use libfuzzer_sys::fuzz_target;
use media_core::srtp::{CryptoSuite, Rollover, SrtpKeys, SrtpSession};

/// More than any suite adds.
const ROOM: usize = 64;

fuzz_target!(|data: &[u8]| {
    let Some(([suite, mki], mut rest)) = data.split_first_chunk::<2>() else { return };
    let suite = CryptoSuite::ALL[usize::from(*suite) % CryptoSuite::ALL.len()];
    // libFuzzer sees what is compared with what, and so learns the right tag: with it, the key becomes another
    let seed = data
        .iter()
        .fold(0xcbf2_9ce4_8422_2325u64, |hash, octet| (hash ^ u64::from(*octet)).wrapping_mul(0x100_0000_01b3));
    let octets = seed.to_le_bytes().repeat(8);
    let keys = SrtpKeys::new(suite, &octets[..suite.key_len() + suite.salt_len()]).expect("the right length");
    let keys = keys.with_mki(&vec![1; usize::from(mki % 9)]).expect("a short one");
    let (mut sender, mut receiver) = (SrtpSession::default(), SrtpSession::default());
    sender.set_sending_keys(&keys, Rollover::Restart).expect("good keys");
    receiver.set_receiving_keys(&keys).expect("good keys");
    let mut genuine = HashSet::new();
    let mut taken = HashSet::new();
    while let Some((kind, after)) = rest.split_first() {
        let (bytes, after) = after.split_at(after.len().min(usize::from(kind & 0x3f)));
        rest = after;
        let (is_rtcp, is_sealed, is_changed) = (kind & 0x40 != 0, kind & 0x80 != 0, kind & 1 != 0);
        let mut packet = bytes.to_vec();
        if is_sealed {
            packet.resize(bytes.len() + ROOM, 0);
            let length = match is_rtcp {
                true => sender.protect_rtcp(&mut packet, bytes.len()),
                false => sender.protect_rtp(&mut packet, bytes.len()),
            };
            let Ok(length) = length else { continue };
            packet.truncate(length);
            genuine.insert((is_rtcp, packet.clone()));
            if is_changed {
                packet[bytes.len() / 2] ^= 0x10;
            }
        }
        let before = packet.clone();
        let opened = match is_rtcp {
            true => receiver.unprotect_rtcp(&mut packet),
            false => receiver.unprotect_rtp(&mut packet),
        };
        match opened {
            Ok(length) => {
                assert!(length < before.len());
                assert!(genuine.contains(&(is_rtcp, before.clone())), "a forged packet was taken");
                assert!(taken.insert((is_rtcp, before)), "a packet was taken twice");
            }
            Err(_) => assert_eq!(packet, before, "a refused packet was changed"),
        }
    }
});
