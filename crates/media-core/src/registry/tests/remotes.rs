//! Whom an endpoint listens to, where its RTCP goes, and how it keeps the path open.

use super::*;

impl Scene {
    /// Where `b` sends what `a` is told next.
    fn relayed_to(&mut self) -> Option<SocketAddr> {
        self.out.rtp.clear();
        self.receive(self.b, 2000, &rtp(0, 2, 1, 0, b"from b"));
        self.out.rtp.last().map(|(_, to, _)| *to)
    }

    fn latched(latch: Latch) -> Self {
        let mut scene = Self::bridged();
        scene.configure("a", EndpointSettings { latch, ..settings(1000) });
        scene.receive(scene.a, 1500, &rtp(0, 1, 1, 0, b"from another port"));
        scene
    }
}

#[test]
fn the_first_valid_source_is_learned_and_others_are_strays() {
    let mut scene = Scene::bridged();
    scene.receive(scene.a, 1000, b"no rtp at all");
    let elsewhere = SocketAddr::from(([198, 51, 100, 9], 4444));
    // a payload type that was not agreed, from a foreign host, teaches nothing
    scene.registry.receive_rtp(scene.a, elsewhere, &rtp(77, 9, 1, 0, b""), scene.now, &mut scene.out);
    scene.registry.receive_rtp(scene.a, elsewhere, &rtp(0, 1, 1, 0, b"x"), scene.now, &mut scene.out);
    scene.receive(scene.a, 1000, &rtp(0, 2, 1, 0, b"y"));
    assert_eq!(scene.events()[0], Event::Latched { session: name("s"), endpoint: name("a"), remote: elsewhere });
    scene.receive(scene.b, 2000, &rtp(0, 3, 1, 0, b"z"));
    assert_eq!(scene.out.rtp.last().unwrap().1, elsewhere);
    let statistics = scene.registry.session_statistics("s").unwrap().endpoints["a"];
    assert_eq!((statistics.strays, statistics.invalid, statistics.packets_received), (2, 1, 1));

    // a repeated description keeps what was learned until somebody else comes
    scene.configure("a", settings(1000));
    scene.receive(scene.b, 2000, &rtp(0, 3, 2, 0, b"z"));
    assert_eq!(scene.out.rtp.last().unwrap().1, elsewhere);
    scene.receive(scene.a, 1002, &rtp(0, 1, 2, 0, b"x"));
    scene.receive(scene.b, 2000, &rtp(0, 3, 3, 0, b"z"));
    assert_eq!(scene.out.rtp.last().unwrap().1, host(1002));
    // a new one does not
    scene.configure("a", settings(1004));
    scene.receive(scene.b, 2000, &rtp(0, 3, 4, 0, b"z"));
    assert_eq!(scene.out.rtp.last().unwrap().1, host(1004));
}

#[test]
fn without_latching_only_the_remote_is_heard() {
    let mut scene = Scene::bridged();
    scene.configure("a", EndpointSettings { latch: Latch::Signalled, ..settings(1000) });
    scene.receive(scene.a, 1002, &rtp(0, 1, 1, 0, b"x"));
    assert_eq!(scene.out.rtp, []);
    scene.receive(scene.a, 1000, &rtp(0, 1, 1, 0, b"x"));
    assert_eq!(scene.out.rtp.len(), 1);
}

#[test]
fn a_source_that_stays_is_given_to_the_kernel_and_taken_back() {
    let mut scene = Scene::bridged();
    for sequence in 0..1000 {
        scene.receive(scene.a, 1000, &rtp(0, 1, sequence, 0, b"x"));
        if sequence == 100 {
            scene.receive(scene.a, 1002, &rtp(0, 1, sequence, 0, b"stray"));
        }
    }
    assert_eq!(scene.out.settled, [(scene.a, Some(host(1000)))]);
    scene.configure("a", settings(1000));
    assert_eq!(scene.out.settled.last(), Some(&(scene.a, None)));
    scene.configure("a", settings(1000));
    assert_eq!(scene.out.settled.len(), 2);
}

#[test]
fn the_first_source_after_each_configuration_is_learned() {
    let mut scene = Scene::latched(Latch::Each);
    assert_eq!(scene.relayed_to(), Some(host(1500)));
    scene.configure("a", EndpointSettings { latch: Latch::Each, ..settings(1000) });
    // what was learned stays in use until another source comes
    assert_eq!(scene.relayed_to(), Some(host(1500)));
    scene.receive(scene.a, 1600, &rtp(0, 1, 2, 160, b"moved"));
    assert_eq!(scene.relayed_to(), Some(host(1600)));
}

