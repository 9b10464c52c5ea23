//! Forks: what the SRS gets of each side, which ports they share, and packets that leave together.

use super::*;

fn batched(batch_ms: u64) -> NewFork {
    NewFork { batch_ns: batch_ms * NS_PER_MS, ..fork("in", "a", Side::Inbound, ForkRole::Endpoint) }
}

fn shared(name_: &str, side: Side) -> NewFork {
    NewFork { ports: ForkPorts::Shared, ..fork(name_, "a", side, ForkRole::Endpoint) }
}

impl Scene {
    /// 20 ms go by with a packet in them; (sends, packets sent) so far.
    fn talk(&mut self, sequence: u16, payload: &[u8]) -> (usize, usize) {
        self.pass(20);
        self.receive(self.a, 1000, &rtp(0, 1, sequence, u32::from(sequence) * 160, payload));
        (self.out.sends, self.out.queued.len())
    }

    fn configure_fork(&mut self, settings: ForkSettings) {
        self.registry.configure_fork("s", "in", settings, &mut self.out).unwrap();
    }
}

#[test]
fn forks_copy_both_sides_with_numbers_of_their_own() {
    let mut scene = Scene::bridged();
    let inbound = scene.fork(&fork("in", "a", Side::Inbound, ForkRole::Endpoint), active(5000));
    let outbound = scene.fork(&fork("out", "a", Side::Outbound, ForkRole::Endpoint), active(5002));
    scene.receive(scene.a, 1000, &rtp(0, 1, 40, 800, b"from a"));
    scene.receive(scene.b, 2000, &rtp(0, 2, 50, 900, b"from b"));
    scene.receive(scene.a, 1000, &rtp(0, 1, 42, 1120, b"two on"));
    let seen: Vec<_> = scene
        .out
        .queued
        .iter()
        .map(|(pair, to, bytes)| {
            let packet = RtpPacket::parse(bytes).unwrap();
            assert_eq!(packet.ssrc(), 0xf0);
            (*pair, to.port(), packet.sequence(), packet.timestamp(), packet.marker(), packet.payload().to_vec())
        })
        .collect();
    assert_eq!(
        seen,
        [
            (inbound, 5000, 100, 7000, true, b"from a".to_vec()),
            (outbound, 5002, 100, 7000, true, b"from b".to_vec()),
            (inbound, 5000, 102, 7320, false, b"two on".to_vec()),
        ]
    );
    assert_eq!(scene.out.settled[..2], [(inbound, Some(host(5000))), (outbound, Some(host(5002)))]);
    let started = Event::ForkStarted { session: name("s"), fork: name("in"), at_ns: WALL };
    assert_eq!(scene.events().into_iter().filter(|event| *event == started).count(), 1);

    scene.registry.configure_fork("s", "in", ForkSettings { active: false, ..active(5000) }, &mut scene.out).unwrap();
    scene.receive(scene.a, 1000, &rtp(0, 1, 43, 1280, b"held"));
    assert_eq!(scene.out.queued.len(), 3);
    scene.registry.configure_fork("s", "in", active(5000), &mut scene.out).unwrap();
    scene.receive(scene.a, 1000, &rtp(0, 1, 44, 1440, b"again"));
    let packet = RtpPacket::parse(&scene.out.queued[3].2).unwrap();
    assert_eq!((packet.sequence(), packet.marker()), (103, true));
    assert_eq!(scene.events(), [started]);
    scene.registry.note_send_errors(inbound, 1);
    let relayed = scene.registry.totals().packets_relayed;
    let sent = |scene: &Scene| {
        let found = scene.registry.session_statistics("s").unwrap().endpoints[&name("b")];
        (found.packets_sent, found.octets_sent)
    };
    let (packets, octets) = sent(&scene);
    scene.registry.note_send_errors(scene.b, 1);
    assert_eq!(sent(&scene), (packets - 1, octets - octets / packets));
    assert_eq!(scene.registry.totals().packets_relayed, relayed - 1);
    let statistics = scene.registry.close_fork("s", "in", scene.now, &mut scene.out).unwrap();
    assert_eq!((statistics.packets_sent, statistics.send_errors), (2, 1));
    assert_eq!((statistics.octets_sent, statistics.first_packet_ns), (17 - 17 / 3, Some(WALL)));
    assert_eq!(scene.out.released, [inbound]);
    let (_, to, goodbye) = scene.out.rtcp.last().unwrap();
    assert_eq!(*to, host(5001));
    assert_eq!(parse_compound(goodbye).unwrap()[2], RtcpPacket::Goodbye { ssrcs: vec![0xf0] });
    assert_eq!(scene.registry.close_fork("s", "in", scene.now, &mut scene.out), None);
    scene.receive(scene.a, 1000, &rtp(0, 1, 45, 1600, b"gone"));
    assert_eq!(scene.out.queued.len(), 4);
}

