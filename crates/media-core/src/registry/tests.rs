//! Whole sessions against an output that writes down what it is asked for.

use std::net::SocketAddr;
use std::sync::Arc;

use crate::event::Event;
use crate::format::Format;
use crate::g711::Law;
use crate::player::Audio;
use crate::refusal::RefusalCode;
use crate::rtcp::{compact_ntp, parse_compound, CompoundBuilder, ReportBlock, RtcpPacket, SenderInfo};
use crate::rtp::{RtpHeader, RtpPacket, HEADER_LEN};
use crate::time::{Instant, NS_PER_MS, NS_PER_S};

use super::{
    EndpointSettings, ForkPorts, ForkRole, ForkSettings, Latch, NewFork, Numbers, Output, PairKey, Playback, Registry,
    RegistryOptions, Side,
};

mod digits;
mod forks;
mod kernel;
mod remotes;
mod security;
mod translation;

const WALL: u64 = 1_764_000_000 * NS_PER_S;

#[derive(Default)]
struct Written {
    rtp: Vec<(PairKey, SocketAddr, Vec<u8>)>,
    queued: Vec<(PairKey, SocketAddr, Vec<u8>)>,
    sends: usize,
    rtcp: Vec<(PairKey, SocketAddr, Vec<u8>)>,
    beside: Vec<(PairKey, SocketAddr, Vec<u8>)>,
    closed_rtcp: Vec<PairKey>,
    /// Closed RTCP ports have been taken by others.
    taken: bool,
    settled: Vec<(PairKey, Option<SocketAddr>)>,
    released: Vec<PairKey>,
    samples: Vec<(u64, u64, Vec<i16>)>,
    recorders: Vec<(u64, u64)>,
    events: Vec<Event>,
}

impl Output for Written {
    fn send_rtp(&mut self, pair: PairKey, to: SocketAddr, packet: &[u8]) -> bool {
        self.rtp.push((pair, to, packet.to_vec()));
        true
    }
    fn queue_rtp(&mut self, pair: PairKey, to: SocketAddr, packets: &[u8], segment: usize) {
        self.sends += 1;
        self.queued.extend(packets.chunks(segment).map(|packet| (pair, to, packet.to_vec())));
    }
    fn send_beside_rtp(&mut self, pair: PairKey, to: SocketAddr, packet: &[u8]) {
        self.beside.push((pair, to, packet.to_vec()));
    }
    fn send_rtcp(&mut self, pair: PairKey, to: SocketAddr, packet: &[u8]) {
        self.rtcp.push((pair, to, packet.to_vec()));
    }
    fn open_rtcp(&mut self, pair: PairKey) -> bool {
        let opens = !self.taken || !self.closed_rtcp.contains(&pair);
        self.closed_rtcp.retain(|closed| *closed != pair || !opens);
        opens
    }
    fn close_rtcp(&mut self, pair: PairKey) {
        if !self.closed_rtcp.contains(&pair) {
            self.closed_rtcp.push(pair);
        }
    }
    fn settle(&mut self, pair: PairKey, remote: Option<SocketAddr>) {
        self.settled.push((pair, remote));
    }
    fn release_pair(&mut self, pair: PairKey) {
        self.released.push(pair);
    }
    fn write(&mut self, recorder: u64, at: u64, samples: &[i16]) {
        self.samples.push((recorder, at, samples.to_vec()));
    }
    fn release_recorder(&mut self, recorder: u64, samples: u64) {
        self.recorders.push((recorder, samples));
    }
    fn report(&mut self, event: Event) {
        self.events.push(event);
    }
}

/// A session `s` with endpoints `a` (remote port 1000) and `b` (2000).
struct Scene {
    registry: Registry,
    out: Written,
    now: Instant,
    a: PairKey,
    b: PairKey,
}

fn name(text: &str) -> Arc<str> {
    Arc::from(text)
}

fn host(port: u16) -> SocketAddr {
    SocketAddr::from(([192, 0, 2, 1], port))
}

fn formats() -> Vec<Format> {
    vec![Format::new(0, "PCMU", 8000, 1), Format::new(101, "telephone-event", 8000, 1)]
}

fn settings(port: u16) -> EndpointSettings {
    EndpointSettings {
        remote: Some(host(port)),
        remote_rtcp: None,
        formats: formats().into(),
        send_formats: None,
        latch: Latch::Each,
        send: true,
        receive: true,
        rtcp_mux: false,
        keys: None,
    }
}

fn numbers(ssrc: u32) -> Numbers {
    Numbers { ssrc, sequence: 100, timestamp: 7000 }
}

fn playback(audio: Audio, loops: u32) -> Playback {
    Playback { audio, loops, start_ms: 0 }
}

