//! Keys that are set, repeated, replaced and used up.

use super::*;

const SUITE: CryptoSuite = CryptoSuite::AesCm128HmacSha1_80;

/// A pair whose sequence number has wrapped so often, and is 463 now; most packets were lost.
fn wrapped_pair(times: u32) -> Pair {
    let mut pair = Pair::new(SUITE);
    for n in (463..=times * 65_536 + 463).step_by(4096) {
        let sealed = pair.sealed(&audio(7, n as u16));
        assert!(pair.open(&sealed).is_ok());
    }
    pair
}

#[test]
fn a_direction_without_keys_does_nothing() {
    let mut session = SrtpSession::default();
    assert_eq!((session.rtp_overhead(), session.rtcp_overhead(), session.packets_left()), (0, 0, None));
    assert_eq!(seal(&mut session, &audio(7, 1), SrtpSession::protect_rtp), Err(SrtpError::NoKeys));
    assert_eq!(seal(&mut session, &report(7), SrtpSession::protect_rtcp), Err(SrtpError::NoKeys));
    session.set_sending_keys(&keys(SUITE, 1), Rollover::Restart).expect("good keys");
    assert!(seal(&mut session, &audio(7, 1), SrtpSession::protect_rtp).is_ok());
    assert_eq!(open(&mut session, &audio(7, 1), SrtpSession::unprotect_rtp), Err(SrtpError::NoKeys));
    assert_eq!(open(&mut session, &report(7), SrtpSession::unprotect_rtcp), Err(SrtpError::NoKeys));
}

#[test]
fn another_key_another_suite_and_the_other_direction_are_refused() {
    for suite in CryptoSuite::ALL {
        let mut pair = Pair::new(suite);
        let (sealed, report_sealed) = (pair.sealed(&audio(7, 1)), pair.sealed_rtcp(&report(7)));
        assert!(open(&mut pair.near, &sealed, SrtpSession::unprotect_rtp).is_err());
        for other in CryptoSuite::ALL {
            let mut session = SrtpSession::default();
            session.set_receiving_keys(&keys(other, if other == suite { 3 } else { 1 })).expect("good keys");
            assert!(open(&mut session, &sealed, SrtpSession::unprotect_rtp).is_err(), "{suite:?} {other:?}");
            // suites that differ in the tag of RTP are the same for RTCP
            let is_sibling = other != suite && other.name()[..9] == suite.name()[..9];
            let opened = open(&mut session, &report_sealed, SrtpSession::unprotect_rtcp);
            assert_eq!(opened.is_ok(), is_sibling && suite.salt_len() == 14, "{suite:?} {other:?}");
        }
    }
}

#[test]
fn a_master_key_identifier_goes_before_the_tag_or_behind_it() {
    for suite in CryptoSuite::ALL {
        for mki in [&[0xa1][..], &[0xa1, 0xb2, 0xc3, 0xd4], &[0x55; MAX_MKI]] {
            let mut pair = Pair::with(|seed| keys(suite, seed).with_mki(mki).expect("a short one"));
            let (sealed, report_sealed) = (pair.sealed(&audio(7, 1)), pair.sealed_rtcp(&report(7)));
            // RFC 3711 §3.1, §3.4: before the tag; RFC 7714 §8.2, §9.2: at the end, after tag and index
            let (behind, report_behind) = match suite.salt_len() {
                12 => (0, 0),
                _ => (suite.rtp_tag_len(), suite.rtcp_tag_len()),
            };
            let at = sealed.len() - behind - mki.len();
            assert_eq!(sealed[at..at + mki.len()], *mki);
            let at = report_sealed.len() - report_behind - mki.len();
            assert_eq!(report_sealed[at..at + mki.len()], *mki);
            assert_eq!(pair.open(&sealed), Ok(audio(7, 1)));
            assert_eq!(pair.open_rtcp(&report_sealed), Ok(report(7)));
        }
    }
}

