//! Sequence numbers that wrap, packets out of order, and sources that come and go.

use super::*;

/// Sends packets through a network that loses one in twenty and holds back up to `reach`; the number received.
fn run(pair: &mut Pair, random: &mut Random, sequences: impl Iterator<Item = u16>, reach: usize) -> u32 {
    let mut received = 0;
    let mut flying = Vec::new();
    let mut land = |pair: &mut Pair, (packet, sealed): (Vec<u8>, Vec<u8>), lost: bool| {
        if !lost {
            assert_eq!(pair.open(&sealed), Ok(packet));
            received += 1;
        }
    };
    for sequence in sequences {
        let packet = audio(7, sequence);
        let sealed = pair.sealed(&packet);
        flying.push((packet, sealed));
        if flying.len() > reach {
            let next = flying.swap_remove(random.below(flying.len()));
            land(pair, next, random.below(20) == 0);
        }
    }
    for last in flying {
        land(pair, last, false);
    }
    received
}

#[test]
fn the_sequence_number_wraps_again_and_again() {
    let mut random = Random::new(5);
    for suite in CryptoSuite::ALL {
        let mut pair = Pair::new(suite);
        let mut received = 0;
        for _ in 0..10 {
            // a burst of loss of 4999 packets each, and around the wrap packets out of order
            received += run(&mut pair, &mut random, (200..65_336).step_by(5000), 0);
            received += run(&mut pair, &mut random, (65_336..=u16::MAX).chain(0..200), 8);
        }
        assert!(received > 3600, "{received} of 4140");
    }
}

#[test]
fn packets_cross_the_wrap_in_any_order() {
    let mut random = Random::new(6);
    for round in 0..200 {
        let mut pair = Pair::new(CryptoSuite::AesCm128HmacSha1_80);
        let packets: Vec<_> = (0u16..100).map(|n| audio(7, n.wrapping_sub(50))).collect();
        let mut sealed: Vec<_> = packets.iter().map(|packet| (pair.sealed(packet), packet)).collect();
        // whichever packet comes first, before the wrap or after it
        while !sealed.is_empty() {
            let (sealed, packet) = sealed.swap_remove(random.below(sealed.len()));
            assert_eq!(pair.open(&sealed).as_ref(), Ok(packet), "round {round}");
        }
    }
}

#[test]
fn packets_are_sent_over_the_wrap_in_any_order() {
    let mut pair = Pair::new(CryptoSuite::AeadAes128Gcm);
    for sequence in [65_533, 65_535, 1, 65_534, 0, 2, 65_532, 3] {
        let sealed = pair.sealed(&audio(7, sequence));
        assert_eq!(pair.open(&sealed), Ok(audio(7, sequence)), "{sequence}");
    }
    // a cycle later all of them are other packets
    for sequence in (4..65_500).step_by(500).chain(65_500..=u16::MAX).chain(0..4) {
        let sealed = pair.sealed(&audio(7, sequence));
        assert_eq!(pair.open(&sealed), Ok(audio(7, sequence)), "{sequence}");
    }
}

#[test]
fn what_belongs_before_the_first_index_is_not_sent() {
    let mut pair = Pair::new(CryptoSuite::AesCm128HmacSha1_80);
    pair.sealed(&audio(7, 3));
    assert_eq!(seal(&mut pair.near, &audio(7, 65_530), SrtpSession::protect_rtp), Err(SrtpError::Stale));
    pair.sealed(&audio(7, 2));
    pair.sealed(&audio(7, 4));
}

#[test]
fn a_hold_may_last_half_a_cycle() {
    let mut pair = Pair::new(CryptoSuite::AesCm128HmacSha1_80);
    let mut sequence = 0u16;
    for _ in 0..10 {
        let sealed = pair.sealed(&audio(7, sequence));
        assert_eq!(pair.open(&sealed), Ok(audio(7, sequence)));
        // sent, and lost
        sequence = sequence.wrapping_add(16_000);
        pair.sealed(&audio(7, sequence));
        sequence = sequence.wrapping_add(16_000);
    }
}

