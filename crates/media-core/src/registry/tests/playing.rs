//! Players and recorders.

use super::*;

#[test]
fn a_player_sends_on_its_schedule_and_is_forked_as_outbound() {
    let mut scene = Scene::bridged();
    scene.fork(&fork("out", "a", Side::Outbound, ForkRole::Endpoint), active(5000));
    let audio = Audio::Coded(Law::Mu, (0..400).map(|n| n as u8).collect());
    scene.registry.play("s", &name("p"), "a", playback(audio, 1), scene.now, &mut scene.out).unwrap();
    // what is relayed meanwhile is withheld
    scene.receive(scene.b, 2000, &rtp(0, 2, 1, 0, b"not now"));
    scene.pass(100);
    let sent: Vec<_> = scene
        .out
        .rtp
        .iter()
        .map(|(pair, to, bytes)| {
            assert_eq!((*pair, *to), (scene.a, host(1000)));
            let packet = RtpPacket::parse(bytes).unwrap();
            assert_eq!(packet.ssrc(), 0xa);
            (packet.marker(), packet.sequence(), packet.timestamp(), packet.payload()[0])
        })
        .collect();
    assert_eq!(sent, [(true, 100, 7000, 0), (false, 101, 7160, 160), (false, 102, 7320, 320u32 as u8)]);
    assert_eq!(scene.out.queued.len(), 3);
    assert!(scene.events().contains(&Event::PlayerEnded { session: name("s"), player: name("p"), completed: true }));
    scene.receive(scene.b, 2000, &rtp(0, 2, 2, 160, b"now"));
    assert_eq!(scene.out.rtp.len(), 4);

    // the next player goes on with the same stream, in real time, and reports it
    let audio = Audio::Coded(Law::Mu, vec![0; 160].into());
    scene.registry.play("s", &name("q"), "a", playback(audio.clone(), 0), scene.now, &mut scene.out).unwrap();
    scene.pass(1);
    let packet = RtpPacket::parse(&scene.out.rtp[4].2).unwrap();
    assert_eq!((packet.marker(), packet.sequence(), packet.timestamp()), (true, 103, 7000 + 800));
    scene.pass(500);
    assert!(scene.out.rtcp.iter().any(|(pair, to, bytes)| (*pair, *to) == (scene.a, host(1001))
        && matches!(parse_compound(bytes).unwrap()[0], RtcpPacket::SenderReport { ssrc: 0xa, .. })));

    // a player takes over from another; stopping what does not run does nothing
    scene.events();
    scene.registry.play("s", &name("r"), "a", playback(audio, 0), scene.now, &mut scene.out).unwrap();
    scene.registry.stop_player("s", "q", &mut scene.out);
    scene.registry.stop_player("s", "r", &mut scene.out);
    scene.pass(100);
    let ended = |player| Event::PlayerEnded { session: name("s"), player: name(player), completed: false };
    assert_eq!(scene.events(), [ended("q"), ended("r")]);
}

#[test]
fn a_player_goes_on_silently_over_a_hold() {
    let mut scene = Scene::bridged();
    let audio = Audio::Coded(Law::Mu, (0..=255).flat_map(|frame| [frame; 160]).collect());
    scene.registry.play("s", &name("p"), "a", playback(audio, 1), scene.now, &mut scene.out).unwrap();
    scene.pass(50);
    scene.configure("a", EndpointSettings { send: false, ..settings(1000) });
    scene.pass(1000);
    scene.configure("a", settings(1000));
    scene.pass(20);
    let packet = RtpPacket::parse(&scene.out.rtp.last().unwrap().2).unwrap();
    let before = RtpPacket::parse(&scene.out.rtp[scene.out.rtp.len() - 2].2).unwrap();
    assert_eq!((before.payload()[0], packet.payload()[0]), (2, 53));
    assert_eq!(packet.sequence(), before.sequence() + 1);
    assert_eq!(packet.timestamp() - before.timestamp(), 51 * 160);
    assert!(packet.marker());
}

#[test]
fn a_recorder_gets_what_the_endpoint_receives() {
    let mut scene = Scene::bridged();
    scene.registry.open_recorder("s", &name("r"), "a", 77).unwrap();
    scene.receive(scene.a, 1000, &rtp(0, 1, 1, 800, &[0x80, 0xff]));
    scene.receive(scene.a, 1000, &rtp(101, 1, 2, 800, &[1, 0, 0, 1]));
    scene.receive(scene.a, 1000, &rtp(9, 1, 3, 800, &[1, 0, 0, 1]));
    scene.pass(20);
    scene.receive(scene.a, 1000, &rtp(0, 1, 4, 960, &[0xff, 0x00]));
    assert_eq!(scene.out.samples, [(77, 0, vec![32_124, 0]), (77, 160, vec![0, -32_124])]);
    let statistics = scene.registry.close_recorder("s", "r", &mut scene.out).unwrap();
    assert_eq!((statistics.packets, statistics.samples, statistics.first_sample_ns), (2, 162, Some(WALL)));
    assert_eq!((statistics.lost, statistics.gaps), (0, vec![]), "what has no audio was not lost");
    assert_eq!(scene.out.recorders, [(77, 162)]);
    assert_eq!(scene.registry.close_recorder("s", "r", &mut scene.out), None);
}