fn fork(name_: &str, endpoint: &str, side: Side, role: ForkRole) -> NewFork {
    NewFork {
        name: name(name_),
        endpoint: name(endpoint),
        side,
        role,
        ports: ForkPorts::Own,
        batch_ns: 0,
        drop_dtmf: false,
        cname: name("cname@fork"),
        numbers: numbers(0xf0),
    }
}

fn active(port: u16) -> ForkSettings {
    ForkSettings { remote: Some(host(port)), remote_rtcp: None, active: true, formats: formats().into(), keys: None }
}

fn rtp(payload_type: u8, ssrc: u32, sequence: u16, timestamp: u32, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0; HEADER_LEN];
    RtpHeader { marker: false, payload_type, sequence, timestamp, ssrc }.write(bytes.first_chunk_mut().unwrap());
    bytes.extend_from_slice(payload);
    bytes
}

impl Scene {
    fn new() -> Self {
        let mut registry = Registry::new(RegistryOptions { silence_ns: 2 * NS_PER_S });
        let now = Instant { mono_ns: NS_PER_S, wall_ns: WALL };
        registry.open_session(&name("s"), now);
        let a = registry.open_endpoint("s", &name("a"), numbers(0xa), "a@here").unwrap();
        let b = registry.open_endpoint("s", &name("b"), numbers(0xb), "b@here").unwrap();
        Self { registry, out: Written::default(), now, a, b }
    }

    fn bridged() -> Self {
        let mut scene = Self::new();
        scene.configure("a", settings(1000));
        scene.configure("b", settings(2000));
        scene.registry.set_route("s", "a", Some("b")).unwrap();
        scene.registry.set_route("s", "b", Some("a")).unwrap();
        scene
    }

    fn configure(&mut self, endpoint: &str, settings: EndpointSettings) {
        self.registry.configure_endpoint("s", endpoint, settings, self.now, &mut self.out).unwrap();
    }

    fn fork(&mut self, new: &NewFork, settings: ForkSettings) -> PairKey {
        let pair = self.registry.open_fork("s", new.clone()).unwrap();
        self.registry.configure_fork("s", &new.name, settings, &mut self.out).unwrap();
        pair
    }

    fn receive(&mut self, pair: PairKey, port: u16, packet: &[u8]) {
        self.registry.receive_rtp(pair, host(port), packet, self.now, &mut self.out);
    }

    /// Time passes in steps of a millisecond, each timeout handled when it is due.
    fn pass(&mut self, ms: u64) {
        for _ in 0..ms {
            self.now = self.now.after(NS_PER_MS);
            if self.registry.poll_timeout().is_some_and(|due| due <= self.now.mono_ns) {
                self.registry.handle_timeout(self.now, &mut self.out);
            }
        }
    }

    fn events(&mut self) -> Vec<Event> {
        std::mem::take(&mut self.out.events)
    }
}

#[test]
fn a_bridge_relays_both_ways_unchanged() {
    let mut scene = Scene::bridged();
    let there = rtp(0, 1, 5, 800, b"from a");
    let back = rtp(13, 2, 6, 900, b"from b, in a payload type that nobody named");
    scene.receive(scene.a, 1000, &there);
    scene.receive(scene.b, 2000, &back);
    assert_eq!(scene.out.rtp, [(scene.b, host(2000), there), (scene.a, host(1000), back)]);
    let (session, at_ns) = (name("s"), WALL);
    assert_eq!(
        scene.events(),
        [
            Event::FirstPacket { session: session.clone(), endpoint: name("a"), at_ns },
            Event::FirstPacket { session, endpoint: name("b"), at_ns }
        ]
    );
    let statistics = scene.registry.session_statistics("s").unwrap();
    assert_eq!(statistics.endpoints["a"].octets_received, 6);
    assert_eq!(statistics.endpoints["b"].packets_sent, 1);
    assert_eq!(scene.registry.totals().packets_relayed, 2);
    scene.registry.set_route("s", "a", None).unwrap();
    scene.receive(scene.a, 1000, &rtp(0, 1, 6, 960, b""));
    assert_eq!(scene.out.rtp.len(), 2);
}