#[test]
fn payload_types_are_mapped_to_what_the_srs_agreed() {
    let mut scene = Scene::bridged();
    let agreed = vec![Format::new(96, "telephone-event", 8000, 1), Format::new(0, "PCMU", 8000, 1)];
    scene.fork(
        &fork("in", "a", Side::Inbound, ForkRole::Endpoint),
        ForkSettings { formats: agreed.into(), ..active(5000) },
    );
    for (sequence, payload_type) in [0, 101, 96, 8].into_iter().enumerate() {
        scene.receive(scene.a, 1000, &rtp(payload_type, 1, sequence as u16, 0, &[1, 10, 0, 160]));
    }
    let sent: Vec<u8> =
        scene.out.queued.iter().map(|(_, _, bytes)| RtpPacket::parse(bytes).unwrap().payload_type()).collect();
    assert_eq!(sent, [0, 96, 96]);
    let filtered = |scene: &Scene| scene.registry.session_statistics("s").unwrap().forks["in"].packets_filtered;
    assert_eq!(filtered(&scene), 1);
    scene
        .registry
        .configure_fork("s", "in", ForkSettings { formats: vec![].into(), ..active(5000) }, &mut scene.out)
        .unwrap();
    scene.receive(scene.a, 1000, &rtp(0, 1, 9, 0, b""));
    assert_eq!(filtered(&scene), 2);
}

#[test]
fn a_translator_passes_packets_and_reports_both_ways() {
    let mut scene = Scene::bridged();
    let inbound = scene.fork(&fork("in", "a", Side::Inbound, ForkRole::Translator), active(5000));
    let outbound = scene.fork(&fork("out", "a", Side::Outbound, ForkRole::Translator), active(5002));
    let there = rtp(0, 1, 40, 800, b"from a");
    scene.receive(scene.a, 1000, &there);
    assert_eq!(scene.out.queued, [(inbound, host(5000), there)]);
    let report = CompoundBuilder::report(1, None, &[]).cname(1, "a").build();
    scene.registry.receive_rtcp(scene.a, host(1001), &report, scene.now, &mut scene.out);
    assert_eq!(
        std::mem::take(&mut scene.out.rtcp),
        [(scene.b, host(2001), report.clone()), (inbound, host(5001), report.clone())]
    );
    scene.registry.receive_rtcp(scene.b, host(2001), &report, scene.now, &mut scene.out);
    assert_eq!(
        std::mem::take(&mut scene.out.rtcp),
        [(scene.a, host(1001), report.clone()), (outbound, host(5003), report.clone())]
    );
    // the SRS's reports go to whom they are about
    scene.registry.receive_rtcp(inbound, host(5001), &report, scene.now, &mut scene.out);
    scene.registry.receive_rtcp(outbound, host(5003), &report, scene.now, &mut scene.out);
    assert_eq!(
        std::mem::take(&mut scene.out.rtcp),
        [(scene.a, host(1001), report.clone()), (scene.b, host(2001), report)]
    );
    scene.pass(30_000);
    assert!(scene.out.rtcp.iter().all(|sent| ![inbound, outbound].contains(&sent.0)), "it has no reports of its own");
    // RFC 3550 §7.2: what it forwarded ends with it
    scene.registry.close_fork("s", "in", scene.now, &mut scene.out);
    let (pair, to, goodbye) = scene.out.rtcp.last().unwrap();
    assert_eq!((*pair, *to), (inbound, host(5001)));
    assert_eq!(parse_compound(goodbye).unwrap()[1], RtcpPacket::Goodbye { ssrcs: vec![1] });
    let sent = scene.out.rtcp.len();
    scene.registry.close_fork("s", "out", scene.now, &mut scene.out);
    assert_eq!(scene.out.rtcp.len(), sent, "it has passed nothing on");
}

#[test]
fn a_translator_passes_on_what_is_reported_of_players() {
    let mut scene = Scene::bridged();
    let outbound = scene.fork(&fork("out", "a", Side::Outbound, ForkRole::Translator), active(5002));
    let audio = Audio::Coded(Law::Mu, vec![0xff; 160].into());
    scene.registry.play("s", &name("p"), "a", playback(audio, 0), scene.now, &mut scene.out).unwrap();
    scene.pass(1000);
    let reports: Vec<_> = scene.out.rtcp.iter().filter(|(pair, _, _)| *pair == scene.a).map(|sent| &sent.2).collect();
    let passed: Vec<_> = scene.out.rtcp.iter().filter(|(pair, _, _)| *pair == outbound).map(|sent| &sent.2).collect();
    assert!(!reports.is_empty() && reports == passed);
    let RtcpPacket::SenderReport { ssrc: 0xa, .. } = parse_compound(passed[0]).unwrap()[0] else { panic!() };
}

