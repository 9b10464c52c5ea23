//! Digits that are heard, and those that are dialled into a session.

use super::*;
use crate::digits::{DigitTiming, Digits};

/// What left for a port: (payload type, marker, sequence number, time stamp, SSRC, payload's first four octets).
type Sent = (u8, bool, u16, u32, u32, [u8; 4]);

fn sent(scene: &Scene, port: u16) -> Vec<Sent> {
    let of_port = scene.out.rtp.iter().filter(|(_, to, _)| to.port() == port);
    of_port
        .map(|(_, _, bytes)| {
            let packet = RtpPacket::parse(bytes).unwrap();
            let first = *packet.payload().first_chunk().unwrap_or(&[0; 4]);
            (packet.payload_type(), packet.marker(), packet.sequence(), packet.timestamp(), packet.ssrc(), first)
        })
        .collect()
}

fn dial(scene: &mut Scene, player: &str, endpoint: &str, text: &str) -> Result<(), crate::refusal::Refusal> {
    let digits = Digits::new(text, DigitTiming::new(40, 60).unwrap(), 0).unwrap();
    scene.registry.send_digits("s", &name(player), endpoint, digits, scene.now, &mut scene.out)
}

fn ended(scene: &mut Scene) -> Vec<(String, bool)> {
    let ended = |event| match event {
        Event::PlayerEnded { player, completed, .. } => Some((player.to_string(), completed)),
        _ => None,
    };
    scene.events().into_iter().filter_map(ended).collect()
}

/// The party at `a` talks for so many packets of 20 ms.
fn talk(scene: &mut Scene, first: u16, packets: u16) {
    for sequence in first..first + packets {
        let packet = rtp(0, 1, sequence, u32::from(sequence) * 160, &[sequence as u8; 160]);
        scene.receive(scene.a, 1000, &packet);
        scene.pass(20);
    }
}

#[test]
fn a_key_is_reported_once() {
    let mut scene = Scene::bridged();
    for (sequence, flags) in [(1, 0), (2, 0x80), (3, 0x80), (4, 0x80)] {
        scene.receive(scene.a, 1000, &rtp(101, 1, sequence, 800, &[9, flags, 3, 0x20]));
    }
    scene.receive(scene.a, 1000, &rtp(101, 1, 5, 8000, &[10, 0, 0, 160]));
    scene.pass(1000);
    let digits: String = scene
        .events()
        .iter()
        .filter_map(|event| match event {
            Event::Dtmf { digit, .. } => Some(digit.key),
            _ => None,
        })
        .collect();
    assert_eq!(digits, "9*");
    assert_eq!(scene.out.rtp.len(), 5);
}

#[test]
fn without_another_party_digits_are_the_endpoints_own_stream() {
    let mut scene = Scene::new();
    scene.configure("b", settings(2000));
    dial(&mut scene, "d", "b", "7w#").unwrap();
    scene.pass(800);
    let packets = sent(&scene, 2000);
    assert!(packets.windows(2).all(|two| two[1].2 == two[0].2 + 1 && two[1].4 == 0xb));
    let events: Vec<&Sent> = packets.iter().filter(|packet| packet.0 == 101).collect();
    let seen: Vec<_> = events.iter().map(|packet| (packet.1, packet.3 - 7000, packet.5)).collect();
    // 40 ms of tone, 60 of gap, 500 of pause
    assert_eq!(
        seen,
        [
            (true, 0, [7, 10, 0, 160]),
            (false, 0, [7, 0x8a, 1, 64]),
            (false, 0, [7, 0x8a, 1, 64]),
            (false, 0, [7, 0x8a, 1, 64]),
            (true, 4800, [11, 10, 0, 160]),
            (false, 4800, [11, 0x8a, 1, 64]),
            (false, 4800, [11, 0x8a, 1, 64]),
            (false, 4800, [11, 0x8a, 1, 64]),
        ]
    );
    // silence between them is in its place, and marked where it begins
    let silence: Vec<_> =
        packets.iter().filter(|packet| packet.0 == 0).map(|packet| (packet.1, packet.3 - 7000)).collect();
    assert_eq!((silence.len(), silence[0], silence[1]), (26, (true, 640), (false, 800)));
    assert_eq!(ended(&mut scene), [("d".to_owned(), true)]);
}

