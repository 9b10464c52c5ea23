//! Legs and forks with SRTP, in any mixture with plain ones.

use super::super::MediaKeys;
use super::*;
use crate::srtp::{CryptoSuite, Rollover, SrtpKeys, SrtpSession};

const SUITE: CryptoSuite = CryptoSuite::AesCm128HmacSha1_80;

fn key(suite: CryptoSuite, seed: u8) -> SrtpKeys {
    SrtpKeys::new(suite, &vec![seed; suite.key_len() + suite.salt_len()]).unwrap()
}

/// What the engine is told: it sends with the first key and receives with the second.
fn keys(send: u8, receive: u8) -> Option<Box<MediaKeys>> {
    Some(Box::new(MediaKeys { send: key(SUITE, send), receive: key(SUITE, receive) }))
}

/// Who speaks to the engine with these keys.
fn peer(send: u8, receive: u8) -> SrtpSession {
    let mut srtp = SrtpSession::default();
    srtp.set_sending_keys(&key(SUITE, receive), Rollover::Restart).unwrap();
    srtp.set_receiving_keys(&key(SUITE, send)).unwrap();
    srtp
}

fn protected(peer: &mut SrtpSession, packet: &[u8]) -> Vec<u8> {
    let mut bytes = packet.to_vec();
    bytes.resize(packet.len() + 64, 0);
    let len = peer.protect_rtp(&mut bytes, packet.len()).unwrap();
    bytes.truncate(len);
    bytes
}

fn opened(peer: &mut SrtpSession, packet: &[u8]) -> Vec<u8> {
    let mut bytes = packet.to_vec();
    let len = peer.unprotect_rtp(&mut bytes).unwrap();
    bytes.truncate(len);
    bytes
}

fn report(ssrc: u32) -> Vec<u8> {
    let block = ReportBlock { ssrc: 0xf0, cumulative_lost: 7, ..ReportBlock::default() };
    CompoundBuilder::report(ssrc, None, &[block]).cname(ssrc, "who").build()
}

/// `a` is secure, `b` is plain.
fn mixed() -> (Scene, SrtpSession) {
    let mut scene = Scene::bridged();
    scene.configure("a", EndpointSettings { keys: keys(1, 2), ..settings(1000) });
    (scene, peer(1, 2))
}

fn last_rtp(scene: &Scene) -> Vec<u8> {
    scene.out.rtp.last().unwrap().2.clone()
}

#[test]
fn a_secure_and_a_plain_leg_hear_each_other() {
    let (mut scene, mut phone) = mixed();
    for sequence in 0..5 {
        let there = rtp(0, 1, sequence, 800, b"from a");
        let sent = protected(&mut phone, &there);
        scene.receive(scene.a, 1000, &sent);
        assert_eq!(last_rtp(&scene), there);
        let back = rtp(0, 2, sequence, 900, b"from b");
        scene.receive(scene.b, 2000, &back);
        assert_ne!(last_rtp(&scene), back);
        assert_eq!(opened(&mut phone, &last_rtp(&scene)), back);
    }
    let statistics = scene.registry.session_statistics("s").unwrap().endpoints["a"];
    assert_eq!((statistics.packets_received, statistics.octets_received), (5, 30));
    assert_eq!((statistics.packets_sent, statistics.octets_sent, statistics.unprotected), (5, 30, 0));
}

#[test]
fn two_secure_legs_never_share_a_key() {
    let (mut scene, mut phone) = mixed();
    let gcm = |seed| key(CryptoSuite::AeadAes256Gcm, seed);
    let keys = Some(Box::new(MediaKeys { send: gcm(3), receive: gcm(4) }));
    scene.configure("b", EndpointSettings { keys, ..settings(2000) });
    let mut other = SrtpSession::default();
    other.set_receiving_keys(&gcm(3)).unwrap();
    let packet = rtp(0, 1, 9, 800, b"across");
    let sent = protected(&mut phone, &packet);
    scene.receive(scene.a, 1000, &sent);
    assert_ne!(last_rtp(&scene), sent);
    assert_eq!(opened(&mut other, &last_rtp(&scene)), packet);
}

