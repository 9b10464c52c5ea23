//! A bridged call of endpoints `a` and `b` in a registry on virtual time, and the weather that its lines meet.

use std::net::SocketAddr;
use std::sync::Arc;

use media_core::rtp::{RtpHeader, RtpPacket, HEADER_LEN};
use media_core::{
    Cname, EndpointSettings, Event, ForkPorts, ForkRole, ForkSettings, Format, Instant, Latch, NewFork, Numbers,
    Output, PairKey, Registry, RegistryOptions, Side, NS_PER_MS, NS_PER_S,
};
use netem::{Loss, Weather};

pub const MS: u64 = NS_PER_MS;
/// Samples, and so octets of G.711, in a packet.
pub const SAMPLES: u32 = 160;
pub const PACKET_NS: u64 = 20 * MS;
pub const EVENT_TYPE: u8 = 101;

/// Weather in which all that a line can do happens, none of it so badly that a telephone would hang up: at most 80 ms of
/// disorder, which is far less than what RFC 3550 A.1 takes for a restart.
pub fn weathers() -> Vec<(&'static str, Weather)> {
    let bad = Weather {
        loss: Loss::Independent(0.03),
        duplicated: 0.02,
        latency_ns: 40 * MS,
        jitter_ns: 30 * MS,
        held_back: 0.05,
        held_back_ns: 80 * MS,
    };
    vec![
        ("fine", Weather::FINE),
        ("loss", Weather { loss: Loss::Independent(0.1), ..Weather::FINE }),
        ("bursts", Weather { loss: Loss::Bursts { begin: 0.02, end: 0.1, within: 0.9 }, ..bad }),
        ("duplicates", Weather { loss: Loss::Never, duplicated: 0.3, ..bad }),
        ("disorder", Weather { loss: Loss::Never, duplicated: 0.0, held_back: 0.4, ..bad }),
        ("all of it", bad),
    ]
}

/// What the registry wanted done.
#[derive(Default)]
pub struct Done {
    pub sent: Vec<(PairKey, SocketAddr, Vec<u8>)>,
    pub written: Vec<(u64, Vec<i16>)>,
    pub settled: Vec<(PairKey, Option<SocketAddr>)>,
    pub events: Vec<Event>,
}

impl Output for Done {
    fn send_rtp(&mut self, pair: PairKey, to: SocketAddr, packet: &[u8]) -> bool {
        self.sent.push((pair, to, packet.to_vec()));
        true
    }
    fn queue_rtp(&mut self, pair: PairKey, to: SocketAddr, packets: &[u8], segment: usize) {
        self.sent.extend(packets.chunks(segment).map(|packet| (pair, to, packet.to_vec())));
    }
    fn send_beside_rtp(&mut self, _: PairKey, _: SocketAddr, _: &[u8]) {}
    fn send_rtcp(&mut self, _: PairKey, _: SocketAddr, _: &[u8]) {}
    fn settle(&mut self, pair: PairKey, remote: Option<SocketAddr>) {
        self.settled.push((pair, remote));
    }
    fn release_pair(&mut self, _: PairKey) {}
    fn write(&mut self, _: u64, at: u64, samples: &[i16]) {
        self.written.push((at, samples.to_vec()));
    }
    fn release_recorder(&mut self, _: u64, _: u64) {}
    fn report(&mut self, event: Event) {
        self.events.push(event);
    }
}

/// A session `s` in which `a` and `b` speak to each other, `a` is recorded and its inbound side is forked.
pub struct Rig {
    pub registry: Registry,
    pub done: Done,
    pub now: Instant,
    pub a: PairKey,
    pub b: PairKey,
    pub fork: PairKey,
}

impl Rig {
    pub fn new() -> Self {
        let mut registry = Registry::new(RegistryOptions { silence_ns: 30 * NS_PER_S });
        let now = Instant { mono_ns: NS_PER_S, wall_ns: 1_764_000_000 * NS_PER_S };
        let mut done = Done::default();
        registry.open_session(&name("s"), now);
        let open = |registry: &mut Registry, endpoint: &str, ssrc| {
            registry.open_endpoint("s", &name(endpoint), numbers(ssrc), Cname([1; 12])).expect("a new endpoint")
        };
        let (a, b) = (open(&mut registry, "a", 10), open(&mut registry, "b", 11));
        for (endpoint, port) in [("a", 1000), ("b", 2000)] {
            let settings = endpoint_settings(host(port));
            registry.configure_endpoint("s", endpoint, settings, now, &mut done).expect("good settings");
        }
        registry.set_route("s", "a", Some("b")).expect("both are open");
        registry.set_route("s", "b", Some("a")).expect("both are open");
        let fork = registry.open_fork("s", inbound_fork()).expect("a new fork");
        registry.configure_fork("s", "f", fork_settings(host(3000)), &mut done).expect("good settings");
        registry.open_recorder("s", &name("r"), "a", 1).expect("a new recorder");
        Self { registry, done, now, a, b, fork }
    }

