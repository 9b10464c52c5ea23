//! Forks that share their ports, and forks whose packets leave together.

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