#[test]
fn what_is_not_authentic_or_comes_twice_is_dropped_and_counted() {
    let (mut scene, mut phone) = mixed();
    let good = protected(&mut phone, &rtp(0, 1, 5, 800, b"good"));
    let mut forged = good.clone();
    forged[14] ^= 1;
    for packet in [&rtp(0, 1, 4, 640, b"plain, and long enough")[..], &forged, &good, &good, &good[..14]] {
        scene.receive(scene.a, 1000, packet);
    }
    scene.receive(scene.a, 1004, &good);
    assert_eq!(scene.out.rtp.len(), 1);
    let statistics = scene.registry.session_statistics("s").unwrap().endpoints["a"];
    assert_eq!((statistics.unauthenticated, statistics.replayed, statistics.invalid), (2, 1, 1));
    assert_eq!((statistics.strays, statistics.packets_received), (1, 1));
}

#[test]
fn only_who_has_the_key_is_latched_to() {
    let (mut scene, mut phone) = mixed();
    scene.receive(scene.a, 3333, &rtp(0, 1, 5, 800, b"plain, and long enough"));
    let packet = protected(&mut phone, &rtp(0, 1, 5, 800, b"hello"));
    scene.receive(scene.a, 4444, &packet);
    let remote = host(4444);
    assert_eq!(
        scene.events()[0],
        Event::Latched { session: name("s"), endpoint: name("a"), remote },
        "not the first, who knew no key"
    );
}

#[test]
fn a_source_that_begins_anew_is_still_understood_by_a_secure_leg() {
    let (mut scene, mut phone) = mixed();
    // 50 000 is more than a receiver could tell from a step back; the stream begins below half, too
    for (sequence, heard) in [(40_000, 7232), (40_001, 7233), (20, 7234), (21, 7235), (60_000, 7236)] {
        scene.receive(scene.b, 2000, &rtp(0, 2, sequence, 900, b"x"));
        let packet = opened(&mut phone, &last_rtp(&scene));
        assert_eq!(packet, rtp(0, 2, heard, 900, b"x"));
    }
}

#[test]
fn rtcp_is_srtcp_where_the_leg_is_secure() {
    let (mut scene, mut phone) = mixed();
    let plain = report(2);
    scene.registry.receive_rtcp(scene.b, host(2001), &plain, scene.now, &mut scene.out);
    let (pair, to, mut bytes) = scene.out.rtcp.pop().unwrap();
    assert_eq!((pair, to), (scene.a, host(1001)));
    let len = phone.unprotect_rtcp(&mut bytes).unwrap();
    assert_eq!(bytes[..len], plain);

    let mut bytes = report(1);
    let len = bytes.len();
    bytes.resize(len + 32, 0);
    let len = phone.protect_rtcp(&mut bytes, len).unwrap();
    scene.registry.receive_rtcp(scene.a, host(1001), &bytes[..len], scene.now, &mut scene.out);
    assert_eq!(scene.out.rtcp.pop().unwrap(), (scene.b, host(2001), report(1)));
    scene.registry.receive_rtcp(scene.a, host(1001), &bytes[..len], scene.now, &mut scene.out);
    scene.registry.receive_rtcp(scene.a, host(1001), &report(1), scene.now, &mut scene.out);
    assert_eq!(scene.out.rtcp, []);
    let statistics = scene.registry.session_statistics("s").unwrap().endpoints["a"];
    assert_eq!(statistics.replayed + statistics.unauthenticated + statistics.invalid, 2);
}

