//! SRTP and SRTCP.

use std::collections::HashSet;

use media_core::rtcp::CompoundBuilder;
use media_core::rtp::{RtpHeader, HEADER_LEN};
use media_core::srtp::{CryptoSuite, Rollover, SrtpKeys, SrtpSession};
use proptest::collection::vec;
use proptest::prelude::*;

fn suites() -> impl Strategy<Value = CryptoSuite> {
    proptest::sample::select(CryptoSuite::ALL.to_vec())
}

/// A session that sends and receives with one key, and one that only receives with it.
fn both(suite: CryptoSuite, seed: u8, mki: &[u8]) -> (SrtpSession, SrtpSession) {
    let keys = SrtpKeys::new(suite, &vec![seed; suite.key_len() + suite.salt_len()]).expect("the right length");
    let keys = keys.with_mki(mki).expect("a short one");
    let (mut sender, mut receiver) = (SrtpSession::default(), SrtpSession::default());
    sender.set_sending_keys(&keys, Rollover::Restart).expect("good keys");
    receiver.set_receiving_keys(&keys).expect("good keys");
    (sender, receiver)
}

fn audio(ssrc: u32, sequence: u16, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0; HEADER_LEN];
    let header = RtpHeader { marker: false, payload_type: 0, sequence, timestamp: 1, ssrc };
    header.write(bytes.first_chunk_mut().expect("there is room"));
    bytes.extend_from_slice(payload);
    bytes
}

fn sealed(session: &mut SrtpSession, plain: &[u8], is_rtcp: bool) -> Vec<u8> {
    let mut buffer = plain.to_vec();
    buffer.resize(plain.len() + session.rtp_overhead().max(session.rtcp_overhead()), 0);
    let length = match is_rtcp {
        true => session.protect_rtcp(&mut buffer, plain.len()),
        false => session.protect_rtp(&mut buffer, plain.len()),
    };
    buffer.truncate(length.expect("a packet that may be sent"));
    buffer
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn what_is_sealed_is_opened_once(
        suite in suites(), seed: u8, mki in vec(any::<u8>(), 0..9), payloads in vec(vec(any::<u8>(), 0..200), 1..12),
        sequence in 0u16..0x8000, ssrc: u32,
    ) {
        let (mut sender, mut receiver) = both(suite, seed, &mki);
        for (n, payload) in payloads.iter().enumerate() {
            let plain = audio(ssrc, sequence.wrapping_add(n as u16), payload);
            let packet = sealed(&mut sender, &plain, false);
            prop_assert_eq!(&packet[..HEADER_LEN], &plain[..HEADER_LEN]);
            let mut opened = packet.clone();
            let length = receiver.unprotect_rtp(&mut opened).unwrap();
            prop_assert_eq!(&opened[..length], &plain[..]);
            let mut again = packet.clone();
            prop_assert!(receiver.unprotect_rtp(&mut again).is_err());
            prop_assert_eq!(again, packet, "a refused packet is left as it was");

            let report = CompoundBuilder::report(ssrc, None, &[]).cname(ssrc, "c").build();
            let packet = sealed(&mut sender, &report, true);
            let mut opened = packet.clone();
            let length = receiver.unprotect_rtcp(&mut opened).unwrap();
            prop_assert_eq!(&opened[..length], &report[..]);
            prop_assert!(receiver.unprotect_rtcp(&mut packet.clone()).is_err());
        }
    }

    #[test]
    fn no_octet_can_be_changed_and_none_left_out(
        suite in suites(), payload in vec(any::<u8>(), 0..200), is_rtcp: bool, at: prop::sample::Index, by in 1u8.., cut: bool,
    ) {
        let (mut sender, mut receiver) = both(suite, 3, &[]);
        let plain = if is_rtcp { CompoundBuilder::report(1, None, &[]).build() } else { audio(1, 5, &payload) };
        let packet = sealed(&mut sender, &plain, is_rtcp);
        let at = at.index(packet.len());
        let mut changed = packet.clone();
        if cut {
            changed.truncate(at);
        } else {
            changed[at] ^= by;
        }
        let mut open = |packet: &mut [u8]| match is_rtcp {
            true => receiver.unprotect_rtcp(packet),
            false => receiver.unprotect_rtp(packet),
        };
        prop_assert!(open(&mut changed.clone()).is_err());
        // and the good one is still taken
        prop_assert_eq!(open(&mut packet.clone()), Ok(plain.len()));
    }

    #[test]
    fn any_octets_are_refused(suite in suites(), mki in vec(any::<u8>(), 0..9), all in vec(vec(any::<u8>(), 0..100), 1..20)) {
        let (_, mut receiver) = both(suite, 3, &mki);
        for mut bytes in all {
            if let Some(first) = bytes.first_mut() {
                *first = 0x80 | (*first & 0x3f);
            }
            prop_assert!(receiver.unprotect_rtp(&mut bytes.clone()).is_err());
            prop_assert!(receiver.unprotect_rtcp(&mut bytes).is_err());
        }
    }

    #[test]
    fn a_sender_never_uses_an_index_twice(suite in suites(), sequences in vec(0u16..400, 1..200)) {
        let (mut sender, mut receiver) = both(suite, 3, &[]);
        let mut seen = HashSet::new();
        for sequence in sequences {
            let plain = audio(1, sequence, b"words");
            let mut buffer = plain.clone();
            buffer.resize(plain.len() + 64, 0);
            if let Ok(length) = sender.protect_rtp(&mut buffer, plain.len()) {
                prop_assert!(seen.insert(sequence));
                prop_assert_eq!(receiver.unprotect_rtp(&mut buffer[..length]), Ok(plain.len()));
            }
        }
    }
}