#[test]
fn the_first_source_of_all_stays_until_another_remote_is_told() {
    let mut scene = Scene::latched(Latch::First);
    scene.configure("a", EndpointSettings { latch: Latch::First, ..settings(1000) });
    scene.receive(scene.a, 1600, &rtp(0, 1, 2, 160, b"who is that?"));
    assert_eq!(scene.relayed_to(), Some(host(1500)));
    assert_eq!(scene.registry.session_statistics("s").unwrap().endpoints["a"].strays, 1);
    scene.configure("a", EndpointSettings { latch: Latch::First, ..settings(1100) });
    assert_eq!(scene.relayed_to(), Some(host(1100)));
    scene.receive(scene.a, 1600, &rtp(0, 1, 3, 320, b"moved"));
    assert_eq!(scene.relayed_to(), Some(host(1600)));
}

#[test]
fn only_the_signalled_source_is_heard_if_that_is_asked_for() {
    let mut scene = Scene::latched(Latch::Signalled);
    assert_eq!(scene.registry.session_statistics("s").unwrap().endpoints["a"].strays, 1);
    assert_eq!(scene.relayed_to(), Some(host(1000)));
    scene.receive(scene.a, 1000, &rtp(0, 1, 2, 160, b"the right one"));
    assert_eq!(scene.out.rtp.last().unwrap().1, host(2000));
}

/// `a` was latched to port 1500 and is told to be at 1100 now.
fn moving() -> Scene {
    let mut scene = Scene::latched(Latch::Each);
    scene.configure("a", EndpointSettings { latch: Latch::Each, ..settings(1100) });
    scene.out.rtp.clear();
    scene
}

#[test]
fn the_last_packets_from_before_a_move_are_heard_and_keep_nobody_out() {
    let mut scene = moving();
    for sequence in 2..62 {
        scene.receive(scene.a, 1500, &rtp(0, 1, sequence, 160 * u32::from(sequence), b"still there"));
    }
    assert_eq!(scene.out.rtp.len(), 60, "the other party hears it");
    assert_eq!(scene.relayed_to(), Some(host(1100)), "and is heard where the party will be");
    assert!(!scene.out.settled.contains(&(scene.a, Some(host(1500)))), "the kernel lets others through");
    // behind a NAT, so not from the port that was told
    scene.receive(scene.a, 1600, &rtp(0, 9, 1, 0, b"moved"));
    assert_eq!(scene.out.rtp.last().unwrap().1, host(2000));
    assert_eq!(scene.relayed_to(), Some(host(1600)));
    scene.out.rtp.clear();
    scene.receive(scene.a, 1500, &rtp(0, 1, 62, 9920, b"too late"));
    assert!(scene.out.rtp.is_empty());
    for sequence in 2..52 {
        scene.receive(scene.a, 1600, &rtp(0, 9, sequence, 160 * u32::from(sequence), b"moved"));
    }
    assert_eq!(scene.out.settled.last(), Some(&(scene.a, Some(host(1600)))));
}

#[test]
fn who_does_not_move_at_all_is_answered_where_he_stays() {
    let mut scene = moving();
    for sequence in 2..102 {
        scene.receive(scene.a, 1500, &rtp(0, 1, sequence, 160 * u32::from(sequence), b"still there"));
    }
    assert_eq!(scene.relayed_to(), Some(host(1500)));
    scene.receive(scene.a, 1600, &rtp(0, 9, 1, 0, b"who is that?"));
    assert_eq!(scene.relayed_to(), Some(host(1500)));
    scene.receive(scene.a, 1100, &rtp(0, 9, 1, 0, b"moved at last"));
    assert_eq!(scene.relayed_to(), Some(host(1100)));
}

#[test]
fn another_rtcp_port_alone_is_taken() {
    let mut scene = Scene::bridged();
    scene.configure("a", EndpointSettings { remote_rtcp: Some(Box::new(host(5000))), ..settings(1000) });
    scene.registry.receive_rtcp(scene.b, host(2001), &report(2), scene.now, &mut scene.out);
    assert_eq!(scene.out.rtcp, [(scene.a, host(5000), report(2))]);
}