#[test]
fn what_players_send_is_protected_with_its_reports_and_its_goodbye() {
    let (mut scene, mut phone) = mixed();
    let audio = Audio::Coded(Law::Mu, vec![0x2a; 160 * 400].into());
    scene.registry.play("s", &name("p"), "a", playback(audio, 1), scene.now, &mut scene.out).unwrap();
    scene.pass(6000);
    for (_, _, bytes) in &scene.out.rtp {
        let packet = opened(&mut phone, bytes);
        assert_eq!(RtpPacket::parse(&packet).unwrap().payload(), [0x2a; 160]);
    }
    assert!(scene.out.rtp.len() > 290);
    scene.registry.close_session("s", scene.now, &mut scene.out).unwrap();
    assert!(scene.out.rtcp.len() >= 2);
    let said: Vec<RtcpPacket> = scene
        .out
        .rtcp
        .iter_mut()
        .flat_map(|(_, _, bytes)| {
            let len = phone.unprotect_rtcp(bytes).unwrap();
            parse_compound(&bytes[..len]).unwrap()
        })
        .collect();
    assert!(matches!(said[0], RtcpPacket::SenderReport { ssrc: 0xa, .. }));
    assert!(matches!(said.last(), Some(RtcpPacket::Goodbye { .. })));
}

#[test]
fn a_secure_fork_of_a_secure_leg_has_a_key_of_its_own() {
    let (mut scene, mut phone) = mixed();
    let secure = ForkSettings { keys: keys(5, 6), ..active(5000) };
    let inbound = scene.fork(&fork("in", "a", Side::Inbound, ForkRole::Endpoint), secure);
    let outbound = NewFork { numbers: numbers(0xf1), ..fork("out", "a", Side::Outbound, ForkRole::Endpoint) };
    let outbound = scene.fork(&outbound, active(5002));
    let mut srs = peer(5, 6);
    for sequence in 0..3 {
        let packet = protected(&mut phone, &rtp(0, 1, sequence, 160 * u32::from(sequence), b"from a"));
        scene.receive(scene.a, 1000, &packet);
        scene.receive(scene.b, 2000, &rtp(0, 2, sequence, 160 * u32::from(sequence), b"from b"));
    }
    let (mut secure, mut plain) = (0, 0);
    for (pair, to, bytes) in &scene.out.queued {
        let bytes = if *pair == inbound {
            assert_eq!(*to, host(5000));
            secure += 1;
            opened(&mut srs, bytes)
        } else {
            assert_eq!((*pair, *to), (outbound, host(5002)));
            plain += 1;
            bytes.clone()
        };
        let packet = RtpPacket::parse(&bytes).unwrap();
        let (ssrc, said) = if *pair == inbound { (0xf0, b"from a") } else { (0xf1, b"from b") };
        assert_eq!((packet.ssrc(), packet.payload()), (ssrc, &said[..]));
    }
    assert_eq!((secure, plain), (3, 3));

    let mut bytes = report(9);
    let len = bytes.len();
    bytes.resize(len + 32, 0);
    let len = srs.protect_rtcp(&mut bytes, len).unwrap();
    scene.registry.receive_rtcp(inbound, host(5001), &report(9), scene.now, &mut scene.out);
    scene.registry.receive_rtcp(inbound, host(5001), &bytes[..len], scene.now, &mut scene.out);
    let statistics = scene.registry.session_statistics("s").unwrap().forks["in"];
    assert_eq!((statistics.reported_lost, statistics.unauthenticated), (Some(7), 1));
    scene.registry.close_fork("s", "in", scene.now, &mut scene.out).unwrap();
    let (_, _, mut bytes) = scene.out.rtcp.pop().unwrap();
    srs.unprotect_rtcp(&mut bytes).unwrap();
}

#[test]
fn packets_of_a_secure_fork_leave_together_too() {
    let mut scene = Scene::bridged();
    let batched = NewFork { batch_ns: 80 * NS_PER_MS, ..fork("in", "a", Side::Inbound, ForkRole::Endpoint) };
    scene.fork(&batched, ForkSettings { keys: keys(5, 6), ..active(5000) });
    let mut srs = peer(5, 6);
    for sequence in 0..4 {
        scene.pass(20);
        scene.receive(scene.a, 1000, &rtp(0, 1, sequence, 160 * u32::from(sequence), &[sequence as u8; 160]));
    }
    assert_eq!((scene.out.sends, scene.out.queued.len()), (1, 4));
    for (number, (_, _, bytes)) in scene.out.queued.iter().enumerate() {
        assert_eq!(RtpPacket::parse(&opened(&mut srs, bytes)).unwrap().payload(), [number as u8; 160]);
    }
}

