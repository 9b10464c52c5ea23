//! What is done to a packet, and which packets are refused.

use super::*;

#[test]
fn any_packet_comes_back_as_it_was() {
    let mut random = Random::new(1);
    for suite in CryptoSuite::ALL {
        let mut pair = Pair::new(suite);
        for sequence in 0..2000 {
            let packet = any_rtp(&mut random, 0x0102_0304, sequence);
            let sealed = pair.sealed(&packet);
            assert_eq!(sealed.len(), packet.len() + pair.near.rtp_overhead());
            assert_eq!(pair.open(&sealed).as_ref(), Ok(&packet), "{suite:?} {sequence}");

            let mut packet = report(0x0102_0304);
            packet.extend(random.bytes(300));
            let sealed = pair.sealed_rtcp(&packet);
            assert_eq!(sealed.len(), packet.len() + pair.near.rtcp_overhead());
            assert_eq!(pair.open_rtcp(&sealed).as_ref(), Ok(&packet), "{suite:?} {sequence}");
        }
    }
}

#[test]
fn the_header_stays_readable_and_the_payload_does_not() {
    for suite in CryptoSuite::ALL {
        let mut pair = Pair::new(suite);
        let sealed = pair.sealed(&audio(7, 1));
        assert_eq!(sealed[..12], audio(7, 1)[..12]);
        let same = sealed[12..172].iter().zip(&audio(7, 1)[12..]).filter(|(one, other)| one == other).count();
        assert!(same < 10, "{same} octets of 160 the same");
        let sealed = pair.sealed_rtcp(&report(7));
        assert_eq!(sealed[..8], report(7)[..8]);
        assert!(!sealed.windows(5).any(|octets| octets == b"alice"));
    }
}

#[test]
fn a_short_tag_is_of_rtp_alone() {
    let mut pair = Pair::new(CryptoSuite::AesCm128HmacSha1_32);
    assert_eq!((pair.near.rtp_overhead(), pair.near.rtcp_overhead()), (4, 14));
    assert_eq!(pair.sealed(&audio(7, 1)).len(), 172 + 4);
    assert_eq!(pair.sealed_rtcp(&report(7)).len(), report(7).len() + 14);
}

#[test]
fn rtcp_may_be_left_readable_and_is_still_authentic() {
    for suite in CryptoSuite::ALL {
        let mut pair = Pair::with(|seed| keys(suite, seed).with_unencrypted_rtcp());
        let sealed = pair.sealed_rtcp(&report(7));
        assert_eq!(sealed[..report(7).len()], report(7));
        for at in 0..sealed.len() {
            let mut forged = sealed.clone();
            forged[at] ^= 1;
            assert!(pair.open_rtcp(&forged).is_err(), "{suite:?} octet {at}");
        }
        assert_eq!(pair.open_rtcp(&sealed), Ok(report(7)));
    }
}

#[test]
fn a_change_of_any_bit_is_refused() {
    for suite in CryptoSuite::ALL {
        let mut pair = Pair::new(suite);
        // before anything is known of the source, and once it is known
        for sequence in 0..2 {
            let sealed = pair.sealed(&audio(7, sequence));
            let report_sealed = pair.sealed_rtcp(&report(7));
            for bit in 0..8 * sealed.len() {
                let mut forged = sealed.clone();
                forged[bit / 8] ^= 1 << (bit % 8);
                assert!(pair.open(&forged).is_err(), "{suite:?} bit {bit}");
            }
            for bit in 0..8 * report_sealed.len() {
                let mut forged = report_sealed.clone();
                forged[bit / 8] ^= 1 << (bit % 8);
                assert!(pair.open_rtcp(&forged).is_err(), "{suite:?} bit {bit}");
            }
            assert_eq!(pair.open(&sealed), Ok(audio(7, sequence)));
            assert_eq!(pair.open_rtcp(&report_sealed), Ok(report(7)));
        }
    }
}

#[test]
fn a_part_of_a_packet_is_refused() {
    for suite in CryptoSuite::ALL {
        let mut pair = Pair::new(suite);
        let (sealed, report_sealed) = (pair.sealed(&audio(7, 1)), pair.sealed_rtcp(&report(7)));
        for len in 0..sealed.len() {
            assert!(pair.open(&sealed[..len]).is_err(), "{suite:?} {len}");
        }
        for len in 0..report_sealed.len() {
            assert!(pair.open_rtcp(&report_sealed[..len]).is_err(), "{suite:?} {len}");
        }
        for len in 0..12 {
            let refused = seal(&mut pair.near, &audio(7, 2)[..len], SrtpSession::protect_rtp);
            assert_eq!(refused, Err(SrtpError::TooShort));
        }
        for len in 0..8 {
            let refused = seal(&mut pair.near, &report(7)[..len], SrtpSession::protect_rtcp);
            assert_eq!(refused, Err(SrtpError::TooShort));
        }
    }
}