    /// A datagram of `from` arrives at an endpoint, at a time that is not before the last one's.
    pub fn receive(&mut self, pair: PairKey, from: SocketAddr, packet: &[u8], at_ns: u64) {
        self.pass_to(at_ns);
        self.registry.receive_rtp(pair, from, packet, self.now, &mut self.done);
    }

    /// Time passes; what is due by then is done when it is.
    pub fn pass_to(&mut self, at_ns: u64) {
        let begin = self.now;
        let until_ns = at_ns.max(begin.mono_ns);
        while let Some(due_ns) = self.registry.poll_timeout().filter(|due_ns| *due_ns <= until_ns) {
            self.now = begin.after(due_ns.max(self.now.mono_ns) - begin.mono_ns);
            self.registry.handle_timeout(self.now, &mut self.done);
        }
        self.now = begin.after(until_ns - begin.mono_ns);
    }

    /// The packets that left from a pair.
    pub fn sent_from(&self, pair: PairKey) -> Vec<&[u8]> {
        self.done.sent.iter().filter(|sent| sent.0 == pair).map(|sent| &sent.2[..]).collect()
    }
}

pub fn name(text: &str) -> Arc<str> {
    Arc::from(text)
}

pub fn host(port: u16) -> SocketAddr {
    SocketAddr::from(([192, 0, 2, 1], port))
}

fn numbers(ssrc: u32) -> Numbers {
    Numbers { ssrc, sequence: 65_000, timestamp: u32::MAX - 5000 }
}

fn formats() -> Vec<Format> {
    vec![Format::new(0, "PCMU", 8000, 1), Format::new(EVENT_TYPE, "telephone-event", 8000, 1)]
}

fn endpoint_settings(remote: SocketAddr) -> EndpointSettings {
    EndpointSettings {
        remote: Some(remote),
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

fn inbound_fork() -> NewFork {
    NewFork {
        name: name("f"),
        endpoint: name("a"),
        side: Side::Inbound,
        role: ForkRole::Endpoint,
        ports: ForkPorts::Own,
        batch_ns: 0,
        drop_dtmf: false,
        cname: name("rig"),
        numbers: numbers(99),
    }
}

fn fork_settings(remote: SocketAddr) -> ForkSettings {
    ForkSettings { remote: Some(remote), remote_rtcp: None, active: true, formats: formats().into(), keys: None }
}

/// Packet `n` of a stream whose sequence numbers and time stamps wrap early on; its payload tells which it is.
pub fn speech(ssrc: u32, n: u32) -> Vec<u8> {
    let sequence = 65_400u16.wrapping_add(n as u16);
    let timestamp = (u32::MAX - 50 * SAMPLES).wrapping_add(n * SAMPLES);
    packet(RtpHeader { marker: n == 0, payload_type: 0, sequence, timestamp, ssrc }, &speech_payload(n))
}

/// Codes of G.711 that differ from one packet to the next, none of them one of silence.
pub fn speech_payload(n: u32) -> Vec<u8> {
    let digits = [n, n / 32, n / 1024, n / 32_768].map(|digit| 0x10 + (digit % 32) as u8);
    digits.repeat(SAMPLES as usize / digits.len())
}

/// Which packet of [`speech`] has this payload.
pub fn number_of(payload: &[u8]) -> u32 {
    payload[..4].iter().rev().fold(0, |number, digit| number * 32 + u32::from(digit - 0x10))
}

pub fn packet(header: RtpHeader, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0; HEADER_LEN];
    header.write(bytes.first_chunk_mut().expect("there is room"));
    bytes.extend_from_slice(payload);
    bytes
}

pub fn parsed(bytes: &[u8]) -> RtpPacket<'_> {
    RtpPacket::parse(bytes).expect("a packet of the engine's")
}