#[test]
fn a_secure_translator_passes_streams_and_reports_both_ways() {
    let mut scene = Scene::bridged();
    let translator = fork("in", "a", Side::Inbound, ForkRole::Translator);
    let pair = scene.fork(&translator, ForkSettings { keys: keys(5, 6), ..active(5000) });
    let mut srs = peer(5, 6);
    let packet = rtp(0, 1, 50_000, 160, b"from a");
    scene.receive(scene.a, 1000, &packet);
    let sent = opened(&mut srs, &scene.out.queued[0].2);
    assert_eq!(sent, rtp(0, 1, 50_000 & 0x7fff, 160, b"from a"));
    scene.registry.receive_rtcp(scene.a, host(1001), &report(1), scene.now, &mut scene.out);
    let (_, to, mut bytes) = scene.out.rtcp.pop().unwrap();
    let len = srs.unprotect_rtcp(&mut bytes).unwrap();
    assert_eq!((to, &bytes[..len]), (host(5001), &report(1)[..]));
    let mut bytes = report(9);
    let len = bytes.len();
    bytes.resize(len + 32, 0);
    let len = srs.protect_rtcp(&mut bytes, len).unwrap();
    scene.out.rtcp.clear();
    scene.registry.receive_rtcp(pair, host(5001), &bytes[..len], scene.now, &mut scene.out);
    assert_eq!(scene.out.rtcp, [(scene.a, host(1001), report(9))]);
}

#[test]
fn reports_on_what_was_protected_name_the_sources_own_numbers() {
    let (mut scene, mut phone) = mixed();
    // of a plain party that began in the upper half, with a wrap behind it
    for sequence in (50_000..70_000u32).step_by(2_000) {
        scene.receive(scene.b, 2000, &rtp(0, 2, sequence as u16, 900, b"x"));
    }
    opened(&mut phone, &last_rtp(&scene));
    let about = |highest| ReportBlock { ssrc: 2, extended_sequence: highest, ..ReportBlock::default() };
    let report = |highest| CompoundBuilder::report(1, None, &[about(highest)]).cname(1, "a").build();
    let mut bytes = report(68_000 - 0x8000);
    let len = bytes.len();
    bytes.resize(len + 32, 0);
    let len = phone.protect_rtcp(&mut bytes, len).unwrap();
    scene.out.rtcp.clear();
    scene.registry.receive_rtcp(scene.a, host(1001), &bytes[..len], scene.now, &mut scene.out);
    assert_eq!(scene.out.rtcp, [(scene.b, host(2001), report(68_000))]);
}

#[test]
fn forks_that_share_their_ports_take_no_keys() {
    let mut scene = Scene::bridged();
    let shared = NewFork { ports: ForkPorts::Shared, ..fork("in", "a", Side::Inbound, ForkRole::Endpoint) };
    scene.fork(&shared, active(5000));
    let secure = ForkSettings { keys: keys(5, 6), ..active(5000) };
    let refused = scene.registry.configure_fork("s", "in", secure, &mut scene.out).unwrap_err();
    assert_eq!(refused.code, RefusalCode::BadField);
}