#[test]
fn of_a_master_key_identifier_only_the_length_matters() {
    for suite in CryptoSuite::ALL {
        let mut pair = Pair::with(|seed| keys(suite, seed).with_mki(&[1, 2, 3, 4]).expect("a short one"));
        let (sealed, report_sealed) = (pair.sealed(&audio(7, 1)), pair.sealed_rtcp(&report(7)));
        for mki in [&[][..], &[0; 3], &[0; 5]] {
            pair.far.set_receiving_keys(&keys(suite, 1).with_mki(mki).expect("a short one")).expect("good keys");
            assert!(pair.open(&sealed).is_err(), "{suite:?} {}", mki.len());
            assert!(pair.open_rtcp(&report_sealed).is_err(), "{suite:?} {}", mki.len());
        }
        pair.far.set_receiving_keys(&keys(suite, 1).with_mki(&[9; 4]).expect("a short one")).expect("good keys");
        assert_eq!(pair.open(&sealed), Ok(audio(7, 1)));
        assert_eq!(pair.open_rtcp(&report_sealed), Ok(report(7)));
    }
}

#[test]
fn a_key_that_is_set_again_keeps_its_counters() {
    let mut pair = wrapped_pair(3);
    let (last, report_sealed) = (pair.sealed(&audio(7, 464)), pair.sealed_rtcp(&report(7)));
    assert!(pair.open(&last).is_ok());
    assert!(pair.open_rtcp(&report_sealed).is_ok());
    for rollover in [Rollover::Restart, Rollover::Continue] {
        pair.near.set_sending_keys(&keys(SUITE, 1), rollover).expect("good keys");
    }
    pair.far.set_receiving_keys(&keys(SUITE, 1)).expect("good keys");
    assert_eq!(seal(&mut pair.near, &audio(7, 464), SrtpSession::protect_rtp), Err(SrtpError::Replayed));
    assert_eq!(pair.open(&last), Err(SrtpError::Replayed));
    assert_eq!(pair.open_rtcp(&report_sealed), Err(SrtpError::Replayed));
    let sealed = pair.sealed(&audio(7, 465));
    assert_eq!(pair.open(&sealed), Ok(audio(7, 465)));
}

#[test]
fn identifier_and_lifetime_may_change_while_the_key_stays() {
    let mut pair = Pair::new(SUITE);
    pair.sealed(&audio(7, 1));
    let amended = keys(SUITE, 1).with_mki(&[1, 2]).and_then(|keys| keys.with_lifetime(2)).expect("good keys");
    pair.near.set_sending_keys(&amended, Rollover::Restart).expect("good keys");
    pair.far.set_receiving_keys(&amended).expect("good keys");
    assert_eq!(pair.near.packets_left(), Some(1), "what has been sent counts");
    let sealed = pair.sealed(&audio(7, 2));
    assert_eq!(sealed.len(), 172 + 2 + 10);
    assert_eq!(pair.open(&sealed), Ok(audio(7, 2)));
    assert_eq!(seal(&mut pair.near, &audio(7, 3), SrtpSession::protect_rtp), Err(SrtpError::KeyExpired));
}

#[test]
fn one_key_serves_one_suite() {
    let mut pair = Pair::new(SUITE);
    let error = pair.near.set_sending_keys(&keys(CryptoSuite::AesCm128HmacSha1_32, 1), Rollover::Restart);
    assert_eq!(error, Err(KeyError::Reused));
    let sealed = pair.sealed(&audio(7, 1));
    assert_eq!(pair.open(&sealed), Ok(audio(7, 1)), "the old keys stay");
}

#[test]
fn a_peer_may_restart_its_counters_with_a_new_key_or_go_on() {
    for rollover in [Rollover::Restart, Rollover::Continue] {
        let mut pair = wrapped_pair(3);
        let new = keys(CryptoSuite::AeadAes256Gcm, 5);
        pair.near.set_sending_keys(&new, rollover).expect("good keys");
        pair.far.set_receiving_keys(&new).expect("good keys");
        for sequence in 464..500 {
            let sealed = pair.sealed(&audio(7, sequence));
            assert_eq!(pair.open(&sealed), Ok(audio(7, sequence)), "{rollover:?}");
        }
    }
}