#[test]
fn a_fork_reports_its_stream_and_reads_what_the_srs_reports() {
    let mut scene = Scene::bridged();
    let inbound = scene.fork(&fork("in", "a", Side::Inbound, ForkRole::Endpoint), active(5000));
    for sequence in 0..600u16 {
        scene.receive(scene.a, 1000, &rtp(0, 1, sequence, u32::from(sequence) * 160, &[0; 160]));
        scene.pass(20);
    }
    let reports: Vec<_> = scene
        .out
        .rtcp
        .iter()
        .map(|(pair, to, bytes)| {
            assert_eq!((*pair, *to), (inbound, host(5001)));
            parse_compound(bytes).unwrap()
        })
        .collect();
    assert!((3..=4).contains(&reports.len()), "{reports:?}");
    for report in reports {
        let RtcpPacket::SenderReport { info, ssrc: 0xf0, .. } = &report[0] else { panic!("{report:?}") };
        // both clocks of the report name the same moment
        let sent_ns = u64::from(info.rtp_timestamp.wrapping_sub(7000)) * NS_PER_S / 8000;
        let ntp = Instant { mono_ns: 0, wall_ns: WALL + sent_ns }.ntp();
        assert!(ntp.abs_diff(info.ntp) < 1 << 24, "{} {}", ntp, info.ntp);
    }
    let block = ReportBlock { ssrc: 0xf0, cumulative_lost: 9, jitter: 80, ..ReportBlock::default() };
    let other = ReportBlock { ssrc: 0xf1, cumulative_lost: 1, ..ReportBlock::default() };
    let report = CompoundBuilder::report(77, None, &[block, other]).build();
    scene.registry.receive_rtcp(inbound, SocketAddr::from(([9, 9, 9, 9], 5001)), &[0; 8], scene.now, &mut scene.out);
    scene.registry.receive_rtcp(inbound, host(5001), &report, scene.now, &mut scene.out);
    let statistics = scene.registry.session_statistics("s").unwrap().forks["in"];
    assert_eq!((statistics.reported_lost, statistics.reported_jitter_ms), (Some(9), Some(10.0)));
}

#[test]
fn packets_of_a_batched_fork_leave_together_and_unchanged() {
    let mut scene = Scene::bridged();
    scene.fork(&batched(80), active(5000));
    let sends: Vec<_> = (0..8).map(|n| scene.talk(n, &[n as u8; 160])).collect();
    assert_eq!(sends, [(0, 0), (0, 0), (0, 0), (1, 4), (1, 4), (1, 4), (1, 4), (2, 8)]);
    for (n, (_, _, bytes)) in scene.out.queued.iter().enumerate() {
        let packet = RtpPacket::parse(bytes).unwrap();
        let number = n as u32;
        assert_eq!((packet.sequence(), packet.timestamp()), (100 + n as u16, 7000 + 160 * number));
        assert_eq!((packet.payload(), packet.ssrc()), (&[n as u8; 160][..], 0xf0));
    }
    assert_eq!(scene.out.rtp.len(), 8, "the call is not held up");
    assert_eq!(scene.registry.totals().packets_forked, 8);
}

#[test]
fn what_waits_leaves_soon_when_the_source_falls_silent() {
    let mut scene = Scene::bridged();
    scene.fork(&batched(80), active(5000));
    assert_eq!(scene.talk(0, &[0; 160]), (0, 0));
    assert_eq!(scene.talk(1, &[0; 160]), (0, 0));
    scene.pass(59);
    assert_eq!(scene.out.sends, 0);
    scene.pass(22);
    assert_eq!((scene.out.sends, scene.out.queued.len()), (1, 2));
    scene.pass(500);
    assert_eq!(scene.out.sends, 1);
}

#[test]
fn a_batch_ends_with_its_stream() {
    let mut scene = Scene::bridged();
    scene.fork(&batched(160), active(5000));
    scene.talk(0, &[0; 160]);
    assert_eq!(scene.talk(1, &[0; 80]), (1, 1), "another size");
    scene.pass(20);
    scene.receive(scene.a, 1000, &rtp(0, 2, 500, 9, &[0; 80]));
    assert_eq!((scene.out.sends, scene.out.queued.len()), (2, 2), "another source");
    scene.configure_fork(ForkSettings { active: false, ..active(5000) });
    assert_eq!((scene.out.sends, scene.out.queued.len()), (3, 3), "a pause");
    scene.configure_fork(active(5000));
    scene.receive(scene.a, 1000, &rtp(0, 2, 501, 169, &[0; 80]));
    scene.configure_fork(active(6000));
    assert_eq!((scene.out.queued.len(), scene.out.queued[3].1), (4, host(5000)), "another address");
    scene.receive(scene.a, 1000, &rtp(0, 2, 502, 329, &[0; 80]));
    let statistics = scene.registry.close_fork("s", "in", scene.now, &mut scene.out).unwrap();
    assert_eq!((scene.out.queued.len(), scene.out.queued[4].1), (5, host(6000)), "the end");
    assert_eq!(statistics.packets_sent, 5);
    scene.pass(500);
    assert_eq!(scene.out.queued.len(), 5);
}