#[test]
fn in_a_conversation_they_are_part_of_the_relayed_stream_which_is_withheld() {
    let mut scene = Scene::bridged();
    talk(&mut scene, 50, 10);
    dial(&mut scene, "d", "b", "1").unwrap();
    talk(&mut scene, 60, 20);
    let packets = sent(&scene, 2000);
    assert!(packets.iter().all(|packet| packet.4 == 1), "one SSRC");
    assert!(packets.windows(2).all(|two| two[1].2 == two[0].2 + 1), "no gap and no repetition: {packets:?}");
    let events: Vec<&Sent> = packets.iter().filter(|packet| packet.0 == 101).collect();
    assert_eq!((events.len(), events[0].1, events[0].3), (4, true, 60 * 160));
    let resumed = packets.iter().skip_while(|packet| packet.0 != 101).find(|packet| packet.0 == 0).unwrap();
    assert!(resumed.3 >= 64 * 160 && u32::from(resumed.5[0]) * 160 == resumed.3, "{resumed:?}");
    assert_eq!(packets.last().unwrap().3, 79 * 160);
    assert_eq!(ended(&mut scene), [("d".to_owned(), true)]);
    // the other way was not touched
    scene.receive(scene.b, 2000, &rtp(0, 2, 9, 900, b"back"));
    assert_eq!(sent(&scene, 1000).last().map(|packet| packet.2), Some(9));
    // digits of a kind that comes after them goes on where they were
    dial(&mut scene, "e", "b", "2").unwrap();
    talk(&mut scene, 80, 10);
    let packets = sent(&scene, 2000);
    assert!(packets.windows(2).all(|two| two[1].2 == two[0].2 + 1));
    assert_eq!(packets.last().unwrap().3, 89 * 160);
    // the other party hears of its own numbers what the remote reports of those that were sent
    let block = |ssrc, extended_sequence| ReportBlock {
        ssrc,
        fraction_lost: 3,
        cumulative_lost: -2,
        extended_sequence,
        jitter: 5,
        last_sr: 6,
        delay_since_sr: 7,
    };
    let report = |highest| CompoundBuilder::report(2, None, &[block(77, 500), block(1, highest)]).cname(2, "b").build();
    dial(&mut scene, "f", "b", "123").unwrap();
    scene.pass(400); // in which the other party says nothing
    talk(&mut scene, 90, 30);
    let sent_last = u32::from(sent(&scene, 2000).last().unwrap().2);
    assert_ne!(sent_last, 119);
    scene.registry.receive_rtcp(scene.b, host(2001), &report(sent_last), scene.now, &mut scene.out);
    assert_eq!(scene.out.rtcp.last().unwrap().2, report(119));
    // and of what others say, or of no report at all, nothing is changed
    let cut = &report(5)[..report(5).len() - 4];
    scene.registry.receive_rtcp(scene.b, host(2001), cut, scene.now, &mut scene.out);
    assert_eq!(scene.out.rtcp.last().unwrap().2.len(), cut.len());
}

#[test]
fn a_party_that_has_fallen_silent_is_not_joined() {
    let mut scene = Scene::bridged();
    talk(&mut scene, 50, 2);
    scene.pass(1500);
    dial(&mut scene, "d", "b", "1").unwrap();
    scene.pass(100);
    assert_eq!(sent(&scene, 2000).last().unwrap().4, 0xb);
}

#[test]
fn digits_can_be_stopped_and_replaced() {
    let mut scene = Scene::bridged();
    talk(&mut scene, 50, 2);
    dial(&mut scene, "d", "b", "11111").unwrap();
    scene.pass(130);
    dial(&mut scene, "e", "b", "2").unwrap();
    scene.pass(30);
    scene.registry.stop_player("s", "e", &mut scene.out);
    assert_eq!(ended(&mut scene), [("d".to_owned(), false), ("e".to_owned(), false)]);
    talk(&mut scene, 60, 2);
    let packets = sent(&scene, 2000);
    assert!(packets.windows(2).all(|two| two[1].2 == two[0].2 + 1 && two[1].4 == 1), "{packets:?}");
    let keys: Vec<u8> = packets.iter().filter(|packet| packet.0 == 101 && packet.1).map(|packet| packet.5[0]).collect();
    assert_eq!(keys, [1, 1, 2]);
}