#[test]
fn each_source_has_its_own_counter() {
    let mut pair = Pair::new(CryptoSuite::AesCm128HmacSha1_80);
    let mut random = Random::new(8);
    // the first source has wrapped when the second begins
    run(&mut pair, &mut random, (65_000..=u16::MAX).chain(0..1500), 1);
    for n in (0..70_000u32).step_by(100) {
        let (first, second) = (audio(7, (1500 + n) as u16), audio(8, n as u16));
        let (first_sealed, second_sealed) = (pair.sealed(&first), pair.sealed(&second));
        assert_eq!(pair.open(&second_sealed), Ok(second));
        assert_eq!(pair.open(&first_sealed), Ok(first));
    }
}

#[test]
fn a_sender_that_keeps_its_counter_over_a_new_ssrc_is_understood() {
    let suite = CryptoSuite::AesCm128HmacSha1_80;
    let mut pair = Pair::new(suite);
    run(&mut pair, &mut Random::new(9), (65_000..=u16::MAX).chain(0..100), 1);
    // SSRC 9 has been sent for a cycle when the receiver hears of it
    for sequence in (0..=u16::MAX).step_by(1000).chain(0..10) {
        pair.sealed(&audio(9, sequence));
    }
    let sealed = pair.sealed(&audio(9, 10));
    assert_eq!(pair.open(&sealed), Ok(audio(9, 10)));
}

#[test]
fn the_source_that_is_silent_longest_makes_room() {
    let mut pair = Pair::new(CryptoSuite::AesCm128HmacSha1_80);
    let first: Vec<_> = (1..=3).map(|ssrc| pair.sealed(&audio(ssrc, 0))).collect();
    for sealed in &first {
        assert!(pair.open(sealed).is_ok());
    }
    for ssrc in 4..MAX_RECEIVED_SOURCES as u32 + 2 {
        let sealed = pair.sealed(&audio(ssrc, 0));
        assert!(pair.open(&sealed).is_ok());
        // one goes on with RTP, one with RTCP alone, and the third is silent
        let (sealed, report_sealed) = (pair.sealed(&audio(1, ssrc as u16)), pair.sealed_rtcp(&report(2)));
        assert!(pair.open(&sealed).is_ok());
        assert!(pair.open_rtcp(&report_sealed).is_ok());
    }
    assert_eq!(pair.open(&first[0]), Err(SrtpError::Replayed));
    assert_eq!(pair.open(&first[1]), Err(SrtpError::Replayed));
    assert!(pair.open(&first[2]).is_ok(), "forgotten, so taken as a new source");
}

#[test]
fn forged_sources_displace_none() {
    let mut pair = Pair::new(CryptoSuite::AeadAes256Gcm);
    let sealed = pair.sealed(&audio(1, 0));
    assert!(pair.open(&sealed).is_ok());
    for ssrc in 2..1000u32 {
        let mut forged = sealed.clone();
        forged[8..12].copy_from_slice(&ssrc.to_be_bytes());
        assert_eq!(pair.open(&forged), Err(SrtpError::Authentication));
    }
    assert_eq!(pair.open(&sealed), Err(SrtpError::Replayed));
}

#[test]
fn a_key_protects_so_many_sources_and_no_more() {
    let mut pair = Pair::new(CryptoSuite::AeadAes128Gcm);
    for ssrc in 0..MAX_SENT_SOURCES as u32 {
        pair.sealed(&audio(ssrc, 1));
    }
    assert_eq!(seal(&mut pair.near, &audio(99, 1), SrtpSession::protect_rtp), Err(SrtpError::TooManySources));
    assert_eq!(seal(&mut pair.near, &report(99), SrtpSession::protect_rtcp), Err(SrtpError::TooManySources));
    pair.sealed(&audio(5, 2));
    pair.sealed_rtcp(&report(5));
    pair.near.set_sending_keys(&keys(CryptoSuite::AeadAes128Gcm, 3), Rollover::Restart).expect("good keys");
    pair.sealed(&audio(99, 1));
}