#[test]
fn reports_on_shared_ports_find_their_fork_by_ssrc_and_host() {
    let mut scene = Scene::bridged();
    let inbound = scene.fork(&shared("in", Side::Inbound), active(5000));
    scene.fork(&shared("out", Side::Outbound), active(5002));
    scene.receive(scene.a, 1000, &rtp(0, 1, 1, 0, b"x"));
    scene.receive(scene.b, 2000, &rtp(0, 2, 1, 0, b"x"));
    let ssrcs: Vec<u32> =
        scene.out.queued.iter().map(|(_, _, bytes)| RtpPacket::parse(bytes).unwrap().ssrc()).collect();
    assert_eq!(ssrcs, [0xf0, 0xf1], "two streams from one address have two SSRCs");
    let block = |ssrc, cumulative_lost| ReportBlock {
        ssrc,
        fraction_lost: 0,
        cumulative_lost,
        extended_sequence: 0,
        jitter: 8,
        last_sr: 0,
        delay_since_sr: 0,
    };
    let report = CompoundBuilder::report(9, None, &[block(0xf1, 7), block(0xdead, 9)]).cname(9, "srs").build();
    let lost = |scene: &Scene| {
        let forks = scene.registry.session_statistics("s").unwrap().forks;
        (forks["in"].reported_lost, forks["out"].reported_lost)
    };
    scene.registry.receive_shared_rtcp("203.0.113.9:5003".parse().unwrap(), &report);
    assert_eq!(lost(&scene), (None, None), "another host");
    scene.registry.receive_shared_rtcp(host(777), &report);
    assert_eq!(lost(&scene), (None, Some(7)));
    scene.registry.receive_shared_rtcp(host(777), &report[..9]);
    scene.registry.close_fork("s", "out", scene.now, &mut scene.out).unwrap();
    scene.registry.receive_shared_rtcp(host(777), &report);
    scene.registry.close_endpoint("s", "a", scene.now, &mut scene.out);
    assert!(scene.out.released.contains(&inbound));
    assert!(scene.registry.shared.is_empty());
}

#[test]
fn an_unreachable_srs_is_told_once_a_second_of_each_fork_that_sends_there() {
    let mut scene = Scene::bridged();
    scene.fork(&shared("in", Side::Inbound), active(5000));
    scene.fork(&shared("out", Side::Outbound), active(5002));
    scene.fork(&fork("own", "a", Side::Inbound, ForkRole::Endpoint), active(5000));
    scene.events();
    for _ in 0..2 {
        scene.registry.receive_shared_unreachable(host(5000));
        scene.registry.receive_shared_unreachable(host(4000));
        scene.pass(300);
    }
    let told = Event::Unreachable { session: name("s"), name: name("in") };
    assert_eq!(scene.events(), std::slice::from_ref(&told));
    scene.pass(900);
    (0..200).for_each(|port| scene.registry.receive_shared_unreachable(host(5000 + port)));
    assert_eq!(scene.registry.unreachable.len(), 64);
    scene.pass(300);
    assert_eq!(scene.events()[0], told);
    assert!(scene.registry.unreachable.is_empty());
}

#[test]
fn events_that_are_not_for_the_recorder_leave_no_trace() {
    let mut scene = Scene::bridged();
    scene.fork(&NewFork { drop_dtmf: true, ..fork("in", "a", Side::Inbound, ForkRole::Endpoint) }, active(5000));
    for (sequence, payload_type) in [(10, 0), (11, 101), (12, 101), (13, 0)] {
        scene.receive(scene.a, 1000, &rtp(payload_type, 1, sequence, u32::from(sequence) * 160, &[5, 10, 0, 160]));
    }
    let numbers: Vec<(u8, u16, u32)> = scene
        .out
        .queued
        .iter()
        .map(|(_, _, bytes)| {
            let packet = RtpPacket::parse(bytes).unwrap();
            (packet.payload_type(), packet.sequence(), packet.timestamp())
        })
        .collect();
    assert_eq!(numbers, [(0, 100, 7000), (0, 101, 7000 + 480)]);
    assert_eq!(scene.registry.session_statistics("s").unwrap().forks["in"].packets_filtered, 2);
    // the other party gets them all the same
    assert_eq!(scene.out.rtp.len(), 4);
}