#[test]
fn a_counter_that_goes_on_may_do_so_over_a_wrap() {
    let mut pair = wrapped_pair(2);
    for sequence in (1000..=u16::MAX).step_by(4096).chain([u16::MAX]) {
        let sealed = pair.sealed(&audio(7, sequence));
        assert!(pair.open(&sealed).is_ok());
    }
    let new = keys(SUITE, 5);
    pair.near.set_sending_keys(&new, Rollover::Continue).expect("good keys");
    pair.far.set_receiving_keys(&new).expect("good keys");
    let sealed = pair.sealed(&audio(7, 0));
    assert_eq!(pair.open(&sealed), Ok(audio(7, 0)));
}

#[test]
fn rtcp_indices_go_on_or_begin_anew() {
    for (rollover, expected) in [(Rollover::Restart, 0), (Rollover::Continue, 3)] {
        let mut pair = Pair::new(SUITE);
        for index in 0..3u32 {
            let sealed = pair.sealed_rtcp(&report(7));
            let word = &sealed[sealed.len() - 14..sealed.len() - 10];
            assert_eq!(word, (0x8000_0000 | index).to_be_bytes());
        }
        pair.near.set_sending_keys(&keys(SUITE, 5), rollover).expect("good keys");
        let sealed = pair.sealed_rtcp(&report(7));
        assert_eq!(sealed[sealed.len() - 14..sealed.len() - 10], (0x8000_0000u32 | expected).to_be_bytes());
    }
}

#[test]
fn packets_on_their_way_are_taken_until_the_new_key_is_heard() {
    let mut pair = Pair::new(SUITE);
    let early = pair.sealed(&audio(7, 1));
    assert!(pair.open(&early).is_ok());
    let (late, later) = (pair.sealed(&audio(7, 2)), pair.sealed(&audio(7, 3)));
    let late_report = pair.sealed_rtcp(&report(7));
    let new = keys(CryptoSuite::AeadAes128Gcm, 5);
    pair.near.set_sending_keys(&new, Rollover::Continue).expect("good keys");
    pair.far.set_receiving_keys(&new).expect("good keys");
    assert_eq!(pair.open(&late), Ok(audio(7, 2)));
    assert_eq!(pair.open_rtcp(&late_report), Ok(report(7)));
    assert!(pair.open(&early).is_err(), "and only once");
    let sealed = pair.sealed(&audio(7, 4));
    assert_eq!(pair.open(&sealed), Ok(audio(7, 4)));
    assert_eq!(pair.open(&later), Err(SrtpError::Authentication));
}

#[test]
fn a_lifetime_ends_rtp_and_rtcp_each_for_itself() {
    let mut pair = Pair::with(|seed| keys(SUITE, seed).with_lifetime(10).expect("a good lifetime"));
    for sequence in 0..10 {
        assert_eq!(pair.near.packets_left(), Some(10 - u64::from(sequence)));
        pair.sealed(&audio(7, sequence));
    }
    assert_eq!(pair.near.packets_left(), Some(0));
    assert_eq!(seal(&mut pair.near, &audio(7, 10), SrtpSession::protect_rtp), Err(SrtpError::KeyExpired));
    for _ in 0..10 {
        pair.sealed_rtcp(&report(7));
    }
    assert_eq!(seal(&mut pair.near, &report(7), SrtpSession::protect_rtcp), Err(SrtpError::KeyExpired));
    pair.near.set_sending_keys(&keys(SUITE, 5), Rollover::Continue).expect("good keys");
    pair.sealed(&audio(7, 10));
    pair.sealed_rtcp(&report(7));
}

#[test]
fn what_is_printed_holds_no_key() {
    let pair = Pair::new(SUITE);
    let text = "SrtpSession { sending: Some(SrtpKeys { suite: AesCm128HmacSha1_80, .. }), \
                receiving: Some(SrtpKeys { suite: AesCm128HmacSha1_80, .. }), .. }";
    assert_eq!(format!("{:?}", pair.near), text);
}

#[test]
fn a_session_can_move_to_another_thread() {
    fn can_move<T: Send>() {}
    can_move::<SrtpSession>();
}