#[test]
fn nothing_flows_before_an_endpoint_is_configured() {
    let mut scene = Scene::new();
    scene.registry.set_route("s", "a", Some("b")).unwrap();
    scene.configure("b", settings(2000));
    scene.receive(scene.a, 1000, &rtp(0, 1, 5, 800, b"early"));
    scene.receive(scene.a, 3333, &rtp(0, 1, 5, 800, b"early"));
    assert_eq!(scene.out.rtp, []);
    assert_eq!(scene.events().len(), 1);
    assert_eq!(scene.registry.session_statistics("s").unwrap().endpoints["a"].packets_received, 2);
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
fn directions_are_kept() {
    let mut scene = Scene::bridged();
    scene.fork(&fork("out", "b", Side::Outbound, ForkRole::Endpoint), active(5000));
    scene.fork(&fork("in", "a", Side::Inbound, ForkRole::Endpoint), active(5002));
    scene.configure("b", EndpointSettings { send: false, ..settings(2000) });
    scene.receive(scene.a, 1000, &rtp(0, 1, 1, 0, b"x"));
    assert_eq!((scene.out.rtp.len(), scene.out.queued.len()), (0, 1));
    scene.configure("b", settings(2000));
    scene.configure("a", EndpointSettings { receive: false, ..settings(1000) });
    scene.receive(scene.a, 1000, &rtp(0, 1, 2, 0, b"x"));
    assert_eq!((scene.out.rtp.len(), scene.out.queued.len()), (0, 1));
    scene.configure("a", settings(1000));
    scene.receive(scene.a, 1000, &rtp(0, 1, 3, 0, b"x"));
    assert_eq!((scene.out.rtp.len(), scene.out.queued.len()), (1, 3));
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
    let sent = |scene: &Scene| scene.registry.session_statistics("s").unwrap().endpoints[&name("b")].packets_sent;
    let before = sent(&scene);
    scene.registry.note_send_errors(scene.b, 1);
    assert_eq!((sent(&scene), scene.registry.totals().packets_relayed), (before - 1, relayed - 1));
    let statistics = scene.registry.close_fork("s", "in", scene.now, &mut scene.out).unwrap();
    assert_eq!((statistics.packets_sent, statistics.send_errors), (2, 1));
    assert_eq!((statistics.octets_sent, statistics.first_packet_ns), (17, Some(WALL)));
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
fn reports_are_relayed_between_the_parties_only_from_the_parties() {
    let mut scene = Scene::bridged();
    scene.fork(&fork("in", "a", Side::Inbound, ForkRole::Endpoint), active(5000));
    let report = CompoundBuilder::report(1, None, &[]).build();
    let stranger = SocketAddr::from(([198, 51, 100, 9], 1001));
    scene.registry.receive_rtcp(scene.a, stranger, &report, scene.now, &mut scene.out);
    scene.registry.receive_rtcp(scene.a, host(1001), b"nonsense", scene.now, &mut scene.out);
    assert_eq!(scene.out.rtcp, []);
    // from another port than the one above: there it goes from now on; and on the RTP port it is known too
    scene.receive(scene.a, 1017, &report);
    scene.registry.receive_rtcp(scene.b, host(2001), &report, scene.now, &mut scene.out);
    assert_eq!(scene.out.rtcp, [(scene.b, host(2001), report.clone()), (scene.a, host(1017), report)]);
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
fn changes_of_source_are_reported_at_most_once_a_second() {
    let mut scene = Scene::bridged();
    for (ssrc, ms) in [(1, 20), (2, 20), (1, 20), (2, 1000), (3, 20)] {
        scene.receive(scene.a, 1000, &rtp(0, ssrc, 1, 0, b""));
        scene.pass(ms);
    }
    let changes: Vec<_> = scene
        .events()
        .into_iter()
        .filter_map(|event| match event {
            Event::SsrcChanged { old, new, .. } => Some((old, new)),
            _ => None,
        })
        .collect();
    assert_eq!(changes, [(1, 2), (2, 3)]);
}

#[test]
fn silence_is_reported_once_for_each_silence_of_who_may_speak() {
    let mut scene = Scene::bridged();
    scene.configure("b", EndpointSettings { receive: false, ..settings(2000) });
    let silent = |scene: &mut Scene| -> Vec<(Arc<str>, u64)> {
        scene
            .events()
            .into_iter()
            .filter_map(|event| match event {
                Event::SilenceTimeout { endpoint, silent_ms, .. } => Some((endpoint, silent_ms)),
                _ => None,
            })
            .collect()
    };
    scene.pass(1900);
    assert_eq!(silent(&mut scene), []);
    scene.pass(5000);
    let reported = silent(&mut scene);
    assert_eq!(reported.len(), 1);
    assert_eq!(&*reported[0].0, "a");
    assert!((2000..2300).contains(&reported[0].1));
    scene.receive(scene.a, 1000, &rtp(0, 1, 1, 0, b""));
    scene.pass(5000);
    assert_eq!(silent(&mut scene).len(), 1);
}

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

#[test]
fn unreachable_remotes_are_reported_at_most_once_a_second() {
    let mut scene = Scene::bridged();
    let inbound = scene.fork(&fork("in", "a", Side::Inbound, ForkRole::Endpoint), active(5000));
    for _ in 0..50 {
        scene.registry.receive_unreachable(scene.a, scene.now, &mut scene.out);
        scene.registry.receive_unreachable(inbound, scene.now, &mut scene.out);
        scene.pass(25);
    }
    let names: Vec<_> = scene
        .events()
        .into_iter()
        .filter_map(|event| match event {
            Event::Unreachable { name, .. } => Some(name.to_string()),
            _ => None,
        })
        .collect();
    assert_eq!(names, ["a", "in", "a", "in"]);
}

#[test]
fn closing_takes_everything_along() {
    let mut scene = Scene::bridged();
    let inbound = scene.fork(&fork("in", "a", Side::Inbound, ForkRole::Endpoint), active(5000));
    scene.registry.open_recorder("s", &name("r"), "a", 1).unwrap();
    let audio = Audio::Coded(Law::Mu, vec![0; 1600].into());
    scene.registry.play("s", &name("p"), "a", playback(audio, 0), scene.now, &mut scene.out).unwrap();
    scene.pass(30);
    scene.registry.close_endpoint("s", "a", scene.now, &mut scene.out);
    scene.registry.close_endpoint("s", "a", scene.now, &mut scene.out);
    assert_eq!(scene.out.released, [inbound, scene.a]);
    assert_eq!(scene.out.recorders, [(1, 0)]);
    scene.receive(scene.b, 2000, &rtp(0, 1, 1, 0, b""));
    scene.receive(scene.a, 1000, &rtp(0, 1, 1, 0, b""));
    assert_eq!(scene.out.rtp.len(), 2);
    let statistics = scene.registry.close_session("s", scene.now, &mut scene.out).unwrap();
    assert_eq!(statistics.endpoints.keys().map(|name| &**name).collect::<Vec<_>>(), ["b"]);
    assert!(scene.registry.is_empty());
    assert_eq!(scene.registry.len(), 0);
    assert_eq!(scene.registry.close_session("s", scene.now, &mut scene.out), None);
    scene.pass(300);
    assert_eq!(scene.registry.poll_timeout(), None);
}

#[test]
fn what_cannot_be_is_refused() {
    let mut scene = Scene::bridged();
    let code = |result: Result<(), crate::refusal::Refusal>| result.unwrap_err().code;
    let Scene { registry, out, now, .. } = &mut scene;
    let audio = || playback(Audio::Coded(Law::Mu, vec![0; 160].into()), 1);
    assert_eq!(code(registry.session_statistics("x").map(|_| ())), RefusalCode::NoSession);
    assert_eq!(code(registry.set_route("s", "a", Some("x"))), RefusalCode::NoEndpoint);
    assert_eq!(code(registry.configure_fork("s", "x", active(1), out)), RefusalCode::NoFork);
    assert_eq!(code(registry.configure_endpoint("s", "x", settings(1), *now, out)), RefusalCode::NoEndpoint);
    assert_eq!(code(registry.open_endpoint("s", &name("a"), numbers(1), "").map(|_| ())), RefusalCode::Conflict);
    let new = fork("in", "a", Side::Inbound, ForkRole::Endpoint);
    registry.open_fork("s", new.clone()).unwrap();
    assert_eq!(code(registry.open_fork("s", new).map(|_| ())), RefusalCode::Conflict);
    registry.open_recorder("s", &name("r"), "a", 1).unwrap();
    assert_eq!(code(registry.open_recorder("s", &name("r"), "a", 1)), RefusalCode::Conflict);
    registry.play("s", &name("p"), "a", audio(), *now, out).unwrap();
    assert_eq!(code(registry.play("s", &name("p"), "a", audio(), *now, out)), RefusalCode::Conflict);
    let g729 = EndpointSettings { formats: vec![Format::new(18, "G729", 8000, 1)].into(), ..settings(1) };
    registry.configure_endpoint("s", "b", g729, *now, out).unwrap();
    let refusal = registry.play("s", &name("q"), "b", audio(), *now, out).unwrap_err();
    assert_eq!(refusal.to_string(), "no-format: endpoint b has no PCMU or PCMA");
    let opened = (0..100).map_while(|n| registry.open_endpoint("s", &name(&n.to_string()), numbers(n), "").ok());
    assert_eq!(opened.count(), 14);
    assert_eq!(code(registry.open_endpoint("s", &name("more"), numbers(1), "").map(|_| ())), RefusalCode::Limit);
    registry.open_session(&name("s"), *now);
    assert_eq!(registry.len(), 1);
}