fn report(ssrc: u32) -> Vec<u8> {
    CompoundBuilder::report(ssrc, None, &[]).cname(ssrc, "who").build()
}

#[test]
fn muxed_rtcp_comes_and_goes_by_the_rtp_port() {
    let mut scene = Scene::bridged();
    scene.configure("a", EndpointSettings { rtcp_mux: true, ..settings(1000) });
    // from the muxed side, on its RTP port, to the other's RTCP port
    scene.receive(scene.a, 1000, &report(1));
    assert_eq!(scene.out.rtcp, [(scene.b, host(2001), report(1))]);
    // and back, to the RTP port
    let now = scene.now;
    scene.registry.receive_rtcp(scene.b, host(2001), &report(2), scene.now, &mut scene.out);
    assert_eq!(scene.out.beside, [(scene.a, host(1000), report(2))]);
    // RTCP of a learned remote goes where its RTP does
    scene.receive(scene.a, 1500, &rtp(0, 1, 1, 0, b"moved"));
    scene.registry.receive_rtcp(scene.b, host(2001), &report(2), scene.now, &mut scene.out);
    assert_eq!(scene.out.beside[1].1, host(1500));
    assert_eq!(now, scene.now);
    // a peer that gives it up gets it on its own port again
    scene.configure("a", settings(1000));
    scene.registry.receive_rtcp(scene.b, host(2001), &report(2), scene.now, &mut scene.out);
    assert_eq!(scene.out.rtcp.last().unwrap(), &(scene.a, host(1501), report(2)));
}

#[test]
fn the_rtcp_port_is_open_for_as_long_as_rtcp_has_one() {
    let mut scene = Scene::bridged();
    let muxed = EndpointSettings { rtcp_mux: true, ..settings(1000) };
    for _ in 0..2 {
        scene.configure("a", muxed.clone());
        assert_eq!(scene.out.closed_rtcp, [scene.a]);
    }
    // somebody has it meanwhile: the leg stays as it was
    scene.out.taken = true;
    let refused = scene.registry.configure_endpoint("s", "a", settings(1700), scene.now, &mut scene.out).unwrap_err();
    assert_eq!(refused.code, RefusalCode::NoPorts);
    scene.registry.receive_rtcp(scene.b, host(2001), &report(2), scene.now, &mut scene.out);
    assert_eq!(scene.out.beside, [(scene.a, host(1000), report(2))]);
    scene.out.taken = false;
    scene.configure("a", settings(1000));
    assert!(scene.out.closed_rtcp.is_empty());
}

#[test]
fn an_rtcp_port_that_was_told_stands_while_rtp_comes_from_that_host() {
    let mut scene = Scene::bridged();
    let other = SocketAddr::from(([198, 51, 100, 7], 900));
    scene.configure("a", EndpointSettings { remote_rtcp: Some(Box::new(host(5000))), ..settings(1000) });
    scene.receive(scene.a, 1500, &rtp(0, 1, 1, 0, b"moved"));
    scene.registry.receive_rtcp(scene.b, host(2001), &report(2), scene.now, &mut scene.out);
    assert_eq!(scene.out.rtcp[0].1, host(5000));
    // RFC 3605 §2.1: a host of its own, for RTCP alone
    scene.configure("a", EndpointSettings { remote_rtcp: Some(Box::new(other)), ..settings(1200) });
    scene.registry.receive_rtcp(scene.b, host(2001), &report(2), scene.now, &mut scene.out);
    assert_eq!(scene.out.rtcp[1].1, other);
}

