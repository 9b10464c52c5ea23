//! Parties that number their formats differently, or speak different laws.

use super::*;

fn list(formats: &[(u8, &str)]) -> Vec<Format> {
    formats.iter().map(|(number, name)| Format::new(*number, name, 8000, 1)).collect()
}

fn speaking(port: u16, formats: &[(u8, &str)]) -> EndpointSettings {
    EndpointSettings { formats: list(formats).into(), ..settings(port) }
}

/// What left for a port: (payload type, sequence number, SSRC, payload).
fn sent(scene: &Scene, port: u16) -> Vec<(u8, u16, u32, Vec<u8>)> {
    let of_port = scene.out.rtp.iter().filter(|(_, to, _)| to.port() == port);
    of_port
        .map(|(_, _, bytes)| {
            let packet = RtpPacket::parse(bytes).unwrap();
            (packet.payload_type(), packet.sequence(), packet.ssrc(), packet.payload().to_vec())
        })
        .collect()
}

#[test]
fn events_and_audio_get_the_numbers_of_the_other_side() {
    let mut scene = Scene::bridged();
    scene.configure("a", speaking(1000, &[(96, "SPEEX"), (101, "telephone-event")]));
    scene.configure("b", speaking(2000, &[(111, "SPEEX"), (96, "telephone-event")]));
    scene.receive(scene.a, 1000, &rtp(96, 1, 5, 800, b"speech"));
    scene.receive(scene.a, 1000, &rtp(101, 1, 6, 960, &[5, 0x8a, 3, 32]));
    scene.receive(scene.b, 2000, &rtp(96, 2, 7, 800, &[6, 0x8a, 3, 32]));
    scene.receive(scene.b, 2000, &rtp(111, 2, 8, 960, b"speech"));
    assert_eq!(sent(&scene, 2000), [(111, 5, 1, b"speech".to_vec()), (96, 6, 1, vec![5, 0x8a, 3, 32])]);
    assert_eq!(sent(&scene, 1000), [(101, 7, 2, vec![6, 0x8a, 3, 32]), (96, 8, 2, b"speech".to_vec())]);
    let keys: Vec<Event> = scene.events().into_iter().filter(|event| matches!(event, Event::Dtmf { .. })).collect();
    assert_eq!(keys.len(), 2);
    assert_eq!(scene.registry.totals().packets_relayed, 4);
}

#[test]
fn a_remote_may_number_what_it_takes_otherwise_than_what_it_sends() {
    let mut scene = Scene::bridged();
    let asymmetric =
        EndpointSettings { send_formats: Some(list(&[(0, "PCMU"), (97, "telephone-event")]).into()), ..settings(2000) };
    scene.configure("b", asymmetric);
    scene.fork(&fork("out", "b", Side::Outbound, ForkRole::Endpoint), active(5000));
    scene.receive(scene.a, 1000, &rtp(101, 1, 6, 960, &[5, 0x8a, 3, 32]));
    scene.receive(scene.b, 2000, &rtp(101, 2, 7, 960, &[6, 0x8a, 3, 32]));
    assert_eq!((sent(&scene, 2000)[0].0, sent(&scene, 1000)[0].0), (97, 101));
    // the fork has the number that the SRS knows
    assert_eq!(RtpPacket::parse(&scene.out.queued[0].2).unwrap().payload_type(), 101);
}

#[test]
fn laws_are_converted_and_each_fork_has_what_its_leg_carries() {
    let mut scene = Scene::bridged();
    scene.configure("b", speaking(2000, &[(8, "PCMA"), (101, "telephone-event")]));
    let both = ForkSettings { formats: list(&[(0, "PCMU"), (8, "PCMA")]).into(), ..active(5000) };
    scene.fork(&fork("in", "a", Side::Inbound, ForkRole::Endpoint), both.clone());
    scene.fork(&fork("out", "a", Side::Outbound, ForkRole::Endpoint), both.clone());
    scene.fork(&fork("far", "b", Side::Outbound, ForkRole::Endpoint), both);
    scene.receive(scene.a, 1000, &rtp(0, 1, 5, 800, &[0xff, 0x80]));
    scene.receive(scene.b, 2000, &rtp(8, 2, 6, 800, &[0xd5, 0xaa]));
    assert_eq!(sent(&scene, 2000), [(8, 5, 1, vec![0xd5, 0xaa])]);
    assert_eq!(sent(&scene, 1000), [(0, 6, 2, vec![0xfe, 0x80])]);
    let forked: Vec<(PairKey, u8, Vec<u8>)> = scene
        .out
        .queued
        .iter()
        .map(|(pair, _, bytes)| {
            let packet = RtpPacket::parse(bytes).unwrap();
            (*pair, packet.payload_type(), packet.payload().to_vec())
        })
        .collect();
    let pairs: Vec<PairKey> = forked.iter().map(|one| one.0).collect();
    assert_eq!(forked[0], (pairs[0], 8, vec![0xd5, 0xaa]), "to b, before a's own fork");
    assert_eq!(forked[1], (pairs[1], 0, vec![0xff, 0x80]));
    assert_eq!(forked[2], (pairs[2], 0, vec![0xfe, 0x80]), "what a hears is in a's law");
}

#[test]
fn a_re_invite_to_the_same_law_ends_the_conversion() {
    let mut scene = Scene::bridged();
    scene.configure("b", speaking(2000, &[(8, "PCMA")]));
    scene.receive(scene.a, 1000, &rtp(0, 1, 5, 800, &[0xff]));
    scene.configure("a", speaking(1000, &[(8, "PCMA")]));
    scene.receive(scene.a, 1000, &rtp(8, 1, 6, 960, &[0xd5]));
    scene.configure("b", settings(2000));
    scene.configure("a", settings(1000));
    scene.receive(scene.a, 1000, &rtp(0, 1, 7, 1120, &[0x12]));
    let payloads: Vec<_> = sent(&scene, 2000).into_iter().map(|one| (one.0, one.3[0])).collect();
    assert_eq!(payloads, [(8, 0xd5), (8, 0xd5), (0, 0x12)]);
    scene.registry.set_route("s", "a", None).unwrap();
    scene.receive(scene.a, 1000, &rtp(0, 1, 8, 1280, &[0x12]));
    assert_eq!(sent(&scene, 2000).len(), 3);
}

#[test]
fn events_that_the_other_side_does_not_take_leave_no_gap() {
    let mut scene = Scene::bridged();
    scene.configure("b", speaking(2000, &[(0, "PCMU")]));
    for (sequence, payload_type) in [(10, 0), (11, 101), (12, 101), (13, 0), (14, 0)] {
        scene.receive(scene.a, 1000, &rtp(payload_type, 1, sequence, u32::from(sequence) * 160, &[5, 10, 0, 160]));
    }
    assert_eq!(sent(&scene, 2000).iter().map(|one| (one.0, one.1)).collect::<Vec<_>>(), [(0, 10), (0, 11), (0, 12)]);
}

#[test]
fn rtcp_takes_the_same_way() {
    let mut scene = Scene::bridged();
    scene.configure("b", speaking(2000, &[(8, "PCMA")]));
    let report = CompoundBuilder::report(7, None, &[]).build();
    scene.registry.receive_rtcp(scene.a, host(1001), &report, scene.now, &mut scene.out);
    assert_eq!(scene.out.rtcp.last().map(|(_, to, bytes)| (*to, bytes.clone())), Some((host(2001), report)));
}
