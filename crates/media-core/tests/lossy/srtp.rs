//! SRTP over bad lines with somebody on them who sends everything again.

use std::collections::BTreeSet;

use media_core::srtp::{CryptoSuite, Rollover, SrtpError, SrtpKeys, SrtpSession};
use netem::{Line, Random, Weather};

use crate::rig::{speech, weathers, MS, PACKET_NS};

const ROOM: usize = 64;
const PACKETS: u32 = 1000;

fn keys(suite: CryptoSuite) -> SrtpKeys {
    SrtpKeys::new(suite, &vec![9; suite.key_len() + suite.salt_len()]).expect("the right length")
}

fn sealed(sender: &mut SrtpSession, plain: &[u8]) -> Vec<u8> {
    let mut buffer = plain.to_vec();
    buffer.resize(plain.len() + ROOM, 0);
    let length = sender.protect_rtp(&mut buffer, plain.len()).expect("a packet that may be sent");
    buffer.truncate(length);
    buffer
}

/// Sends a stream over a line on which each packet is recorded and sent again, at once and much later, and forged ones
/// come in between: what was opened, by number.
fn attack(seed: u64, suite: CryptoSuite, weather: Weather) -> (BTreeSet<u32>, BTreeSet<u32>) {
    let (mut sender, mut receiver) = (SrtpSession::default(), SrtpSession::default());
    sender.set_sending_keys(&keys(suite), Rollover::Restart).expect("good keys");
    receiver.set_receiving_keys(&keys(suite)).expect("good keys");
    // the stream begins below the first wrap (RFC 4568 §6.4) and goes over it in the middle of the bad weather
    let numbered = |n: u32, sequence: u16| {
        let mut plain = speech(7, n);
        plain[2..4].copy_from_slice(&sequence.to_be_bytes());
        plain
    };
    for sequence in (30_000..65_000).step_by(2000) {
        let mut packet = sealed(&mut sender, &numbered(0, sequence));
        assert!(receiver.unprotect_rtp(&mut packet).is_ok());
    }
    let (mut line, mut random) = (Line::new(seed, weather), Random::new(seed));
    for n in 0..PACKETS {
        let plain = numbered(n, 65_001u16.wrapping_add(n as u16));
        line.send((n, sealed(&mut sender, &plain), plain), u64::from(n) * PACKET_NS);
    }
    let (mut arrived, mut opened, mut recorded) = (BTreeSet::new(), BTreeSet::new(), Vec::new());
    while let Some((_, (n, packet, plain))) = line.receive(u64::MAX) {
        arrived.insert(n);
        let mut forged = packet.clone();
        let at = random.below(forged.len() as u64) as usize;
        forged[at] ^= 1 << random.below(8);
        assert!(receiver.unprotect_rtp(&mut forged).is_err(), "a changed packet was taken");
        let mut bytes = packet.clone();
        match receiver.unprotect_rtp(&mut bytes) {
            Ok(length) => {
                assert_eq!(bytes[..length], plain, "{suite:?}: packet {n} was opened wrongly");
                assert!(opened.insert(n), "{suite:?}: packet {n} was taken twice");
            }
            Err(error) => assert!(matches!(error, SrtpError::Replayed), "{suite:?}: packet {n}: {error:?}"),
        }
        recorded.push(packet);
        for _ in 0..2 {
            let mut again = recorded[random.below(recorded.len() as u64) as usize].clone();
            let refused = receiver.unprotect_rtp(&mut again);
            assert!(
                matches!(refused, Err(SrtpError::Replayed | SrtpError::Stale | SrtpError::Authentication)),
                "{suite:?}: a replay was taken: {refused:?}"
            );
        }
    }
    // the whole call once more
    for packet in &mut recorded {
        assert!(receiver.unprotect_rtp(packet).is_err(), "{suite:?}: a replay was taken");
    }
    (arrived, opened)
}

#[test]
fn no_replay_is_taken_and_no_packet_refused() {
    for suite in CryptoSuite::ALL {
        for (index, (kind, weather)) in weathers().into_iter().enumerate() {
            let (arrived, opened) = attack(index as u64, suite, weather);
            assert_eq!(opened, arrived, "{suite:?}, {kind}");
        }
    }
}

#[test]
fn a_packet_beyond_the_window_is_refused_rather_than_taken_twice() {
    // held back for up to ten seconds, which is 500 packets and as many numbers: many come when nobody knows them any more
    let weather = Weather { held_back: 0.2, held_back_ns: 10_000 * MS, ..Weather::FINE };
    let (mut sender, mut receiver) = (SrtpSession::default(), SrtpSession::default());
    let suite = CryptoSuite::AesCm128HmacSha1_80;
    sender.set_sending_keys(&keys(suite), Rollover::Restart).expect("good keys");
    receiver.set_receiving_keys(&keys(suite)).expect("good keys");
    let mut line = Line::new(5, weather);
    for n in 0..PACKETS {
        line.send(sealed(&mut sender, &speech(7, n)), u64::from(n) * PACKET_NS);
    }
    let (mut stale, mut taken) = (0, 0);
    while let Some((_, packet)) = line.receive(u64::MAX) {
        match receiver.unprotect_rtp(&mut packet.clone()) {
            Ok(_) => taken += 1,
            Err(error) => {
                assert_eq!(error, SrtpError::Stale);
                stale += 1;
            }
        }
        assert!(receiver.unprotect_rtp(&mut packet.clone()).is_err(), "taken twice");
    }
    assert_eq!(taken + stale, PACKETS);
    assert!(stale > 20 && taken > stale, "{taken} {stale}");
}