#[test]
fn noise_is_refused_and_does_no_harm() {
    let mut random = Random::new(3);
    for suite in CryptoSuite::ALL {
        let mut pair = Pair::new(suite);
        for sequence in 0..200 {
            for _ in 0..100 {
                let mut noise = random.bytes(120);
                if random.below(4) > 0 {
                    // most of it looks like RTP of the live source
                    let front = audio(7, random.next() as u16);
                    let len = noise.len().min(12);
                    noise[..len].copy_from_slice(&front[..len]);
                }
                assert!(pair.open(&noise).is_err());
                assert!(pair.open_rtcp(&noise).is_err());
                // whatever can be protected can be opened
                if let Ok(sealed) = seal(&mut pair.far, &noise, SrtpSession::protect_rtcp) {
                    assert_eq!(open(&mut pair.near, &sealed, SrtpSession::unprotect_rtcp), Ok(noise.clone()));
                }
            }
            let sealed = pair.sealed(&audio(7, sequence));
            assert_eq!(pair.open(&sealed), Ok(audio(7, sequence)), "{suite:?} {sequence}");
        }
    }
}

#[test]
fn a_packet_is_taken_once() {
    for suite in CryptoSuite::ALL {
        let mut pair = Pair::new(suite);
        let sealed: Vec<_> = (0..300).map(|sequence| pair.sealed(&audio(7, sequence))).collect();
        for packet in &sealed {
            assert!(pair.open(packet).is_ok());
            assert_eq!(pair.open(packet), Err(SrtpError::Replayed));
        }
        assert_eq!(pair.open(&sealed[172]), Err(SrtpError::Replayed));
        assert_eq!(pair.open(&sealed[171]), Err(SrtpError::Stale));
        let sealed = pair.sealed_rtcp(&report(7));
        assert!(pair.open_rtcp(&sealed).is_ok());
        assert_eq!(pair.open_rtcp(&sealed), Err(SrtpError::Replayed));
    }
}

#[test]
fn an_index_is_sent_once() {
    let mut pair = Pair::new(CryptoSuite::AeadAes128Gcm);
    pair.sealed(&audio(7, 200));
    let mut other = audio(7, 200);
    other[100] ^= 1;
    assert_eq!(seal(&mut pair.near, &other, SrtpSession::protect_rtp), Err(SrtpError::Replayed));
    assert_eq!(seal(&mut pair.near, &audio(7, 72), SrtpSession::protect_rtp), Err(SrtpError::Stale));
    pair.sealed(&audio(7, 73));
    pair.sealed(&audio(8, 200));
}

#[test]
fn a_packet_fits_its_buffer_and_a_datagram() {
    for suite in CryptoSuite::ALL {
        let mut pair = Pair::new(suite);
        let overhead = pair.near.rtp_overhead();
        let mut buffer = audio(7, 1);
        buffer.resize(172 + overhead - 1, 0);
        assert_eq!(pair.near.protect_rtp(&mut buffer, 172), Err(SrtpError::TooLong));
        assert_eq!(pair.near.protect_rtp(&mut buffer, 1000), Err(SrtpError::TooLong));
        assert_eq!(pair.near.protect_rtcp(&mut buffer, 1000), Err(SrtpError::TooLong));
        let mut longest = audio(7, 1);
        longest.resize(MAX_PACKET - overhead, 0);
        let sealed = pair.sealed(&longest);
        assert_eq!(sealed.len(), MAX_PACKET);
        assert_eq!(pair.open(&sealed), Ok(longest.clone()));
        longest[3] = 2;
        longest.push(0);
        assert_eq!(seal(&mut pair.near, &longest, SrtpSession::protect_rtp), Err(SrtpError::TooLong));
    }
}

#[test]
fn another_version_is_refused() {
    let mut pair = Pair::new(CryptoSuite::AesCm128HmacSha1_80);
    let mut packet = audio(7, 1);
    packet[0] = 0x40;
    assert_eq!(seal(&mut pair.near, &packet, SrtpSession::protect_rtp), Err(SrtpError::Version));
    assert_eq!(seal(&mut pair.near, &packet, SrtpSession::protect_rtcp), Err(SrtpError::Version));
    assert_eq!(pair.open(&packet), Err(SrtpError::Version));
    assert_eq!(pair.open_rtcp(&packet), Err(SrtpError::Version));
}