#[test]
fn events_have_the_number_that_the_remote_wants_and_tones_stand_in_for_them() {
    let mut scene = Scene::new();
    let list = vec![Format::new(8, "PCMA", 8000, 1), Format::new(96, "telephone-event", 8000, 1)];
    scene.configure("a", EndpointSettings { send_formats: Some(list.into()), ..settings(1000) });
    scene.configure("b", EndpointSettings { formats: vec![Format::new(8, "PCMA", 8000, 1)].into(), ..settings(2000) });
    dial(&mut scene, "d", "a", "5").unwrap();
    dial(&mut scene, "d2", "b", "5").unwrap();
    scene.pass(200);
    assert_eq!(sent(&scene, 1000).iter().map(|packet| packet.0).collect::<Vec<_>>(), [96, 96, 96, 96]);
    let tones = sent(&scene, 2000);
    assert_eq!(tones.iter().map(|packet| (packet.0, packet.1)).collect::<Vec<_>>(), [(8, true), (8, false)]);
    assert!(tones.iter().all(|packet| packet.5 != [0xd5; 4]));
}

#[test]
fn events_alone_have_their_own_clock_and_nothing_at_all_is_refused() {
    let mut scene = Scene::new();
    let wide = vec![Format::new(111, "opus", 48_000, 2), Format::new(110, "telephone-event", 48_000, 1)];
    scene.configure("a", EndpointSettings { formats: wide.into(), ..settings(1000) });
    dial(&mut scene, "d", "a", "12").unwrap();
    scene.pass(300);
    let packets = sent(&scene, 1000);
    assert!(packets.iter().all(|packet| packet.0 == 110));
    assert_eq!((packets[0].5, packets[1].5, packets.len()), ([1, 10, 3, 192], [1, 0x8a, 7, 128], 8));
    assert_eq!(packets[4].3.wrapping_sub(packets[0].3), 4800);
    scene.configure("b", EndpointSettings { formats: vec![Format::new(18, "G729", 8000, 1)].into(), ..settings(2000) });
    let refusal = dial(&mut scene, "d", "b", "1").unwrap_err();
    assert_eq!(refusal.to_string(), "no-format: endpoint b has no telephone-event, PCMU or PCMA");
}

#[test]
fn forks_of_what_is_sent_get_the_digits() {
    let mut scene = Scene::bridged();
    scene.fork(&fork("out", "b", Side::Outbound, ForkRole::Endpoint), active(5000));
    talk(&mut scene, 50, 3);
    dial(&mut scene, "d", "b", "1").unwrap();
    talk(&mut scene, 53, 6);
    let numbers: Vec<(u8, u16)> = scene
        .out
        .queued
        .iter()
        .map(|(_, _, bytes)| {
            let packet = RtpPacket::parse(bytes).unwrap();
            (packet.payload_type(), packet.sequence())
        })
        .collect();
    assert_eq!(numbers.iter().filter(|one| one.0 == 101).count(), 4);
    assert!(numbers.windows(2).all(|two| two[1].1 == two[0].1 + 1), "{numbers:?}");
}

#[test]
fn a_player_is_sought_and_digits_are_not() {
    let mut scene = Scene::new();
    scene.configure("a", settings(1000));
    let audio = Audio::Coded(Law::Mu, (0..1600).map(|n| (n / 160) as u8).collect());
    let start = Playback { audio, loops: 1, start_ms: 40 };
    scene.registry.play("s", &name("p"), "a", start, scene.now, &mut scene.out).unwrap();
    scene.pass(25);
    scene.registry.seek_player("s", "p", 180).unwrap();
    scene.pass(100);
    assert_eq!(sent(&scene, 1000).iter().map(|packet| packet.5[0]).collect::<Vec<_>>(), [2, 3, 9]);
    let code = |result: Result<(), crate::refusal::Refusal>| result.unwrap_err().code;
    assert_eq!(code(scene.registry.seek_player("s", "p", 0)), RefusalCode::NoPlayer);
    dial(&mut scene, "d", "a", "1").unwrap();
    assert_eq!(code(scene.registry.seek_player("s", "d", 0)), RefusalCode::BadField);
    assert_eq!(dial(&mut scene, "d", "a", "1"), Ok(()));
    assert_eq!(code(dial(&mut scene, "d", "a", "2")), RefusalCode::Conflict);
}