#[test]
fn keys_that_are_told_again_keep_their_counters_and_new_ones_begin() {
    let (mut scene, mut phone) = mixed();
    let hear = |scene: &mut Scene, phone: &mut SrtpSession, sequence: u16, heard: u16| {
        scene.receive(scene.b, 2000, &rtp(0, 2, sequence, 900, b"x"));
        assert_eq!(opened(phone, &last_rtp(scene)), rtp(0, 2, heard, 900, b"x"));
    };
    for sequence in (0..=60_000).step_by(2_500) {
        hear(&mut scene, &mut phone, sequence, sequence);
    }
    for sequence in [62_500, 65_000, 1_964, 4_464] {
        hear(&mut scene, &mut phone, sequence, sequence);
    }
    scene.configure("a", EndpointSettings { keys: keys(1, 2), ..settings(1000) });
    hear(&mut scene, &mut phone, 4_465, 4_465);
    // RFC 3711 §3.3.1: a new key alone does not reset the counter
    scene.configure("a", EndpointSettings { keys: keys(3, 2), ..settings(1000) });
    phone.set_receiving_keys(&key(SUITE, 3)).unwrap();
    hear(&mut scene, &mut phone, 4_466, 4_466);
    // RFC 4568 §7.1.4: a new address does, and who is there never heard of it
    for sequence in (6_000..=40_000).step_by(2_000) {
        hear(&mut scene, &mut phone, sequence, sequence);
    }
    scene.configure("a", EndpointSettings { keys: keys(7, 8), ..settings(1004) });
    let mut moved = peer(7, 8);
    hear(&mut scene, &mut moved, 40_001, 40_001 & 0x7fff);
    // and without keys it is plain RTP again
    scene.configure("a", settings(1004));
    scene.receive(scene.b, 2000, &rtp(0, 2, 40_002, 900, b"x"));
    assert_eq!(last_rtp(&scene), rtp(0, 2, 40_002, 900, b"x"));
}

#[test]
fn a_key_with_another_suite_is_refused_and_the_call_goes_on() {
    let (mut scene, mut phone) = mixed();
    let other = CryptoSuite::AesCm128HmacSha1_32;
    let keys = Some(Box::new(MediaKeys { send: key(other, 1), receive: key(other, 9) }));
    let refused = scene.registry.configure_endpoint(
        "s",
        "a",
        EndpointSettings { keys, ..settings(1000) },
        scene.now,
        &mut scene.out,
    );
    assert_eq!(refused.unwrap_err().code, RefusalCode::BadField);
    scene.receive(scene.b, 2000, &rtp(0, 2, 7, 900, b"x"));
    assert_eq!(opened(&mut phone, &last_rtp(&scene)), rtp(0, 2, 7, 900, b"x"));
}

#[test]
fn a_key_that_does_not_fit_is_told_of_once() {
    let told = |scene: &mut Scene| {
        let events = scene.events();
        events.iter().filter(|event| matches!(event, Event::Unauthenticated { .. })).count()
    };
    let (mut scene, mut phone) = mixed();
    for sequence in 0..49 {
        scene.receive(scene.a, 1000, &rtp(0, 1, sequence, 0, b"in the clear"));
    }
    // now and then somebody else's packet, or a damaged one: nothing to speak of
    let good = protected(&mut phone, &rtp(0, 1, 0, 0, &[0xff; 160]));
    scene.receive(scene.a, 1000, &good);
    for sequence in 0..49 {
        scene.receive(scene.a, 1000, &rtp(0, 1, sequence, 0, b"in the clear"));
    }
    for _ in 0..100 {
        scene.receive(scene.a, 1000, &good);
    }
    assert_eq!(told(&mut scene), 0, "a replay fits the key");
    for sequence in 0..200 {
        scene.receive(scene.a, 1000, &rtp(0, 1, sequence, 0, b"in the clear"));
    }
    assert_eq!(told(&mut scene), 1);
    scene.configure("a", EndpointSettings { keys: keys(1, 2), ..settings(1000) });
    for sequence in 0..200 {
        scene.receive(scene.a, 1000, &rtp(0, 1, sequence, 0, b"in the clear"));
    }
    assert_eq!(told(&mut scene), 1);
}

#[test]
fn dtmf_and_recorders_work_on_what_was_decrypted() {
    let (mut scene, mut phone) = mixed();
    scene.registry.open_recorder("s", &name("r"), "a", 1).unwrap();
    let sent = protected(&mut phone, &rtp(0, 1, 0, 0, &[0xff; 160]));
    scene.receive(scene.a, 1000, &sent);
    assert_eq!(scene.out.samples, [(1, 0, vec![0; 160])]);
    let end = [5, 0x80, 0x03, 0x20];
    let sent = protected(&mut phone, &rtp(101, 1, 1, 160, &end));
    scene.receive(scene.a, 1000, &sent);
    assert!(scene.events().iter().any(|event| matches!(event, Event::Dtmf { digit, .. } if digit.key == '5')));
}