#[test]
fn who_is_relayed_to_nobody_is_told_how_his_stream_arrives() {
    let mut scene = Scene::new();
    scene.configure("a", settings(1000));
    let mut blocks = Vec::new();
    for n in 0..1000u16 {
        // every fourth is lost in the second half
        if n < 500 || n % 4 > 0 {
            scene.receive(scene.a, 1000, &rtp(0, 1, n, u32::from(n) * 160, b"a speaks"));
        }
        if n % 250 == 10 {
            let info = SenderInfo { ntp: scene.now.ntp(), rtp_timestamp: 0, packets: 1, octets: 1 };
            let report = CompoundBuilder::report(1, Some(info), &[]).cname(1, "a").build();
            scene.registry.receive_rtcp(scene.a, host(1001), &report, scene.now, &mut scene.out);
        }
        scene.pass(20);
        for (pair, to, packet) in scene.out.rtcp.drain(..) {
            assert_eq!((pair, to), (scene.a, host(1001)));
            let packets = parse_compound(&packet).unwrap();
            let [RtcpPacket::ReceiverReport { ssrc: 0xa, blocks: told }, RtcpPacket::SourceDescription { cnames }] =
                &packets[..]
            else {
                panic!("{packets:?}")
            };
            assert_eq!((told.len(), &cnames[..]), (1, &[(0xa, b"0a".repeat(12))][..]));
            let sent = compact_ntp(scene.now).wrapping_sub(told[0].delay_since_sr);
            // no time on the way; the report is looked at 20 ms after it was sent at most
            assert!(sent.wrapping_sub(told[0].last_sr) <= 65_536 / 50, "{told:?}");
            blocks.push(told[0]);
        }
    }
    assert!((3..=5).contains(&blocks.len()), "about every five seconds: {blocks:?}");
    let (first, last) = (blocks[0], blocks[blocks.len() - 1]);
    assert_eq!((first.ssrc, first.fraction_lost, first.cumulative_lost), (1, 0, 0));
    assert!((60..=68).contains(&last.fraction_lost) && last.cumulative_lost > 60, "{last:?}");
    // he falls silent: nothing more is to be said
    scene.pass(10_000);
    assert!(scene.out.rtcp.len() <= 1, "{:?}", scene.out.rtcp);
    // and the other party reports on what is relayed
    scene.configure("b", settings(2000));
    scene.registry.set_route("s", "a", Some("b")).unwrap();
    scene.out.rtcp.clear();
    for n in 1000..1600u16 {
        scene.receive(scene.a, 1000, &rtp(0, 1, n, u32::from(n) * 160, b"a speaks"));
        scene.receive(scene.b, 2000, b"");
        scene.pass(20);
    }
    let told = scene.out.rtcp.iter().filter(|(pair, _, _)| *pair == scene.a).count();
    assert!(told <= 1, "but for what keeps the path open: {:?}", scene.out.rtcp);
}

#[test]
fn a_held_path_is_kept_open_and_a_busy_one_needs_no_help() {
    let mut scene = Scene::bridged();
    scene.configure("a", EndpointSettings { send: false, ..settings(1000) });
    for n in 0..600u16 {
        scene.pass(20);
        scene.receive(scene.a, 1000, &rtp(0, 1, n, u32::from(n) * 160, b"a speaks"));
    }
    assert!(scene.out.beside.is_empty() && scene.out.rtcp.is_empty());
    scene.pass(40_000);
    // nothing is sent to `a` for 52 s by now, to `b` for 40 s: once in 15 s
    let to = |pair| scene.out.beside.iter().filter(|sent| sent.0 == pair).collect::<Vec<_>>();
    assert_eq!((to(scene.a).len(), to(scene.b).len()), (3, 2));
    assert!(to(scene.a).iter().all(|(_, to, packet)| *to == host(1000) && packet.is_empty()));
    let reports: Vec<_> = scene.out.rtcp.iter().filter(|sent| sent.0 == scene.a).collect();
    assert_eq!(reports.len(), 3);
    let RtcpPacket::ReceiverReport { blocks, .. } = &parse_compound(&reports[0].2).unwrap()[0] else { panic!() };
    assert_eq!((blocks[0].ssrc, blocks[0].cumulative_lost), (1, 0));
    // RFC 6263 §4.1: the same from a peer is nothing wrong
    scene.receive(scene.a, 1000, b"");
    scene.receive(scene.a, 1000, b"nonsense");
    assert_eq!(scene.registry.session_statistics("s").unwrap().endpoints["a"].invalid, 1);
}

#[test]
fn muxed_rtcp_alone_keeps_a_path_open() {
    let mut scene = Scene::bridged();
    scene.configure("a", EndpointSettings { rtcp_mux: true, send: false, ..settings(1000) });
    scene.pass(16_000);
    let kept: Vec<_> = scene.out.beside.iter().filter(|sent| sent.0 == scene.a).collect();
    let [(_, to, packet)] = kept[..] else { panic!("{kept:?}") };
    assert_eq!(*to, host(1000));
    assert!(matches!(parse_compound(packet).unwrap()[..], [RtcpPacket::ReceiverReport { .. }, _]));
}
